"""Basis: the log and the figures from which windows that were not traced are made."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ctxplug.agent_memory import AgentMemory
from ctxplug.context.assembly import Request, Windows
from ctxplug.context.components import Components
from ctxplug.context.policy import ContextPolicy
from ctxplug.context.recorded import Fingerprints, recorded
from ctxplug.context.window import ContextWindow
from ctxplug.errors import BudgetError, CtxplugError, EmptyContextError, ReadOnlyError
from ctxplug.inspector.outline import COMPACTION, MESSAGE, Call, Mark, Outline, Said
from ctxplug.messages import Logged, Message
from ctxplug.plugins import Plugins
from ctxplug.sessions.log import given
from ctxplug.storage import Backend, Entry, Stream
from ctxplug.storage.as_of import AsOf
from ctxplug.tokens import TokenCounter

MOST_PLAYED = 4_000  # messages that are played through a memory; more would take too long
BUDGET, POLICY = 8_000, "balanced"  # where nothing says what they were
PAGE = 1024

Figures: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Basis:
    """A log, and what windows are made of it: the session's own, or one that was played.

    Of a played one, `versions` are those of its messages and what they are in the session,
    ascending, and `calls` tells of each call by number, or why it could be sent nothing. Where
    each window is made `anew`, it is that of a memory that is opened then, for its first call.
    """

    backend: Backend
    stream: Stream
    budget: int
    policy: str
    versions: tuple[tuple[int, int], ...] = ()
    calls: Mapping[int, Figures | CtxplugError] = field(default_factory=dict)
    anew: bool = False
    memory: AgentMemory | None = field(default=None, repr=False)  # what was played, kept open

    @property
    def played(self) -> bool:
        """Whether it is a log of its own."""
        return bool(self.calls)

    def real(self, version: int) -> int:
        """Return what `version` of this log is in the session; 0 before its first message."""
        if not self.played:
            return version
        index = bisect_right(self.versions, version, key=lambda pair: pair[0])
        return self.versions[index - 1][1] if index else 0

    def here(self, version: int) -> int:
        """Return what the session's `version` is in this log."""
        if not self.played:
            return version
        index = bisect_right(self.versions, version, key=lambda pair: pair[1])
        return self.versions[index - 1][0] if index else 0


def basis_of(
    backend: Backend,
    outline: Outline,
    counter: TokenCounter,
    *,
    budget: int | None = None,
    policy: str | None = None,
    known: tuple[int, str] | None = None,
) -> Basis:
    """Return what the windows of `outline` are made from where no step tells of them.

    That is the session's log, if it says what was compacted or if all of it fits. Else, and
    where a `budget` or a `policy` is asked for, it is played through a memory of its own; one
    that is long, or was edited, is not, and each of its windows is made anew.
    `known` are the budget and the policy of other calls, which were recorded.
    """
    compactions = [row for row in outline.rows if isinstance(row, Mark) and row.kind == COMPACTION]
    asked = budget is not None or policy is not None
    last = known or (BUDGET, POLICY)
    if compactions and not known:
        told = compactions[-1].data
        last = told.get("budget", BUDGET), told.get("policy", POLICY)
    own = Basis(backend, outline.stream, budget or last[0], policy or last[1])
    whole = sum(row.tokens for row in outline.rows if isinstance(row, Said))
    fits = whole < own.budget / (1 + counter.margin)
    if not asked and (compactions or known or fits):
        return own
    if outline.edits or outline.messages > MOST_PLAYED:
        return replace(own, anew=True)
    return _play(own, backend, outline, counter)


def figures(basis: Basis, call: Call, outline: Outline, counter: TokenCounter) -> Figures:
    """Return what the window of `call` is made of, by the session's own log."""
    kept = outline.edit_at(call.head)
    said = (row for row in outline.rows[: outline.row_of(call.head + 1)] if isinstance(row, Said))
    system = [row.tokens for row in said if row.role == "system" and kept.holds(row.version)]
    return {
        "head": call.head,
        "base": 0,
        "budget": basis.budget,
        "margin": counter.margin,
        "counter": counter.name,
        "policy": basis.policy,
        "hash": "",
        "tokens": {"request": counter.request_tokens, "system": sum(system), "tools": 0},
    }


class Frozen(AsOf):
    """A log as it stood, to which nothing can be written."""

    def write(self, *ops: object) -> list[int]:
        """Refuse."""
        raise ReadOnlyError("The inspector writes nothing.")


def window_anew(
    basis: Basis,
    call: Call,
    counter: TokenCounter,
    policy: ContextPolicy,
    parts: Components,
    logged: Callable[[Entry], Logged],
) -> ContextWindow:
    """Return what a memory that is opened at `call` would send; raises as `context` does."""
    past: Any = Frozen(basis.backend, call.head)
    windows = Windows(past, basis.stream, counter, policy, parts, logged)
    return windows.window(Request(basis.budget, at=call.at))


def _play(own: Basis, backend: Backend, outline: Outline, counter: TokenCounter) -> Basis:
    """Play the conversation through a memory, asking for a window before each answer."""
    memory = AgentMemory.open(
        "memory:",
        namespace="inspected",
        session=outline.stream.session,
        budget=own.budget,
        policy=own.policy,
        counter=counter,
        plugins=Plugins(load_entry_points=False),  # nobody is told of what never happened
    )
    calls: dict[int, Figures | CtxplugError] = {}
    for message in _messages(backend, outline.stream):
        if message.role == "assistant":
            calls[len(calls) + 1] = _asked(memory)
        memory.add(message)
    if outline.turns > len(calls):
        calls[len(calls) + 1] = _asked(memory)
    said = [row.version for row in outline.rows if isinstance(row, Said)]
    stream = Stream(memory.scope.namespace, memory.scope.session)
    versions = zip(_versions(memory.backend, stream), said, strict=False)
    return Basis(
        memory.backend, stream, own.budget, own.policy, tuple(versions), calls, memory=memory
    )


def _asked(memory: AgentMemory) -> Figures | CtxplugError:
    try:
        return recorded(memory.context(), Fingerprints())[0]
    except (BudgetError, EmptyContextError) as exc:
        return exc


def _messages(backend: Backend, stream: Stream) -> Iterator[Message]:
    after = 0
    while found := backend.read(stream, after=after, limit=PAGE, kinds=[MESSAGE]):
        yield from map(given, found)
        after = found[-1].version


def _versions(backend: Backend, stream: Stream) -> Sequence[int]:
    return [entry.version for entry in backend.read(stream, kinds=[MESSAGE])]
