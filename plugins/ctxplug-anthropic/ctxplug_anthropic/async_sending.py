"""The steps of a turn, done by the SDK's async client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial
from typing import Any, TypeVar

import anthropic

from ctxplug import AgentMemory
from ctxplug.storage import Backend
from ctxplug_anthropic.replies import ChatEvent
from ctxplug_anthropic.sending import timeout_of
from ctxplug_anthropic.settings import TurnSettings
from ctxplug_anthropic.streaming import to_event
from ctxplug_anthropic.turn import Abandoned, Run, Send, Step, Tell, Turn, Work

T = TypeVar("T")


async def drive(turn: Turn, client: anthropic.AsyncAnthropic) -> AsyncGenerator[ChatEvent, None]:
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
                sending = _Sending(step, client, turn)
                async for event in sending:
                    yield event
                answer = sending.message
            else:
                answer = await _perform(step, turn.memory, turn.settings)
        except GeneratorExit:
            error = Abandoned()
        except BaseException as exc:
            error = exc


async def _perform(step: Work | Run, memory: AgentMemory, settings: TurnSettings) -> Any:
    if isinstance(step, Work):
        return await finished(memory.backend, step.at_store)
    if not step.calls:
        return []
    deadline = settings.deadline.timeout
    return await memory.tools.arun(step.calls, approve=settings.approve, deadline=deadline)


async def finished(backend: Backend, work: Callable[[], T]) -> T:
    """Do `work` at the store; who is cancelled meanwhile is told when it is over.

    What it did, such as a reservation, can then be undone.
    """
    done = asyncio.ensure_future(backend.arun(work))
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.gather(done, return_exceptions=True)
        raise


class _Sending:
    """One request on its way; iterating gives what is streamed, then `message` is there."""

    def __init__(self, step: Send, client: anthropic.AsyncAnthropic, turn: Turn) -> None:
        self.message: Any = None
        self._attempts = step.attempts
        self._stream = turn.settings.stream
        arun = partial(finished, turn.memory.backend)
        self._client = client.with_middleware(step.attempts.async_middleware(arun))
        self._arguments = {**step.request, "timeout": timeout_of(client, step.attempts)}

    async def __aiter__(self) -> AsyncIterator[ChatEvent]:
        attempts = self._attempts
        try:
            if not self._stream:
                async with asyncio.timeout(attempts.deadline.timeout):
                    self.message = await self._client.messages.create(**self._arguments)
                return
            async for event in self._streamed():
                yield event
        except TimeoutError:
            raise attempts.deadline.error(attempts.made, attempts.text) from None
        finally:
            attempts.given_up = True

    async def _streamed(self) -> AsyncIterator[ChatEvent]:
        """Yield what is streamed; the deadline holds for each wait, as yields may not be in one."""
        attempts = self._attempts
        deadline = attempts.deadline
        manager = self._client.messages.stream(**self._arguments)
        async with asyncio.timeout(deadline.timeout):
            stream = await manager.__aenter__()
        try:
            events = aiter(stream)
            while True:
                async with asyncio.timeout(deadline.timeout):
                    event = await anext(events, None)
                if event is None:
                    break
                attempts.partial = stream.current_message_snapshot
                if (told := to_event(event)) is not None:
                    yield told
        finally:
            await manager.__aexit__(None, None, None)
        self.message = attempts.partial
