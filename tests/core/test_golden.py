"""Bytes that have been signed stay the bytes they are: a refactor that reorders a field fails here."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from caisey_core import frames
from caisey_core.kinds import CHUNK_LIMIT, KINDS
from caisey_core.record import Sealed, parse
from tests.core.golden import FILES, HERE, every_frame
from tests.core.samples import BODIES

AGAIN = "If this change is meant, say why in the commit and write the files: python -m tests.core.golden"


@pytest.mark.parametrize("name", FILES)
def test_the_bytes_are_what_they_were(name: str) -> None:
    assert FILES[name]() == (HERE / name).read_text(), AGAIN


def test_nothing_else_lies_there() -> None:
    assert {path.name for path in HERE.iterdir() if path.suffix not in {".py", ""}} == set(FILES)


def test_every_kind_has_a_sample() -> None:
    assert set(BODIES) == set(KINDS)


def test_every_frame_has_a_sample() -> None:
    known = {each for union in (frames.FromRelay, frames.ToRelay) for each in union.__args__}
    assert {type(frame) for frame in every_frame()} == known


def _golden() -> dict[str, dict[str, str]]:
    rows = json.loads((HERE / "records.json").read_text())
    return {row["kind"]: row for row in rows}


@pytest.mark.parametrize("name", KINDS)
def test_what_lies_there_is_still_read_and_believed(name: str) -> None:
    row = _golden()[name]
    body = row["body"].encode() if KINDS[name].body is not None else bytes.fromhex(row["body"])
    record = parse(Sealed(row["head"].encode(), bytes.fromhex(row["sig"]), bytes.fromhex(row["salt"]), body))
    assert record.body == BODIES[name]
    assert record.digest == row["digest"]
    assert record.signed_by_writer()


@pytest.mark.parametrize("frame", every_frame(), ids=lambda frame: type(frame).__name__)
def test_a_frame_is_read_back(frame: frames.Frame) -> None:
    data = frames.encode(frame)
    reads: list[frames.Frame] = []
    if isinstance(frame, frames.FromRelay):
        reads.append(frames.from_relay(data))
    if isinstance(frame, frames.ToRelay):
        reads.append(frames.to_relay(data))
    assert reads
    assert all(each == frame for each in reads)


def test_tags_are_told_apart_and_limits_stand() -> None:
    tags = sorted(
        frame.__struct_config__.tag for frame in every_frame() if isinstance(frame.__struct_config__.tag, str)
    )
    assert len(tags) == len(every_frame())
    assert all(a != b for a, b in pairwise(tags))
    assert (frames.FRAME_LIMIT, CHUNK_LIMIT) == (4 << 20, 64 << 10)
