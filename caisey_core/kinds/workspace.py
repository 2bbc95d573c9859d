"""What the roster's records say: who belongs to a workspace, and by whose word."""

from __future__ import annotations

from caisey_core.ids import PublicKey
from caisey_core.kinds.words import Body, Role


class WorkspaceFounded(Body, frozen=True):
    """First record of a roster, signed by the root key. `solo`: one member's typed confirmation may stand in."""

    name: str
    root: PublicKey
    solo: bool
    policy: str
    expires: int
    nonce: str


class RelayAdded(Body, frozen=True):
    """A relay whose receipts and checkpoints count. `url` is the origin clients log in to."""

    key: PublicKey
    url: str


class ClientAdded(Body, frozen=True):
    """A client of the MSP. The id is random: agents get it without the name (audience `staff`)."""

    id: str
    name: str


class MemberAdded(Body, frozen=True):
    """A member with a device key, named by the root. `clients`: client ids, or `*` for every one."""

    id: str
    name: str
    role: Role
    clients: tuple[str, ...]
    key: PublicKey


class MemberInvited(Body, frozen=True):
    """A grant: whoever holds the one-use `key` may become this member, once, until `expires`."""

    id: str
    name: str
    role: Role
    clients: tuple[str, ...]
    key: PublicKey
    expires: int


class MemberAdmitted(Body, frozen=True):
    """A device key, signed for by the one-use key of the grant it refers to.

    `proof` is the device key's own signature (base64, `admission@caisey`) over the grant's digest, as text: nobody
    registers a key that is not theirs.
    """

    key: PublicKey
    proof: str


class EndpointInvited(Body, frozen=True):
    """A grant for one endpoint of a client (audience `staff`)."""

    client: str
    name: str
    key: PublicKey
    expires: int


class EndpointAdmitted(Body, frozen=True):
    """An endpoint's key with its proof, as in `MemberAdmitted` (audience `staff`)."""

    key: PublicKey
    proof: str


class EndpointsInvited(Body, frozen=True):
    """A grant for as many as `uses` endpoints of a client, each under a name of its own below `name` (`staff`)."""

    client: str
    name: str
    uses: int
    key: PublicKey
    expires: int


class EndpointEnrolled(Body, frozen=True):
    """An endpoint's key with its proof, and the name it takes under its invitation's (audience `staff`)."""

    name: str
    key: PublicKey
    proof: str


class ChangeApproved(Body, frozen=True):
    """Another admin says yes to one change, having been shown `card` (the format it was shown in).

    What was shown is fixed by the change and by the roster that this record follows.
    """

    card: str
    comment: str


class ChangeDenied(Body, frozen=True):
    """An admin says no to one change, or its signer takes it back."""

    card: str
    reason: str


class InvitationRevoked(Body, frozen=True):
    """A grant that was not used and no longer counts."""

    reason: str


class MemberRemoved(Body, frozen=True):
    """A member whose keys write nothing from here on."""

    id: str
    reason: str


class EndpointRemoved(Body, frozen=True):
    """A machine that belongs no more, by the digest of its admission: nothing is run there, and its key writes nothing.

    What it has said stays.
    """

    id: str
    reason: str


class PolicyPublished(Body, frozen=True):
    """The policy that counts from here on: `text`, written in `format`, with ids in the place of names.

    `version` is one more than that of the policy before it (0: none was published), so none comes back.
    """

    version: int
    format: str
    text: str


class RosterRenewed(Body, frozen=True):
    """The roster as it stands counts until `expires`."""

    expires: int
