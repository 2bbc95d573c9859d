"""The HTTP API: each call, its refusals, and a served document that tells the truth."""

from __future__ import annotations

import asyncio
import re
import socket
from base64 import b64decode, b64encode
from typing import Any

import pytest

from caisey_core import api, frames
from caisey_core.frames import LoginStatement
from caisey_core.kinds import MemberRemoved, Namespace, Role
from caisey_core.record import Sealed, Writer, canonical, parse
from tests.server.conftest import Served
from tests.server.process import Server, shape
from tests.server.world import CLOSED, HELD, PROPOSED, Peer, World, key, now, publish

pytestmark = pytest.mark.usefixtures("hung_up")


@pytest.fixture(scope="module")
def story(served: Served) -> str:
    """A session on ACME/desk in which a hold waits, and one on Bolt/shop that was closed; the first one's log."""

    async def tell() -> str:
        world = served.world
        ana, desk = await served.enter(world.ana), await served.enter(world.desk)
        first, writer = await served.open(ana, world.desk)
        action = writer.write("action.proposed", PROPOSED, time=now())
        await ana.append([action])
        held = Writer(world.desk, first.log).write("action.held", HELD, time=now(), re={"action": action.digest})
        await desk.append([held])
        _, other = await served.open(ana, world.shop)
        await ana.append([other.write("session.closed", CLOSED, time=now())])
        await ana.close()
        await desk.close()
        return first.log

    return asyncio.run(tell())


def test_the_relay_says_who_it_is(served: Served) -> None:
    status, info = served.server.call("/v1/relay")
    assert status == 200
    assert (info["key"], info["workspace"]) == (served.world.relay.public, served.world.roster.fingerprint)


def test_health(served: Served) -> None:
    status, health = served.server.call("/v1/health")
    assert (status, health["ok"], health["why"]) == (200, True, "")


def test_endpoints_in_scope_by_name(served: Served, story: str) -> None:
    names = {}
    for name in ("ana", "tom", "bea", "sam", "desk", "root"):
        _, answer = served.server.call("/v1/endpoints", token=served.server.token(key(name)))
        names[name] = [each["name"] for each in answer["endpoints"]]
    assert names == {
        "ana": ["ACME/desk", "Bolt/shop"],
        "tom": ["ACME/desk"],
        "bea": ["Bolt/shop"],
        "sam": ["ACME/desk", "Bolt/shop"],
        "desk": ["ACME/desk"],
        "root": [],
    }


async def test_an_endpoint_with_an_open_socket_is_connected(served: Served) -> None:
    await served.enter(served.world.desk)
    token = served.server.token(served.world.ana)
    _, answer = served.server.call("/v1/endpoints", token=token)
    assert {each["name"]: each["connected"] for each in answer["endpoints"]} == {"ACME/desk": True, "Bolt/shop": False}


def test_sessions_in_scope_the_newest_first(served: Served, story: str) -> None:
    _, answer = served.server.call("/v1/sessions", token=served.server.token(served.world.ana))
    newest, older = answer["sessions"]
    assert (older["log"], older["closed"], older["seq"]) == (story, False, 3)
    assert (newest["closed"], newest["seq"], newest["opener"]) == (True, 2, served.world.ana.public)
    _, answer = served.server.call("/v1/sessions", token=served.server.token(served.world.tom))
    assert [each["log"] for each in answer["sessions"]] == [story]


def test_what_waits_for_approval(served: Served, story: str) -> None:
    _, answer = served.server.call("/v1/approvals", token=served.server.token(served.world.sam))
    (pending,) = answer["pending"]
    assert pending["log"] == story
    _, answer = served.server.call("/v1/approvals", token=served.server.token(served.world.bea))
    assert answer["pending"] == []


def test_records_from_a_position(served: Served, story: str) -> None:
    token = served.server.token(served.world.tom)
    _, whole = served.server.call(f"/v1/logs/{story}/records", token=token)
    assert (whole["length"], [entry["seq"] for entry in whole["entries"]]) == (3, [1, 2, 3])
    for entry in whole["entries"]:
        record = entry["record"]
        parse(Sealed(*(b64decode(record[name]) for name in ("head", "sig", "salt", "body"))))
    _, part = served.server.call(f"/v1/logs/{story}/records?after=1&limit=1", token=token)
    assert part["entries"] == whole["entries"][1:2]


def test_staff_bodies_are_withheld_from_the_endpoint_and_from_other_clients_members(served: Served) -> None:
    path = f"/v1/logs/{served.world.log}/records?limit=12"
    counts = {}
    for name in ("ana", "bea", "desk"):
        _, answer = served.server.call(path, token=served.server.token(key(name)))
        counts[name] = sum(entry["record"]["body"] is None for entry in answer["entries"])
    assert counts == {"ana": 0, "bea": 3, "desk": 6}


def test_checkpoints(served: Served, story: str) -> None:
    token = served.server.token(served.world.ana)
    _, sessions = served.server.call("/v1/sessions", token=token)
    status, answer = served.server.call(f"/v1/logs/{sessions['sessions'][0]['log']}/checkpoints", token=token)
    assert status == 200
    (checkpoint,) = answer
    said = frames.read_checkpoint(b64decode(checkpoint["statement"]))
    assert (said.key, said.seq) == (served.world.relay.public, 2)


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bea", "shop", "desk grant", "root"])
def test_out_of_scope_is_not_there(served: Served, story: str, name: str) -> None:
    token = served.server.token(key(name))
    answers = [
        served.server.call(f"/v1/logs/{log}/{what}", token=token)
        for log in (story, "0" * 64)
        for what in ("records", "checkpoints")
    ]
    assert answers == [(404, {"code": "scope", "why": frames.DENIALS["scope"]})] * 4


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/logs/rubbish/records", 400),
        ("/v1/logs/ROSTER/records?after=-1", 400),
        ("/v1/logs/ROSTER/records?after=x", 400),
        ("/v1/logs/ROSTER/records?limit=0", 400),
        ("/v1/logs/ROSTER/records?limit=100000", 400),
        (f"/v1/logs/ROSTER/records?after={2**64}", 400),
        ("/v1/nothing", 404),
        ("/", 404),
        ("/v1/login", 405),
    ],
)
def test_what_makes_no_sense(served: Served, path: str, status: int) -> None:
    got, answer = served.server.call(
        path.replace("ROSTER", served.world.log), token=served.server.token(served.world.ana)
    )
    assert (got, set(answer)) == (status, {"code", "why"})


@pytest.mark.parametrize("path", ["/v1/endpoints", "/v1/sessions", "/v1/approvals", f"/v1/logs/{'0' * 64}/records"])
@pytest.mark.parametrize("token", ["", "rubbish"])
def test_nobody_asks_without_a_login(served: Served, path: str, token: str) -> None:
    status, answer = served.server.call(path, token=token)
    assert (status, answer["code"]) == (401, "login")


def test_a_token_ends_with_the_membership(served: Served) -> None:
    world, bob = served.world, key("bob")
    asyncio.run(publish(served.origin, world, [world.member("bob", Role.TECHNICIAN, ("c1",), bob)]))
    token = served.server.token(bob)
    assert served.server.call("/v1/endpoints", token=token)[0] == 200
    removal = world.govern("member.removed", MemberRemoved(id="bob", reason=""), admin=True)
    asyncio.run(publish(served.origin, world, [removal]))
    assert served.server.call("/v1/endpoints", token=token)[0] == 401


def test_an_invitation_is_used_up_over_http(served: Served) -> None:
    world, one_use, device = served.world, key("laptop grant"), key("laptop")
    grant = world.invite_endpoint("c1", "laptop", one_use.public)
    asyncio.run(publish(served.origin, world, [grant]))
    admission = world.admission(grant, one_use, device)
    asked = {"record": shape(admission)}
    assert served.server.call("/v1/join", asked)[0] == 401, "not without a login"
    assert served.server.call("/v1/join", asked, served.server.token(world.ana))[0] == 403, "not as a member"
    token = served.server.token(one_use)
    forged = {"record": shape(world.admission(grant, key("eve"), device))}
    assert served.server.call("/v1/join", forged, token)[0] == 403
    status, answer = served.server.call("/v1/join", asked, token)
    assert (status, answer["digest"]) == (200, admission.digest)
    world.add(admission)
    again = {"record": shape(world.admission(grant, one_use, key("another")))}
    assert served.server.call("/v1/join", again, token)[0] == 410, "an invitation is good once"
    names = served.server.call("/v1/endpoints", token=served.server.token(world.ana))[1]["endpoints"]
    assert "ACME/laptop" in {each["name"] for each in names}


def login(served: Served, namespace: Namespace = Namespace.LOGIN, **changed: object) -> tuple[int, Any]:
    """A login that differs in something."""
    _, challenge = served.server.call("/v1/login/challenge", {})
    said: dict[str, object] = {
        "v": 1,
        "relay": served.origin,
        "workspace": challenge["workspace"],
        "key": served.world.ana.public,
        "challenge": challenge["nonce"],
        "nonce": "",
        "expires": challenge["time"] + 60_000,
    }
    data = canonical(LoginStatement(**(said | changed)))  # type: ignore[arg-type]
    sig = served.world.ana.sign(namespace, data)
    return served.server.call("/v1/login", {"statement": b64encode(data).decode(), "sig": b64encode(sig).decode()})


def test_every_failed_login_gets_the_same_answer(served: Served) -> None:
    assert login(served)[0] == 200
    answers = [
        login(served, challenge="0" * 32),
        login(served, key=served.world.tom.public),
        login(served, workspace="SHA256:x"),
        login(served, relay="https://other.example"),
        *(login(served, each) for each in Namespace if each is not Namespace.LOGIN),
        served.server.call("/v1/login", {"statement": "", "sig": ""}),
    ]
    assert answers == [(401, {"code": "login", "why": frames.DENIALS["login"]})] * len(answers)


def test_a_challenge_is_good_once(served: Served) -> None:
    _, challenge = served.server.call("/v1/login/challenge", {})
    nonce = challenge["nonce"]
    assert login(served, challenge=nonce)[0] == 200
    assert login(served, challenge=nonce)[0] == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"statement": 1}', b"\xff", b'{"a":' + b"[" * 9999], ids=range(6))
def test_a_body_that_is_none(served: Served, body: bytes) -> None:
    status, answer = served.server.call("/v1/login", body)
    assert (status, answer["code"]) == (400, "malformed")


def test_a_body_that_is_too_large(served: Served) -> None:
    status, answer = served.server.call("/v1/login", b" " * (8 * 1024 * 1024 + 1))
    assert (status, answer["code"]) == (413, "size")


def test_too_many_failed_logins_are_put_off(unfounded: Server) -> None:
    """All on one connection, and none waits for the answer to another: 20 a second would be let through for good."""
    body = b'{"statement": "", "sig": ""}'
    request = (
        b"POST /v1/login HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
    )
    many, statuses, answers = 400, list[bytes](), b""
    host, _, port = unfounded.origin.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as link:
        link.sendall(request % (len(body), body) * many)
        while len(statuses) < many:
            answers += link.recv(65536)
            statuses = re.findall(rb"HTTP/1\.1 (\d+)", answers)
    assert set(statuses) == {b"401", b"429"}


# -- founding ---------------------------------------------------------------------------------------------


def test_founding_takes_the_claim_code_and_happens_once(unfounded: Server) -> None:
    world = World()
    claim = (unfounded.home / "claim").read_text().strip()
    records = [shape(record) for record in world.records]
    call = unfounded.call
    assert (unfounded.home / "claim").stat().st_mode & 0o777 == 0o600
    assert claim in unfounded.said()
    assert call("/v1/workspace", {"claim": "aaaa-aaaa", "records": records})[0] == 401
    assert call("/v1/workspace", {"claim": claim, "records": []})[0] == 400
    assert call("/v1/workspace", {"claim": claim, "records": records[:2]})[0] == 403
    forged = [*records[:2], records[2] | {"sig": records[3]["sig"]}]
    assert call("/v1/workspace", {"claim": claim, "records": forged})[0] == 403
    assert call("/v1/relay")[1]["workspace"] == ""
    spoken = claim.replace("-", " ").upper()
    assert call("/v1/workspace", {"claim": spoken, "records": records}) == (
        200,
        {"roster": world.log, "seq": len(records)},
    )
    assert not (unfounded.home / "claim").exists()
    assert call("/v1/workspace", {"claim": claim, "records": records})[0] == 409
    assert call("/v1/relay")[1]["workspace"] == world.roster.fingerprint


async def test_whoever_is_waiting_when_a_workspace_is_founded_has_to_ask_again(unfounded: Server) -> None:
    peer = await Peer.dial(unfounded.origin, key("ana"))
    world = World()
    await asyncio.to_thread(unfounded.found, world)
    await peer.login(peer.statement(workspace=world.roster.fingerprint))
    assert isinstance(await peer.receive(), frames.Welcome)


# -- the document -----------------------------------------------------------------------------------------


def fits(document: dict[str, Any], schema: dict[str, Any], value: object) -> bool:
    """Whether a value is what a schema says; the part of JSON Schema that the document uses, and no other."""
    known = {"$ref", "type", "title", "description", "properties", "required", "items", "anyOf", "contentEncoding"}
    assert schema.keys() <= known, schema
    if "$ref" in schema:
        return fits(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], value)
    if "anyOf" in schema:
        return any(fits(document, each, value) for each in schema["anyOf"])
    match schema["type"], value:
        case "object", dict():
            parts = schema["properties"]
            return set(schema["required"]) <= set(value) == set(parts) and all(
                fits(document, parts[name], part) for name, part in value.items()
            )
        case "array", list():
            return all(fits(document, schema["items"], each) for each in value)
        case "string", str():
            return "contentEncoding" not in schema or bool(b64decode(value, validate=True)) or not value
        case "boolean", bool():
            return True
        case "integer", int():
            return not isinstance(value, bool)
        case "null", None:
            return True
        case _:
            return False


def test_the_document_describes_every_answer(served: Served, story: str) -> None:
    _, document = served.server.call("/v1/openapi.json")
    token = served.server.token(served.world.ana)
    seen = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body: dict[str, object] | None = {} if method == "post" else None
            for url in (path.format(log=story), path.format(log="0" * 64)):
                for bearer in (token, ""):
                    status, answer = served.server.call(url, body, bearer)
                    responses = operation["responses"]
                    described = responses.get(str(status), responses["default"])
                    assert fits(document, described["content"]["application/json"]["schema"], answer), (url, answer)
                    seen.add((path, str(status) in responses))
    assert {path for path, _ in seen} == set(document["paths"])
    assert {path for path, good in seen if good} >= {
        path for path, operations in document["paths"].items() if "get" in operations
    }


def test_the_document_names_every_shape_and_asks_for_a_token_where_one_is_needed(served: Served) -> None:
    _, document = served.server.call("/v1/openapi.json")
    shapes = {name for name, each in vars(api).items() if isinstance(each, type) and issubclass(each, api.Shape)}
    assert set(document["components"]["schemas"]) == shapes - {"Shape"}
    guarded = {
        path
        for path, operations in document["paths"].items()
        if any("security" in each for each in operations.values())
    }
    assert guarded == {
        "/v1/audit",
        "/v1/join",
        "/v1/endpoints",
        "/v1/sessions",
        "/v1/approvals",
        "/v1/logs/{log}/records",
        "/v1/logs/{log}/checkpoints",
    }
    assert document["paths"]["/v1/login"]["post"]["requestBody"]["required"]
