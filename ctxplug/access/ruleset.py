"""RuleSet: the rules of one namespace together, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ctxplug.access.rule import ALLOW, DENY, SHARE, VERBS, AccessRule
from ctxplug.errors import InvalidValueError
from ctxplug.storage import Entry

RULE, REVOKED = "rule", "revoked"
MEMO = 10_000  # verdicts that are kept

Question: TypeAlias = tuple[str, str, str, str | None, tuple[str, ...]]


class RuleSet:
    """Rules in the order in which they were made; those are always few."""

    def __init__(self, rules: Iterable[AccessRule] = ()) -> None:
        self.rules: tuple[AccessRule, ...] = tuple(rules)
        self._known: dict[Question, bool] = {}
        self._free: dict[tuple[str, str], bool] = {}

    def __bool__(self) -> bool:
        return bool(self.rules)

    def allows(
        self,
        agent: str,
        verb: str,
        session: str,
        kind: str | None = None,
        tags: tuple[str, ...] = (),
    ) -> bool:
        """Say whether `agent` may do `verb` with a session, or with `kind` a memory made there."""
        asked = agent, verb, session, kind, tags
        known = self._known.get(asked)
        if known is None:
            if len(self._known) >= MEMO:
                self._known.clear()
            known = self._known[asked] = self._decide(*asked)
        return known

    def _decide(
        self, agent: str, verb: str, session: str, kind: str | None, tags: tuple[str, ...]
    ) -> bool:
        about = [rule for rule in self.rules if rule.is_about(session, kind, tags)]
        ours = [rule for rule in about if verb in rule.verbs and rule.is_for(agent)]
        if any(rule.action == DENY for rule in ours):
            return False
        return bool(ours) or not any(rule.action == ALLOW for rule in about)

    def is_free(self, agent: str, verb: str) -> bool:
        """Say whether nothing of the namespace is kept from `agent`; False where it is unsure."""
        known = self._free.get((agent, verb))
        if known is None:
            if len(self._free) >= MEMO:
                self._free.clear()
            known = self._free[agent, verb] = self._decide_free(agent, verb)
        return known

    def _decide_free(self, agent: str, verb: str) -> bool:
        ours = [rule for rule in self.rules if verb in rule.verbs and rule.is_for(agent)]
        if any(rule.action == DENY for rule in ours):
            return False
        closing = [rule for rule in self.rules if rule.action == ALLOW]
        return all(any(own.includes(rule) for own in ours) for rule in closing)

    def may_hand_on(self, agent: str, rule: AccessRule) -> bool:
        """Say whether `agent` may make `rule` (law 10)."""
        needed = {*rule.verbs, SHARE}
        ours = [own for own in self.rules if own.is_for(agent)]
        denied = (own for own in ours if own.action == DENY and not needed.isdisjoint(own.verbs))
        return (
            rule.action == ALLOW
            and not any(own.may_meet(rule) for own in denied)
            and any(
                own.action == ALLOW and needed <= {*own.verbs} and own.includes(rule)
                for own in ours
            )
        )

    def about(self, session: str, kind: str | None, tags: Iterable[str] = ()) -> frozenset[str]:
        """Return the ids of the rules that are about a session, or a memory made there."""
        tags = tuple(tags)
        return frozenset(rule.id for rule in self.rules if rule.is_about(session, kind, tags))


NONE = RuleSet()


def folded(entries: Sequence[Entry]) -> RuleSet:
    """Return the rules that the entries of a log of rules leave in force.

    A rule that cannot be read, as a newer ctxplug may have made it, denies everything: it is
    not known what it protects.
    """
    made: dict[str, AccessRule] = {}
    for entry in entries:
        if entry.kind == RULE:
            rule = _rule_of(entry)
            if rule is not None:
                made.setdefault(rule.id, rule)
        elif entry.kind == REVOKED:
            for id in entry.body.get("ids", ()):
                if id in made and entry.agent in (None, made[id].by):
                    del made[id]
    held = RuleSet(rule for rule in made.values() if rule.by is None)
    for rule in made.values():  # what was handed on holds while who did so still might
        if rule.by is not None and held.may_hand_on(rule.by, rule):
            held = RuleSet((*held.rules, rule))
    return held


def _rule_of(entry: Entry) -> AccessRule | None:
    try:
        return AccessRule.from_dict(entry.body, by=entry.agent, created_at=entry.created_at)
    except InvalidValueError:
        if entry.agent is not None:
            return None
        id = entry.body.get("id")
        return AccessRule(
            action="deny",
            verbs=VERBS,
            agent="*",
            id=id if isinstance(id, str) else f"unreadable@{entry.version}",
            created_at=entry.created_at,
        )
