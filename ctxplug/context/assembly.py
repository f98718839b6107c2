"""Windows: what goes to the model next, for one session.

A window only grows until its policy says otherwise; then one compaction, written to the
log, makes room for many calls to come. Everything here is decided from the log, the
policy, the budget and the time since the last call.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from ctxplug.compression import Unit, total
from ctxplug.context.attaching import Recall, attach_recalled, attach_sections
from ctxplug.context.building import Built, build_window, own_messages
from ctxplug.context.compaction import Compacted
from ctxplug.context.components import Components
from ctxplug.context.fixed_parts import FixedParts
from ctxplug.context.gate import Gain, warmth
from ctxplug.context.policy import ContextPolicy
from ctxplug.context.room import Sizes, gain_of, make_room
from ctxplug.context.section_layout import Laid, SectionLayout
from ctxplug.context.section_room import less, section_room
from ctxplug.context.sections import Given
from ctxplug.context.state import WindowState
from ctxplug.context.window import ContextWindow
from ctxplug.errors import AccessError, BudgetError, EmptyContextError, ReadOnlyError
from ctxplug.messages import Logged, Message, ThinkingPart
from ctxplug.storage import Backend, Entry, Stream
from ctxplug.tokens import TokenCounter

BUDGETS = 4  # how many budgets of one session are kept up to date at once
BACKLOG = 4  # a log that was filled without windows is compacted in steps of this many limits
WORTH = 0.1  # a compaction that nothing forces must free this share of the limit


@dataclass(frozen=True)
class Request:
    """One model call: its budget, what it carries besides the log, and when it is made.

    `query` is what memories are recalled for; `reserved` are tokens that the caller adds.
    `margin` is what to keep free of the budget; None is the counter's own. `sections` are
    those of the application, and `laid` what of them fits, which is decided here.
    """

    budget: int
    system: Message | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    at: datetime | None = None
    margin: float | None = None
    query: str | None = None
    reserved: int = 0
    sections: Given | None = None
    laid: Laid | None = None


@dataclass(frozen=True)
class CompactionDone:
    """A compaction as it is told: what its entry says, its tokens, its version and its time."""

    details: Mapping[str, Any]
    before: int
    after: int
    version: int
    seconds: float


class Windows:
    """The windows of one session, by budget; `compacted` is told of each compaction."""

    def __init__(
        self,
        backend: Backend,
        stream: Stream,
        counter: TokenCounter,
        policy: ContextPolicy,
        components: Components,
        logged: Callable[[Entry], Logged],
        compacted: Callable[[CompactionDone], None] = lambda done: None,
    ) -> None:
        self._backend = backend
        self._stream = stream
        self._counter = counter
        self._policy = policy
        self._components = components
        self._logged = logged
        self._compacted = compacted
        self._lock = threading.Lock()
        self._states: OrderedDict[int, WindowState] = OrderedDict()
        self._last_call: datetime | None = None
        self._declined: dict[int, int] = {}
        self._fixed = FixedParts(counter)
        self._layout = SectionLayout(counter)

    def reset(self) -> None:
        """Forget what was read: the log was erased."""
        with self._lock:
            self._states.clear()
            self._declined.clear()
            self._last_call = None

    def window(self, request: Request, recall: Recall | None = None) -> ContextWindow:
        """Return the window for `request`.

        `recall(present, said, tokens)` gives a block of at most `tokens` for the current turn,
        and the ids in it; `present` are the versions that stand in the window already, and
        `said` is what sections say there.
        Raises EmptyContextError without a user message, BudgetError when what must be sent
        does not fit.
        """
        with self._lock:
            at = request.at or datetime.now(UTC)
            state = self._state(request.budget)
            self._catch_up(state, request, at)
            if not state.view.has_user:
                raise EmptyContextError(
                    f"Session {self._stream.session!r} holds no user message, so there is"
                    " nothing to send. Add one with memory.add('user', ...)."
                )
            request = self._with_sections(state, request)
            while True:
                try:
                    return self._window(state, request, recall, at)
                except BudgetError as exc:  # sections give way before a call is refused
                    fewer = less(self._layout, request.laid, exc)
                    if fewer is None:
                        raise
                    request = replace(request, laid=fewer)

    def _window(
        self, state: WindowState, request: Request, recall: Recall | None, at: datetime
    ) -> ContextWindow:
        sizes = self._sizes(state, request)
        if request.laid:
            attach_sections(state, sizes, self._policy, request.laid, self._counter, at)
        done = None
        for _ in range(2):  # what a compaction takes away may be worth recalling then
            if recall:
                attach_recalled(state, sizes, self._policy, request.query or "", recall, at)
            now = self._compact_if_due(state, sizes, at)
            done = now or done
            if not (recall and now and state.opened):
                break
        if not state.opened:  # another writer compacted first
            self._catch_up(state, request, at)
        self._last_call = at
        own = own_messages(request.system, request.laid)
        built = Built(self._stream.session, own, request.tools, request.laid, done)
        return build_window(
            state,
            sizes,
            built,
            counter=self._counter,
            policy=self._policy,
            components=self._components,
        )

    def _with_sections(self, state: WindowState, request: Request) -> Request:
        """Decide what of the sections fits into this request."""
        if request.sections is None:
            return request
        room = section_room(state, self._sizes(state, request), self._policy, self._counter)
        return replace(request, laid=self._layout.lay(request.sections, room))

    # -- keeping up --------------------------------------------------------------------

    def _state(self, budget: int) -> WindowState:
        state = self._states.pop(budget, None)
        if state is None:
            state = WindowState(self._backend, self._stream, budget, self._counter, self._logged)
        self._states[budget] = state
        while len(self._states) > BUDGETS:
            self._states.popitem(last=False)
        return state

    def _catch_up(self, state: WindowState, request: Request, at: datetime) -> None:
        """Read what is new; a long backlog is compacted piece by piece, so memory stays flat."""
        while state.refresh():
            sizes = self._sizes(state, request)
            if state.view.tokens > BACKLOG * sizes.limit:
                began = perf_counter()
                units, _ = state.view.units()
                result = make_room(units, sizes, self._policy, self._components)
                gain = gain_of(units, result.units, self._policy, warm=0.0, forced=True)
                self._record(state, result, gain, at, began)

    def _sizes(self, state: WindowState, request: Request) -> Sizes:
        counter = self._counter
        system = sum(logged.tokens for logged in state.view.system)
        if request.system is not None:
            system += self._fixed.system(request.system)
        parts = {
            "request": counter.request_tokens,
            "system": system,
            "tools": self._fixed.tools(request.tools),
        }
        if request.laid and request.laid.fixed:
            parts["sections"] = request.laid.fixed
        if request.reserved:
            parts["reserved"] = request.reserved
        margin = counter.margin if request.margin is None else request.margin
        return Sizes(request.budget, margin, parts)

    # -- compaction --------------------------------------------------------------------

    def _compact_if_due(
        self, state: WindowState, sizes: Sizes, at: datetime
    ) -> tuple[Compacted, Gain] | None:
        tokens = state.view.tokens
        used = sizes.fixed + tokens
        forced = tokens > sizes.room
        warm = warmth(self._idle(state, at), self._policy.cache_seconds)
        mark = self._policy.high if warm else self._policy.cold
        asked = self._asked_for(state, sizes, used) if self._policy.due else None
        wanted = used > mark * sizes.limit if asked is None else asked
        if not forced and not (wanted and (asked or self._try_again(state, sizes, tokens))):
            return None
        began = perf_counter()
        units, current = state.view.units()
        if not forced and _thinks(units[current:]):
            return None  # the open turn's thinking is bound to what stands before it
        policy = self._policy
        if asked and used <= policy.low * sizes.limit:  # then its low mark is of what there is
            policy = replace(policy, low=policy.low * used / sizes.limit)
        result = make_room(units, sizes, policy, self._components)
        gain = gain_of(units, result.units, policy, warm=warm, forced=forced)
        worthwhile = gain.removed >= WORTH * sizes.limit
        if asked and gain.removed > 0:
            gain = replace(gain, forced=True)
        elif not forced and not (gain.pays and worthwhile):
            self._declined[state.budget] = tokens
            return None
        self._record(state, result, gain, at, began)
        return result, gain

    def _asked_for(self, state: WindowState, sizes: Sizes, used: int) -> bool:
        """Say whether the policy's own `due` wants a compaction, and something is new since."""
        view = state.view
        sent = len(view.snapshot().messages)
        before = sum(len(unit.items) for unit in view.frozen)
        grown = view.tokens - total(view.frozen) >= sizes.limit // 20 or sent - before >= before / 4
        due = self._policy.due
        return due is not None and due(used, sent) and (grown or not view.frozen)

    def _idle(self, state: WindowState, at: datetime) -> float | None:
        last = self._last_call or state.last_call
        return None if last is None else (at - last).total_seconds()

    def _try_again(self, state: WindowState, sizes: Sizes, tokens: int) -> bool:
        """Behind a compaction, or one that would not have paid, wait until the window grows."""
        step = sizes.limit // 20
        if state.view.frozen and tokens < total(state.view.frozen) + step:
            return False
        declined = self._declined.get(state.budget)
        return declined is None or not declined <= tokens < declined + step

    def _record(
        self, state: WindowState, result: Compacted, gain: Gain, at: datetime, began: float
    ) -> None:
        details = {
            "policy": self._policy.name,
            "number": state.compactions + 1,
            "gain": gain.to_dict(),
            "steps": [[s.strategy, s.before, s.after] for s in result.steps],
            "notes": list(result.notes),
        }
        self._declined.pop(state.budget, None)
        before = state.view.tokens
        try:
            state.record(result.units, details, at)
        except (AccessError, ReadOnlyError):
            state.adopt(result.units, details)
        after, seconds = total(result.units), perf_counter() - began
        self._compacted(CompactionDone(details, before, after, state.base, seconds))


def _thinks(units: Sequence[Unit]) -> bool:
    return any(
        isinstance(part, ThinkingPart)
        for unit in units
        for item in unit.items
        for part in item.message.content
    )
