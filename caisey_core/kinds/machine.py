"""What opens a session and what the endpoint shows of itself at its start."""

from __future__ import annotations

from caisey_core.ids import PublicKey
from caisey_core.kinds.words import Body, Part


class EndpointRef(Part, frozen=True):
    """An endpoint, by the digest of its admission, its key and its name (`client/name`)."""

    id: str
    key: PublicKey
    name: str


class SessionOpened(Body, frozen=True):
    """First record of a session. `workspace` is the root's fingerprint, `roster` the version it was opened at."""

    workspace: str
    endpoint: EndpointRef
    roster: int
    ticket: str
    reason: str
    nonce: str


class Memory(Part, frozen=True):
    """Memory, in bytes."""

    total: int
    available: int
    swap_total: int
    swap_free: int


class Disk(Part, frozen=True):
    """A mounted file system, in bytes."""

    mount: str
    device: str
    fstype: str
    total: int
    used: int
    free: int
    used_percent: int


class Process(Part, frozen=True):
    """A process. Its command line is left out: secrets stand there."""

    pid: int
    name: str
    user: str | None
    rss: int | None
    cpu_permille: int | None


class Interface(Part, frozen=True):
    """A network interface."""

    name: str
    up: bool | None
    addresses: tuple[str, ...]


class LoggedIn(Part, frozen=True):
    """Somebody at the machine."""

    name: str
    terminal: str | None
    since: int | None


class Facts(Part, frozen=True):
    """What a machine shows of itself. Null is "not known", never a guess. `load_centi`: hundredths."""

    hostname: str | None = None
    os: str | None = None
    kernel: str | None = None
    arch: str | None = None
    container: str | None = None
    boot_time: int | None = None
    uptime_s: int | None = None
    cpus: int | None = None
    load_centi: tuple[int, int, int] | None = None
    memory: Memory | None = None
    disks: tuple[Disk, ...] | None = None
    failed_services: tuple[str, ...] | None = None
    top_processes: tuple[Process, ...] | None = None
    network: tuple[Interface, ...] | None = None
    users: tuple[LoggedIn, ...] | None = None


class Previous(Part, frozen=True):
    """The endpoint's session before this one and that session's last head as the endpoint knew it."""

    session: str
    seq: int
    head: str


class EndpointObserved(Body, frozen=True):
    """What the endpoint shows: its first word in a session, and again after a change.

    `previous` makes a session deleted as a whole missed.
    """

    facts: Facts
    previous: Previous | None
    instance: str
    agent: str
