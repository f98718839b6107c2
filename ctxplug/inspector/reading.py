"""Reading: all that the inspector shows of a store, as plain data. It never writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxplug.errors import CtxplugError
from ctxplug.inspector.outline import MESSAGE, Outline, line_of
from ctxplug.inspector.past import REMEMBERED, PastWindows
from ctxplug.memories.filters import best_of, where
from ctxplug.messages import Message
from ctxplug.recall.recalled import Recalled
from ctxplug.records import MemoryRecord
from ctxplug.registry import Registry
from ctxplug.scope import Namespace, namespace_key
from ctxplug.sessions.info import info_of
from ctxplug.sessions.log import given
from ctxplug.sessions.policy import SessionPolicy
from ctxplug.storage import Backend, SessionInfo, Stream, conversations
from ctxplug.tokens import TokenCounter
from ctxplug.tokens.default import default_counter
from ctxplug.tracing.reading import read_steps
from ctxplug.tracing.step import Step

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.recall.embedder import Embedder
    from ctxplug.tracing.analysis import Analysis

LOOKED_THROUGH = 1_000  # messages among which those that a memory was made from are looked for
COUNTED = 20_000  # entries of a session that are read to count its turns


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session in a list: `version` is that of its newest entry, `forked` where it began."""

    namespace: Namespace
    session: str
    version: int
    created_at: datetime
    updated_at: datetime
    parent: str | None = None
    forked: int = 0

    @property
    def where(self) -> str:
        """Its namespace as a path."""
        return namespace_key(self.namespace)


@dataclass(frozen=True, slots=True)
class Size:
    """The state of a session, and how long it is, if it was read to its end (`whole`)."""

    state: str
    messages: int
    turns: int
    tokens: int
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """A memory in a list, with the parts of its score where it was searched for."""

    record: MemoryRecord
    score: float | None = None
    why: Mapping[str, float] | None = None


class Reading:
    """What there is in the store `backend`; `model` picks the counter where the log does not."""

    def __init__(
        self,
        backend: Backend,
        registry: Registry,
        *,
        model: str | None = None,
        embedder: Embedder | None = None,
        only: Iterable[Namespace] | None = None,
    ) -> None:
        self._backend = backend
        self._registry = registry
        self._model = model
        self._embedder = embedder
        self._only = None if only is None else list(only)
        self._counters: dict[str, TokenCounter] = {}

    # -- sessions ------------------------------------------------------------------------

    def namespaces(self) -> list[Namespace]:
        """Return whose memories there are."""
        return self._backend.namespaces() if self._only is None else self._only

    def sessions(self, namespace: Namespace) -> list[SessionRow]:
        """Return the conversations of a namespace, what was spoken last first."""
        infos = conversations(self._backend, namespace)
        infos.sort(key=lambda info: info.updated_at, reverse=True)
        return [_row(namespace, info) for info in infos]

    def head(self, row: SessionRow) -> int:
        """Return the newest version of a session."""
        return self._backend.head(Stream(row.namespace, row.session))

    def size(self, row: SessionRow) -> Size:
        """Count the turns and tokens of a session, as far as that is quick."""
        outline = self.outline(row)
        while outline.read() and len(outline.rows) < COUNTED:
            pass
        tokens = sum(getattr(one, "tokens", 0) for one in outline.rows)
        state = self._state(row)
        return Size(state, outline.messages, outline.turns, tokens, outline.complete)

    # -- one conversation ----------------------------------------------------------------

    def outline(self, row: SessionRow) -> Outline:
        """Return the outline of a session, of which nothing is read yet."""
        stream = Stream(row.namespace, row.session)
        return Outline(self._backend, stream, self.counter(stream))

    def windows(
        self,
        outline: Outline,
        steps: Sequence[Step],
        *,
        budget: int | None = None,
        policy: str | None = None,
        remembered: int = REMEMBERED,
    ) -> PastWindows:
        """Return the windows of a session whose outline is read; `steps` are what was traced."""
        stream = outline.stream
        return PastWindows(
            self._backend,
            outline,
            steps,
            self.counter(stream),
            self._registry,
            budget=budget,
            policy=policy,
            remembered=remembered,
        )

    def steps(self, stream: Stream) -> list[Step]:
        """Return what was traced of a session, its past in other sessions included."""
        lineage = self._backend.lineage(stream)
        found: list[Step] = []
        for session, last in lineage:
            steps = read_steps(self._backend, stream.namespace, session)
            own = session == stream.session
            found += steps if own else [one for one in steps if _head(one) <= last]
        return sorted(found, key=lambda step: step.started_at)

    def analysis(self, outline: Outline, steps: Sequence[Step]) -> Analysis:
        """Return what `memory.trace.analyze` finds in a session whose outline is read."""
        from ctxplug.tracing.analysis import analyze
        from ctxplug.tracing.analysis.of_session import SessionSubject

        stream = outline.stream
        remade = self.windows(outline, steps).remade
        return analyze(SessionSubject(self._backend, stream.namespace, stream.session, remade))

    def message(self, stream: Stream, version: int) -> Message | None:
        """Return the message `version` as it was given."""
        entries = self._backend.read(stream, after=version - 1, before=version + 1, kinds=[MESSAGE])
        return given(entries[0]) if entries else None

    def counter(self, stream: Stream) -> TokenCounter:
        """Return the counter that the log was counted with, or that of the model."""
        entries = self._backend.read(stream, limit=1, newest_first=True, kinds=[MESSAGE])
        names = list(entries[0].body.get("tokens", ())) if entries else []
        name = names[0] if names and self._model is None else ""
        if name not in self._counters:
            self._counters[name] = self._resolved(name)
        return self._counters[name]

    # -- memories ------------------------------------------------------------------------

    def memories(self, namespace: Namespace, *, limit: int, offset: int = 0) -> list[Found]:
        """Return memories, newest first, what is superseded or was held only then included."""
        filter_by = where(
            namespace, datetime.now(UTC), include_superseded=True, not_kinds=[MESSAGE]
        )
        records = self._backend.find(filter_by, limit=limit, offset=offset)
        return [Found(record) for record in records]

    def search(self, namespace: Namespace, query: str, k: int = 50) -> list[Found]:
        """Return the memories and messages that recall would find, best first, and why."""
        from ctxplug.recall.ranking import recall

        options: dict[str, Any] = {}
        if self._embedder is not None:
            from ctxplug.recall.meaning import Meaning

            options["meaning"] = Meaning(self._vector_of, self._embedder.name)
        rank: Callable[[int], list[Recalled]] = partial(
            recall, self._backend, query, where(namespace, datetime.now(UTC)), **options
        )
        return [Found(one.record, one.score, one.why) for one in best_of(rank, k)]

    def sources(self, record: MemoryRecord, most: int = 8) -> list[str]:
        """Return what a memory was made from: other memories, or messages of its session."""
        said: dict[str, str] = {}
        if record.session and record.sources:
            stream = Stream(record.namespace, record.session)
            for entry in self._backend.read(
                stream, kinds=[MESSAGE], newest_first=True, limit=LOOKED_THROUGH
            ):
                message = given(entry)
                if message.id in record.sources:
                    said[message.id] = f"@{entry.version} {line_of(message)}"
        found: list[str] = []
        for id in record.sources[:most]:
            other = None if id in said else self._backend.get(record.namespace, id)
            found.append(said.get(id) or (other.content if other else id))
        return found

    # -- inside --------------------------------------------------------------------------

    def _resolved(self, name: str) -> TokenCounter:
        if name:
            try:
                found: TokenCounter = self._registry.resolve("token counter", name)
                return found
            except CtxplugError:  # not on this machine
                pass
        return default_counter(self._model, self._registry)

    def _vector_of(self, text: str) -> Any:
        return self._embedder.embed([text]) if self._embedder else None

    def _state(self, row: SessionRow) -> str:
        info = SessionInfo(
            row.session, row.version, row.created_at, row.updated_at, 0, row.parent, row.forked
        )
        now = datetime.now(UTC)
        return info_of(self._backend, row.namespace, info, SessionPolicy(), now).state


def _row(namespace: Namespace, info: SessionInfo) -> SessionRow:
    return SessionRow(
        namespace,
        info.session,
        info.version,
        info.created_at,
        info.updated_at,
        info.parent,
        info.forked,
    )


def _head(step: Step) -> int:
    """Return the version that a step says it knew; steps that say nothing count as early."""
    head = step.data.get("head", 0)
    return head if isinstance(head, int) else 0
