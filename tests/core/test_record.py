"""A record's bytes have one meaning: what is not exactly a record is refused, with `BadRecord` and nothing else."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caisey_core.errors import BadRecord
from caisey_core.frames import read_checkpoint, read_login
from caisey_core.kinds import BATCHED, BODY_LIMIT, HEAD_LIMIT, KINDS, Audience, Namespace, NoteAdded
from caisey_core.record import JSON, STREAMS, Record, Sealed, Seen, commitment, digest, parse
from tests.core.golden import login, sample, session
from tests.core.samples import any_body, re_of
from tests.core.world import NOW, ZERO, key, note, public, unknown, writer

names = st.sampled_from(sorted(KINDS))
_SAMPLES = {name: sample(name) for name in KINDS}


def head_with(record: Record, **changes: Any) -> bytes:
    """The head as compact JSON with fields replaced (or, with `...`, left out)."""
    values = json.loads(record.sealed.head) | changes
    return spelled({name: value for name, value in values.items() if value is not ...})


def spelled(values: Any) -> bytes:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()


def with_head(record: Record, head: bytes) -> Sealed:
    return Sealed(head, record.sealed.sig, record.sealed.salt, record.sealed.body)


def with_body(record: Record, body: bytes) -> Sealed:
    """A body that the head commits to: only its own reading can refuse it."""
    salt = b"s" * 32
    commit = {"commit": commitment(salt, body), "size": len(body), "type": record.head.body.type}
    return Sealed(head_with(record, body=commit), record.sealed.sig, salt, body)


# -- round trip -----------------------------------------------------------------------------------------------


@given(
    names.flatmap(lambda name: st.tuples(st.just(name), any_body(name))),
    st.integers(0, 253_402_300_799_999),
    st.booleans(),
)
def test_what_is_written_is_read(said: tuple[str, Any], time: int, staff: bool) -> None:
    name, body = said
    log = None if KINDS[name].first else "5e" * 32
    written = writer("ana", log).write(
        name,
        body,
        time=time,
        re=re_of(name),
        seen=Seen("e1" * 16, 3, ZERO),
        audience=Audience.STAFF if staff else Audience.ALL,
        type=JSON if KINDS[name].body is not None else "stdout",
    )
    read = parse(written.sealed)
    assert read == written
    assert read.body == body
    assert read.digest == digest(written.sealed.head)
    assert read.signed_by_writer()
    assert read.log == (log or read.digest)


@pytest.mark.parametrize("name", KINDS)
def test_a_withheld_body_leaves_the_rest(name: str) -> None:
    record = _SAMPLES[name]
    bare = parse(Sealed(record.sealed.head, record.sealed.sig, None, None))
    assert bare.body is None
    assert bare.digest == record.digest
    assert bare.signed_by_writer()
    with pytest.raises(BadRecord, match="not at hand"):
        bare.says(NoteAdded)


@pytest.mark.parametrize("name", KINDS)
def test_a_body_without_its_salt_is_not_taken_unproved(name: str) -> None:
    """A relay that leaves out the salt could otherwise put any body beside the head."""
    record = _SAMPLES[name]
    for sealed in (
        Sealed(record.sealed.head, record.sealed.sig, None, b"anything"),
        Sealed(record.sealed.head, record.sealed.sig, record.sealed.salt, None),
    ):
        with pytest.raises(BadRecord):
            parse(sealed)


def test_a_series_counts_and_chains() -> None:
    own = writer("ana", "5e" * 32)
    first, second = own.write(*note("a"), time=1), own.write(*note("b"), time=2)
    assert (first.head.n, first.head.prev) == (1, "")
    assert (second.head.n, second.head.prev) == (2, first.digest)
    assert first.head.body.commit != own.write(*note("a"), time=1).head.body.commit, "salted"


@pytest.mark.parametrize("name", sorted(set(KINDS) - BATCHED))
def test_a_statement_is_never_written_unsigned(name: str) -> None:
    record = _SAMPLES[name]
    assert isinstance(record.body, msgspec.Struct)
    with pytest.raises(BadRecord, match="always signed"):
        writer("ana", record.head.log or None).write(name, record.body, time=NOW, re=re_of(name), sign=False)


def test_a_failed_write_leaves_the_series_where_it_was() -> None:
    own = writer("ana", "5e" * 32)
    with pytest.raises(BadRecord):
        own.write("note.added", NoteAdded(text="x"), time=NOW, re={"action": ZERO})
    assert own.write(*note(), time=NOW).head.n == 1


# -- one change -----------------------------------------------------------------------------------------------


def _believed(sealed: Sealed) -> Record | None:
    try:
        record = parse(sealed)
    except BadRecord:
        return None
    return record if record.signed_by_writer() else None


@given(names, st.integers(0, 1 << 16), st.integers(1, 255))
def test_one_changed_byte_of_the_head_is_not_believed(name: str, where: int, change: int) -> None:
    record = _SAMPLES[name]
    head = bytearray(record.sealed.head)
    head[where % len(head)] ^= change
    assert _believed(with_head(record, bytes(head))) is None


@given(names, st.sampled_from(["sig", "salt", "body"]), st.integers(0, 1 << 16), st.integers(1, 255))
def test_one_changed_byte_of_the_rest_is_not_believed(name: str, part: str, where: int, change: int) -> None:
    record = _SAMPLES[name]
    parts = {each: getattr(record.sealed, each) for each in ("head", "sig", "salt", "body")}
    data = bytearray(parts[part])
    data[where % len(data)] ^= change
    assert _believed(Sealed(**(parts | {part: bytes(data)}))) is None


@given(names, st.sampled_from(["head", "sig", "salt", "body"]), st.integers(0, 1 << 16), st.binary(max_size=3))
def test_cut_or_lengthened_parts_are_not_believed(name: str, part: str, cut: int, more: bytes) -> None:
    record = _SAMPLES[name]
    parts = {each: getattr(record.sealed, each) for each in ("head", "sig", "salt", "body")}
    data = parts[part]
    changed = data + more if more else data[: cut % len(data)]
    assert _believed(Sealed(**(parts | {part: changed}))) is None


def test_the_boundary_of_salt_and_body_cannot_be_moved() -> None:
    record = _SAMPLES["action.output"]
    salt, body = record.sealed.salt, record.sealed.body
    assert salt is not None
    assert body is not None
    with pytest.raises(BadRecord):
        parse(Sealed(record.sealed.head, record.sealed.sig, salt + body[:1], body[1:]))


@pytest.mark.parametrize("name", KINDS)
def test_a_record_is_signed_under_the_namespace_of_its_kind_only(name: str) -> None:
    record = _SAMPLES[name]
    signer = key(f"writer of {name}")
    for namespace in Namespace:
        sig = signer.sign(namespace, record.sealed.head)
        again = parse(Sealed(record.sealed.head, sig, record.sealed.salt, record.sealed.body))
        assert again.signed_by_writer() == (namespace is KINDS[name].namespace)


# -- other spellings ------------------------------------------------------------------------------------------


def _spellings(text: bytes) -> dict[str, bytes]:
    values = json.loads(text)
    first = next(iter(values))
    again = json.dumps({first: values[first]}, separators=(",", ":"), ensure_ascii=False)[1:-1].encode()
    return {
        "white space": json.dumps(values, ensure_ascii=False).encode(),
        "leading space": b" " + text,
        "trailing newline": text + b"\n",
        "trailing garbage": text + b"{}",
        "trailing NUL": text + b"\0",
        "byte order mark": b"\xef\xbb\xbf" + text,
        "other key order": spelled(dict(reversed(values.items()))) if len(values) > 1 else text + b" ",
        "duplicate key first": b"{" + again + b"," + text[1:],
        "duplicate key last": text[:-1] + b"," + again + b"}",
        "escaped key": text.replace(b'{"', b'{"\\u00%02x' % text[2], 1).replace(b'%02x"' % text[2], b'"', 1)
        if text[3:4] == b'"'
        else b'{"\\u00%02x' % text[2] + text[3:],
        "unknown field": text[:-1] + b',"more":1}',
        "unknown null field": text[:-1] + b',"zzz":null}',
        "missing field": spelled(dict(list(values.items())[1:])),
        "list": spelled(list(values.values())),
        "null": b"null",
        "empty": b"",
    }


_SPELLINGS = sorted(_spellings(b'{"v":1,"w":2}'))


@pytest.mark.parametrize("spelling", _SPELLINGS)
@pytest.mark.parametrize("name", KINDS)
def test_a_head_has_one_spelling(name: str, spelling: str) -> None:
    record = _SAMPLES[name]
    head = _spellings(record.sealed.head)[spelling]
    assert head != record.sealed.head
    with pytest.raises(BadRecord):
        parse(with_head(record, head))


@pytest.mark.parametrize("spelling", _SPELLINGS)
@pytest.mark.parametrize("name", sorted(name for name, kind in KINDS.items() if kind.body is not None))
def test_a_body_has_one_spelling(name: str, spelling: str) -> None:
    record = _SAMPLES[name]
    assert record.sealed.body is not None
    with pytest.raises(BadRecord):
        parse(with_body(record, _spellings(record.sealed.body)[spelling]))


@pytest.mark.parametrize("spelling", _SPELLINGS)
def test_a_signed_statement_has_one_spelling(spelling: str) -> None:
    for text, read in ((login()[0], read_login), (session().checkpoint("relay").statement, read_checkpoint)):
        read(text)
        with pytest.raises(BadRecord):
            read(_spellings(text)[spelling])


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b'"text":"Maria', b'"text":"\\u004daria'),
        (b'"text":"Maria', b'"text":"\\/Maria'),
        (b'"text":"Maria', b'"text":"\xed\xa0\x80Maria'),
        (b'"text":"Maria', b'"text":"\\ud800Maria'),
        (b'"text":"Maria', b'"text":"\xc0\xafMaria'),
        (b'"text":"Maria', b'"text":"\nMaria'),
    ],
)
def test_a_text_has_one_spelling(was: bytes, becomes: bytes) -> None:
    record = _SAMPLES["note.added"]
    assert record.sealed.body is not None
    body = record.sealed.body.replace(was, becomes)
    assert body != record.sealed.body
    with pytest.raises(BadRecord):
        parse(with_body(record, body))


@pytest.mark.parametrize("number", [b"7.0", b"7e0", b"07", b"+7", b"-0", b'"7"', b"true", b"null", b"7.5", b"NaN"])
def test_a_number_has_one_spelling(number: bytes) -> None:
    record = _SAMPLES["roster.renewed"]
    assert record.sealed.body is not None
    with pytest.raises(BadRecord):
        parse(with_body(record, b'{"expires":%s}' % number))
    head = record.sealed.head.replace(b'"n":2', b'"n":' + number)
    with pytest.raises(BadRecord):
        parse(with_head(record, head))


# -- heads that say what no head says -------------------------------------------------------------------------

_HUGE = (2**63, 2**64, 2**70)
_AFTER_9999 = 253_402_300_800_000


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 0},
        {"v": 2},
        {"log": ""},
        {"log": "5e" * 31},
        {"log": "5E" * 32},
        {"key": ""},
        {"key": public("ana")[:-4]},
        {"series": ""},
        {"series": "AB" * 16},
        {"series": "ab" * 17},
        {"n": 0},
        {"n": -1},
        {"n": 1},
        {"prev": ""},
        {"prev": "xy" * 32},
        {"aud": "everybody"},
        {"aud": ""},
        {"re": {"action": "short"}},
        {"re": {"action": "ac" * 32, "hold": "ac" * 32}},
        {"re": {"hold": "ac" * 32}},
        {"re": {}},
        {"re": None},
        {"seen": ["e1" * 16, 1]},
        {"seen": ["e1" * 16, 1, "7c" * 32, 4]},
        {"body": {"commit": "aa" * 32, "size": BODY_LIMIT + 1, "type": "stdout"}},
        {"body": {"commit": "aa" * 32, "size": -1, "type": "stdout"}},
        {"body": {"commit": "aa", "size": 1, "type": "stdout"}},
        {"body": {"commit": "aa" * 32, "size": 1, "type": "json"}},
        {"body": {"commit": "aa" * 32, "size": 1, "type": "html"}},
        {"kind": "workspace.founded"},
        {"kind": "session.opened"},
        {"kind": "note.added"},
        *({"time": number} for number in (*_HUGE, _AFTER_9999, -1, -(2**63))),
        *({"n": number} for number in _HUGE),
        *({"seen": ["e1" * 16, number, "7c" * 32]} for number in (*_HUGE, 0, -1)),
        {"seen": ["", 1, "7c" * 32]},
        {"seen": ["\x1b[2J", 1, "7c" * 32]},
        {"seen": ["e1" * 16, 1, ""]},
    ],
    ids=str,
)
def test_a_head_that_is_none(changes: dict[str, Any]) -> None:
    record = _SAMPLES["action.output"]
    with pytest.raises(BadRecord):
        parse(Sealed(head_with(record, **changes), record.sealed.sig, None, None))


@pytest.mark.parametrize("name", KINDS)
def test_references_are_exactly_those_of_the_kind(name: str) -> None:
    record, kind = _SAMPLES[name], KINDS[name]
    for missing in kind.re:
        refers = {role: value for role, value in record.head.re.items() if role != missing}
        with pytest.raises(BadRecord, match="refers to"):
            parse(Sealed(head_with(record, re=refers), None, None, None))
    for more in {"action", "hold", "grant", "roster", "other"} - {*kind.re, *kind.optional}:
        refers = dict(sorted((record.head.re | {more: ZERO}).items()))
        with pytest.raises(BadRecord, match="refers to"):
            parse(Sealed(head_with(record, re=refers), None, None, None))


def test_limits() -> None:
    own = writer("ana", "5e" * 32)
    output = {"re": {"action": ZERO}, "type": STREAMS[0], "time": NOW}
    assert parse(own.write("action.output", b"x" * BODY_LIMIT, **output).sealed).body == b"x" * BODY_LIMIT  # type: ignore[arg-type]
    with pytest.raises(BadRecord, match="commitment"):
        own.write("action.output", b"x" * (BODY_LIMIT + 1), **output)  # type: ignore[arg-type]
    wide = unknown("ana", "5e" * 32)
    too_large = head_with(wide, re={f"{number:04}": ZERO for number in range(60)})
    assert len(too_large) > HEAD_LIMIT
    with pytest.raises(BadRecord, match="too large"):
        parse(Sealed(too_large, None, None, None))


# -- kinds of a later version ---------------------------------------------------------------------------------


def test_an_unknown_kind_is_kept_as_bytes_and_has_no_rules() -> None:
    record = unknown("ana", "5e" * 32)
    assert record.kind is None
    assert isinstance(record.body, bytes)
    odd = head_with(record, re={"thing": ZERO}, body={"commit": "aa" * 32, "size": 1, "type": "cbor"})
    assert parse(Sealed(odd, None, None, None)).head.re == {"thing": ZERO}


@pytest.mark.parametrize("kind", ["", "note", "Note.added", "note.added ", "note.addеd"])
def test_a_kind_is_known_by_its_exact_name(kind: str) -> None:
    record = _SAMPLES["note.added"]
    assert parse(Sealed(head_with(record, kind=kind), None, None, None)).kind is None


def test_an_unknown_kind_has_to_be_signed_by_its_writer_all_the_same() -> None:
    assert unknown("ana", "5e" * 32).signed_by_writer()
    for sig in (b"", b"\0" * 64, key("eve").sign(Namespace.RECORD, unknown("ana", "5e" * 32).sealed.head)):
        assert not unknown("ana", "5e" * 32, sig=sig).signed_by_writer()


# -- whatever comes -------------------------------------------------------------------------------------------

_maybe = st.one_of(st.none(), st.binary(max_size=100))


def _never_raises_anything_else(sealed: Sealed) -> None:
    try:
        parse(sealed)
    except BadRecord:
        pass


@given(st.binary(max_size=400), _maybe, _maybe, _maybe)
def test_any_bytes_are_a_record_or_bad(head: bytes, sig: bytes | None, salt: bytes | None, body: bytes | None) -> None:
    _never_raises_anything_else(Sealed(head, sig, salt, body))


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(names, st.dictionaries(st.sampled_from(list(json.loads(sample("note.added").sealed.head))), _json, max_size=3))
def test_any_head_is_a_record_or_bad(name: str, changes: dict[str, Any]) -> None:
    _never_raises_anything_else(with_head(_SAMPLES[name], head_with(_SAMPLES[name], **changes)))


@given(names, st.data())
def test_any_body_is_a_record_or_bad(name: str, data: st.DataObject) -> None:
    record = _SAMPLES[name]
    assert record.sealed.body is not None
    body: bytes
    if KINDS[name].body is None:
        body = data.draw(st.binary(max_size=50))
    else:
        values = json.loads(record.sealed.body)
        body = spelled(
            values | data.draw(st.dictionaries(st.sampled_from(list(values)), _json, min_size=1, max_size=2))
        )
    _never_raises_anything_else(with_body(record, body))


@pytest.mark.parametrize("opening", [b"[", b'{"v":', b'{"v":[', b'{"re":{"a":', b'{"body":{"commit":'])
def test_deep_nesting_is_bad_and_no_more(opening: bytes) -> None:
    _never_raises_anything_else(Sealed(opening * (HEAD_LIMIT // len(opening)), None, None, None))
    for name, kind in KINDS.items():
        if kind.body is not None:
            _never_raises_anything_else(with_body(_SAMPLES[name], opening * (BODY_LIMIT // len(opening))))
