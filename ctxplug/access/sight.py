"""Sight: what agents may do in one namespace, for as long as one operation takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from ctxplug.access.rule import READ, SHARE, WRITE
from ctxplug.access.ruleset import RuleSet
from ctxplug.errors import AccessError
from ctxplug.records import MemoryRecord
from ctxplug.scope import RESERVED, Namespace, namespace_key
from ctxplug.storage import Backend, Stream, Where

MESSAGE = "message"
OWN, MERGED = "ctxplug", "merged"  # where a memory keeps those that were merged into it
RULES = f"{RESERVED}access"
AUDIT = f"{RESERVED}audit"
TRACE = f"{RESERVED}trace:"
OPEN = frozenset({f"{RESERVED}usage", f"{RESERVED}calibration"})
WHOLE = frozenset({RULES, AUDIT, f"{RESERVED}maintenance"})  # logs of the whole namespace
_REF = re.compile(r"(?:summary:)?(.+)@\d+(?:-\d+)?\Z", re.DOTALL)

Part: TypeAlias = tuple[str, str | None, tuple[str, ...]]  # session, kind (None: a log), tags
RuleClass: TypeAlias = frozenset[tuple[frozenset[str], frozenset[frozenset[str]]]]


class Sight:
    """What `agents` together may do in `namespace` of `store`, by `rules`."""

    def __init__(
        self, store: Backend, namespace: Namespace, rules: RuleSet, agents: tuple[str, ...]
    ) -> None:
        self.store = store
        self.namespace = namespace
        self.rules = rules
        self.agents = agents
        self._past: dict[str, list[str]] = {}
        self._parts: dict[tuple[str, Part], bool] = {}

    def is_free(self, *verbs: str) -> bool:
        """Say whether nothing of the namespace is kept from the agents."""
        return not self.rules or all(
            self.rules.is_free(agent, verb) for agent in self.agents for verb in verbs
        )

    def may(self, verb: str, session: str) -> bool:
        """Say whether they may do `verb` with the log of `session`."""
        if session in OPEN:
            return True
        if session in WHOLE:
            return self.is_free(SHARE if session == RULES else verb)
        return self._may_part(verb, (governing(session), None, ()))

    def may_record(self, verb: str, record: MemoryRecord) -> bool:
        """Say whether they may do `verb` with a record, and all that was merged into it."""
        return all(self._may_part(verb, part) for part in parts_of(record))

    def may_memory(self, verb: str, session: str, kind: str, tags: tuple[str, ...]) -> bool:
        """Say whether they may do `verb` with a memory of this kind, made in `session`."""
        return self._may_part(verb, (session, kind, tags))

    def may_name(self, session: str, verb: str = WRITE) -> bool:
        """Say whether they may do `verb` with what is newly called `session`, whatever its past."""
        return all(self.rules.allows(agent, verb, session) for agent in self.agents)

    def sees(self, records: Iterable[MemoryRecord]) -> list[MemoryRecord]:
        """Return those of `records` that may be read."""
        return [record for record in records if self.may_record(READ, record)]

    def seen_ids(self, ids: Iterable[str]) -> set[str]:
        """Return those of `ids` whose stored records may be read."""
        found = self.store.find(Where(self.namespace, ids=list(ids)))
        return {record.id for record in self.sees(found)}

    def require(self, verb: str, session: str) -> None:
        """Raise AccessError unless they may do `verb` with the log of `session`."""
        if not self.may(verb, session):
            raise self.refusal(verb, session)

    def require_all(self, *verbs: str) -> None:
        """Raise AccessError unless they may do `verbs` with all of the namespace."""
        for verb in verbs:
            if not self.is_free(verb):
                raise self.refusal(verb)

    def refusal(self, verb: str, session: str | None = None, what: str = "") -> AccessError:
        """Return the error for a `verb` that they may not do."""
        agent = self._who(verb, session)
        space = namespace_key(self.namespace)
        if not what:
            what = "all of the namespace" if session is None else f"the session {session!r}"
        return AccessError(
            f"The agent {agent!r} may not {verb} {what} (in {space!r}): an access rule denies it,"
            " or allows it to others alone. Whoever opens the memory without an agent may change"
            " that: see memory.access.rules() and grant, or `ctxplug access list`.",
            agent=agent,
            verb=verb,
            session=session,
        )

    def class_of(self, record: MemoryRecord) -> RuleClass:
        """Return which rules are about a record: what they allow for it, they do for its like."""
        return frozenset(
            (
                self.rules.about(session, kind, tags),
                frozenset(self.rules.about(past, kind, tags) for past in self._past_of(session)),
            )
            for session, kind, tags in parts_of(record)
        )

    # -- inside --------------------------------------------------------------------------

    def _may_part(self, verb: str, part: Part) -> bool:
        known = self._parts.get((verb, part))
        if known is None:
            known = self._parts[verb, part] = self._decide(verb, *part)
        return known

    def _decide(self, verb: str, session: str, kind: str | None, tags: tuple[str, ...]) -> bool:
        past = SHARE if verb == SHARE else READ  # of what a fork goes on from
        asked = [(verb, session), *((past, name) for name in self._past_of(session))]
        return all(
            self.rules.allows(agent, one, name, kind, tags)
            for one, name in asked
            for agent in self.agents
        )

    def _past_of(self, session: str) -> list[str]:
        """Return the sessions that `session` was forked from; none of what is no session."""
        if not session or "fork" not in self.store.capabilities:
            return []
        if session not in self._past:
            line = self.store.lineage(Stream(self.namespace, session))
            self._past[session] = [name for name, _ in line[:-1]]
        return self._past[session]

    def _who(self, verb: str, session: str | None) -> str:
        """Return the first of the agents that may not."""
        for agent in self.agents:
            one = Sight(self.store, self.namespace, self.rules, (agent,))
            if not (one.is_free(verb) if session is None else one.may(verb, session)):
                return agent
        return self.agents[-1]


def governing(session: str) -> str:
    """Return the session whose rules hold for a log: `ctxplug:trace:trip` is trip's."""
    what, _, name = session.removeprefix(RESERVED).partition(":")
    return name if name and what and session.startswith(RESERVED) else session


def parts_of(record: MemoryRecord) -> Iterator[Part]:
    """Yield what decides about a record: where it was made, and what was merged into it."""
    kind = None if record.kind == MESSAGE else record.kind
    tags = record.tags if kind else ()
    yield record.session or "", kind, tags
    for ref in (record.id, *(record.sources if kind else ())):
        match = _REF.match(ref) if "@" in ref else None
        if match and match[1] != record.session:
            yield match[1], kind, tags
    own = record.metadata.get(OWN)
    for one in own.get(MERGED, ()) if isinstance(own, Mapping) else ():
        yield one.get("session") or "", str(one.get("kind")), tuple(one.get("tags", ()))
