"""A founded workspace, made once for all runs: four journals that hold its roster, and everybody's keys."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import tests.server.world
from caisey_agent.home import Membership as AgentMembership
from caisey_cli.membership import Membership
from caisey_core.ids import LogId
from caisey_core.journal import Journal
from caisey_core.record import Sealed, parse
from caisey_core.roster import Endpoint, Roster
from caisey_core.signing import SigningKey
from caisey_server import admission
from caisey_server.admission import Directory, Standing
from caisey_server.requests import Append, Found
from caisey_server.sequencer import Sequencer
from tests.faults.patches import EPOCH
from tests.faults.plan import AGENT, APPROVER, CLONE, COLLEAGUE, LAPTOP, OTHER, RELAY, TECHNICIAN
from tests.server.world import World

ORIGIN = "http://127.0.0.1:7777"
PORT = 7777


@dataclass(frozen=True)
class Template:
    """Where the journals are, whose keys there are, and what was founded."""

    path: Path
    keys: dict[str, SigningKey]
    roster: Roster
    log: LogId

    def copy(self, path: Path, host: str) -> Path:
        """A host's journal for one run."""
        return Path(shutil.copyfile(self.path / f"{host}.db", path / f"{host}.db"))

    def remove(self) -> None:
        """Nothing is left of it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def membership(self, host: str) -> Membership:
        """What a member has pinned."""
        member = self.roster.member(self.keys[host].public)
        assert member is not None
        return Membership(
            v=1,
            workspace=self.roster.fingerprint,
            name="Example",
            roster=self.log,
            relay=ORIGIN,
            member=member.id,
            member_name=member.name,
            plain_text_on="",
        )

    def endpoint(self, host: str) -> Endpoint:
        """What an agent's host is in the roster."""
        endpoint = self.roster.endpoint(self.keys[host].public)
        assert endpoint is not None
        return endpoint

    def agent(self, host: str) -> AgentMembership:
        """What an endpoint has pinned."""
        endpoint = self.endpoint(host)
        return AgentMembership(
            v=1,
            workspace=self.roster.fingerprint,
            workspace_name="Example",
            roster=self.log,
            relay=ORIGIN,
            endpoint=endpoint.id,
            client=endpoint.client,
            name=endpoint.name,
            plain_text_on="",
        )


def make(path: Path) -> Template:
    """Founds it. The clocks and dice are the run's already, so it is the same every time."""
    tests.server.world.now = lambda: EPOCH - 1000
    world = World(url=ORIGIN)
    keys = {TECHNICIAN: world.tom, COLLEAGUE: world.ana, APPROVER: world.sam, RELAY: world.relay}
    keys |= {LAPTOP: world.tom, AGENT: world.desk, CLONE: world.desk, OTHER: world.shop}
    sequencer = Sequencer.open(path / f"{RELAY}.db", world.relay, lambda: EPOCH - 1000)
    founding = len(world.records)
    (placed,), _ = sequencer.commit([Found(tuple(world.records))])
    assert isinstance(placed, tuple), placed
    world.with_endpoints()
    for record in world.records[founding:]:
        expect = "" if record.head.kind == "endpoint.admitted" else sequencer.directory.roster.head
        (placed,), _ = sequencer.commit([Append(world.log, expect, (record,), record.head.key)])
        assert isinstance(placed, tuple), placed
    entries = sequencer.journal.entries(world.log)
    directory = Directory.of(sequencer.directory.roster)
    sequencer.journal.close()
    for host in (TECHNICIAN, COLLEAGUE, LAPTOP, APPROVER, AGENT, OTHER):
        standing = directory.who(keys[host].public)
        assert standing is not None
        with Journal.open(path / f"{host}.db") as journal:
            journal.place((parse(_shown(directory.roster, standing, each.sealed)), each.receipt) for each in entries)
    return Template(path, keys, directory.roster, world.log)


def _shown(roster: Roster, standing: Standing, sealed: Sealed) -> Sealed:
    record = parse(sealed)
    return admission.shown(roster, standing, record.log, record.digest, record.head.aud, sealed)
