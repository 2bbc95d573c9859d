"""Which workspace a home belongs to, and as whom: what was pinned when it was joined or founded."""

from __future__ import annotations

from msgspec import Struct


class Membership(Struct, frozen=True, kw_only=True):
    """Which workspace this home belongs to. `workspace` is the root's fingerprint, `roster` the roster's log.

    `relay` is the origin as typed, `member` the member's id, `plain_text_on` a host that may be talked to in the clear.
    """

    v: int
    workspace: str
    name: str
    roster: str
    relay: str
    member: str
    member_name: str
    plain_text_on: str
