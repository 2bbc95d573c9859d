"""Whom this machine trusts to vouch for a relay, and why a connection did not come about, in words.

One context for the socket and for HTTP, so that both trust the same: the system's certificate authorities, or those in
`SSL_CERT_FILE` and `SSL_CERT_DIR` (a CA of one's own).
"""

from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime
from typing import Final

_UNTRUSTED: Final = {18, 19, 20, 21}
"""X509_V_ERR_*: self-signed, self-signed in the chain, issuer not to be had, leaf not to be verified."""
_TIMED: Final = {9: "its certificate is not valid yet", 10: "its certificate has expired"}
"""What may as well be this machine's clock, which is named then."""
CLOCK: Final = " by this machine's clock, which says "
_WORDS: Final = {
    23: "its certificate was revoked",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
}


def context() -> ssl.SSLContext:
    """What a client verifies a relay with. Raises `OSError` where `SSL_CERT_FILE` cannot be used."""
    return ssl.create_default_context()


def nobody() -> ssl.SSLContext:
    """Trusts nobody: for a client that speaks no TLS, and need not read the authorities."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def why(error: BaseException) -> str:
    """The cause of a failed connection, as part of a sentence; the innermost error that says something counts."""
    chain = list(_causes(error))
    for each in chain:
        match each:
            case ssl.SSLCertVerificationError():
                return _certificate(each)
            case ssl.SSLError():
                return "it does not speak TLS there" if each.reason in {"WRONG_VERSION_NUMBER", None} else _ssl(each)
            case socket.gaierror():
                return "its name is not known to this machine's DNS"
            case ConnectionRefusedError():
                return "nothing listens there"
            case TimeoutError():
                return "no answer in time"
            case OSError(strerror=str(said)) if said:
                return said
            case _:
                pass
    return str(error).rstrip(".") or type(error).__name__


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _UNTRUSTED:
        return (
            "its certificate is signed by nobody this machine trusts; for a CA of your own, "
            "set SSL_CERT_FILE to its certificate"
        )
    if (said := _TIMED.get(error.verify_code)) is not None:
        here = datetime.fromtimestamp(time.time(), UTC)
        return f"{said}{CLOCK}{here:%Y-%m-%d %H:%M} UTC; set the clock if that is wrong"
    return _WORDS.get(error.verify_code, error.verify_message.rstrip("."))


def _ssl(error: ssl.SSLError) -> str:
    return f"TLS failed: {(error.reason or 'unknown').replace('_', ' ').lower()}"


def _causes(error: BaseException | None) -> list[BaseException]:
    """An error and what it came of, the outermost first; groups are looked into."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                found += _causes(each)
        error = error.__cause__ or error.__context__
    return found
