"""What `caisey-server doctor` looks at in a relay's home; what all programs share is `caisey_core.probing`'s."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from caisey_core import keys, probing
from caisey_core.checkup import Check, Finding, failed, ok, warning
from caisey_core.errors import UsageError
from caisey_core.journal import Journal
from caisey_core.signing import certificate_ends, fingerprint
from caisey_server import certificate
from caisey_server.home import NAME

_SOON_DAYS = 14


def checks(home: Path, tls: tuple[Path, Path] | None) -> list[Check]:
    """Everything there is to look at. `tls`: certificate and key, where the relay is started with them."""
    journal = home / "journal.db"
    return [
        Check("home", partial(probing.directory, home)),
        Check("key", partial(_key, home)),
        Check("journal", partial(probing.journal, journal), seconds=120),
        Check("workspace", partial(_workspace, home, journal), seconds=60),
        *([Check("tls", partial(_certificate, *tls))] if tls is not None else []),
        Check("running", partial(_running, home / "lock")),
    ]


def _key(home: Path) -> Iterator[Finding]:
    yield from probing.key(home, NAME, keys.load(home, NAME))


def _workspace(home: Path, journal: Path) -> Iterator[Finding]:
    if not journal.exists():
        return
    with Journal.look(journal) as opened:
        logs = opened.logs("workspace.founded")
    if not logs:
        yield warning("workspace", "nobody has founded one yet", "With the claim code, type: caisey init")
        return
    roster, findings = probing.roster(journal, logs[-1], "")
    yield from findings
    if roster.fingerprint:
        yield ok("workspace", f"{roster.name}, {roster.fingerprint}")
    public = keys.public_of(home, NAME)
    if public and roster.relays and public not in roster.relays:
        text = f"the roster does not have this relay's key ({fingerprint(public)})"
        yield failed("workspace", text, "The key was replaced: restore the home from a backup.")


def _certificate(path: Path, key: Path) -> Iterator[Finding]:
    try:
        certificate.context(path, key)
    except UsageError as error:
        yield failed("tls", str(error).removesuffix(" No relay was started."), error.hint)
        return
    ends = certificate_ends(path.read_bytes())
    until = time.strftime("%Y-%m-%d", time.gmtime(ends))
    if ends < time.time():
        yield failed("tls", f"the certificate {path} ended on {until}", "Renew it, then send the relay SIGHUP.")
    elif ends < time.time() + _SOON_DAYS * 86_400:
        yield warning("tls", f"the certificate {path} ends on {until}", "Renew it, then send the relay SIGHUP.")
    else:
        yield ok("tls", f"{path} and its key, until {until} ({ssl.OPENSSL_VERSION})")


def _running(lock: Path) -> Iterator[Finding]:
    if probing.held(lock):
        yield ok("running", "a relay runs in this home")
    else:
        yield warning("running", "no relay runs in this home", "Type: caisey-server run")
