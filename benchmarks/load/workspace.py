"""A founded workspace with as many endpoints as are wanted, written straight into a relay's journal.

The keys are made from names, so that every process of a run has them without being told. Nothing of it is secret.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from caisey_core import chain, keys
from caisey_core.frames import Receipt
from caisey_core.grants import MOST_USES, possession
from caisey_core.journal import Journal
from caisey_core.kinds import Audience, EndpointEnrolled, EndpointRef, EndpointsInvited, SessionOpened
from caisey_core.record import Record, Writer
from caisey_core.roster import Roster
from caisey_core.signing import SigningKey, fingerprint
from caisey_server import projections, repair
from tests.server.world import FAR, World, key, now

INCARNATION = "ab" * 16


def endpoint_key(number: int) -> SigningKey:
    """The key of one endpoint."""
    return key(f"endpoint {number}")


@dataclass(frozen=True, slots=True)
class Fleet:
    """What everybody in a run has to know of its workspace."""

    workspace: str
    roster: str
    endpoints: tuple[tuple[str, str], ...]
    path: str

    @classmethod
    def read(cls, path: str) -> Fleet:
        """As `found` has left it for other processes."""
        return cls(**json.loads(Path(path).read_text()))

    def opening(self, number: int) -> tuple[Record, Writer]:
        """A session's first record on one endpoint, by ana, and its writer."""
        writer = Writer(key("ana"), None)
        id_, name = self.endpoints[number]
        reference = EndpointRef(id=id_, key=endpoint_key(number).public, name=name)
        body = SessionOpened(
            workspace=self.workspace, endpoint=reference, roster=1, ticket="", reason="", nonce=secrets.token_hex(16)
        )
        return writer.write("session.opened", body, time=now()), writer


def found(home: Path, endpoints: int) -> Fleet:
    """Writes the relay's home."""
    home.mkdir(parents=True)
    world = World()
    keys.keep(home, "relay", world.relay, keys.Place.FILE)
    records, ids = list(world.records), []
    for first in range(0, endpoints, MOST_USES):
        grant_key = key(f"grant {first}")
        name = f"pc{first}"
        body = EndpointsInvited(client="c1", name=name, uses=MOST_USES, key=grant_key.public, expires=FAR)
        records.append(world.govern("endpoints.invited", body, Audience.STAFF, admin=True))
        grant = records[-1].digest
        for number in range(first, min(endpoints, first + MOST_USES)):
            record = _admission(world, grant, grant_key, number, f"{name}-{number}")
            records.append(record)
            ids.append(record.digest)
    placed = _placed(records)
    with Journal.open(home / "journal.db", migrations=[projections.migrations(), repair.migrations()]) as journal:
        journal.place(placed)
        journal.set("incarnation", INCARNATION)
        with journal.transaction() as connection:
            roster = Roster()
            for record, receipt in placed:
                roster.apply(record, receipt.received)
                projections.project(connection, record, receipt, roster)
    endpoints_ = tuple((id_, roster.endpoints[id_].name) for id_ in ids)
    path = home.parent / "fleet.json"
    fleet = Fleet(fingerprint(world.root.public), world.log, endpoints_, str(path))
    path.write_text(json.dumps(asdict(fleet)))
    return fleet


def _admission(world: World, grant: str, grant_key: SigningKey, number: int, name: str) -> Record:
    device = endpoint_key(number)
    body = EndpointEnrolled(name=name, key=device.public, proof=possession(device, grant))
    writer = Writer(grant_key, world.log)
    return writer.write("endpoint.enrolled", body, time=now(), re={"grant": grant}, audience=Audience.STAFF)


def _placed(records: list[Record]) -> list[tuple[Record, Receipt]]:
    tip, placed = chain.start(INCARNATION), []
    for seq, record in enumerate(records, 1):
        at = now()
        tip = chain.link(tip, seq, at, record.digest)
        placed.append((record, Receipt(INCARNATION, seq, at, tip)))
    return placed
