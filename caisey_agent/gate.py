"""The gate: whether the endpoint runs an action, holds it for an answer, or refuses it, and why. Pure.

Safety rests on signatures that are present. The records it is given are verified, chained and in order; what it decides
on is the endpoint's own: its roster, its clock since boot, its instance, what it has spent. A relay can withhold
records, so nothing here is allowed by the absence of one, and everything that is allowed ends by itself with time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from caisey_core.environment import POSIX_SHELLS, WINDOWS_SHELLS, absolute, home_of, of_windows
from caisey_core.kinds import (
    BODY_LIMIT,
    ActionConfirmed,
    ActionHeld,
    ActionProposed,
    ActionRefused,
    ActionUnknown,
    ApprovalGranted,
    Class,
    Decision,
    Quorum,
    Role,
    Verdict,
)
from caisey_core.lifecycle import Action, Placed, Session, Step, may_open
from caisey_core.record import Seen, canonical
from caisey_core.roster import Member, Roster
from caisey_core.ruling import ANYBODY, Ruled

BEAT_MS: Final = 120_000
"""How old the sign of life may be that an action names."""
WINDOW_MS: Final = 600_000
"""How long a hold waits for its answer."""
VERDICT_LIMIT: Final = BODY_LIMIT // 2
"""Bytes of a judgement that a hold or a start may have to record; there is more than enough room for the rest."""
MOST_AT_WORK: Final = 200
"""Actions at work at once beyond which none is started that nobody else has approved."""
MAX_SECONDS: Final = 24 * 3600
MAX_OUTPUT: Final = 1 << 30
MOST_APPROVALS: Final = 64
"""Approvals of one action that are looked at, each of them again for the next; a quorum is of ten members at most."""
SHELLS: Final = {False: frozenset({"", *POSIX_SHELLS}), True: frozenset({"", *WINDOWS_SHELLS})}
"""Shells that are used on a system, by whether it is Windows."""
DOUBLED: Final = (
    "Two machines use this endpoint's key, so nothing is run: an admin removes the endpoint and gives each its own."
)
ROLLED_BACK: Final = "The endpoint's disk was put back from a backup; whether it ran is not known. It is not run again."
_ENDED: Final = "The agent ended while it ran or was about to; it is not run again."
_UNTOLD: Final = "The agent could not record what became of it; it is not run again."
_RESTARTED: Final = "The agent was restarted; propose it again."
_UNRECORDED: Final = "The agent could not record for a while and gave up what was not started; propose it again."


@dataclass(frozen=True, slots=True)
class Standing:
    """What the endpoint knows of itself at this moment. `beat`: ms since boot; `now`: ms since 1970, own clock.

    `name` is its own, without its client's: what a solo member types to confirm. `account` and `home`: as whom it runs
    commands. `at_work`: how many actions run here now. `doubled`: another machine speaks with its key.
    """

    key: str
    endpoint: str
    name: str
    client: str
    instance: str
    boot: str
    beat: int
    now: int
    account: str
    home: str
    windows: bool = False
    at_work: int = 0
    doubled: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Run it, on the strength of these decisions (digests; none where the policy lets it run)."""

    verdict: Verdict
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """Ask first."""

    held: ActionHeld


@dataclass(frozen=True, slots=True)
class Refuse:
    """Never. `code` is for programs, `why` a sentence."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """The answer is not complete; `why` is for the log."""

    why: str


Judge = Callable[[ActionProposed, Role], Ruled]
"""What the policy in force says of an action that a member with a role has proposed."""


def consider(
    action: Action,
    session: Session,
    roster: Roster,
    standing: Standing,
    *,
    judge: Judge,
    nonce: str,
    on_chain: Callable[[Seen], bool],
) -> Run | Hold | Refuse:
    """What becomes of an action that was just proposed."""
    proposed = action.proposed
    refusal = (
        _of_session(session, standing, roster)
        or _of_proposer(action.proposal, session, roster, standing.client)
        or _of_proposal(action, proposed, standing, on_chain)
    )
    if refusal is not None or proposed is None:
        return refusal or Refuse("withheld", "What is proposed is not at hand.")
    member = roster.member(action.proposal.record.head.key)
    if member is None:
        return Refuse("member", "Its proposer is no technician of this workspace.")
    ruled = judge(proposed, member.role)
    verdict = ruled.verdict
    if (not roster.understood or standing.now > roster.expires) and verdict.risk is not Class.OBSERVE:
        return Refuse("roster", "The endpoint's roster has expired or is not understood; only reading runs.")
    if verdict.decision is Decision.DENY:
        return Refuse("policy", f"The policy denies it: {verdict.why}")
    if len(canonical(verdict)) > VERDICT_LIMIT:
        return Refuse("size", "What there is to say of its commands fits into no record; run it in smaller pieces.")
    match verdict.decision:
        case Decision.RUN:
            return _busy(standing) or Run(verdict)
        case _:
            return Hold(_held(ruled, roster, standing, nonce))


def _held(ruled: Ruled, roster: Roster, standing: Standing, nonce: str) -> ActionHeld:
    by_others = ruled.verdict.decision is Decision.QUORUM
    return ActionHeld(
        verdict=ruled.verdict,
        quorum=ruled.quorum or ANYBODY if by_others and not roster.solo else None,
        solo=by_others and roster.solo,
        policy=ruled.policy,
        roster=roster.version,
        boot=standing.boot,
        instance=standing.instance,
        nonce=nonce,
        window_ms=WINDOW_MS,
    )


def of_opening(session: Session, standing: Standing, roster: Roster) -> Refuse | None:
    """Why a session is none of this endpoint's; nothing if it may look at the machine."""
    if session.opening is None:
        return Refuse("workspace", "The session has not been opened.")
    return _of_session(session, standing, roster) or _of_proposer(session.opening, session, roster, standing.client)


def _of_session(session: Session, standing: Standing, roster: Roster) -> Refuse | None:
    if standing.doubled:
        return Refuse("cloned", DOUBLED)
    if standing.endpoint in roster.removed:
        return Refuse("removed", "This endpoint was removed from the workspace.")
    opened = session.opened
    if opened is None or opened.workspace != roster.fingerprint:
        return Refuse("workspace", "The session is of another workspace.")
    if opened.endpoint.key != standing.key or opened.endpoint.id != standing.endpoint:
        return Refuse("endpoint", "The session is on another endpoint.")
    if opened.roster > roster.version:
        return Refuse("roster", "The session was opened under a newer roster than this endpoint has.")
    if session.closing is not None:
        return Refuse("closed", "The session is closed.")
    return None


def _of_proposer(proposal: Placed, session: Session, roster: Roster, client: str) -> Refuse | None:
    member = roster.member(proposal.record.head.key)
    opener = roster.member(session.opener or "")
    if member is None or opener is None or not may_open(member):
        return Refuse("member", "Its proposer is no technician of this workspace.")
    if member.id != opener.id:
        return Refuse("member", "Its proposer has not opened this session.")
    if not member.serves(client):
        return Refuse("scope", "Its proposer does not serve this client.")
    return None


def _of_proposal(
    action: Action, proposed: ActionProposed | None, standing: Standing, on_chain: Callable[[Seen], bool]
) -> Refuse | None:
    if proposed is None:
        return Refuse("withheld", "What is proposed is not at hand.")
    seen = action.proposal.record.head.seen
    if seen is not None and not on_chain(seen):
        return Refuse("history", "Its proposer was shown another history of this session.")
    if proposed.instance != standing.instance:
        return Refuse("stale", "It was meant for the agent before its restart; nothing is run late.")
    if not 0 <= standing.beat - proposed.beat <= BEAT_MS:
        return Refuse("stale", "It is older than two minutes; nothing is run late.")
    return _of_command(proposed, standing)


def _busy(standing: Standing) -> Refuse | None:
    """One member alone must not be able to fill the machine with processes."""
    if standing.at_work < MOST_AT_WORK:
        return None
    return Refuse("busy", f"{standing.at_work} actions run here already; propose it again when some have ended.")


def _of_command(proposed: ActionProposed, standing: Standing) -> Refuse | None:
    words = [proposed.directory, proposed.script, *proposed.argv, *proposed.environment, *proposed.environment.values()]
    if any("\0" in word for word in words):
        return Refuse("malformed", "It holds a NUL character, which no command can.")
    if any(not name or "=" in name for name in proposed.environment):
        return Refuse("malformed", "It names a variable of the environment that cannot be one.")
    if proposed.shell not in SHELLS[standing.windows]:
        return Refuse("shell", "That shell is not one this endpoint uses.")
    script, argv = bool(proposed.script), bool(proposed.argv)
    if (script, argv) != ((True, False) if proposed.shell else (False, True)) or (argv and not proposed.argv[0]):
        return Refuse("malformed", "It names no command, or more than one.")
    if not absolute(proposed.directory) or of_windows(proposed.directory) is not standing.windows:
        return Refuse("malformed", "Its directory is not an absolute path.")
    if proposed.account != standing.account:
        return Refuse("account", f"This agent runs commands as {standing.account} only.")
    if home_of(proposed.environment) not in {"", standing.home}:
        # Programs that only read do what the settings in their home say, `rpm -qa` and `curl` among them. Where it is,
        # neither a proposer nor the relay that tells them has to choose.
        return Refuse("environment", f"Its home is not {standing.home}, that of {standing.account}.")
    limits = proposed.limits
    if not (0 < limits.seconds <= MAX_SECONDS and 0 <= limits.output_bytes <= MAX_OUTPUT):
        return Refuse("limits", "Its limits are beyond what this endpoint allows.")
    return None


def decide(
    action: Action,
    session: Session,
    roster: Roster,
    standing: Standing,
    *,
    policy: str,
    waited_ms: int,
    on_chain: Callable[[Seen], bool],
) -> Run | Refuse | Wait:
    """What becomes of a held action now that an answer has come. `waited_ms`: how long it has been held; `policy`: the
    one in force now.
    """
    held, hold = action.held, action.hold
    if action.step is not Step.HELD:
        return Refuse("void", f"It is {action.step}; an answer changes nothing any more.")
    if held is None or hold is None or held.instance != standing.instance:
        return Refuse("void", "It was held by the agent before its restart; propose it again.")
    if held.policy != policy:
        return Refuse("void", "Another policy is in force since it was held; propose it again.")
    if waited_ms > held.window_ms:
        return Refuse("late", "The answer came after the hold had expired.")
    refusal = _of_session(session, standing, roster) or _of_proposer(action.proposal, session, roster, standing.client)
    if refusal is not None:
        return refusal
    if not roster.understood or standing.now > roster.expires:
        return Refuse("roster", "The endpoint's roster has expired or is not understood; only reading runs.")
    if held.quorum is None:
        return _confirmed(action, held, roster, standing, on_chain)
    return _approved(action, held, held.quorum, roster, standing, on_chain)


def given_up(action: Action, instance: str, *, begun: bool, restored: bool) -> ActionUnknown | ActionRefused:
    """What an agent that begins anew says of an action that is open, and that nothing here works on.

    `instance`: its own; that is still the one to which the action was proposed where what ran went on unrecorded.
    `begun`: it was started, or was about to be. `restored`: the endpoint's disk was put back.
    """
    same = action.proposed is not None and action.proposed.instance == instance
    if begun:
        return ActionUnknown(why=_UNTOLD if same else _ENDED)
    if restored:
        return ActionUnknown(why=ROLLED_BACK)
    return ActionRefused(code="void", why=_UNRECORDED if same else _RESTARTED)


def _confirmed(
    action: Action, held: ActionHeld, roster: Roster, standing: Standing, on_chain: Callable[[Seen], bool]
) -> Run | Refuse | Wait:
    answer = action.confirmation
    if answer is None or not isinstance(answer.record.body, ActionConfirmed) or not action.is_answered_by(answer):
        return Wait("not confirmed")
    if (seen := answer.record.head.seen) is None or not on_chain(seen):
        return Refuse("history", "The technician was shown another history of this session.")
    if answer.record.body.roster > roster.version:
        return Wait("a newer roster is on its way")
    if held.solo:
        if not roster.solo:
            return Refuse("solo", "The workspace has more than one member now; another member has to approve.")
        if answer.record.body.typed.strip().casefold() != standing.name.casefold():
            return Refuse("typed", "The endpoint's name was not typed.")
    return _busy(standing) or Run(held.verdict, (answer.record.digest,))


def _approved(
    action: Action,
    held: ActionHeld,
    quorum: Quorum,
    roster: Roster,
    standing: Standing,
    on_chain: Callable[[Seen], bool],
) -> Run | Refuse | Wait:
    if len(action.approvals) > MOST_APPROVALS:
        return Refuse(
            "crowded", f"It was approved more than {MOST_APPROVALS} times, and was not started by any of them."
        )
    requester = roster.member(action.proposal.record.head.key)
    counted: dict[str, str] = {}
    for approval in action.approvals:
        body, head = approval.record.body, approval.record.head
        member = roster.member(head.key)
        if not action.is_answered_by(approval) or not isinstance(body, ApprovalGranted):
            continue
        if not _may_approve(member, requester, quorum, standing.client):
            continue
        if head.seen is None or not on_chain(head.seen):
            return Refuse("history", "An approver was shown another history of this session.")
        if body.roster > roster.version:
            return Wait("a newer roster is on its way")
        if member is not None:
            counted.setdefault(member.id, approval.record.digest)
    if len(counted) < quorum.members:
        return Wait(f"{len(counted)} of {quorum.members} have approved")
    return Run(held.verdict, tuple(counted.values()))


def _may_approve(member: Member | None, requester: Member | None, quorum: Quorum, client: str) -> bool:
    if member is None or requester is None or member.id == requester.id:
        return False
    return member.role in quorum.roles and member.serves(client)
