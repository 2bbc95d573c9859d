"""Invitations: what the one-use key of each may still do, and how who joins proves that their own key is theirs."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from msgspec import Struct

from caisey_core.ids import Digest, PublicKey
from caisey_core.kinds import (
    EndpointAdmitted,
    EndpointEnrolled,
    EndpointInvited,
    EndpointsInvited,
    MemberAdmitted,
    MemberInvited,
    Namespace,
)
from caisey_core.record import Record
from caisey_core.signing import SigningKey, verify

MOST_USES: Final = 1000
"""Endpoints that one invitation lets in at the most."""
NAME_LIMIT: Final = 64
_SAFE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
Invited = MemberInvited | EndpointInvited | EndpointsInvited
Admitted = MemberAdmitted | EndpointAdmitted | EndpointEnrolled


class Grant(Struct, frozen=True):
    """An invitation: what its one-use key may still do. `invited` is None where the body is withheld.

    `by` is the key that signed it, `seconded` the one that approved it, if it needed that; `waits` is until when (ms)
    it may still be approved, 0 where it waits for nobody. `taken` counts whom it has let in.
    """

    digest: Digest
    by: str
    key: PublicKey | None
    invited: Invited | None
    used: bool = False
    revoked: bool = False
    waits: int = 0
    seconded: str = ""
    taken: int = 0

    @property
    def uses(self) -> int:
        """How many it lets in."""
        return self.invited.uses if isinstance(self.invited, EndpointsInvited) else 1


def below(prefix: str, name: str) -> bool:
    """Whether a machine may take this name under an invitation for several: its name, `-`, and safe letters."""
    rest = name.removeprefix(f"{prefix}-")
    return rest != name and len(name) <= NAME_LIMIT and _SAFE.fullmatch(rest) is not None


def possession(device: SigningKey, grant: str) -> str:
    """A device key's proof for an admission under a grant (by its digest)."""
    return base64.b64encode(device.sign(Namespace.ADMISSION, grant.encode())).decode()


def possessed(record: Record, grant: Digest) -> bool:
    """Whether an admission under a grant holds its key's proof."""
    body = record.body
    if not isinstance(body, Admitted):
        return False
    try:
        proof = base64.b64decode(body.proof, validate=True)
    except (binascii.Error, ValueError):
        return False
    return verify(body.key, Namespace.ADMISSION, grant.encode(), proof)


def spent(grant: Grant, now: int) -> str:
    """Why an invitation no longer admits anybody at `now` (ms); empty while it does."""
    if grant.revoked:
        return "The invitation was revoked."
    if grant.waits:
        late = now > grant.waits
        return "The invitation was not approved in time." if late else "The invitation waits for a second admin."
    if grant.used:
        return "The invitation was used already."
    if grant.invited is not None and now > grant.invited.expires:
        return "The invitation has expired."
    return ""
