"""The relay's certificate and key: read when it starts, and again on SIGHUP, so that a renewed one needs no restart.

Connections that are open keep what they were opened with; new ones get the new certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from caisey_core.errors import UsageError

_HINT: Final = "Both are PEM files; the key is not encrypted and belongs to the certificate."


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What the relay answers TLS with. Raises `UsageError`, one sentence that names the cause."""
    for what, path in (("certificate", certificate), ("key", key)):
        try:
            text = path.read_bytes()
        except OSError as error:
            raise _unusable(f"The {what} {path} cannot be read: {error.strerror}") from error
        if b"-----BEGIN" not in text:
            raise _unusable(f"The {what} {path} is no PEM file")
        if what == "key" and b"ENCRYPTED" in text:
            raise _unusable(f"The key {path} is encrypted, and nobody is there to type its passphrase")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _unusable(f"The key {key} does not belong to the certificate {certificate}") from error
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise _unusable(f"The certificate {certificate} or its key {key} cannot be used: {reason}") from error
    return made


def again(kept: ssl.SSLContext, certificate: Path, key: Path, say: Callable[[str], object]) -> None:
    """Reads both once more into a context that is in use; where they are not sound, the old ones stay."""
    try:
        context(certificate, key)
        kept.load_cert_chain(certificate, key)
    except (UsageError, OSError) as error:
        cause = str(error).removesuffix(" No relay was started.").rstrip(".")
        say(f"{cause}. The relay goes on with the certificate it has.\n")
    else:
        say(f"certificate {certificate} read again\n")


def _unusable(what: str) -> UsageError:
    return UsageError(f"{what}. No relay was started.", hint=_HINT)
