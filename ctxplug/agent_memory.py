"""AgentMemory: the one object an agent holds."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from ctxplug.access.guarding import guarded
from ctxplug.access.verbs import AccessVerbs
from ctxplug.audit.verbs import AuditVerbs
from ctxplug.context.assembly import Request, Windows
from ctxplug.context.components import components
from ctxplug.context.policy import ContextPolicy, to_policy
from ctxplug.context.rebuilding import Rebuilding
from ctxplug.context.recalled import LEAST_LINE, recalled_block, stands_in
from ctxplug.context.recorded import Fingerprints, recorded, refused
from ctxplug.context.section_verbs import SectionVerbs
from ctxplug.context.sections import Section, Sections
from ctxplug.context.window import ContextWindow
from ctxplug.errors import (
    AccessError,
    BudgetError,
    ClosedError,
    InvalidMessageError,
    InvalidValueError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
)
from ctxplug.events import Event
from ctxplug.guards import Guards
from ctxplug.isolation import Observer
from ctxplug.memories.archive_verbs import ArchiveVerbs
from ctxplug.memories.care_verbs import CareVerbs
from ctxplug.memories.filters import best_of, distinct, where
from ctxplug.memories.maintenance_verbs import MaintenanceVerbs
from ctxplug.memories.verbs import MemoryVerbs
from ctxplug.messages import Message, Part
from ctxplug.plugins import Plugins, installed
from ctxplug.recall.recalled import Recalled
from ctxplug.recall.search import RecordSearch
from ctxplug.records import MemoryRecord, to_tags
from ctxplug.registry import Registry
from ctxplug.scope import Namespace, Scope, check_label, new_id, to_namespace, to_session
from ctxplug.sessions.log import SessionLog
from ctxplug.sessions.policy import SessionPolicy
from ctxplug.sessions.read_verbs import ReadVerbs
from ctxplug.sessions.verbs import SessionVerbs
from ctxplug.storage import Backend, Delete, Op, Stream
from ctxplug.storage.backend import record_ids
from ctxplug.storage.shared import acquire, release
from ctxplug.times import to_datetime
from ctxplug.tokens import TokenCounter
from ctxplug.tokens.calibration_log import CalibrationLog
from ctxplug.tokens.default import default_counter
from ctxplug.tokens.limits import UsageLimits
from ctxplug.tokens.prices import Prices
from ctxplug.tokens.usage_verbs import UsageVerbs
from ctxplug.tools.verbs import ToolVerbs, provider_dicts
from ctxplug.tracing.policy import TracePolicy
from ctxplug.tracing.span import Span
from ctxplug.tracing.step import REMEMBER, WINDOW
from ctxplug.tracing.verbs import FAILURES, TraceVerbs

if TYPE_CHECKING:  # loaded at first use: they would be a third of the time to import ctxplug
    from ctxplug.audit.policy import Audit
    from ctxplug.memories.capture import Capture
    from ctxplug.memories.policy import MemoryPolicy
    from ctxplug.recall.embedder import Embedder
    from ctxplug.recall.weights import RecallWeights
    from ctxplug.tools.policy import ToolPolicy
    from ctxplug.tools.tool import Tool
    from ctxplug.tracing.rerun import Rerun

SETTINGS = (  # that a memory beside another shares with it
    "counter",
    "budget",
    "policy",
    "model",
    "limits",
    "prices",
    "embedder",
    "capture",
    "memory_policy",
    "tool_policy",
    "session_policy",
    "trace",
    "audit",
    "plugins",
)
MOST_RECALLED = 500  # records looked at for one block


class AgentMemory(
    AccessVerbs,
    MemoryVerbs,
    MaintenanceVerbs,
    ArchiveVerbs,
    AuditVerbs,
    CareVerbs,
    ReadVerbs,
    SectionVerbs,
    SessionVerbs,
    ToolVerbs,
    TraceVerbs,
    UsageVerbs,
):
    """A session's log and a namespace's memories, and the window made from them.

    Open it with `AgentMemory.open`. Every verb has an a-twin: `await memory.aadd(...)`.
    Usable from any thread; a context manager closes it.
    """

    def __init__(
        self,
        backend: Backend,
        scope: Scope,
        *,
        counter: TokenCounter,
        budget: int,
        policy: ContextPolicy,
        model: str | None = None,
        limits: UsageLimits | None = None,
        prices: Prices | None = None,
        embedder: Embedder | None = None,
        capture: Literal["auto"] | None = None,
        memory_policy: MemoryPolicy | None = None,
        maintain_every: float | None = None,
        tool_policy: ToolPolicy | None = None,
        session_policy: SessionPolicy | None = None,
        trace: TracePolicy | float | bool | None = None,
        audit: Audit = None,
        plugins: Plugins,
        shared: bool = False,
    ) -> None:
        given = dict(locals())
        opened_on, backend = backend, guarded(self._unaudited(backend), scope.agent)
        self.backend = backend = self._audited(backend, opened_on, scope, audit, plugins)
        self.scope = scope
        self.budget = _positive(budget, "budget")
        self.model = model
        self.counter = counter
        self.policy = policy
        stream = Stream(scope.namespace, scope.session)
        self._registry = Registry(plugins)
        parts = components(policy, counter, self._registry)
        self._log = SessionLog(backend, stream, counter, scope.agent, parts.shape)
        self.session = self._session_of(self._log, session_policy)
        self._windows = Windows(
            backend, stream, counter, policy, parts, self._log.logged, self._trace_compaction
        )
        self._prices, self._limits = prices, limits
        self._calibration = CalibrationLog(
            backend, scope.namespace, model or "unknown", counter.name
        )
        self._last_tokens = 0
        self._guards = Guards(plugins)
        past = Rebuilding(backend, counter, policy, parts, self._registry, self._log.logged)
        self._trace_by(trace, past.rebuilt)
        self._fingerprints, self._system = Fingerprints(), Message("system")
        self._observers = [Observer(i) for i in plugins.implementations("on_event")]
        self._search = RecordSearch(backend, scope.namespace, embedder, self._tell)
        self._live_by(memory_policy)
        self._run_by(tool_policy)
        self._capture = self._to_capture(capture)
        self._closed = False
        self._maintain_every(maintain_every)
        self._settings = {name: given[name] for name in SETTINGS}
        self._beside: AgentMemory | None = None
        self.opened_with: Mapping[str, Any] = {}  # what `open` was given
        self._release = weakref.finalize(self, release, opened_on) if shared else None
        self._audit_reads()

    @classmethod
    def open(
        cls,
        target: str | os.PathLike[str] | Backend = "memory:",
        *,
        namespace: str | Iterable[str],
        session: str | None = None,
        agent: str | None = None,
        budget: int = 8_000,
        model: str | None = None,
        policy: str | ContextPolicy = "balanced",
        counter: str | TokenCounter | None = None,
        embedder: str | Embedder | None = None,
        capture: Literal["auto"] | None = None,
        memory_policy: MemoryPolicy | None = None,
        maintain_every: float | None = None,
        tool_policy: ToolPolicy | None = None,
        session_policy: SessionPolicy | None = None,
        trace: TracePolicy | float | bool | None = None,
        audit: Audit = None,
        limits: UsageLimits | None = None,
        prices: Prices | None = None,
        plugins: Plugins | None = None,
    ) -> AgentMemory:
        """Open a memory at a path, a spec such as "sqlite:///agent.db", or on a backend.

        `namespace` separates users and is required; `session` is one conversation, a new
        one when left out; `budget` is in tokens of one model call's whole input; `model`
        picks the token counter unless `counter` names one; `policy` is "aggressive",
        "balanced", "conservative", "question" or a ContextPolicy; `embedder`, such as
        "wordllama", lets recall find by meaning too; `capture="auto"` makes memories of what
        users say of themselves, by rules; `memory_policy` says how memories live, and
        `maintain_every` at which interval, in seconds, they are maintained in the background;
        `tool_policy` says which tools may run, and how; `session_policy` when sessions are idle
        or expired, and how long they are kept; `trace` which steps are kept (all; a
        share, such as 0.1; False: none), `audit` what is audited (changes; "all", an AuditPolicy,
        or False); `limits` hold for the namespace's spending, at `prices`.
        Raises InvalidNamespaceError, UnknownComponentError, EmbedderChangedError (see
        `reindex`), or what the backend raises when it cannot be opened.
        """
        given = {name: value for name, value in locals().items() if name != "cls"}
        plugins = plugins or installed()
        registry = Registry(plugins)
        scope = _scope(to_namespace(namespace), session, agent)
        chosen = registry.resolve("token counter", counter) if counter else None
        chosen = chosen or default_counter(model, registry)
        _positive(budget, "budget")
        prices = prices or Prices()
        shared = not isinstance(target, Backend)
        backend = target if isinstance(target, Backend) else acquire(target, registry)
        try:
            memory = cls(
                backend,
                scope,
                counter=chosen,
                budget=budget,
                policy=to_policy(policy, prices.ratios_of(model)),
                model=model,
                limits=limits,
                prices=prices,
                embedder=registry.resolve("embedder", embedder),
                capture=capture,
                memory_policy=memory_policy,
                maintain_every=maintain_every,
                tool_policy=tool_policy,
                session_policy=session_policy,
                trace=trace,
                audit=audit,
                plugins=plugins,
                shared=shared,
            )
        except BaseException:
            if shared:
                release(backend)
            raise
        memory.opened_with = given if shared else {**given, "target": memory.backend}
        return memory

    def beside(
        self,
        *,
        session: str | None = None,
        namespace: str | Iterable[str] | None = None,
        agent: str | None = None,
        budget: int | None = None,
        policy: str | ContextPolicy | None = None,
    ) -> AgentMemory:
        """Return a memory of another session or namespace on this one's store.

        What is left out is as here, but the session, which is a new one. It lives no longer
        than this memory is open, and is maintained by `maintain`, never in the background.
        """
        self._refuse_closed()
        changes: dict[str, Any] = {} if budget is None else {"budget": budget}
        if policy is not None:
            ratios = (self._prices or Prices()).ratios_of(self.model)
            changes["policy"] = to_policy(policy, ratios)
        scope = _scope(
            self.scope.namespace if namespace is None else to_namespace(namespace),
            session,
            self.scope.agent if agent is None else agent,
        )
        memory = AgentMemory(self.backend, scope, **{**self._settings, **changes})
        memory.sections = Sections(self.sections)
        memory._beside = self  # the store is closed with the last that was opened
        memory.trace.join(self.trace)
        memory.opened_with = self.opened_with
        return memory

    @property
    def plugins(self) -> Plugins:
        """The plugins it was opened with, for what is stored beside it by the same rules."""
        plugins: Plugins = self._settings["plugins"]
        return plugins

    @property
    def redacts(self) -> bool:
        """Whether plugins may change what is added before it is stored."""
        return self._guards.redacts

    # -- the log ---------------------------------------------------------------------

    def add(
        self,
        message: Message | str,
        content: str | Part | Iterable[Part] | None = None,
        **fields: Any,
    ) -> Message:
        """Store one message durably and return it as stored.

        Give a Message, or a role and its content with the keywords of Message (name,
        created_at, metadata, priority, pinned).
        """
        if not isinstance(message, Message):
            message = Message(message, () if content is None else content, **fields)
        elif content is not None or fields:
            raise InvalidMessageError(
                "add takes a Message alone, or a role, its content and keywords; use"
                " dataclasses.replace to change a Message."
            )
        return self.extend([message])[0]

    def extend(self, messages: Iterable[Message]) -> list[Message]:
        """Store several messages in one atomic write and return them as stored."""
        return self._add(messages)

    def _add(self, messages: Iterable[Message], first: Sequence[Op] = ()) -> list[Message]:
        """Store `messages` behind the operations of `first`, in one write with them."""
        self._refuse_closed()
        stored = [self._guards.redact_message(_message(m), self.scope) for m in messages]
        self._require_open(stored, look=bool(first) or not stored)
        appends = [self._log.append(message) for message in stored]
        if any(message.role == "user" for message in stored):
            self.trace.begin_turn()
        captured = self._capture(stored) if self._capture else None
        then = captured.ops if captured else ()
        versions = self._write_open(stored, first, appends, then)
        for message, version in zip(stored, versions[len(first) :], strict=False):
            self._tell("message.added", id=message.id, role=message.role, version=version)
        if captured and self._capture:
            self._capture.written(captured)
            captured.tell(self._tell)
        return stored

    def context(
        self,
        query: str | None = None,
        *,
        budget: int | None = None,
        system: str | Message | None = None,
        tools: Iterable[Mapping[str, Any] | Tool] = (),
        reserved: int = 0,
        sections: Iterable[Section | str] | None = None,
    ) -> ContextWindow:
        """Return the window for the next model call.

        `system`, `tools` (provider dicts, or ours) and `reserved` tokens count against `budget`.
        With `query`, what is recalled for it joins the current user turn as marked data.
        `sections` are taken in place of those of `memory.sections`. Raises BudgetError when the
        current turn cannot fit, EmptyContextError without a user message.
        """
        self._refuse_closed()
        request = Request(
            budget=self.budget if budget is None else _positive(budget, "budget"),
            system=self._said(system) if isinstance(system, str) else system,
            tools=provider_dicts(tools),
            margin=self._calibration.current().margin_on(self.counter.margin),
            query=query,
            reserved=_positive(reserved, "reserved") if reserved else 0,
        )
        with self.trace.opened(WINDOW, self.policy.name) as step:
            if query:
                step.data["query"] = query
            given = self._given(query, sections, self.session.log)
            window = self._assembled(replace(request, sections=given), step)
            if self.trace.keeps(step):
                found, step.parts = recorded(window, self._fingerprints)
                step.tokens, step.data = window.tokens, {**step.data, **found}
        self._last_tokens, self._sent_at = window.tokens, perf_counter()
        self._tell("context.assembled", tokens=window.tokens, budget=request.budget)
        return window

    def _assembled(self, request: Request, step: Span) -> ContextWindow:
        query = request.query
        try:
            window = self._windows.window(request, partial(self._block, query) if query else None)
        except BudgetError as exc:
            names = {"counter": self.counter.name, "policy": self.policy.name}
            told, step.parts = refused(request, exc, head=self.session.head, **names)
            step.data.update(told)
            raise
        if query and self._search.failure:
            note = f"recall went by keyword alone: {self._search.failure}"
            report = replace(window.report, notes=(*window.report.notes, note))
            window = replace(window, report=report)
        return window

    def _said(self, system: str) -> Message:
        """Return the system message of that text, the same one as before while it stays so."""
        if self._system.text != system:
            self._system = Message("system", system)
        return self._system

    # -- memories --------------------------------------------------------------------

    def remember(
        self,
        content: str,
        *,
        kind: str = "fact",
        importance: float = 0.5,
        tags: Iterable[str] | str | None = None,
        metadata: Mapping[str, Any] | None = None,
        ttl: timedelta | float | None = None,
        origin: str = "user",
        supersedes: Iterable[str] | str = (),
        valid_from: datetime | str | float | None = None,
    ) -> MemoryRecord:
        """Store a memory for all sessions of the namespace, in the tier its policy says.

        `ttl`, in seconds, wins over the tier's retention. From `valid_from` (now) on it
        holds in place of those it `supersedes`, or contradicts with certainty; they are kept.
        `origin` says whose word it is: "user", "assistant", "model", "tool:NAME" or
        "document"; the record's `trust` follows from it. Raises NotFoundError for an unknown
        id, GuardError if a plugin refuses it; nothing is stored then.
        """
        self._refuse_closed()
        from ctxplug.memories.remember import new_memory

        record = new_memory(
            content,
            self.scope,
            datetime.now(UTC),
            kind=kind,
            importance=importance,
            tags=tags,
            metadata=metadata,
            ttl=ttl,
            origin=origin,
            valid_from=None if valid_from is None else to_datetime(valid_from),
            policy=self.memory_policy,
        )
        with self.trace.opened(REMEMBER, "remember") as step:
            record = self._placed(self._admitted(record), to_tags(supersedes))
            step.data = {"id": record.id, "kind": record.kind, "tier": record.tier}
        self._tell("memory.remembered", id=record.id, kind=record.kind, tier=record.tier)
        return record

    def recall(
        self,
        query: str,
        *,
        k: int = 10,
        kinds: Iterable[str] | str | None = None,
        tags: Iterable[str] | str | None = None,
        session: str | None = None,
        agent: str | None = None,
        since: datetime | str | float | None = None,
        until: datetime | str | float | None = None,
        valid_at: datetime | str | float | None = None,
        include_superseded: bool = False,
        metadata: Mapping[str, Any] | None = None,
        weights: RecallWeights | None = None,
    ) -> list[Recalled]:
        """Return the `k` best memories and messages of the namespace for `query`.

        Messages come back as records of kind "message", those beside a match among them.
        `tags` must all be present, `metadata` equal; `since` <= created_at < `until`;
        `valid_at` asks for what held then, `include_superseded` for all that ever held,
        instead of what holds now. `why` shows the parts of a score, named as RecallWeights.
        """
        self._refuse_closed()
        filter_by = where(
            self.scope.namespace,
            self._renewed(),
            kinds=kinds,
            tags=tags,
            session=session,
            agent=agent,
            since=since,
            until=until,
            valid_at=valid_at,
            include_superseded=include_superseded,
            metadata=metadata,
        )
        with self._trace_recall(query, k) as step:
            found = best_of(partial(self._search.ranked, query, filter_by, weights=weights), k)
            records = [one.record for one in found]
            step.data["found"] = [record.id for record in records]
        self._note_recall(query, records)
        return found

    def forget(self, record_id: str) -> None:
        """Remove one memory; raise NotFoundError if this namespace has none of that id.

        Forgetting a message takes it out of recall; the log keeps it until `erase`.
        """
        self._refuse_closed()
        with self.trace.opened(REMEMBER, "forget", data={"id": record_id}):
            if not self._write(Delete(self.scope.namespace, record_id))[0]:
                raise NotFoundError(
                    f"There is no memory {record_id!r} in this namespace; recall lists the ids."
                )
        self._tell("memory.forgotten", id=record_id)

    # -- care ------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the store; the last memory to do so closes it. May be called twice."""
        if self._closed:
            return
        if self._upkeep is not None:
            self._upkeep.stop()
        with suppress(AccessError, ClosedError):  # a fork may outlast what it was forked from
            if not self.backend.head(self._log.stream):
                self.trace.forget()  # nothing was said here: what was looked at begins no session
        with suppress(ReadOnlyError, ClosedError):  # access counts are not worth more than that
            self._write()
            self.trace.flush()
        with suppress(ClosedError):
            self._seal_audit()
        self._closed = True
        for observer in self._observers:
            observer.flush()
        self.trace.close()
        if self._release is not None:
            self._release()

    def __enter__(self) -> AgentMemory:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<AgentMemory {'/'.join(self.scope.namespace)!r} session {self.scope.session!r}>"

    # -- a-twins: each runs its verb as one unit on the backend's workers -------------

    @classmethod
    async def aopen(cls, *args: Any, **options: Any) -> AgentMemory:
        """Async twin of `open`."""
        import asyncio

        return await asyncio.to_thread(partial(cls.open, *args, **options))

    async def aadd(
        self,
        message: Message | str,
        content: str | Part | Iterable[Part] | None = None,
        **fields: Any,
    ) -> Message:
        """Async twin of `add`."""
        return await self.backend.arun(partial(self.add, message, content, **fields))

    async def aextend(self, messages: Iterable[Message]) -> list[Message]:
        """Async twin of `extend`."""
        return await self.backend.arun(partial(self.extend, list(messages)))

    async def acontext(self, query: str | None = None, **options: Any) -> ContextWindow:
        """Async twin of `context`."""
        return await self.backend.arun(partial(self.context, query, **options))

    async def aremember(self, content: str, **options: Any) -> MemoryRecord:
        """Async twin of `remember`."""
        return await self.backend.arun(partial(self.remember, content, **options))

    async def arecall(self, query: str, **options: Any) -> list[Recalled]:
        """Async twin of `recall`."""
        return await self.backend.arun(partial(self.recall, query, **options))

    async def aforget(self, record_id: str) -> None:
        """Async twin of `forget`."""
        await self.backend.arun(partial(self.forget, record_id))

    async def aclose(self) -> None:
        """Async twin of `close`."""
        import asyncio

        await asyncio.to_thread(self.close)

    async def __aenter__(self) -> AgentMemory:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    # -- inside ----------------------------------------------------------------------

    def _to_capture(self, capture: str | None) -> Capture | None:
        if capture is None:
            return None
        if capture != "auto":
            raise InvalidValueError(f'capture is "auto" or None, not {capture!r}.', path="capture")
        from ctxplug.memories.capture import Capture
        from ctxplug.memories.remember import new_memory

        make = partial(new_memory, policy=self.memory_policy)
        return Capture(self.backend, self.scope, self._admitted, make)

    def _write(self, *ops: Op) -> list[int]:
        """Write `ops`, and with them the access counts that recall left waiting."""
        taken, steps = self._accesses.take(), self.trace.take()
        waited: list[Op] = [*(touch for touch, _ in taken), *self.trace.ops(steps)]
        try:
            done = self.backend.write(*ops, *waited) if ops or waited else []
        except BaseException:
            self._accesses.put_back(taken)
            self.trace.put_back(steps)
            raise
        first, end = len(ops) + len(taken), len(ops) + len(waited)
        self.trace.stored(steps, waited, done[first:end])
        self._search.written(ops)
        return done[: len(ops)]

    def _block(
        self, query: str, present: frozenset[int], said: str, tokens: int
    ) -> tuple[str, tuple[str, ...]]:
        """Return the text of what is recalled for `query` beyond what the window holds.

        `present` are the versions of messages in it, `said` is what sections say.
        """
        here = record_ids(self.backend, self._log.stream, present)
        limit = self.policy.recall_limit
        most = tokens // LEAST_LINE if limit is None else 2 * limit
        holds_now = where(self.scope.namespace, self._renewed())
        k, complete = min(most, MOST_RECALLED), limit is None
        with self._trace_recall(query) as step:
            found = self._search.ranked(query, holds_now, k, complete=complete, without=here)
            fresh = [one for one in distinct(found) if not stands_in(said, one.record.content)]
            text, ids = recalled_block(fresh, self.counter, tokens, limit)
            step.data["found"], step.tokens = list(ids), self.counter.count_text(text)
        self._note_recall(query, [one.record for one in fresh if one.record.id in ids])
        return text, ids

    def _forget_read(self) -> None:
        """Forget what was read of the log: it was erased."""
        self._windows.reset()
        self._gate.forget()
        self.trace.forget()

    def _rerun(self, **settings: Any) -> Rerun:
        from ctxplug.rerun import rerun_session

        return rerun_session(self, **settings)

    def _renewed(self) -> datetime:
        """Return the time, after writing accesses without which something would expire."""
        now = datetime.now(UTC)
        if self._accesses.due(now):
            with suppress(StorageError):  # a disk that is full can still be read
                self._write()
        return now

    def _note_recall(self, query: str, found: Sequence[MemoryRecord]) -> None:
        self._accesses.note(found, datetime.now(UTC))
        self._tell("memory.recalled", query=query, found=[record.id for record in found])

    def _tell(self, kind: str, /, **data: Any) -> None:
        if kind in FAILURES:
            self._trace_failure(kind, data)
        if self._observers:
            event = Event(kind, self.scope, datetime.now(UTC), data)
            for observer in self._observers:
                observer.notify(event)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ClosedError(f"{self!r} was closed; open it again with AgentMemory.open.")


def _scope(namespace: Namespace, session: str | None, agent: str | None) -> Scope:
    return Scope(
        namespace,
        new_id() if session is None else to_session(session),
        None if agent is None else check_label(agent, "agent"),
    )


def _message(value: Any) -> Message:
    if isinstance(value, Message):
        return value
    raise InvalidMessageError(
        f"extend takes Messages, not {type(value).__name__}; provider dicts go through"
        " Message.from_openai or Message.from_anthropic."
    )


def _positive(value: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise InvalidValueError(
            f"{name} is a number of tokens above zero, not {value!r}.", path=name
        )
    return value
