"""What an owner's policy makes of a judgement: run, confirm, a quorum, or deny, for whom and where. Pure.

The judges say what a command does: its class. A policy says what that asks for. `[classes]` answers for each class;
rules answer where all that they name fits. Every command of an action is asked about on its own, and the strictest
answer counts, so a script is never treated more lightly than anything in it:

- Of all rules that fit, the strictest counts; nothing outranks a deny.
- A rule that names a class answers instead of `[classes]`, so it can be lighter, unless `[classes]` denies.
  A rule that names none can only make it stricter.
- A class that is not listed is denied. So is everything by an empty policy, or by one that cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec.structs import replace

from caisey_core.kinds import Class, Decision, Quorum, Role, Verdict
from caisey_core.patterns import Fit, Pattern, called, mentioned

ANYBODY: Final = Quorum(members=1, roles=(Role.ADMIN, Role.TECHNICIAN, Role.APPROVER))
"""One other member, whatever their role."""
_ORDER: Final = tuple(Decision)


class Part(NamedTuple):
    """One command of an action, or (`argv` None) what the judge says of the action as a whole.

    `plain`: its words are all there is to it; nothing is fed into it, assigned before it or redirected.
    """

    risk: Class
    argv: tuple[str | None, ...] | None
    plain: bool = True


class Judgement(NamedTuple):
    """A judge's verdict with what rules look at. `complete`: every command in it was found."""

    verdict: Verdict
    parts: tuple[Part, ...]
    complete: bool = True
    windows: bool = False


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

    def fit(self, part: Part, *, complete: bool = True, windows: bool = False) -> Fit:
        """Whether a part has this rule's class and is one of its commands."""
        named = not self.classes or part.risk in self.classes
        # What nobody has judged may be of any class, and hide any command.
        if not named and not (self.commands and part.risk is Class.UNJUDGED):
            return Fit.NO
        if not self.commands:
            return Fit.CERTAIN
        if part.argv is None:
            return Fit.NO if complete else Fit.PERHAPS
        best = max(pattern.fit(part.argv, windows=windows) for pattern in self.commands)
        if best is Fit.NO and part.risk is Class.UNJUDGED:
            # A program that nobody has judged may start another one that it is told of.
            return Fit.PERHAPS if mentioned(part.argv) & {each.key for each in self.commands} else Fit.NO
        return best if named and part.plain else min(best, Fit.PERHAPS)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy. `label` is what holds call it; `broken` why it cannot be read, and denies everything."""

    label: str
    classes: dict[Class, Need] = field(default_factory=dict)
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    broken: str = ""


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


def rule(policy: Policy, judgement: Judgement, subject: Subject) -> Ruled:
    """What a policy makes of a judgement. Never raises."""
    verdict = judgement.verdict
    if policy.broken:
        said = replace(verdict, decision=Decision.DENY, rule="policy", why=policy.broken)
        return Ruled(said, None, policy.label)
    here = _Rules.of(each for each in policy.rules if _applies(each, policy, subject))
    parts = judgement.parts or (Part(verdict.risk, None),)
    if not judgement.complete:
        parts = (*parts, Part(verdict.risk, None))
    answers = [_of_part(policy, here, part, judgement) for part in dict.fromkeys(parts)]
    need, decided = answers[0]
    for other, by in answers[1:]:
        need, decided = _both(need, decided, other, by)
    said = replace(verdict, decision=need.decision)
    if decided is not None:
        said = replace(said, rule=f"policy {decided.name}", why=f"{decided.why} {verdict.why}")
    return Ruled(said, need.quorum, policy.label)


def _applies(each: Rule, policy: Policy, subject: Subject) -> bool:
    """Whether a rule is about this endpoint and this member at all."""
    tagged = {tag for tag in each.tags if subject.endpoint in policy.tags.get(tag, ())}
    return (
        (not each.clients or subject.client in each.clients)
        and (not each.endpoints or subject.endpoint in each.endpoints)
        and (not each.tags or bool(tagged))
        and (not each.roles or subject.role in each.roles)
    )


Answer = tuple[Need, Rule | None]


@dataclass(slots=True)
class _Rules:
    """Rules in their order, found by the programs they are for, so that many of them cost no time."""

    rules: list[Rule] = field(default_factory=list)
    for_all: list[int] = field(default_factory=list)
    for_programs: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> _Rules:
        made = cls(list(rules))
        for at, each in enumerate(made.rules):
            if not each.commands:
                made.for_all.append(at)
            for key in {pattern.key for pattern in each.commands}:
                made.for_programs.setdefault(key, []).append(at)
        return made

    def about(self, part: Part, *, windows: bool) -> Iterable[Rule]:
        """The rules that may fit a part."""
        names = called(part.argv, windows=windows) if part.argv is not None else None
        if names is None:
            return self.rules
        if part.risk is Class.UNJUDGED and part.argv is not None:
            names |= mentioned(part.argv)
        found = {at for name in names for at in self.for_programs.get(name, ())}
        return [self.rules[at] for at in sorted(found.union(self.for_all))]


def _of_part(policy: Policy, rules: _Rules, part: Part, judgement: Judgement) -> Answer:
    base = policy.classes.get(part.risk, DENY)
    about = rules.about(part, windows=judgement.windows)
    fits = [(each, each.fit(part, complete=judgement.complete, windows=judgement.windows)) for each in about]
    instead = any(fit is Fit.CERTAIN and each.classes for each, fit in fits) and base.decision is not Decision.DENY
    answer: Answer | None = None if instead else (base, None)
    for each, fit in fits:
        if fit is not Fit.NO:
            answer = (each.then, each) if answer is None else _both(*answer, each.then, each)
    return answer or (base, None)


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
