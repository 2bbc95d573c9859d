"""A policy for the workspace: as a record, and what it says otherwise than the one in force. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from typing import Final

from caisey_cli.founding import Chain
from caisey_cli.wording import able
from caisey_core.errors import Refused, UsageError
from caisey_core.kinds import Class, Decision, PolicyPublished, Quorum
from caisey_core.policyfile import FORMAT, in_force, load
from caisey_core.policytext import PolicyError, bound, named, written
from caisey_core.record import Record
from caisey_core.roster import Roster, beyond
from caisey_core.ruling import Policy
from caisey_core.signing import SigningKey

_AROUND: Final = 3


@dataclass(frozen=True, slots=True)
class Publication:
    """Records to append. `seconders` are the admins of whom one has to approve it; none where it counts at once."""

    records: tuple[Record, ...]
    version: int
    seconders: tuple[str, ...] = ()


def publication(roster: Roster, key: SigningKey, policy: Policy, file: str, now: int) -> Publication:
    """Puts a policy in force, by the root key or by an admin's. Raises `UsageError`, `PolicyError`."""
    ids = bound(policy, roster, file)
    text = written(ids)
    # Ids are longer than names, and examples were judged in what was written by hand.
    if load(text, f"{file}, with ids in the place of names", ids.label) != ids:
        raise UsageError(
            f"{file} cannot be written so that endpoints read the same; nothing was published.",
            hint="Write its examples and names without signs that look like others.",
        )
    if roster.published is not None and (roster.published.format, roster.published.text) == (FORMAT, text):
        raise UsageError(
            f"{file} says what {roster.policy} says, which is in force already; nothing was published.",
            hint="There is nothing left to do; caisey policy show prints it.",
        )
    body = PolicyPublished(version=roster.policy_version + 1, format=FORMAT, text=text)
    seconders: tuple[str, ...] = ()
    if key.public != roster.root:
        me = roster.member(key.public)
        if me is not None and (why := beyond(me, body)):
            raise UsageError(f"{why} Nothing was published.", hint="An admin of every client can, or the root key.")
        seconders = tuple(each.name for each in roster.seconders(key.public, body))
        if not seconders:
            raise UsageError(
                "The workspace's root key is not here, and there is no second admin who could approve this; "
                "nothing was published.",
                hint="Do this in the home in which 'caisey init' founded the workspace.",
            )
    chain = Chain(roster, key, now)
    chain.say("policy.published", body)
    return Publication(tuple(chain.records), body.version, seconders)


def readable(body: PolicyPublished) -> Policy:
    """A published policy. Raises `Refused` where this version cannot read it: nobody approves what is not shown."""
    label = f"published-{body.version}"
    try:
        if body.format != FORMAT:
            raise PolicyError(f"{label} is written in a way that this version does not know.")
        return load(body.text, label, label)
    except PolicyError as error:
        raise Refused(f"{error} Nothing was decided.", hint="Use a newer version of caisey.") from error


def shown(roster: Roster, policy: Policy) -> str:
    """A policy with ids as people read and write it."""
    return written(named(policy, roster))


def differences(roster: Roster, policy: Policy) -> Iterator[str]:
    """What a policy (with ids) changes of the one in force: lines that begin with `+ `, `- ` or two blanks."""
    before, after = (shown(roster, each).splitlines() for each in (in_force(roster), policy))
    for line in list(unified_diff(before, after, n=_AROUND, lineterm=""))[2:]:
        yield "  ..." if line.startswith("@@") else f"{line[0]} {line[1:]}"


def doubts(policy: Policy, roster: Roster | None = None) -> Iterator[str]:
    """What whoever publishes a policy should know: sentences."""
    denied = [
        each for each in Class if policy.classes.get(each) is None or policy.classes[each].decision is Decision.DENY
    ]
    if len(denied) == len(Class):
        yield "It denies everything, for everybody, on every endpoint."
    elif Class.OBSERVE in denied:
        yield "It denies reading: nobody can look at what is wrong."
    if missing := [each.value for each in Class if each not in policy.classes]:
        yield f"Not in [classes], and so denied: {', '.join(missing)}."
    if roster is None:
        return
    wanted = [("[classes]", need.quorum) for need in policy.classes.values()]
    wanted += [(f"The rule {each.name!r}", each.then.quorum) for each in policy.rules]
    for who, quorum in dict.fromkeys(wanted):
        if quorum is not None and (why := _nobody(quorum, roster)):
            yield f"{who} {why}"


def _nobody(quorum: Quorum, roster: Roster) -> str:
    """Why nobody could ever be that quorum in a workspace: the requester does not count."""
    there = [each for each in roster.members.values() if each.removed is None and each.role in quorum.roles]
    if len(there) >= quorum.members or roster.solo:
        return ""
    return f"wants {quorum.members} {able(quorum)} to approve, and the workspace has {len(there) or 'none'}."
