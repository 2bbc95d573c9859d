"""`caisey note`, `find`, `ask`, `answer`: words that somebody puts on record in a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from caisey_cli.commands import HomeOption, JsonOption, SessionOption
from caisey_cli.commands.desks import at_desk, wrote
from caisey_cli.completions import completes

if TYPE_CHECKING:
    from caisey_cli.desk import Desk


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (note, find, ask, answer):
        app.command()(command)


def note(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to write down.")],
    staff: Annotated[bool, typer.Option("--staff", help="Only for the workspace's own people.")] = False,
    session: SessionOption = "",
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Add an annotation to a session.

    Example: caisey note "Maria will be back at two"
    """

    async def work(desk: Desk) -> int:
        log = await desk.join(session)
        record = await desk.controller.note(log, text, staff=staff)
        return wrote(log, record.digest, "note", json)

    return at_desk(home, work, session=session)


def find(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What was found, or what the cause is.")],
    session: SessionOption = "",
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Mark a finding or the cause; the ticket note claims no other.

    Example: caisey find "214 jobs, 3.1 GiB in /var/spool/cups"
    """

    async def work(desk: Desk) -> int:
        log = await desk.join(session)
        record = await desk.controller.find(log, text)
        return wrote(log, record.digest, "finding", json)

    return at_desk(home, work, session=session)


def ask(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What somebody has to answer yet.")],
    staff: Annotated[bool, typer.Option("--staff", help="Only for the workspace's own people.")] = False,
    session: SessionOption = "",
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Ask a question in a session and print its code; it stays open, in its note too, until it is answered.

    Example: caisey ask "Who else prints through this machine?"
    """

    async def work(desk: Desk) -> int:
        from caisey_cli import output
        from caisey_core.ids import question_code, session_code

        log = await desk.join(session)
        record = await desk.controller.ask(log, text, staff=staff)
        code = question_code(record.digest)
        if json:
            output.as_json(
                "question", {"session": session_code(log), "log": log, "record": record.digest, "question": code}
            )
        else:
            output.data(code)
            output.say(f"On record in session {session_code(log)}. To answer it: caisey answer {code} TEXT")
        return 0

    return at_desk(home, work, output=False, session=session)


def answer(
    code: Annotated[
        str, typer.Argument(metavar="CODE", help="The question's code.", autocompletion=completes("questions"))
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The answer.", show_default=False)] = "",
    still_open: Annotated[
        str, typer.Option("--open", metavar="REASON", help="It is not answered: why it stays open.")
    ] = "",
    staff: Annotated[bool, typer.Option("--staff", help="Only for the workspace's own people.")] = False,
    session: SessionOption = "",
    json: JsonOption = False,
    home: HomeOption = None,
) -> int:
    """Answer a question of a session, or say why it stays open.

    The last word to a question counts, also after the session was closed.

    Example: caisey answer q7f3kqa "Only the front desk, says Maria"
    """
    from caisey_cli.commands import places
    from caisey_core.errors import UsageError

    if bool(text.strip()) == bool(still_open.strip()):
        raise UsageError(
            "A question is either answered or left open; nothing was recorded.",
            hint=f"Type: caisey answer {code} TEXT, or: caisey answer {code} --open REASON",
        )
    where = session or places.session_of_question(home, code)

    async def work(desk: Desk) -> int:
        from caisey_cli import output, questions
        from caisey_core.ids import session_code

        log = await desk.join(where)
        question = desk.controller.question(log, code)
        settles = bool(text.strip())
        record = await desk.controller.answer(log, question, text or still_open, settles=settles, staff=staff)
        if json:
            value = {"session": session_code(log), "log": log, "record": record.digest}
            output.as_json("answer", value | {"question": questions.code(question), "open": not settles})
        else:
            output.say(f"On record in session {session_code(log)}{'' if settles else '; the question stays open'}.")
        return 0

    return at_desk(home, work, output=False, session=where)
