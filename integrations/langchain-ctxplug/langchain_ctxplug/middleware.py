"""CtxplugMiddleware: an agent's memory and context window, in one entry of `middleware=[...]`."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from langchain.agents.middleware.types import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from ctxplug import AgentMemory
from ctxplug.compression import Summarizer
from ctxplug.context.policy import ContextPolicy
from ctxplug.context.window import ContextWindow
from ctxplug.errors import BudgetError, EmptyContextError
from ctxplug.memory_like import is_memory
from ctxplug.scope import check_label, to_namespace
from ctxplug.storage import Backend
from langchain_ctxplug.background import Background
from langchain_ctxplug.continuing import Known
from langchain_ctxplug.fixed_parts import FixedParts
from langchain_ctxplug.model_facts import checked_budget, name_of, window_of
from langchain_ctxplug.model_failures import failures_traced
from langchain_ctxplug.model_summarizer import TRANSFORMERS, ModelSummarizer
from langchain_ctxplug.opening import memory_of
from langchain_ctxplug.overflow import tighter_budget
from langchain_ctxplug.rendering import text_of, to_request
from langchain_ctxplug.runtime_scope import NamespaceChoice, Place, place_of
from langchain_ctxplug.shared_threads import warn_if_shared
from langchain_ctxplug.state_log import StateLog
from langchain_ctxplug.triggers import Size, Trigger, policy_for

DEFAULT_NAMESPACE = "langchain"
DEFAULT_BUDGET = 100_000  # tokens, for a model whose profile does not say what it takes
PROFILE_SHARE = 0.85  # of what the profile says: the rest is for the answer
THREADS = 256  # whose place in the log is remembered
LONGEST_QUERY = 2_000  # characters of a user's message that memories are recalled by

Response: TypeAlias = "ModelResponse[Any] | AIMessage"
Recall: TypeAlias = "bool | Callable[[ModelRequest[Any]], str | None]"


@dataclass(frozen=True)
class _Call:
    """One model call: what is sent, and the window it was made of (None: sent as it came)."""

    request: ModelRequest[Any]
    place: Place
    log: StateLog
    memory: AgentMemory
    window: ContextWindow | None
    budget: int


class CtxplugMiddleware(AgentMiddleware[Any, Any, Any]):
    """Give an agent a durable memory and a context window that always fits.

    `memory` is an AgentMemory, or what AgentMemory.open takes, with its keywords. Messages of
    the state are logged, each once; the state itself is left as it is. Each model call gets
    the window of its thread: within `budget`, valid, and the same bytes as before wherever
    they need not change. Put it first in `middleware`, so that it sees the state itself.

    - `namespace`: a path for AgentMemory.open, or labels below the namespace of an open
      memory; a callable gets the runtime and gives labels below either.
    - `user_key`: the field of the runtime's context, or of config["configurable"], that names
      the user, who gets a namespace of their own. Named, it must be there; left out,
      "user_id" is used where it is there, unless `namespace` is a callable.
    - `agent`: keeps several agents on one thread apart.
    - `budget`: tokens of one call's whole input, system prompt and tools included. Left out:
      that of an open memory; else 85 % of what the model's profile says, or 100,000.
    - `trigger`, `keep`: LangChain's grammar for when to compact and what to leave (see
      `triggers`), in place of the policy's marks.
    - `recall`: whether memories are recalled for the user's message, or a callable that gets
      the request and gives the query, None for none.
    - `summarizer`: a chat model, or a ctxplug summarizer, for what is compacted; none is needed.
    - `name`: of this middleware, where one agent has several.

    Raises BudgetError when what must be sent does not fit, and what the store raises.
    """

    transformers = TRANSFORMERS

    def __init__(
        self,
        memory: AgentMemory | str | os.PathLike[str] | Backend = "memory:",
        *,
        namespace: NamespaceChoice | None = None,
        user_key: str | None = None,
        agent: str | None = None,
        budget: int | None = None,
        trigger: Trigger | None = None,
        keep: Size | None = None,
        recall: Recall = True,
        summarizer: BaseChatModel | Summarizer | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        opened = is_memory(memory)
        static = None if callable(namespace) or namespace is None else to_namespace(namespace)
        if not opened:
            options |= {"namespace": static or DEFAULT_NAMESPACE}
        self.memory = memory_of(memory, **options)
        self._labels = static if static and opened else ()
        self._namespace = namespace if callable(namespace) else None
        self._user_key = user_key
        self._agent = None if agent is None else check_label(agent, "agent")
        self._budget = checked_budget(budget, self.memory.budget if opened else None)
        self._trigger, self._keep = trigger, keep
        self._recall, self._summarizer = recall, summarizer
        self._name = name
        self._fixed = FixedParts()
        self._background = Background()
        self._lock = threading.Lock()
        self._logs: OrderedDict[tuple[tuple[str, ...], str], StateLog] = OrderedDict()
        self._policy(self._budget or DEFAULT_BUDGET, None)  # a fault shows here, not at a call

    @property
    def name(self) -> str:
        """The name of this middleware, unique in an agent."""
        return self._name or type(self).__name__

    def __deepcopy__(self, memo: dict[int, Any]) -> CtxplugMiddleware:
        """Return a twin on the same memory: a store and its locks are not copied."""
        twin = object.__new__(type(self))
        twin.__dict__ = {**self.__dict__, "_logs": OrderedDict(), "_lock": threading.Lock()}
        twin._background = Background()
        memo[id(self)] = twin
        return twin

    # -- what LangChain calls ------------------------------------------------------------

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Response]
    ) -> Response:
        """Send the window in place of the state's messages, and record what it cost."""
        call = self._prepare(self._place(request.runtime), request)
        try:
            with failures_traced(call.memory, call.request):
                response = handler(call.request)
        except ContextOverflowError as error:
            tighter = self._tighter(call, request, error)
            if tighter is None:
                raise
            call = tighter
            with failures_traced(call.memory, call.request):
                response = handler(call.request)
        self._record(call, response)
        return response

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[Response]],
    ) -> Response:
        """Async twin of `wrap_model_call`; the store's work is done by its own workers."""
        run = self.memory.backend.arun
        call = await run(partial(self._prepare, self._place(request.runtime), request))
        try:
            with failures_traced(call.memory, call.request):
                response = await handler(call.request)
        except ContextOverflowError as error:
            tighter = await run(partial(self._tighter, call, request, error))
            if tighter is None:
                raise
            call = tighter
            with failures_traced(call.memory, call.request):
                response = await handler(call.request)
        self._record(call, response)
        return response

    def after_agent(self, state: Any, runtime: Any) -> None:
        """Log what came after the last model call: its answer above all."""
        self._settle(self._place(runtime), state["messages"])

    async def aafter_agent(self, state: Any, runtime: Any) -> None:
        """Async twin of `after_agent`."""
        settle = partial(self._settle, self._place(runtime), state["messages"])
        await self.memory.backend.arun(settle)

    # -- for the host --------------------------------------------------------------------

    def memory_of(self, runtime: Any = None) -> AgentMemory:
        """Return the memory of a run's user and thread, as within a tool or another hook."""
        place = self._place(runtime)
        log = self._log(place, self._budget or DEFAULT_BUDGET, None)
        with log.lock:
            return log.newest().memory

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            logs = list(self._logs.values())
            self._logs.clear()
        for log in logs:
            log.pending.tell(wait=True)
            log.close()
        self._background.close()
        self.memory.close()

    # -- inside --------------------------------------------------------------------------

    def _place(self, runtime: Any) -> Place:
        return place_of(
            runtime, namespace=self._namespace, user_key=self._user_key, agent=self._agent
        )

    def _log(self, place: Place, budget: int, window: int | None) -> StateLog:
        key = place.labels, place.session
        with self._lock:
            log = self._logs.pop(key, None)
            if log is None:
                open_session = partial(self._open, place.labels, self._policy(budget, window))
                log = StateLog(place.session, open_session, kept=place.kept)
            self._logs[key] = log
            while len(self._logs) > THREADS:
                self._logs.popitem(last=False)
            return log

    def _others(self, place: Place) -> list[StateLog]:
        """Return the logs of the same thread id for other users."""
        with self._lock:
            found = list(self._logs.items())
        return [
            log for (labels, name), log in found if name == place.session and labels != place.labels
        ]

    def _open(self, labels: Sequence[str], policy: ContextPolicy, session: str) -> AgentMemory:
        namespace = (*self.memory.scope.namespace, *self._labels, *labels)
        return self.memory.beside(
            session=session, namespace=namespace, agent=self._agent, policy=policy
        )

    def _policy(self, budget: int, window: int | None) -> ContextPolicy:
        policy = replace(self.memory.policy, digest_loop=True)  # agents work in loops
        if self._summarizer is not None:
            model = isinstance(self._summarizer, BaseChatModel)
            by = ModelSummarizer(self._summarizer) if model else self._summarizer  # type: ignore[arg-type]
            steps = [step for step in policy.strategies if step not in ("digest", "summarize")]
            policy = replace(policy, summarizer=by, strategies=(*steps, "summarize"))  # type: ignore[arg-type]
        return policy_for(
            policy, trigger=self._trigger, keep=self._keep, budget=budget, window=window
        )

    def _prepare(
        self, place: Place, request: ModelRequest[Any], budget: int | None = None
    ) -> _Call:
        """Log what is new in the state and make the window; `budget` only after an overflow."""
        takes = window_of(request.model)
        whole = self._budget or (int(PROFILE_SHARE * takes) if takes else DEFAULT_BUDGET)
        log = self._log(place, whole, takes)
        with log.lock:
            log.pending.tell(wait=False)
            log.budget = budget or log.budget
            limit = min(whole, log.budget or whole)
            system = self._fixed.system(request.system_message)
            tools = self._fixed.tools(request.tools, request.response_format)
            basis = limit, system, tools
            plain = log.go_on(request.messages, basis, self._background)
            if plain is not None:
                generation, window, sent = plain
                request = request.override(messages=sent)  # type: ignore[arg-type]
                return _Call(request, place, log, generation.memory, window, limit)
            log.pending.tell(wait=True)
            if place.kept and log.current is None:
                warn_if_shared(place.session, self._others(place), request.messages)
            generation = log.sync(request.messages, limit)
            options: dict[str, Any] = {"budget": limit, "system": system, "tools": tools}
            try:
                window = generation.memory.context(self._query(request), **options)
            except EmptyContextError:  # an agent may begin without a user
                return _Call(request, place, log, generation.memory, None, limit)
            messages: list[Any] = to_request(window, generation, system)
            generation.known = Known(window, basis)
            log.wrote(generation)
        request = request.override(messages=messages)
        return _Call(request, place, log, generation.memory, window, limit)

    def _tighter(
        self, call: _Call, request: ModelRequest[Any], error: ContextOverflowError
    ) -> _Call | None:
        """Return the call within what the provider takes, or None if it cannot be made smaller."""
        if call.window is None:
            return None
        budget = tighter_budget(error, call.window.tokens, call.budget)
        try:
            return self._prepare(call.place, request, budget)
        except BudgetError:
            call.log.budget = call.budget
            return None

    def _record(self, call: _Call, response: Response) -> None:
        """Enter the provider's numbers into the ledger; they also correct the count.

        That is done beside what follows; `after_agent` waits for it, and failures are raised
        there or at the next call.
        """
        result = response.result if isinstance(response, ModelResponse) else [response]
        said = next((m for m in result if isinstance(m, AIMessage) and m.usage_metadata), None)
        if said is None or call.window is None:
            return
        model = said.response_metadata.get("model_name") or name_of(call.request.model)
        record = partial(call.memory.record_usage, model=model, window=call.window)
        call.log.pending.add(self._background.run(partial(record, said.usage_metadata)))

    def _settle(self, place: Place, messages: Sequence[BaseMessage]) -> None:
        budget = self._budget or DEFAULT_BUDGET
        log = self._log(place, budget, None)
        with log.lock:
            log.pending.tell(wait=True)
            log.wrote(log.sync(messages, budget))

    def _query(self, request: ModelRequest[Any]) -> str | None:
        if callable(self._recall):
            return self._recall(request) or None
        query = text_of(request.messages) if self._recall else None
        return query[:LONGEST_QUERY] if query and query.strip() else None
