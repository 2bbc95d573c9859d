"""Who may read and append what, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
from msgspec import structs

from caisey_core.frames import LoginStatement
from caisey_core.grants import Grant
from caisey_core.ids import Digest, LogId, PublicKey
from caisey_core.kinds import (
    KINDS,
    Audience,
    ClientAdded,
    MemberInvited,
    Namespace,
    Role,
    RosterRenewed,
    SessionOpened,
    Signer,
)
from caisey_core.record import Head, Record, Writer, canonical
from caisey_core.roster import EVERY_CLIENT, Endpoint, Member, Roster
from caisey_core.signing import SigningKey
from caisey_server import admission
from caisey_server.admission import Denial, Directory, Door, Root, Session, denial
from tests.server.world import CLOSED, FAR, NOTE, OBSERVED, PROPOSED, World, key, output

WORLD = World().with_endpoints()
OPEN = WORLD.invite_endpoint("c1", "new", key("new grant").public)
ROSTER = WORLD.roster
DIRECTORY = Directory.of(ROSTER)
DESK, SHOP = ROSTER.endpoints.values()


def standing(name: str) -> admission.Standing:
    """What somebody of the world is, by a name."""
    device = key(name)
    found = DIRECTORY.who(device.public)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "kind"),
    [("ana", Member), ("sam", Member), ("desk", Endpoint), ("desk grant", Grant), ("root", Root)],
)
def test_a_key_is_what_the_roster_says(name: str, kind: type) -> None:
    assert isinstance(standing(name), kind)


def test_strangers_relays_and_removed_members_are_nobody() -> None:
    ana = structs.replace(ROSTER.members["ana"], removed=1)
    removed = Directory.of(structs.replace(ROSTER, members={**ROSTER.members, "ana": ana}))
    assert DIRECTORY.who(key("eve").public) is None
    assert DIRECTORY.who(WORLD.relay.public) is None
    assert removed.who(WORLD.ana.public) is None


# -- reading ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "roster", "desk", "shop"),
    [
        ("ana", True, True, True),
        ("tom", True, True, False),
        ("bea", True, False, True),
        ("sam", True, True, True),
        ("desk", True, True, False),
        ("shop", True, False, True),
        ("desk grant", True, False, False),
        ("root", True, False, False),
    ],
)
def test_reading(name: str, roster: bool, desk: bool, shop: bool) -> None:
    who = standing(name)
    assert admission.reads(ROSTER, who, WORLD.log, None) is roster
    assert admission.reads(ROSTER, who, "0" * 64, DESK.id) is desk
    assert admission.reads(ROSTER, who, "0" * 64, SHOP.id) is shop
    assert not admission.reads(ROSTER, who, "0" * 64, None)
    assert not admission.reads(ROSTER, who, "0" * 64, "f" * 64)
    scope = admission.scope(ROSTER, who)
    assert (scope is None or DESK.id in scope) is desk
    assert (scope is None or SHOP.id in scope) is shop


def sees(who: admission.Standing, record: Record) -> bool:
    """Whether somebody gets a record's body; without it, head and signature."""
    shown = admission.shown(ROSTER, who, record.log, record.digest, record.head.aud, record.sealed)
    assert shown in (record.sealed, replace_body(record))
    return shown == record.sealed


def test_staff_bodies_go_to_who_serves_the_client_and_to_whom_they_are_about() -> None:
    assert OPEN.head.aud == Audience.STAFF
    wanted = {"ana": True, "tom": True, "sam": True, "root": True, "bea": False, "desk": False, "desk grant": False}
    assert {name: sees(standing(name), OPEN) for name in wanted} == wanted
    assert sees(standing("new grant"), OPEN)
    note = Writer(WORLD.tom, LogId("a" * 64)).write("note.added", NOTE, time=1, audience=Audience.STAFF)
    assert (sees(standing("bea"), note), sees(standing("shop"), note)) == (True, False), "in a session"


def test_of_a_client_only_who_serves_it_gets_the_names() -> None:
    about = {record.digest: record for record in WORLD.records if record.digest in ROSTER.about}
    assert {record.head.kind for record in about.values()} == {
        "client.added",
        "endpoint.invited",
        "endpoint.admitted",
    }
    assert all(record.head.aud == Audience.STAFF for record in about.values())
    for name, clients in {"tom": {"c1"}, "bea": {"c2"}, "ana": {"c1", "c2"}}.items():
        seen = {digest for digest, record in about.items() if sees(standing(name), record)}
        assert seen == {digest for digest, client in ROSTER.about.items() if client in clients}, name
    unknown = Writer(WORLD.ana, WORLD.log).write(
        "client.added",
        ClientAdded(id="c3", name="Cole"),
        time=1,
        re={"roster": ROSTER.head},
        audience=Audience.STAFF,
    )
    assert (sees(standing("ana"), unknown), sees(standing("bea"), unknown)) == (True, False)


@pytest.mark.parametrize(
    ("clients", "used", "sees_it"),
    [(("c1",), False, True), (("c2",), False, False), ((EVERY_CLIENT,), False, True), (("c1",), True, False)],
)
def test_an_open_invitation_shows_what_its_member_will_see(clients: tuple[str, ...], used: bool, sees_it: bool) -> None:
    one_use = key("kim grant").public
    invited = MemberInvited(id="kim", name="kim", role=Role.TECHNICIAN, clients=clients, key=one_use, expires=FAR)
    grant = Grant(Digest("1" * 64), "", one_use, invited, used=used)
    assert sees(grant, OPEN) is sees_it


def replace_body(record: Record) -> object:
    """A record as it travels with its body withheld."""
    return type(record.sealed)(record.sealed.head, record.sealed.sig, None, None)


@pytest.mark.parametrize(
    ("changed", "now", "code"),
    [({}, 1, ""), ({"used": True}, 1, ""), ({}, FAR + 1, "expired"), ({"revoked": True}, 1, "scope")],
)
def test_an_invitation_reads_until_it_expires(changed: dict[str, bool], now: int, code: str) -> None:
    grant = standing("new grant")
    assert isinstance(grant, Grant)
    refused = admission.shut(structs.replace(grant, **changed), now)
    assert (refused.code if refused else "") == code


# -- saying -----------------------------------------------------------------------------------------------

SESSION = Session("a" * 64, DESK.id, WORLD.tom.public, closed=False)
ALLOWED = {
    Signer.ENDPOINT: {"desk"},
    Signer.TECHNICIAN: {"tom"},
    Signer.MEMBER: {"ana", "tom", "sam"},
}


@pytest.mark.parametrize("name", ["ana", "tom", "sam", "desk", "desk grant", "root"])
@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if not kind.first])
def test_who_may_say_what_in_a_session_of_tom(kind: str, name: str) -> None:
    record = plain(kind)
    may = name in ALLOWED.get(KINDS[kind].signer, set())
    assert (admission.writes(standing(name), SESSION, record) is None) is may


def test_an_approver_who_opened_a_session_once_says_nothing_technical_in_it() -> None:
    session = replace(SESSION, opener=WORLD.sam.public)
    assert admission.writes(standing("sam"), session, plain("action.proposed")) is not None
    assert admission.writes(standing("sam"), session, plain("note.added")) is None


def plain(kind: str) -> Record:
    """A record of a kind, as far as `writes` looks at it."""
    record = Writer(WORLD.tom, WORLD.log).write("note.added", NOTE, time=1)
    head = Head(**{**{name: getattr(record.head, name) for name in Head.__struct_fields__}, "kind": kind})
    return structs.replace(record, head=head)


@pytest.mark.parametrize(
    ("opener", "device", "code"),
    [
        ("ana", "desk", ""),
        ("tom", "desk", ""),
        ("tom", "shop", "scope"),
        ("bea", "desk", "scope"),
        ("sam", "desk", "kind"),
        ("desk", "desk", "kind"),
        ("root", "desk", "kind"),
    ],
)
def test_opening(opener: str, device: str, code: str) -> None:
    first, _ = WORLD.open(key(opener), key(device))
    refused = admission.opens(ROSTER, standing(opener), first)
    assert (refused.code if refused else "") == code


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"workspace": "SHA256:other"}, "scope"),
        ({"id": "f" * 64}, "scope"),
        ({"key": WORLD.shop.public}, "kind"),
        ({"name": "ACME/other"}, "kind"),
    ],
)
def test_opening_names_the_endpoint_as_the_roster_does(changed: dict[str, str], code: str) -> None:
    first, _ = WORLD.open(WORLD.ana, WORLD.desk)
    body = first.body
    assert isinstance(body, SessionOpened)
    ref = {"id": body.endpoint.id, "key": body.endpoint.key, "name": body.endpoint.name}
    other = {name: changed.get(name, value) for name, value in ref.items()}
    said = SessionOpened(
        workspace=changed.get("workspace", body.workspace),
        endpoint=type(body.endpoint)(id=other["id"], key=PublicKey(other["key"]), name=other["name"]),
        roster=1,
        ticket="",
        reason="",
        nonce="",
    )
    refused = admission.opens(ROSTER, standing("ana"), Writer(WORLD.ana, None).write("session.opened", said, time=1))
    assert refused == denial(code, refused.why if refused else "")


# -- governing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"), [("ana", ""), ("root", ""), ("tom", "kind"), ("sam", "kind"), ("desk", "kind")]
)
def test_governing_is_for_admins_and_the_root(name: str, code: str) -> None:
    record = Writer(key(name), WORLD.log).write(
        "roster.renewed", RosterRenewed(expires=FAR + 1), time=1, re={"roster": ROSTER.head}
    )
    before = structs.replace(ROSTER)
    after = admission.governs(ROSTER, standing(name), record, 1)
    assert (after.code if isinstance(after, Denial) else "") == code
    assert before == ROSTER
    assert code or (isinstance(after, Roster) and after.version == ROSTER.version + 1)


def test_a_governing_record_follows_the_last_one() -> None:
    record = Writer(WORLD.ana, WORLD.log).write(
        "roster.renewed", RosterRenewed(expires=FAR), time=1, re={"roster": "0" * 64}
    )
    assert admission.governs(ROSTER, standing("ana"), record, 1) == denial("conflict")


@pytest.mark.parametrize(
    ("changed", "received", "code"),
    [({}, 1, ""), ({"used": True}, 1, "used"), ({}, FAR + 1, "expired"), ({"revoked": True}, 1, "scope")],
)
def test_an_invitation_admits_once_in_time(changed: dict[str, bool], received: int, code: str) -> None:
    grant = standing("new grant")
    assert isinstance(grant, Grant)
    grant = structs.replace(grant, **changed)
    record = WORLD.admission(OPEN, key("new grant"), key("new"))
    roster = structs.replace(ROSTER, grants={**ROSTER.grants, grant.digest: grant})
    after = admission.governs(roster, grant, record, received)
    assert (after.code if isinstance(after, Denial) else "") == code


@pytest.mark.parametrize("name", ["desk grant", "ana", "desk"])
def test_an_admission_is_the_word_of_its_own_invitation(name: str) -> None:
    record = WORLD.admission(OPEN, key(name), key("new"))
    after = admission.governs(ROSTER, standing(name), record, 1)
    assert isinstance(after, Denial)
    assert after.code == "kind"


# -- batches ----------------------------------------------------------------------------------------------


ONE, TWO, THREE = BATCH = output(Writer(WORLD.desk, WORLD.log), "0" * 64, [b"1", b"2", b"3"])


def observed(device: SigningKey) -> Record:
    """A statement of an endpoint's."""
    return Writer(device, WORLD.log).write("endpoint.observed", OBSERVED, time=1)


def without(record: Record, **changed: None) -> Record:
    """A record whose bytes lack something."""
    sealed = record.sealed
    parts = {name: getattr(sealed, name) for name in ("head", "sig", "salt", "body")} | changed
    return structs.replace(record, sealed=type(sealed)(**parts), body=None if "body" in changed else record.body)


def signed_otherwise(record: Record) -> Record:
    """A record signed under another namespace."""
    sig = WORLD.desk.sign(Namespace.APPROVAL, record.sealed.head)
    return structs.replace(
        record, sealed=type(record.sealed)(record.sealed.head, sig, record.sealed.salt, record.sealed.body)
    )


@pytest.mark.parametrize(
    ("code", "records"),
    [
        ("", BATCH),
        ("", [TWO, THREE]),
        ("", [observed(WORLD.desk)]),
        ("malformed", []),
        ("malformed", [without(ONE, body=None, salt=None), TWO, THREE]),
        ("malformed", [observed(WORLD.desk), THREE]),
        ("signature", [ONE, TWO]),
        ("signature", [ONE, TWO, without(THREE, sig=None)]),
        ("signature", [signed_otherwise(observed(WORLD.desk))]),
        ("signature", [without(observed(WORLD.desk), sig=None)]),
        ("gap", [ONE, THREE]),
        ("gap", [THREE, TWO, ONE]),
        ("kind", [observed(WORLD.shop)]),
    ],
)
def test_a_batch_by_itself(code: str, records: list[Record]) -> None:
    refused = admission.sound(records, WORLD.desk.public)
    assert (refused.code if refused else "") == code


def test_statements_may_share_a_batch_if_each_is_signed() -> None:
    writer = Writer(WORLD.ana, WORLD.log)
    both = [writer.write("action.proposed", PROPOSED, time=1), writer.write("session.closed", CLOSED, time=2)]
    assert admission.sound(both, WORLD.ana.public) is None
    assert admission.sound([without(both[0], sig=None), both[1]], WORLD.ana.public) == denial(
        "signature", "action.proposed carries none"
    )


# -- logging in -------------------------------------------------------------------------------------------

NOW = 1_000_000
DOOR = Door(WORLD.relay.public, 7777, "nonce", NOW)
GOOD: dict[str, object] = {
    "v": 1,
    "relay": WORLD.url,
    "workspace": ROSTER.fingerprint,
    "key": WORLD.ana.public,
    "challenge": "nonce",
    "nonce": "mine",
    "expires": NOW + 60_000,
}


def login(
    device: SigningKey, namespace: Namespace = Namespace.LOGIN, changed: Mapping[str, object] = MappingProxyType({})
) -> str | None:
    """The outcome of a login that differs in something."""
    data = canonical(LoginStatement(**(GOOD | {"key": device.public} | dict(changed))))  # type: ignore[arg-type]
    knock = admission.log_in(DIRECTORY, DOOR, data, device.sign(namespace, data))
    return None if knock.why else knock.key


@pytest.mark.parametrize("name", ["ana", "sam", "desk", "desk grant", "root"])
def test_whom_the_roster_names_logs_in(name: str) -> None:
    assert login(key(name)) == key(name).public


@pytest.mark.parametrize(
    "origin",
    [WORLD.url, f"{WORLD.url}/", "http://127.0.0.1:7777", "http://localhost:7777", "https://[::1]:7777"],
)
def test_the_relay_knows_its_own_origins(origin: str) -> None:
    assert login(WORLD.ana, changed={"relay": origin})


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 2},
        {"relay": "https://other.example"},
        {"relay": "http://127.0.0.1:7778"},
        {"relay": "http://127.0.0.1"},
        {"relay": "http://127.0.0.1:99999"},
        {"relay": "http://192.0.2.1:7777"},
        {"relay": ""},
        {"workspace": "SHA256:other"},
        {"workspace": ""},
        {"challenge": "other"},
        {"challenge": ""},
        {"expires": NOW},
        {"expires": NOW + admission.LOGIN_LIFETIME_MS + 1},
        {"key": WORLD.tom.public},
        {"key": "rubbish"},
    ],
)
def test_a_login_that_does_not_fit(changed: dict[str, object]) -> None:
    assert login(WORLD.ana, changed=changed) is None


@pytest.mark.parametrize("namespace", [each for each in Namespace if each is not Namespace.LOGIN])
def test_a_signature_for_something_else_is_no_login(namespace: Namespace) -> None:
    assert login(WORLD.ana, namespace) is None


def test_a_challenge_that_was_not_given_out_fits_nothing() -> None:
    door = replace(DOOR, challenge=None)
    for challenge in ("", "nonce", "None"):
        data = canonical(LoginStatement(**(GOOD | {"challenge": challenge})))  # type: ignore[arg-type]
        assert admission.log_in(DIRECTORY, door, data, WORLD.ana.sign(Namespace.LOGIN, data)).why


@pytest.mark.parametrize("name", ["eve", "relay"])
def test_a_stranger_does_not_log_in(name: str) -> None:
    assert login(key(name)) is None


def test_nobody_logs_in_before_the_workspace_is_founded() -> None:
    data = b"{}"
    assert admission.log_in(Directory.of(Roster()), DOOR, data, b"").why


def test_roles_of_the_world_are_what_the_tables_assume() -> None:
    assert ROSTER.members["ana"].role is Role.ADMIN
    assert ROSTER.members["sam"].role is Role.APPROVER
