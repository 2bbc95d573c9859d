"""The operating system's keyring, and the only importer of `keyring`: whether it works, and asking it with a time-out.

It is chosen by a round trip, not by its name, and backends that keep nothing or keep it in the clear are refused by
name, also inside a chain of several. A keyring may wait for somebody to unlock it, or hang: no call waits for longer
than `SECONDS`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from caisey_core.errors import UsageError

SECONDS: Final = 30.0
"""How long to wait: somebody may have to type a password in another window."""
_SERVICE: Final = "caisey"
_REFUSED: Final = {
    "keyring.backends.null": "it keeps nothing",
    "keyring.backends.fail": "there is none",
    "keyrings.alt": "it keeps secrets in the clear",
}
T = TypeVar("T")


class NoKeyring(UsageError):
    """The keyring cannot be used; `str` says why, as part of a sentence."""


def trouble(seconds: float = SECONDS) -> str:
    """Why the keyring is not to be used, as part of a sentence; empty where it gives back what it is given."""
    try:
        _check(backend())
        name, value = f"probe-{secrets.token_hex(8)}", secrets.token_hex(8)
        put(name, value, seconds)
        kept = get(name, seconds)
        drop(name, seconds)
    except NoKeyring as no:
        return str(no)
    return "" if kept == value else f"{backend()} does not give back what it is given"


def backend() -> str:
    """What serves as the keyring here: module and class, the links of a chain behind it."""
    import keyring

    chosen = keyring.get_keyring()
    links = [_name(each) for each in getattr(chosen, "backends", ())]
    return _name(chosen) + (f" ({', '.join(links)})" if links else "")


def refused() -> str:
    """Why what serves as the keyring here is none by its name; empty where it is not. Nothing is put into it."""
    try:
        _check(backend())
    except NoKeyring as no:
        return str(no)
    return ""


def put(name: str, value: str, seconds: float = SECONDS) -> None:
    """Keeps a secret. Raises `NoKeyring`."""
    import keyring

    _asked(lambda: keyring.set_password(_SERVICE, name, value), seconds)


def get(name: str, seconds: float = SECONDS) -> str:
    """A secret, or nothing. Raises `NoKeyring`."""
    import keyring

    return _asked(lambda: keyring.get_password(_SERVICE, name), seconds) or ""


def drop(name: str, seconds: float = SECONDS) -> None:
    """Removes a secret. Raises `NoKeyring`, also where there is none."""
    import keyring

    _asked(lambda: keyring.delete_password(_SERVICE, name), seconds)


def _check(described: str) -> None:
    """Raises `NoKeyring` for a backend, or a link of a chain, that is known to keep nothing or keep it in the clear."""
    # A chain hands a secret on to the next one when the first cannot take it: every link of it counts.
    for module, why in _REFUSED.items():
        if module in described:
            raise NoKeyring(why if module.endswith("fail") else f"{described}: {why}")


def _name(backend_: object) -> str:
    return f"{type(backend_).__module__}.{type(backend_).__qualname__}"


def _asked(what: Callable[[], T], seconds: float) -> T:
    """Its result, from a thread that is left behind when it hangs."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(what())
        except BaseException as error:  # noqa: BLE001  (backends raise what they like; all of it means no)
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if results:
        return results[0]
    if not errors:
        raise NoKeyring(f"it did not answer within {seconds:g} s")
    raise NoKeyring(_said(errors[0]))


def _said(error: BaseException) -> str:
    said = " ".join(str(error).split()).rstrip(".!")
    if type(error).__name__ == "KeyringLocked":
        return "it is locked" + (f": {said}" if said else "")
    return said or type(error).__name__
