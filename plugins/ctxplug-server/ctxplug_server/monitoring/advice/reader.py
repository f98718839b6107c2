"""Reader: gathers the evidence from a store; it writes nothing, and bounds what it reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar

from ctxplug import AgentMemory
from ctxplug.access.guarding import guarded
from ctxplug.errors import CtxplugError
from ctxplug.memories.report import STREAM, reports_of
from ctxplug.messages import Logged, Message
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace, namespace_key
from ctxplug.sessions.info import info_of
from ctxplug.sessions.policy import SessionPolicy
from ctxplug.storage import Backend, SessionInfo, Stream, Where, conversations
from ctxplug.tokens.prices import Prices
from ctxplug.tracing.analysis import Finding, Recorded
from ctxplug.tracing.analysis.cache_breaks import cache_breaks
from ctxplug.tracing.analysis.calls import read
from ctxplug.tracing.analysis.hot_spots import hot_spots
from ctxplug.tracing.analysis.recalls import recalls
from ctxplug.tracing.analysis.retry_loops import retry_loops
from ctxplug.tracing.analysis.slow_steps import slow_steps
from ctxplug.tracing.reading import newest_steps
from ctxplug.tracing.rerun import Rerun
from ctxplug.tracing.step import MODEL, WINDOW, Step
from ctxplug_server.monitoring.advice.evidence import Evidence, SessionSeen

T = TypeVar("T")
SESSIONS = 20  # the newest, whose steps are looked at
LISTED = 2_000  # whose state is looked at
STEPS = 4_000  # of one session, the newest
HISTORY = 1_500  # steps of other sessions, to compare with
ENTRIES = 20_000  # of one log, above which its messages are not read
RECORDS = 10_000
CALLS = 300  # of one session that is made again
POLICIES = ("aggressive", "balanced", "conservative")
MESSAGE = "message"
# What is asked of each session; none of it makes past windows again.
QUESTIONS = (cache_breaks, hot_spots, recalls, retry_loops, slow_steps)


class Reader:
    """Reads `backend` as `agent` may see it; `reruns` sessions are made again by other policies."""

    def __init__(
        self,
        backend: Backend,
        *,
        agent: str | None = None,
        reruns: int = 0,
        prices: Prices | None = None,
        now: datetime | None = None,
    ) -> None:
        self._backend = guarded(backend, agent)
        self._agent = agent
        self._reruns = reruns
        self._prices = prices or Prices()
        self._now = now or datetime.now(UTC)
        self._notes: list[str] = []

    def read(self, namespace: Namespace) -> Evidence:
        """Return the evidence of one namespace."""
        self._notes = []
        infos = sorted(conversations(self._backend, namespace), key=lambda one: one.updated_at)
        newest = infos[-SESSIONS:]
        steps = {one.session: self._steps(namespace, one.session) for one in newest}
        records = self._records(namespace)
        seen = tuple(self._seen(namespace, one, steps, records) for one in newest)
        model = _model(seen)
        return Evidence(
            namespace=namespace_key(namespace),
            now=self._now,
            sessions=seen,
            listed=tuple(self._listed(namespace, one) for one in infos[:LISTED]),
            records=tuple(records),
            reruns=tuple(self._rerun(namespace, seen, model)),
            maintained_at=self._maintained(namespace),
            archive=self._of(lambda: self._backend.archive_state(namespace)),
            embedder=self._embedder(namespace),
            model=model,
            price=self._prices.price_of(model),
            ratios=self._prices.ratios_of(model),
            notes=tuple(dict.fromkeys(self._notes)),
        )

    def _steps(self, namespace: Namespace, session: str) -> tuple[Step, ...]:
        found = islice(newest_steps(self._backend, namespace, session), STEPS)
        return tuple(sorted(reversed(list(found)), key=lambda step: step.started_at))

    def _records(self, namespace: Namespace) -> list[MemoryRecord]:
        where = Where(namespace, not_kinds=(MESSAGE,))
        return self._backend.find(where, limit=RECORDS)

    def _seen(
        self,
        namespace: Namespace,
        info: SessionInfo,
        steps: dict[str, tuple[Step, ...]],
        records: Sequence[MemoryRecord],
    ) -> SessionSeen:
        others = [step for name, some in steps.items() if name != info.session for step in some]
        subject = Recorded(
            info.session,
            steps[info.session],
            self._messages(namespace, info),
            history=others[-HISTORY:],
            memories=records,
        )
        timeline = read(subject)
        found = tuple(finding for ask in QUESTIONS for finding in ask(timeline))
        return self._listed(namespace, info, steps[info.session], found)

    def _listed(
        self,
        namespace: Namespace,
        info: SessionInfo,
        steps: tuple[Step, ...] = (),
        findings: tuple[Finding, ...] = (),
    ) -> SessionSeen:
        standing = info_of(self._backend, namespace, info, SessionPolicy(), self._now)
        return SessionSeen(
            session=info.session,
            state=standing.state,
            updated_at=info.updated_at,
            entries=info.version - info.forked,
            archived=max(0, info.archived - info.forked),
            steps=steps,
            findings=findings,
        )

    def _messages(self, namespace: Namespace, info: SessionInfo) -> list[Logged]:
        if info.version > ENTRIES:
            self._notes.append("long_session")
            return []
        entries = self._backend.read(Stream(namespace, info.session), kinds=[MESSAGE])
        return [
            Logged(
                entry.version,
                Message.from_dict(entry.body["message"]),
                next(iter(entry.body.get("tokens", {}).values()), 0),
            )
            for entry in entries
        ]

    def _maintained(self, namespace: Namespace) -> datetime | None:
        stream = Stream(namespace, STREAM)
        newest = self._of(lambda: self._backend.read(stream, newest_first=True, limit=64))
        found = reports_of(newest or (), 1)
        return found[0].at if found else None

    def _embedder(self, namespace: Namespace) -> str | None:
        state = self._of(lambda: self._backend.vector_state(namespace))
        return state.embedder if state else None

    def _of(self, ask: Callable[[], T]) -> T | None:
        """Return what `ask` gives, or None where the store does not tell, or not to this agent."""
        try:
            return ask()
        except CtxplugError:
            return None

    def _rerun(
        self, namespace: Namespace, seen: Sequence[SessionSeen], model: str | None
    ) -> Iterator[Rerun]:
        """Yield what the largest sessions would have been by each policy."""
        sized = [(sum(s.tokens or 0 for s in one.of(WINDOW)), one) for one in seen]
        sized = [(size, one) for size, one in sized if 2 <= len(one.of(WINDOW)) <= CALLS]
        sized.sort(key=lambda pair: pair[0], reverse=True)
        for _, one in sized[: self._reruns]:
            used = {step.data.get("policy") for step in one.of(WINDOW)}
            memory = AgentMemory.open(
                self._backend,
                namespace=namespace,
                session=one.session,
                agent=self._agent,
                model=model,
                trace=False,
                audit=False,
                prices=self._prices,
            )
            for policy in POLICIES:
                if policy not in used:
                    try:
                        yield memory.trace.rerun(policy=policy)
                    except CtxplugError:
                        self._notes.append("rerun_failed")


def _model(seen: Sequence[SessionSeen]) -> str | None:
    """Return the model that was called most."""
    calls = Counter(step.name for one in seen for step in one.of(MODEL) if step.name != "unknown")
    return calls.most_common(1)[0][0] if calls else None
