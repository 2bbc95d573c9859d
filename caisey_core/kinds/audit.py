"""What the relay itself puts on record for the admins: whom it did not let in."""

from __future__ import annotations

from caisey_core.kinds.words import Body, Part


class AuditOpened(Body, frozen=True):
    """First record of a workspace's audit log, signed by its relay. `workspace` is the root's fingerprint."""

    workspace: str
    nonce: str


class LoginRefused(Body, frozen=True):
    """Logins that were refused: `count` of them since `since`, all for the same reason.

    `key` is the fingerprint of the key that was claimed, which nobody has proved to hold; empty where none was named.
    Without an address they came from several, too many to be told apart.
    """

    address: str
    key: str
    why: str
    count: int
    since: int


class AdmissionRefused(Body, frozen=True):
    """Uses of an invitation that were refused, counted likewise. `key` is the invitation's, `grant` its digest."""

    address: str
    key: str
    grant: str
    why: str
    count: int
    since: int


class Twin(Part, frozen=True):
    """One of several machines that use one key, as it shows itself. `machine`: a digest; empty where it says none."""

    address: str
    host: str
    machine: str
    boot: str
    instance: str


class EndpointCloned(Body, frozen=True):
    """Two machines held connections with one endpoint's key at the same time, and both were alive.

    `endpoint` is the digest of its admission; the one that was connected before stands first.
    """

    endpoint: str
    twins: tuple[Twin, ...]
