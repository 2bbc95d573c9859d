"""What an owner's policy makes of a judgement: run, confirm, a quorum, or deny, for whom and where. Pure.

The judges say what a command does: its class. A policy says what that asks for. `[classes]` answers for each class;
rules answer where all that they name fits. Every command of an action is asked about on its own, and the strictest
answer counts, so a script is never treated more lightly than anything in it (all of them at once, see `matching`):

- Of all rules that fit, the strictest counts; nothing outranks a deny.
- A rule that names a class answers instead of `[classes]`, so it can be lighter, unless `[classes]` denies.
  A rule that names none can only make it stricter.
- A class that is not listed is denied. So is everything by an empty policy, or by one that cannot be read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final, NamedTuple

from msgspec.structs import replace

from caisey_core.kinds import Class, Decision, Quorum, Role, Verdict
from caisey_core.matching import Bits, Commands, TooManyError
from caisey_core.patterns import Pattern

ANYBODY: Final = Quorum(members=1, roles=(Role.ADMIN, Role.TECHNICIAN, Role.APPROVER))
"""One other member, whatever their role."""
_ORDER: Final = tuple(Decision)


class Reading(StrEnum):
    """How lines for cmd are read in which a sign means something to cmd: not at all, or as decision 20 says."""

    WHOLE = "whole"
    SPLIT = "split"


class Part(NamedTuple):
    """One command of an action, or (`argv` None) what the judge says of the action as a whole.

    `plain`: its words are all there is to it; nothing is fed into it, assigned before it or redirected.
    """

    risk: Class
    argv: tuple[str | None, ...] | None
    plain: bool = True


class Judgement(NamedTuple):
    """A judge's verdict with what rules look at. `complete`: every command in it was found.

    `split`: a line for cmd in it was taken apart at signs that mean something to cmd.
    """

    verdict: Verdict
    parts: tuple[Part, ...]
    complete: bool = True
    windows: bool = False
    split: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """What is asked for before it runs; `quorum` where that is other members' approval."""

    decision: Decision
    quorum: Quorum | None = None


DENY: Final = Need(Decision.DENY)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Conditions that are empty are none; clients and endpoints are names in a file, ids where it counts.

    `match` and `no_match` are its examples, for the shell `examples_in`; `line` is where it begins in its file.
    """

    name: str
    why: str
    then: Need
    classes: tuple[Class, ...] = ()
    commands: tuple[Pattern, ...] = ()
    clients: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    match: tuple[str, ...] = ()
    no_match: tuple[str, ...] = ()
    examples_in: str = "sh"
    line: int = field(default=0, compare=False)

    def fits(self, action: Action) -> tuple[Bits, Bits]:
        """The parts of an action that this rule may be about, and those of them that it is about for certain."""
        named = action.of_classes(self.classes) if self.classes else action.every
        if not self.commands:
            return named, named
        # What nobody has judged may be of any class, hide any command, and start a program that it is told of.
        hidden = action.of_classes((Class.UNJUDGED,))
        perhaps = action.untold
        certain = 0
        for pattern in self.commands:
            may = action.commands.perhaps(pattern)
            perhaps |= may | (action.commands.mentioning(pattern.key) & hidden)
            if may & named & action.plain:
                certain |= action.commands.certain(pattern, may & named & action.plain)
        return perhaps & (named | hidden), certain


class Unrecorded(StrEnum):
    """What becomes of a running command whose record cannot be kept: it is stopped, or runs on until it can."""

    STOP = "stop"
    RUN_ON = "run-on"


@dataclass(frozen=True)
class Policy:
    """A policy. `label` is what holds call it; `broken` why it cannot be read, and denies everything."""

    label: str
    classes: dict[Class, Need] = field(default_factory=dict)
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    cmd: Reading = Reading.WHOLE
    unrecorded: Unrecorded = Unrecorded.STOP
    broken: str = ""
    text: str = field(default="", compare=False, repr=False)
    """What it was read from, to say where something stands."""

    @cached_property
    def by_program(self) -> dict[str, list[int]]:
        """The places of rules by the programs they are for; those that are for all are under no name."""
        places: dict[str, list[int]] = {}
        for at, each in enumerate(self.rules):
            for key in dict.fromkeys(pattern.key for pattern in each.commands) or ("",):
                places.setdefault(key, []).append(at)
        return places

    def about(self, action: Action) -> Iterable[Rule]:
        """The rules that may be about an action, in their order; so many of them cost no time."""
        programs = None if action.untold else action.commands.programs()
        if programs is None:
            return self.rules
        places = {at for name in ("", *programs) for at in self.by_program.get(name, ())}
        return [self.rules[at] for at in sorted(places)]


@dataclass(frozen=True, slots=True)
class Subject:
    """Where and for whom. Ids as in the policy; empty where that is not known, and fits no rule that names one."""

    client: str = ""
    endpoint: str = ""
    role: Role | None = None


class Ruled(NamedTuple):
    """What the policy says: the verdict with its decision, the quorum it wants, and the policy's label."""

    verdict: Verdict
    quorum: Quorum | None
    policy: str


def read_by(policy: Policy, judgement: Judgement) -> Judgement:
    """The judgement by a policy's way of reading: where it has lines for cmd whole, nobody has judged one with signs.

    The commands that were found in it are listed and asked about all the same, so it is never lighter for that.
    """
    if policy.cmd is Reading.SPLIT or not judgement.split:
        return judgement
    verdict = judgement.verdict
    if verdict.risk is not Class.UNJUDGED:
        verdict = replace(verdict, decision=Decision.QUORUM, risk=Class.UNJUDGED, rule="cmd whole", why=_WHOLE)
    return judgement._replace(verdict=verdict, parts=(*judgement.parts, Part(Class.UNJUDGED, None)))


_WHOLE: Final = "It has a sign that means something to cmd, and the policy has no such line taken apart."


def rule(policy: Policy, judgement: Judgement, subject: Subject) -> Ruled:
    """What a policy makes of a judgement. Never raises."""
    judgement = read_by(policy, judgement)
    verdict = judgement.verdict
    if policy.broken:
        said = replace(verdict, decision=Decision.DENY, rule="policy", why=policy.broken)
        return Ruled(said, None, policy.label)
    try:
        need, decided = answer(policy, Action(judgement), subject)
    except TooManyError:
        said = replace(verdict, decision=Decision.DENY, rule="policy", why=_TOO_MANY)
        return Ruled(said, None, policy.label)
    said = replace(verdict, decision=need.decision)
    if decided is not None:
        said = replace(said, rule=f"policy {decided.name}", why=f"{decided.why} {verdict.why}")
    return Ruled(said, need.quorum, policy.label)


_TOO_MANY: Final = "It has too many words to be held against all rules of the policy in time; run it in smaller pieces."


class Action:
    """A judgement's parts as rules ask about them, as sets of their places."""

    def __init__(self, judgement: Judgement) -> None:
        verdict = judgement.verdict
        parts = list(dict.fromkeys(judgement.parts or (Part(verdict.risk, None),)))
        whole = Part(verdict.risk, None)
        if not judgement.complete and whole not in parts:
            parts.append(whole)
        self.commands = Commands([part.argv or () for part in parts], windows=judgement.windows)
        self.classes: defaultdict[Class, Bits] = defaultdict(int)
        self.every = (1 << len(parts)) - 1
        self.plain = self.untold = 0
        """Whose words are all there is to them; what stands for commands that were not found."""
        for place, part in enumerate(parts):
            self.classes[part.risk] |= 1 << place
            self.plain |= part.plain << place
            self.untold |= (part.argv is None and not judgement.complete) << place

    def of_classes(self, classes: Iterable[Class]) -> Bits:
        """The parts that are of one of some classes."""
        found = 0
        for risk in classes:
            found |= self.classes.get(risk, 0)
        return found


Answer = tuple[Need, Rule | None]


def answer(policy: Policy, action: Action, subject: Subject) -> Answer:
    """The strictest of what is asked for all parts of an action, and by which rule. Raises `TooManyError`."""
    tags = {tag for tag, endpoints in policy.tags.items() if subject.endpoint in endpoints}
    fits = [(each, *each.fits(action)) for each in policy.about(action) if _applies(each, subject, tags)]
    instead = 0
    for each, _, certain in fits:
        instead |= certain if each.classes else 0
    answers: list[Answer] = []
    for risk, parts in action.classes.items():
        base = policy.classes.get(risk, DENY)
        if parts & ~instead or base.decision is Decision.DENY:
            answers.append((base, None))
    answers += [(each.then, each) for each, perhaps, _ in fits if perhaps]
    need, decided = answers[0]
    for other, by in answers[1:]:
        need, decided = _both(need, decided, other, by)
    return need, decided


def _applies(each: Rule, subject: Subject, tags: set[str]) -> bool:
    """Whether a rule is about this endpoint and this member at all."""
    return (
        (not each.clients or subject.client in each.clients)
        and (not each.endpoints or subject.endpoint in each.endpoints)
        and (not each.tags or not tags.isdisjoint(each.tags))
        and (not each.roles or subject.role in each.roles)
    )


def _both(need: Need, by: Rule | None, other: Need, other_by: Rule | None) -> Answer:
    """The strictest of two answers, and whose it is; of two quorums, one that satisfies both."""
    if need.decision is not other.decision:
        stricter = _ORDER.index(other.decision) > _ORDER.index(need.decision)
        return (other, other_by) if stricter else (need, by)
    if need.quorum is None or other.quorum is None or need.quorum == other.quorum:
        return need, by
    roles = tuple(role for role in Role if role in need.quorum.roles and role in other.quorum.roles)
    if not roles:
        # Nobody could satisfy both, and a hold has room for one quorum only.
        return DENY, other_by or by
    joined = Quorum(members=max(need.quorum.members, other.quorum.members), roles=roles)
    return Need(Decision.QUORUM, joined), by if joined == need.quorum else other_by or by
