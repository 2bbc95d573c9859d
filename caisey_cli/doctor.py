"""What `caisey doctor` looks at in a member's home; the checks themselves are `caisey_core.probing`'s."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from caisey_cli.home import DEVICE, ROOT, Home
from caisey_cli.keeping import backup_of
from caisey_cli.membership import Membership
from caisey_core import keys, probing, reaching
from caisey_core.checkup import Check, Finding, failed, ok, warning
from caisey_core.errors import CaiseyError
from caisey_core.policyfile import in_force
from caisey_core.roster import Roster
from caisey_core.signing import SigningKey

_DAY_MS = 24 * 3_600_000


@dataclass(slots=True)
class Seen:
    """What earlier checks have found for later ones."""

    membership: Membership | None = None
    key: SigningKey | None = None
    roster: Roster | None = None


def checks(home: Home) -> list[Check]:
    """Everything there is to look at, in an order in which causes come before what they cause."""
    seen = Seen()
    return [
        Check("home", partial(probing.directory, home.path)),
        Check("workspace", partial(_membership, home, seen)),
        Check("keyring", partial(_keyring, home)),
        Check("key", partial(_key, home, seen), seconds=45),
        Check("root key", partial(_root, home)),
        Check("journal", partial(probing.journal, home.database), seconds=60),
        Check("roster", partial(_roster, home, seen), seconds=60),
        Check("policy", partial(_policy, seen)),
        Check("relay", partial(_relay, seen), seconds=30),
    ]


def _membership(home: Home, seen: Seen) -> Iterator[Finding]:
    seen.membership = home.membership()
    yield ok("workspace", f"{seen.membership.name} as {seen.membership.member_name}, {seen.membership.workspace}")


def _keyring(home: Home) -> Iterator[Finding]:
    kept = [each for each in (DEVICE, ROOT) if keys.exists(home.path, each)]
    yield from probing.keyring_backend(any(keys.place_of(home.path, each) is keys.Place.KEYRING for each in kept))


def _key(home: Home, seen: Seen) -> Iterator[Finding]:
    if not keys.exists(home.path, DEVICE) and seen.membership is None:
        return
    seen.key = home.key()
    yield from probing.key(home.path, DEVICE, seen.key)


def _root(home: Home) -> Iterator[Finding]:
    """Only in a home that has, or had, the root key. Whether a backup still opens is for who has its passphrase."""
    backup = backup_of(home)
    since = f"last opened {(int(time.time() * 1000) - backup.checked) // _DAY_MS} days ago" if backup else ""
    if not keys.exists(home.path, ROOT):
        if backup is not None:
            yield ok("root key", f"not in this home; its backup {backup.path} was {since}")
        return
    try:
        home.root()
    except CaiseyError as error:
        yield failed("root key", str(error), error.hint)
        return
    if backup is None:
        yield warning("root key", "it is in this home alone, and nothing replaces it", "Type: caisey root backup PATH")
    else:
        yield ok("root key", f"in this home; its backup {backup.path} was {since}")


def _roster(home: Home, seen: Seen) -> Iterator[Finding]:
    if seen.membership is None:
        return
    roster, findings = probing.roster(home.database, seen.membership.roster, seen.membership.workspace)
    yield from findings
    if any(each.state.value == "failed" for each in findings) and roster.fingerprint != seen.membership.workspace:
        return
    seen.roster = roster
    if seen.key is None:
        return
    member = roster.member(seen.key.public)
    if member is None or member.id != seen.membership.member:
        yield failed("member", "the roster does not have this key (any more)", "Ask an admin for a new invitation.")
    else:
        scope = "every client" if member.serves("*") else f"{len(member.clients)} clients"
        yield ok("member", f"{member.name}, {member.role}, {scope}")


def _policy(seen: Seen) -> Iterator[Finding]:
    if seen.roster is not None:
        yield from probing.policy(in_force(seen.roster))


def _relay(seen: Seen) -> Iterator[Finding]:
    if seen.membership is None:
        return
    at, known = seen.membership, seen.roster.relays if seen.roster else {}
    relays = {str(key): each.url for key, each in known.items()}
    yield from reaching.relay(at.relay, at.plain_text_on, at.workspace, relays, seen.key)
