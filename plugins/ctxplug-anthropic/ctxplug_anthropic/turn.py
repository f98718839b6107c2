"""Turn: what happens between a user's message and its answer, without any waiting in it.

`steps` is a generator of what is to be done: Work at the store, Send to the API, Run of tools,
Tell whoever follows. A client does each, in its own way, and gives back what came of it, or
throws in what was raised. So the sync and the async client are one flow.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from ctxplug import AgentMemory
from ctxplug.context.window import ContextWindow
from ctxplug.errors import BudgetError
from ctxplug.messages import Message, ToolCallPart
from ctxplug.tokens.ledger import Reservation
from ctxplug.tokens.usage import Usage
from ctxplug_anthropic.attempts import Attempts
from ctxplug_anthropic.model_steps import ModelStep, retried
from ctxplug_anthropic.opening import opening_of, refused
from ctxplug_anthropic.replies import ChatEvent, ChatReply
from ctxplug_anthropic.requests import (
    smaller,
    to_message,
    to_request,
    too_long,
    tool_dicts,
    typed,
)
from ctxplug_anthropic.settings import TurnSettings
from ctxplug_anthropic.spending import Spending
from ctxplug_anthropic.stop_reasons import action_for


@dataclass(frozen=True)
class Work:
    """Call `at_store` where waiting for the disk holds up nobody."""

    at_store: Callable[[], Any]


@dataclass(frozen=True)
class Send:
    """Send `request`; give back the SDK's message."""

    request: Mapping[str, Any]
    attempts: Attempts


@dataclass(frozen=True)
class Run:
    """Run `calls`; give back their messages."""

    calls: Sequence[ToolCallPart]


@dataclass(frozen=True)
class Tell:
    """Let who follows the turn see `event`."""

    event: ChatEvent


class Abandoned(BaseException):
    """Nobody follows the turn any more; thrown in where a GeneratorExit may not be."""


Step: TypeAlias = Work | Send | Run | Tell
Steps: TypeAlias = Generator[Step, Any, Any]


class Turn:
    """One turn of the conversation in `memory`; `retries` are the SDK's."""

    def __init__(
        self, memory: AgentMemory, given: Sequence[Message], settings: TurnSettings, retries: int
    ) -> None:
        self.memory = memory
        self.settings = settings
        self._given = given
        self._retries = retries
        self._query = given[-1].text if settings.recall and given[-1].text.strip() else None
        self._budget = settings.budget or memory.budget
        self._spending = Spending(memory, settings, settings.model, Usage(model=settings.model))
        self._stored: list[Message] = []
        self._calls = 0
        self._attempts = 0
        self._shrunk = False

    def steps(self) -> Generator[Step, Any, ChatReply]:
        """Do the turn; every message is stored before the next step builds on it."""
        before = yield Work(lambda: self.memory.session.head)
        yield from self._open()
        tools = yield Work(partial(tool_dicts, self.memory, self.settings))
        while True:
            window, message = yield from self._call(tools, before)
            reason = str(message.metadata["stop_reason"])
            action = action_for(reason)
            if action == "compact":
                why = "the model's context window was exceeded"
                if (yield from self._shrunk_to(tools, smaller(window.tokens), window, why)):
                    continue
            runs = action == "run_tools" and bool(message.tool_calls)
            last = self._calls >= self.settings.most_calls
            if runs and not last:
                yield from self._answer_calls(message)
            else:
                yield from self._store_unrun(message, reason if not last else "too many calls")
            if last or not (runs or action == "go_on"):
                return self._reply(window, message, reason)

    def _open(self) -> Steps:
        """Answer the calls that an earlier turn left open, and store what is new."""
        opening = yield Work(partial(opening_of, self.memory, self._given))
        if opening.calls:
            made = yield Run(opening.to_run(self.settings.names))
            by_id = {result.tool_results[0].call_id: result for result in made}
            results = [by_id.get(c.id) or refused(c, opening.why_not(c)) for c in opening.calls]
            yield Work(partial(self.memory.extend, results))
        if opening.fresh:
            self._stored += yield Work(partial(self.memory.extend, opening.fresh))

    # -- one call of the API ---------------------------------------------------------------

    def _call(self, tools: Sequence[Mapping[str, Any]], before: int) -> Steps:
        """Ask the model once; return the window and the reply's message, which is not stored."""
        while True:
            window, attempts = yield from self._prepared(tools, before)
            request = to_request(window, self.settings, self._spending.model)
            step = ModelStep(self.memory, self._spending.model, attempts)
            try:
                reply = yield Send(request, attempts)
                message = to_message(reply, self._spending.model)
            except BaseException as raised:
                exc = typed(raised, attempts)
                attempts.ended_without_reply()
                self._attempts += attempts.made
                yield Work(partial(step.failed, exc, self._spending.settle_failed, window))
                budget, why = too_long(exc, window.tokens), "the API said that it was too long"
                if budget and (yield from self._shrunk_to(tools, budget, window, why)):
                    continue
                if exc is raised:
                    raise
                raise exc from raised
            self._calls += 1
            self._attempts += attempts.made
            yield Work(partial(step.answered, self._spending.settle, window, reply, message))
            return window, message

    def _prepared(self, tools: Sequence[Mapping[str, Any]], before: int) -> Steps:
        """Return the window and the reservation; where there is none, nothing stays stored."""
        first, held = not self._calls, list[Reservation]()

        def reserve() -> None:
            held.append(self._spending.reserve(window, may_fall_back=first))

        try:
            window: ContextWindow = yield Work(partial(self._window, tools))
            yield Work(reserve)
        except BudgetError:
            if first and self._stored:
                yield Work(partial(self._take_back, before))
            raise
        except BaseException:  # cancelled while it was reserved
            for reservation in held:
                yield Work(partial(self.memory.usage.release, reservation))
            raise
        again = self._spending.again(window)
        return window, Attempts(self.settings.deadline, held[0], again, self._retries)

    def _window(self, tools: Sequence[Mapping[str, Any]]) -> ContextWindow:
        return self.memory.context(
            self._query, budget=self._budget, system=self.settings.system, tools=tools
        )

    def _take_back(self, before: int) -> None:
        """Put what this turn stored out of view: nothing of it was sent."""
        session = self.memory.session
        session.keep([m.version for m in session.log() if m.version <= before])
        stored = {message.id for message in self._stored}
        since = min(message.created_at for message in self._stored)
        for record in self.memory.memories(since=since, include_superseded=True):
            if record.sources and stored.issuperset(record.sources):
                self.memory.forget(record.id)  # what was captured of it goes too

    def _shrunk_to(
        self, tools: Sequence[Mapping[str, Any]], budget: int, sent: ContextWindow, why: str
    ) -> Steps:
        """Go on with less for the rest of the turn, once; say whether there is less to send."""
        if self._shrunk:
            return False
        self._shrunk = True
        window = yield Work(partial(self._compacted, tools, budget, sent))
        if window is None:
            return False
        self._spending.notes += (
            f"The window of {sent.tokens} tokens was compacted to {window.tokens}, as {why}.",
        )
        yield Work(partial(retried, self.memory, self._spending.model, why))
        yield Tell(ChatEvent("restart"))
        return True

    def _compacted(
        self, tools: Sequence[Mapping[str, Any]], budget: int, sent: ContextWindow
    ) -> ContextWindow | None:
        """Return a window of `budget` or the least that can be, or None if that is no less."""
        before = self._budget
        for _ in range(2):
            self._budget = min(budget, before)
            try:
                window = self._window(tools)
            except BudgetError as exc:
                budget = exc.needed
                continue
            if window.tokens < sent.tokens:
                return window
            break
        self._budget = before
        return None

    # -- its calls of tools ----------------------------------------------------------------

    def _answer_calls(self, message: Message) -> Steps:
        """Store the reply, run its calls and store their results."""
        yield from self._store([message])
        names = self.settings.names
        offered = [call for call in message.tool_calls if call.name in names]
        made = yield Run(offered)
        by_id = {result.tool_results[0].call_id: result for result in made}
        results = [
            by_id.get(call.id) or refused(call, f"there is no tool {call.name!r} here")
            for call in message.tool_calls
        ]
        yield from self._store(results)

    def _store_unrun(self, message: Message, why: str) -> Steps:
        """Store the reply, with an error for each call: none of them is run."""
        results = [refused(call, f"the reply ended with {why}") for call in message.tool_calls]
        yield from self._store([message, *results])

    def _store(self, messages: Sequence[Message]) -> Steps:
        stored = yield Work(partial(self.memory.extend, messages))
        self._stored += stored
        for message in stored:
            if message.tool_calls:
                yield Tell(ChatEvent("tool_call", message=message))
            elif message.tool_results:
                yield Tell(ChatEvent("tool_result", message=message))

    def _reply(self, window: ContextWindow, message: Message, reason: str) -> ChatReply:
        spending = self._spending
        stored = next(m for m in reversed(self._stored) if m.id == message.id)
        return ChatReply(
            message=stored,
            messages=tuple(self._stored),
            usage=spending.usage,
            cost=spending.cost,
            model=str(message.metadata["model"]),
            stop_reason=reason,
            calls=self._calls,
            attempts=self._attempts,
            window=window,
            notes=spending.notes,
        )
