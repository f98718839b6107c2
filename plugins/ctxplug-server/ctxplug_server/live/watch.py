"""Watch: one namespace as somebody may see it, and what has changed in it since the last look."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ctxplug.access.guarding import sight_of
from ctxplug.access.rule import READ
from ctxplug.audit.entry import ENTRY
from ctxplug.audit.entry import STREAM as AUDIT
from ctxplug.memories.report import STREAM as MAINTENANCE
from ctxplug.scope import RESERVED, Namespace
from ctxplug.storage import Backend, Stream, Where
from ctxplug.tokens.usage_stream import SESSION as LEDGER
from ctxplug.tracing.recorder import trace_stream
from ctxplug_server.live.event import (
    MEMORIES,
    MESSAGES,
    SESSION,
    SESSIONS,
    STEPS,
    USAGE,
    LiveEvent,
)

MESSAGE = "message"  # kind of an entry
KEPT = 512  # events of one namespace that a reader who comes back can be told
LOOKED_AT = 32  # new entries of a log whose kinds are looked at
BEGAN, GONE = "began", "gone"
_OTHERS_TOO = (AUDIT, MAINTENANCE)  # logs of the whole namespace that tell of memories
# What an audit tells of that changes memories, whoever did it.
_ABOUT_MEMORIES = frozenset(
    {
        "remember", "capture", "supersede", "update", "promote", "forget", "import",
        "consolidate", "maintain", "archive", "unarchive", "erase", "write",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """What a write of this process did: to `session` (None: to memories), up to `version`."""

    session: str | None
    kind: str = ""
    version: int = 0


class Watch:
    """What is known of `namespace`; `backend` is the store as its readers may see it."""

    def __init__(self, backend: Backend, namespace: Namespace) -> None:
        self.namespace = namespace
        self.since = 0  # the number of the last event before those that are kept
        self.kept: deque[LiveEvent] = deque()
        self._backend = backend
        self._trace = trace_stream(namespace, "").session
        self._heads: dict[str, int] = {}
        self._memories: tuple[object, ...] = ()
        list(self.look())  # what there is already is no change

    def look(self) -> Iterator[LiveEvent]:
        """Yield what has changed since the last look, as events without a number."""
        heads = {one.session: one.version for one in self._backend.sessions(self.namespace)}
        before, self._heads = self._heads, heads
        known = self._memories
        self._memories = self._newest_memory()
        touched = self._memories != known
        for session, head in heads.items():
            old = before.get(session, 0)
            if head == old:
                continue
            if session == AUDIT:
                touched = touched or self._tells_of_memories(0 if head < old else old)
            elif session == MAINTENANCE:
                touched = True
            else:
                yield from self._grown(session, 0 if head < old else old, head)
        for session in before.keys() - heads.keys():
            if not session.startswith(RESERVED):
                yield LiveEvent(SESSIONS, self.namespace, session, 0, GONE)
        if touched:
            yield LiveEvent(MEMORIES, self.namespace)

    def told(self, written: Sequence[Written]) -> Iterator[LiveEvent]:
        """Yield what writes of this process have changed that is not known yet."""
        if not sight_of(self._backend, self.namespace).is_free(READ):
            yield from self.look()  # what its readers may not see is not there
            return
        touched = False
        for one in written:
            if one.session is None:
                touched = True
                continue
            old = self._heads.get(one.session, 0)
            if one.version <= old or (one.session in _OTHERS_TOO and one.version != old + 1):
                continue  # known, or the next look finds what others wrote before it
            self._heads[one.session] = one.version
            touched = touched or one.session == MAINTENANCE
            if one.session not in _OTHERS_TOO:
                yield from self._of_kinds(one.session, [one.kind], one.version, began=not old)
        if touched:
            self._memories = self._newest_memory()
            yield LiveEvent(MEMORIES, self.namespace)

    def keep(self, event: LiveEvent) -> None:
        """Keep an event for readers who come back; the oldest give way."""
        self.kept.append(event)
        while len(self.kept) > KEPT:
            self.since = self.kept.popleft().number

    # -- inside --------------------------------------------------------------------------

    def _grown(self, session: str, old: int, head: int) -> Iterator[LiveEvent]:
        if session.startswith(RESERVED):
            yield from self._of_kinds(session, (), head, began=False)
            return
        entries = self._backend.read(
            Stream(self.namespace, session), after=old, newest_first=True, limit=LOOKED_AT
        )
        kinds = [entry.kind for entry in entries]
        if len(kinds) == LOOKED_AT:  # further back there may be any
            kinds.append(MESSAGE)
        yield from self._of_kinds(session, kinds, head, began=not old)

    def _of_kinds(
        self, session: str, kinds: Iterable[str], head: int, *, began: bool
    ) -> Iterator[LiveEvent]:
        """Yield the events of a log that has come to the version `head` by entries of `kinds`."""
        if session.startswith(self._trace):
            yield LiveEvent(STEPS, self.namespace, session[len(self._trace) :], head)
        elif session == LEDGER:
            yield LiveEvent(USAGE, self.namespace)
        elif not session.startswith(RESERVED):
            if began:
                yield LiveEvent(SESSIONS, self.namespace, session, head, BEGAN)
            kinds = set(kinds)
            if MESSAGE in kinds:
                yield LiveEvent(MESSAGES, self.namespace, session, head)
            if kinds - {MESSAGE}:
                yield LiveEvent(SESSION, self.namespace, session, head)

    def _newest_memory(self) -> tuple[object, ...]:
        """Return what changes when a memory is added, where nothing is audited too."""
        found = self._backend.find(Where(self.namespace, not_kinds=(MESSAGE,)), limit=1)
        return tuple((record.id, record.created_at, record.content) for record in found)

    def _tells_of_memories(self, after: int) -> bool:
        entries = self._backend.read(
            Stream(self.namespace, AUDIT),
            after=after,
            newest_first=True,
            limit=LOOKED_AT,
            kinds=[ENTRY],
        )
        done = {name for entry in entries for name in _verbs(entry.body.get("payload", {}))}
        return len(entries) == LOOKED_AT or bool(done & _ABOUT_MEMORIES)


def _verbs(payload: object) -> Iterator[str]:
    """Yield what an audit entry says was done: its main verb, and what else went with it."""
    if isinstance(payload, dict):
        yield str(payload.get("what", ""))
        also = payload.get("data", {}).get("also", {})
        yield from map(str, also)
