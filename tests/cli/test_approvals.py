"""Somebody else's decision: found by its code, shown, decided, and what became of it; and the relay's HTTP answers."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable

import httpx
import pytest
from msgspec import structs

from caisey_cli.approving import Waiting, decide, meant, show, waiting
from caisey_cli.attend import Answers
from caisey_cli.desk import Desk
from caisey_cli.happenings import Request
from caisey_cli.relay import Relay as Http
from caisey_cli.session import CARD
from caisey_core.errors import CaiseyError, Exit, Forbidden, Refused, Unreachable, UsageError
from caisey_core.frames import read_login
from caisey_core.ids import Digest, LogId, request_code
from caisey_core.kinds import ActionRefused, ApprovalDenied, ApprovalGranted, Namespace, SessionOpened
from caisey_core.record import Record, Writer
from caisey_core.signing import verify
from tests.cli.conftest import Office
from tests.cli.front import Front
from tests.cli.memory import ORIGIN, now
from tests.cli.sitting import running
from tests.cli.workspace import key

Work = Callable[[Desk], Awaitable[int]]


async def asked(office: Office, *argv: str) -> Request:
    """A request of ana's that waits."""
    await office.at("ana", running(*(argv or ("touch", "x")), answers=Answers(wait=False)))
    proposal = [r for r in office.relay.records(office.session) if r.head.kind == "action.proposed"][-1]
    return Request(LogId(office.session), Digest(proposal.digest))


def deciding(request: Request, typed: str, *, grant: bool, said: str = "") -> Work:
    """What `caisey approve` and `caisey deny` do when the answer is yes."""

    async def work(desk: Desk) -> int:
        found = await meant(desk, [request], typed)
        shown = show(desk, found, grant=grant)
        became, status = await decide(desk, shown, said, grant=grant, seconds=0.5)
        desk.front.say(became)
        return status

    return work


async def fails(work: Awaitable[int], error: type[CaiseyError], words: str) -> CaiseyError:
    with pytest.raises(error, match=words) as caught:
        await work
    return caught.value


async def listed(office: Office, name: str, *found: Request) -> tuple[list[Waiting], str]:
    rows: list[Waiting] = []
    front = Front()

    async def work(desk: Desk) -> int:
        rows.extend(await waiting(desk, found))
        return 0

    await office.at(name, work, front)
    return rows, front.talk


async def test_the_list_shows_what_waits(office: Office) -> None:
    request = await asked(office)
    (row,), _ = await listed(office, "sam", request)
    assert (row.code, row.endpoint, row.risk, row.command) == (
        request.code,
        "ACME/front-desk-03",
        "persistent",
        "touch x",
    )
    assert row.requester == "ana"
    assert not row.own
    assert 0 < row.left <= 600_000
    assert "10 min left" in row.text(60)
    assert row.shape()["class"] == "persistent"


async def test_ones_own_request_is_listed_as_such(office: Office) -> None:
    (row,), _ = await listed(office, "ana", await asked(office))
    assert row.own
    assert "by you" in row.text(60)


async def test_a_long_hostile_command_is_one_inert_line_in_the_list(office: Office) -> None:
    (row,), _ = await listed(office, "sam", await asked(office, "touch", "\x1b[2J\n" + "x" * 500))
    assert row.text(60).isprintable()
    assert len(row.text(60)) < 200


async def test_what_the_relay_makes_up_is_left_out(office: Office) -> None:
    request = await asked(office)
    rows, talk = await listed(office, "sam", request, Request(LogId("ab" * 32), request.action))
    assert [row.code for row in rows] == [request.code]
    assert "is left out" in talk


async def test_an_approval_answers_the_hold_and_the_action_starts(office: Office) -> None:
    request, front = await asked(office), Front()
    spoken = f" {request.code[0].upper()}-{request.code[1:4].upper()} {request.code[4:]}"
    assert await office.at("sam", deciding(request, spoken, grant=True, said="go ahead"), front) == 0
    assert "  | touch x" in front.talk
    assert f"{request.code} was started" in front.talk
    granted = next(r for r in office.relay.records(request.log) if r.head.kind == "approval.granted")
    body = granted.says(ApprovalGranted)
    assert (body.card, body.comment, body.roster) == (CARD, "go ahead", office.relay.workspace.roster.version)
    assert granted.head.seen is not None


async def test_a_denial_is_the_end_of_it(office: Office) -> None:
    request, front = await asked(office), Front()
    assert await office.at("lee", deciding(request, request.code, grant=False, said="no"), front) == 0
    assert "is denied; it will not run" in front.talk
    denied = office.relay.records(request.log)[-1]
    assert denied.says(ApprovalDenied).reason == "no"


async def test_two_are_needed(office: Office) -> None:
    office.agent.members = 2
    request, front = await asked(office), Front()
    assert await office.at("sam", deciding(request, request.code, grant=True), front) == 0
    assert "still waits for 1 more member" in front.talk
    assert await office.at("lee", deciding(request, request.code, grant=True), front) == 0
    assert f"{request.code} was started" in front.talk


async def test_an_endpoint_that_says_nothing_is_said(office: Office) -> None:
    office.agent.ignores.add("approval.granted")
    request, front = await asked(office), Front()
    assert await office.at("sam", deciding(request, request.code, grant=True), front) == 0
    assert "has not said yet" in front.talk


async def test_an_endpoint_that_refuses_all_the_same_is_said(office: Office) -> None:
    request, front = await asked(office), Front()
    office.agent.ignores.add("approval.granted")

    def refuse(record: Record) -> None:
        if record.head.kind == "approval.granted":
            body = ActionRefused(code="late", why="The answer came too late.")
            office.agent.write(request.log, "action.refused", body, {"action": str(request.action)})

    office.agent.after = refuse
    assert await office.at("sam", deciding(request, request.code, grant=True), front) == Exit.REFUSED
    assert "The answer came too late" in front.talk


async def test_ones_own_request_needs_another_member(office: Office) -> None:
    request = await asked(office)
    error = await fails(office.at("ana", deciding(request, request.code, grant=True)), Refused, "your own request")
    assert "Another member" in error.hint
    assert "approval.granted" not in office.kinds


async def test_ones_own_request_can_be_denied(office: Office) -> None:
    request = await asked(office)
    assert await office.at("ana", deciding(request, request.code, grant=False)) == 0


async def test_an_unknown_code_is_said(office: Office) -> None:
    request = await asked(office)
    await fails(office.at("sam", deciding(request, "a333333", grant=True)), UsageError, "has the code 'a333333'")


async def test_an_answered_request_says_what_became_of_it(office: Office) -> None:
    request = await asked(office)
    await office.at("sam", deciding(request, request.code, grant=True))
    await fails(office.at("sam", deciding(request, request.code, grant=True)), Refused, "it is finished")
    await fails(office.at("lee", deciding(request, request.code, grant=False)), Refused, "it is finished")


async def test_an_expired_request_is_not_decided(office: Office) -> None:
    office.agent.window_ms = 1
    request = await asked(office)
    await fails(office.at("sam", deciding(request, request.code, grant=True)), Refused, "has expired")


async def test_a_confirmation_is_not_anybody_elses(office: Office) -> None:
    front = Front(attended=True)
    task = asyncio.create_task(office.at("ana", running("grep", "x"), front))
    await asyncio.wait_for(front.unanswered.wait(), 60)
    proposal = office.relay.records(office.session)[2]
    request = Request(LogId(office.session), Digest(proposal.digest))
    await fails(office.at("sam", deciding(request, request.code, grant=True)), Refused, "technician's own confirmation")
    assert await office.at("sam", deciding(request, request.code, grant=False)) == 0
    with pytest.raises(Refused, match="sam denied"):
        await task


async def test_a_session_that_names_its_endpoint_falsely_is_not_decided_on(office: Office) -> None:
    """The endpoint checks its key, not its name: that the name is the roster's is for the approver's side to check."""
    await office.at("ana", running("ls"))
    opened = office.relay.records(office.session)[0].says(SessionOpened)
    false = structs.replace(opened, endpoint=structs.replace(opened.endpoint, name="ACME/test-box"))
    record = Writer(key("ana"), None).write("session.opened", false, time=now())
    office.relay.place(record)
    request = Request(record.log, Digest("ab" * 32))
    await fails(office.at("sam", deciding(request, request.code, grant=True)), Refused, "otherwise than the roster")


async def test_two_requests_of_one_session_are_told_apart(office: Office) -> None:
    one, other = await asked(office, "touch", "1"), await asked(office, "touch", "2")
    assert one.log == other.log
    assert await office.at("sam", deciding(other, other.code, grant=True)) == 0
    started = [r.head.re["action"] for r in office.relay.records(one.log) if r.head.kind == "action.started"]
    assert started == [other.action]
    assert one.code == request_code(one.action)


# -- HTTP -------------------------------------------------------------------------------------------------


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> Http:
    return Http(ORIGIN, transport=httpx.MockTransport(answer))


def problem(status: int, code: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _request: httpx.Response(status, json={"code": code, "why": "because"})


def test_a_login_is_signed_over_what_the_client_believes() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        match request.url.path:
            case "/v1/login/challenge":
                return httpx.Response(200, json={"nonce": "ab", "relay": "r", "workspace": "w", "time": 1000})
            case "/v1/login":
                return httpx.Response(200, json={"token": "t", "expires": 1})
            case _:
                return httpx.Response(200, json={"pending": [{"log": "l", "action": "a", "hold": "h", "received": 1}]})

    with answering(answer) as relay:
        relay.log_in("w", key("ana"))
        (pending,) = relay.pending()
    assert pending.action == "a"
    sent = json.loads(seen[1].content)
    statement = base64.b64decode(sent["statement"])
    said = read_login(statement)
    assert (said.relay, said.workspace, said.challenge, said.key) == (ORIGIN, "w", "ab", key("ana").public)
    assert verify(key("ana").public, Namespace.LOGIN, statement, base64.b64decode(sent["sig"]))
    assert seen[2].headers["Authorization"] == "Bearer t"


def test_a_relay_of_another_workspace_gets_no_signature() -> None:
    challenge = {"nonce": "ab", "relay": "r", "workspace": "other", "time": 1000}
    with (
        answering(lambda _request: httpx.Response(200, json=challenge)) as relay,
        pytest.raises(Refused, match="another workspace"),
    ):
        relay.log_in("w", key("ana"))


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "login", Forbidden),
        (404, "scope", Forbidden),
        (409, "conflict", Refused),
        (429, "rate", Unreachable),
        (503, "store", Unreachable),
        (400, "malformed", UsageError),
    ],
)
def test_refusals_become_the_errors_they_mean(status: int, code: str, error: type[CaiseyError]) -> None:
    with answering(problem(status, code)) as relay, pytest.raises(error, match="Nothing was done"):
        relay.pending()


@pytest.mark.parametrize("status", [200, 502])
@pytest.mark.parametrize("body", [b"<html>", b"{}", b"\xff", b'{"pending": 3}'])
def test_what_is_no_relay_is_said(body: bytes, status: int) -> None:
    words = pytest.raises(Unreachable, match="no relay of this version")
    with answering(lambda _request: httpx.Response(status, content=body)) as relay, words:
        relay.pending()


def test_an_answer_without_end_is_not_read_to_it() -> None:
    words = pytest.raises(Unreachable, match="too long")
    with answering(lambda _request: httpx.Response(200, content=b"x" * (17 << 20))) as relay, words:
        relay.info()


def test_a_relay_that_is_away_is_said() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    with answering(refuse) as relay, pytest.raises(Unreachable, match=r"does not answer \(Connection refused\)"):
        relay.info()


def test_nothing_goes_out_in_the_clear_beyond_this_machine() -> None:
    with pytest.raises(UsageError, match="in the clear"):
        Http("http://relay.example.com")
    Http("http://relay.example.com", plain_text_on="relay.example.com").__exit__()
