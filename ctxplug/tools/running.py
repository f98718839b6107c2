"""Run a tool's function once: in the event loop, in a thread, or in a process of its own.

What cannot be stopped is left behind: a thread that hangs runs on as a daemon, and its answer
is not waited for. A tool of which many calls hang is not started again until some have ended.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from ctxplug.errors import ToolBusyError
from ctxplug.tools import threads
from ctxplug.tools.child import read_async, read_result, safe_error
from ctxplug.tools.processes import ToolProcess, address
from ctxplug.tools.tool import Tool

T = TypeVar("T")
MOST_HANGING = 16  # calls of one tool that were given up and still run
PARTING = 0.2  # seconds that a cancelled coroutine has to end

_PLAIN = (type(None), bool, int, float, str)
_hanging: Counter[int] = Counter()  # by the id of the function, which its thread keeps alive
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one attempt gave: a `value` still to be read, or a `result` as `read_result` has it.

    In `failure` is what was raised, where it was raised here.
    """

    value: Any = None
    result: Mapping[str, Any] | None = None
    failure: BaseException | None = None

    def read(self) -> Mapping[str, Any]:
        """Return content or error; never raises."""
        if self.result is not None:
            return self.result
        try:
            return read_result(self.value)
        except BaseException as exc:  # an object whose text cannot be had
            return safe_error(exc)


async def attempt(
    tool: Tool, arguments: Mapping[str, Any], given: Mapping[str, Any], seconds: float
) -> Answer | None:
    """Call the tool's function with `arguments`; None if it gave no answer in `seconds`.

    `given` are the arguments as the model gave them. Cancelled, it stops what can be stopped.
    """
    if tool.isolation == "process":
        return await _in_process(tool, arguments, given, seconds)
    if is_async(tool.function):
        return await within(_called(tool.function, arguments), seconds)
    return await _in_thread_of_tool(tool, arguments, seconds)


def is_async(function: Callable[..., Any]) -> bool:
    """Say whether calling `function` gives something to await and does no work itself."""
    if isinstance(function, partial):
        function = function.func
    if not inspect.isroutine(function):  # an object that can be called
        function = type(function).__call__
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


async def within(answer: Awaitable[T], seconds: float) -> T | None:
    """Return what `answer` gives; None, and it is cancelled, if that takes over `seconds`."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(answer)
    over: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not over.done():
            over.set_result(None)

    task.add_done_callback(wake)
    timer = loop.call_later(max(0.0, seconds), wake)
    try:
        await over
    except asyncio.CancelledError:
        task.cancel()
        raise
    finally:
        timer.cancel()
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait((task,), timeout=PARTING)  # one that will not end is left behind
    return None


async def in_thread(call: Callable[[], T]) -> T:
    """Return what `call` returns or raises on a daemon thread."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def tell(setter: Callable[[Any], None], value: Any) -> None:
        if not done.done():
            setter(value)

    def run() -> None:
        try:
            news = done.set_result, context.run(call)
        except BaseException as exc:
            news = done.set_exception, _carried(exc)  # type: ignore[assignment]
        try:
            loop.call_soon_threadsafe(tell, *news)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    threads.start(run)
    return await done


def _carried(exc: BaseException) -> Exception:
    """Return an exception that a future can hold."""
    if isinstance(exc, Exception) and not isinstance(exc, StopIteration):
        return exc
    return RuntimeError(type(exc).__name__)


async def _called(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Answer:
    try:
        value = function(**arguments)
    except BaseException as exc:
        return Answer(result=safe_error(exc), failure=exc)
    return await _awaited(value)


async def _awaited(value: Any) -> Answer:
    """Return the answer that awaiting, and reading out, `value` gives."""
    try:
        if inspect.isawaitable(value):
            value = await value
        if isinstance(value, AsyncIterator):
            value = await read_async(value)
        if isinstance(value, Iterator):  # it may work, or hang, at each step
            return Answer(result=await in_thread(partial(read_result, value)))
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return Answer(result=safe_error(exc), failure=exc)
    except BaseException as exc:  # SystemExit would end the event loop
        return Answer(result=safe_error(exc), failure=exc)
    return Answer(value)


async def _in_thread_of_tool(
    tool: Tool, arguments: Mapping[str, Any], seconds: float
) -> Answer | None:
    function = tool.function
    _refuse_hanging(tool)
    ended, given_up = threading.Event(), threading.Event()

    def run() -> Answer:
        try:
            value = function(**arguments)
            if inspect.isawaitable(value) or isinstance(value, AsyncIterator):
                return Answer(value)
            return Answer(result=read_result(value))
        except BaseException as exc:
            return Answer(result=safe_error(exc), failure=exc)
        finally:
            with _lock:
                ended.set()
                if given_up.is_set():
                    _forget_hanging(id(function))

    answer: Answer | None = None
    try:
        answer = await within(_both(run), seconds)
    finally:
        with _lock:
            if not ended.is_set():
                given_up.set()
                _hanging[id(function)] += 1
    return answer


async def _both(run: Callable[[], Answer]) -> Answer:
    """Return the answer of a thread; what it gave to await is awaited here."""
    answer = await in_thread(run)
    return answer if answer.result is not None else await _awaited(answer.value)


def _refuse_hanging(tool: Tool) -> None:
    with _lock:
        hanging = _hanging.get(id(tool.function), 0)
    if hanging >= MOST_HANGING:
        raise ToolBusyError(
            f"The tool {tool.name!r} is not started: {hanging} earlier calls of it still hang."
            ' With isolation="process" they could be ended.',
            tool=tool.name,
            waited=0.0,
        )


def _forget_hanging(key: int) -> None:
    _hanging[key] -= 1
    if not _hanging[key]:
        del _hanging[key]


async def _in_process(
    tool: Tool, arguments: Mapping[str, Any], given: Mapping[str, Any], seconds: float
) -> Answer | None:
    where = address(tool.function, tool.name)
    plain = _is_plain(arguments)
    process = ToolProcess(where, arguments if plain else given, converted=plain)
    try:
        result = await within(in_thread(process.result), seconds)
    finally:
        process.kill()
    return None if result is None else Answer(result=result)


def _is_plain(value: Any) -> bool:
    """Say whether JSON gives back `value` as it is."""
    if type(value) is dict:
        return all(type(key) is str and _is_plain(item) for key, item in value.items())
    if type(value) is list:
        return all(map(_is_plain, value))
    return type(value) in _PLAIN
