"""The policy itself: `policy show`, `policy check`, `policy rehearse`, `policy publish`."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.commands.options import PassphraseOption, RootOption, SecondOption, lasting
from caisey_cli.output import as_json, data, say
from caisey_cli.sanitize import inert

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from caisey_cli.publishing import Publication
    from caisey_cli.rehearsing import Answer, Change
    from caisey_core.record import Record
    from caisey_core.roster import Roster
    from caisey_core.ruling import Policy

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The policy file.")]


def show(
    default: Annotated[
        bool, typer.Option("--default", help="The one that comes with the program, with everything explained.")
    ] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Print the policy in force, or the one that comes with the program.

    It is printed as a policy file: what you change in it can be checked and published. As the journal has it.

    Example: caisey policy show > policy.toml
    """
    from caisey_core.policyfile import DEFAULT, builtin, in_force

    if default:
        label, version, text, broken = builtin().label, 0, DEFAULT.read_text("utf-8"), ""
    else:
        from caisey_cli import shelf
        from caisey_cli.publishing import shown

        with shelf.at(home) as at:
            policy = in_force(at.roster)
            label, version, broken = policy.label, at.roster.policy_version, policy.broken
            text = DEFAULT.read_text("utf-8") if policy == builtin() else shown(at.roster, policy)
    if json:
        as_json("policy_text", {"policy": label, "version": version, "broken": broken, "text": text})
        return
    if broken:
        say(inert(broken))
        say("Endpoints with this version deny everything by it. An admin can publish another one.")
    data("\n".join(map(inert, text.splitlines())))


def check(file: FileArgument, home: HomeOption = None, json: JsonOption = False) -> None:
    """Check a policy file: its keys, its names, and every rule by its examples.

    In a home that has joined a workspace, clients and endpoints are looked up, too.

    Example: caisey policy check policy.toml
    """
    from caisey_cli.home import Home
    from caisey_cli.publishing import doubts
    from caisey_core.policyfile import read_file
    from caisey_core.policytext import bound

    policy, roster = read_file(file), None
    if Home.named(home).joined:
        from caisey_cli import shelf

        with shelf.at(home) as at:
            roster = at.roster
        bound(policy, roster, str(file))
    found = list(doubts(policy, roster))
    examples = sum(len(each.match) + len(each.no_match) for each in policy.rules)
    if json:
        told = {"file": str(file), "rules": len(policy.rules), "examples": examples, "names": roster is not None}
        as_json("policy_checked", told | {"doubts": found})
        return
    names = "" if roster else " No workspace was asked whether its clients and endpoints exist."
    data(f"{file} is a policy: {_counted(policy)}, {_proven(examples)}.{names}")
    for doubt in found:
        say(f"Careful: {inert(doubt)}")


def _counted(policy: Policy) -> str:
    return "1 rule" if len(policy.rules) == 1 else f"{len(policy.rules)} rules"


def _proven(examples: int) -> str:
    return {0: "no examples", 1: "1 example holds"}.get(examples, f"{examples} examples hold")


def publish(
    file: FileArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    root_file: RootOption = None,
    passphrase_file: PassphraseOption = None,
    second: SecondOption = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Publish a policy, by the root key where it is at hand, else with another admin's approval.

    What it changes is shown first. Endpoints judge by it from then on, and take no older one back.

    Example: caisey policy publish policy.toml
    """
    made: list[Publication] = []
    with _nothing_published(file, made):
        _publish(file, yes, root_file, passphrase_file, second, home, made)
    _tell(made[-1], json)


@contextmanager
def _nothing_published(file: Path, sent: Sequence[Publication]) -> Iterator[None]:
    """Whatever it is refused for: says that nothing was published, or that it is not known, and what to type next."""
    from caisey_core.errors import CaiseyError, Unreachable
    from caisey_core.policytext import PolicyError

    try:
        yield
    except CaiseyError as error:
        what, name = _NOTHING_DONE.sub("", str(error)).rstrip("."), shlex.quote(str(file))
        if isinstance(error, PolicyError):
            error.hint = f"Mend it, then type: caisey policy check {name}" + (f" ({error.hint})" if error.hint else "")
        if sent and isinstance(error, Unreachable):
            error.args = (f"{what}. Whether {file} was published is not known.",)
            error.hint = "Look first: caisey policy show"
        elif not _SAID.search(what):
            error.args = (f"{what}{'' if what.endswith('?') else '.'} Nothing was published.",)
        error.hint = error.hint or f"Then type again: caisey policy publish {name}"
        raise


_NOTHING_DONE: Final = re.compile(r"[;.] nothing was (?:done|changed)\.\Z", re.IGNORECASE)
_SAID: Final = re.compile(r"(?:nothing was|was not) published\Z", re.IGNORECASE)


def _publish(
    file: Path,
    yes: bool,
    root_file: Path | None,
    passphrase_file: Path | None,
    second: bool,
    home: Path | None,
    made: list[Publication],
) -> None:
    from caisey_cli.governing import by_admin, current, govern, now_ms
    from caisey_cli.home import Home
    from caisey_cli.keeping import governing_key, says_where_the_root_is
    from caisey_cli.publishing import publication
    from caisey_core.policyfile import read_file

    policy = read_file(file)
    own = Home.of(home)
    key = governing_key(own, root_file, passphrase_file, second=second)
    roster = current(own, own.key())
    if key.public != roster.root:
        by_admin(roster, key)
    _shows_what_changes(roster, policy, str(file))
    if not yes:
        _sure(str(file))

    def make(now: Roster) -> Sequence[Record]:
        from caisey_core.errors import Refused

        if key.public != now.root:
            by_admin(now, key)
        says_where_the_root_is(own, now, key)
        if now.policy != roster.policy:
            raise Refused(
                f"{now.policy} has come into force meanwhile; nothing was published.",
                hint="Look at it first: caisey policy show",
            )
        made.append(publication(now, key, policy, str(file), now_ms()))
        return made[-1].records

    govern(own, key, make)


def _shows_what_changes(roster: Roster, policy: Policy, file: str) -> None:
    from caisey_cli.publishing import differences, doubts
    from caisey_core.policytext import bound

    for line in differences(roster, bound(policy, roster, file)):
        say(inert(line))
    for doubt in doubts(policy, roster):
        say(f"Careful: {inert(doubt)}")


def _sure(file: str) -> None:
    from caisey_core.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError(f"There is no terminal to ask on; {file} was not published.", hint="Type it again with --yes.")
    if not typer.confirm("Publish it?", err=True):
        raise UsageError(f"{file} was not published.", hint="Try it on what was asked for: caisey policy rehearse FILE")


def _tell(made: Publication, json: bool) -> None:
    from caisey_core.ids import request_code

    label = f"published-{made.version}"
    request = request_code(made.records[-1].digest) if made.seconders else ""
    if json:
        told = {"policy": label, "version": made.version, "request": request, "seconders": list(made.seconders)}
        as_json("policy_published", told)
    elif made.seconders:
        names = " or ".join(inert(each) for each in made.seconders)
        data(request)
        say(f"{label} counts for nobody yet: within 24 hours {names} types: caisey approve {request}")
    else:
        data(label)
        say(f"{label} is in force: every endpoint judges by it as soon as it is reached.")


# -- rehearse ---------------------------------------------------------------------------------------------


def rehearse(
    file: FileArgument,
    since: Annotated[
        int, typer.Option("--since", parser=lasting, metavar="TIME", help="How far back: 24h, 30d, 365d.")
    ] = "90d",  # type: ignore[assignment]
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Judge what was really asked for by another policy, and print what would change; nothing is run.

    Every action in the journal is judged anew by the policy in force and by FILE. What was decided then plays no part.

    Example: caisey policy rehearse policy.toml --since 30d
    """
    from caisey_cli import shelf
    from caisey_cli.governing import now_ms
    from caisey_cli.rehearsing import recorded, rehearse, totals
    from caisey_core.policyfile import in_force, read_file
    from caisey_core.policytext import bound

    policy = read_file(file, str(file))
    with shelf.at(home) as at:
        new, old = bound(policy, at.roster, str(file)), in_force(at.roster)
        found = recorded(at.journal, at.roster, now_ms() - 1000 * since)
    changes = rehearse(found, old, new)
    changed = sum(each.count for each in changes)
    if json:
        told = {"file": str(file), "policy": old.label, "actions": found.actions, "missing": found.missing}
        as_json("rehearsal", told | {"changed": changed, "changes": [_change(each) for each in changes]})
        return
    missing = f" {found.missing} are not at hand." if found.missing else ""
    data(f"{changed} of {found.actions} actions would be treated otherwise than by {old.label}.{missing}")
    for (before, after), count in totals(changes).items():
        data(f"{count:>7}  {before} -> {after}")
    for each in changes:
        data("")
        for line in _said(each):
            data(line)


def _change(each: Change) -> dict[str, Any]:
    told = {"command": each.command, "count": each.count, "endpoints": list(each.endpoints)}
    for key, answer in (("before", each.before), ("after", each.after)):
        quorum = answer.quorum
        wanted = {"members": quorum.members, "roles": [role.value for role in quorum.roles]} if quorum else None
        told[key] = {"verdict": answer.decision.value, "quorum": wanted, "rule": answer.rule, "why": answer.why}
    return told


def _said(each: Change) -> Iterator[str]:
    from caisey_cli.wording import clipped, listed

    names = listed([inert(name) for name in each.endpoints], 3)
    yield f"{each.count:>7}  {_wanted(each.before)} -> {_wanted(each.after)}  {clipped(each.command, 200)}"
    yield f"         on {names}; {inert(each.after.rule)}: {inert(each.after.why)}"


def _wanted(answer: Answer) -> str:
    from caisey_cli.wording import among

    quorum = answer.quorum
    return f"{answer.decision} {quorum.members}{among(quorum)}" if quorum else str(answer.decision)
