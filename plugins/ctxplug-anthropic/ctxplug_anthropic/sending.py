"""The steps of a turn, done by the SDK's sync client.

The SDK waits as long as a server asks it to, and a body may trickle for ever, so each call
is made on a thread of its own and given up at the deadline: it then sends nothing more.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Generator
from queue import Empty, SimpleQueue
from typing import Any

import anthropic

from ctxplug import AgentMemory
from ctxplug_anthropic.attempts import Attempts
from ctxplug_anthropic.replies import ChatEvent
from ctxplug_anthropic.settings import TurnSettings
from ctxplug_anthropic.streaming import to_event
from ctxplug_anthropic.turn import Abandoned, Run, Send, Step, Tell, Turn, Work

_END = object()


def drive(turn: Turn, client: anthropic.Anthropic) -> Generator[ChatEvent, None, None]:
    """Do a turn step by step; the last event brings the reply."""
    steps = turn.steps()
    answer: Any = None
    error: BaseException | None = None
    while True:
        try:
            step: Step = steps.throw(error) if error is not None else steps.send(answer)
        except StopIteration as end:
            yield ChatEvent("done", reply=end.value)
            return
        except Abandoned:
            return
        answer, error = None, None
        try:
            if isinstance(step, Tell):
                yield step.event
            elif isinstance(step, Send):
                answer = yield from send(step, client, turn.settings)
            else:
                answer = perform(step, turn.memory, turn.settings)
        except GeneratorExit:
            error = Abandoned()
        except BaseException as exc:
            error = exc


def perform(step: Work | Run, memory: AgentMemory, settings: TurnSettings) -> Any:
    """Do what needs no network of ours."""
    if isinstance(step, Work):
        return step.at_store()
    if not step.calls:
        return []
    deadline = settings.deadline.timeout
    return memory.tools.run(step.calls, approve=settings.approve, deadline=deadline)


def send(
    step: Send, client: anthropic.Anthropic, settings: TurnSettings
) -> Generator[ChatEvent, None, Any]:
    """Send one request; yield what is streamed, and return the message."""
    attempts = step.attempts
    used = client.with_middleware(attempts.sync_middleware)
    arguments = {**step.request, "timeout": timeout_of(client, attempts)}

    def ask(emit: Callable[[Any], None]) -> Any:
        if not settings.stream:
            return used.messages.create(**arguments)
        with used.messages.stream(**arguments) as stream:
            for event in stream:
                attempts.partial = stream.current_message_snapshot
                if attempts.given_up:
                    break
                if (told := to_event(event)) is not None:
                    emit(told)
            return attempts.partial

    return (yield from _on_thread(ask, attempts))


def timeout_of(client: Any, attempts: Attempts) -> Any:
    """Return the client's timeout, or what is left of the turn if that is less."""
    left = attempts.deadline.timeout
    known = client.timeout
    read = known if isinstance(known, int | float) else getattr(known, "read", None)
    return known if left is None or (read is not None and read <= left) else left


def _on_thread(
    ask: Callable[[Callable[[Any], None]], Any], attempts: Attempts
) -> Generator[ChatEvent, None, Any]:
    """Yield what `ask` emits and return its result; give it up at the deadline."""
    arrived: SimpleQueue[tuple[Any, Any]] = SimpleQueue()

    def work() -> None:
        try:
            arrived.put((_END, ask(lambda event: arrived.put((None, event)))))
        except BaseException as exc:
            arrived.put((exc, None))

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), daemon=True, name="ctxplug-chat").start()
    try:
        while True:
            try:
                end, value = arrived.get(timeout=attempts.deadline.timeout)
            except Empty:
                raise attempts.deadline.error(attempts.made, attempts.text) from None
            if end is _END:
                return value
            if end is not None:
                raise end
            yield value
    finally:
        attempts.given_up = True
