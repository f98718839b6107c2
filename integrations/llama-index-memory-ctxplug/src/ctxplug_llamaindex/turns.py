"""Turns: what an agent or a chat engine is given to go on from, recalled for once a turn.

An agent reads a memory several times a turn, mostly without saying for what; so what is
recalled for is taken from the user's message in the log. A chat engine reads before it
stores that message; what is recalled for it then stands at the end, where it will come.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llama_index.core.base.llms.types import ChatMessage

from ctxplug import AgentMemory, ContextWindow, Message
from ctxplug.context.recalled import is_block, recalled_block
from ctxplug.errors import BudgetError, EmptyContextError
from ctxplug.messages import Logged, TextPart
from ctxplug.tokens import count_tools
from ctxplug.tokens.counter import MESSAGE_TOKENS
from ctxplug_llamaindex.calls import with_call_ids
from ctxplug_llamaindex.copies import copy_of
from ctxplug_llamaindex.messages import from_messages

MOST_RECALLED = 40
LEAST_BLOCK = 64  # tokens; in less room nothing is recalled
WITHOUT_USER = 64  # messages at most that are given before a user has said anything


@dataclass(frozen=True, slots=True)
class Reading:
    """What a memory gave: messages, the window they are from, and what was recalled."""

    messages: list[ChatMessage]
    window: ContextWindow | None = None
    query: str | None = None
    record_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fixed:
    """What a caller adds to every request: a system prompt, and tools as provider dicts."""

    system: str = ""
    tools: Sequence[Mapping[str, Any]] = ()
    message: Message | None = None


class Turns:
    """The windows of a memory as LlamaIndex's messages, each of them converted once."""

    def __init__(self, memory: AgentMemory, *, recall: bool) -> None:
        self._memory = memory
        self._recall = recall
        self._lock = threading.Lock()
        self._converted: dict[int, tuple[Message, list[ChatMessage]]] = {}
        self._asked: str | None = None  # the user's message that was recalled for
        self._ahead: tuple[tuple[str, str], str, tuple[str, ...]] | None = None
        self._fixed = Fixed()
        self._looping: AgentMemory | None = None

    def close(self) -> None:
        """Let go of what was opened to read windows by."""
        with self._lock:
            looping, self._looping = self._looping, None
        if looping is not None:
            looping.close()

    def expect(self, system: str, tools: Sequence[Mapping[str, Any]]) -> None:
        """Count `system` and `tools` in the windows to come."""
        known = self._fixed
        if known.system != system or known.tools != tools:
            message = Message("system", system) if system else None
            self._fixed = Fixed(system, tuple(tools), message)

    def read(self, input: str | None, reserved: int = 0) -> Reading:
        """Return what is to be sent, with `reserved` tokens and what is expected left free."""
        window = self._window(reserved)
        newest = _newest(window)
        if newest is not None and newest.role == "user":
            query = (input or newest.text) if self._recall and self._asked != newest.id else ""
            if query:
                window = self._window(reserved, query)
                self._asked = newest.id
            return self._reading(window, reserved, query)
        if input and (newest is None or not (newest.role == "tool" or newest.tool_calls)):
            return self._before_turn(newest, input, reserved)
        return self._reading(window, reserved)

    # -- inside --------------------------------------------------------------------------

    def _before_turn(self, newest: Message | None, input: str, reserved: int) -> Reading:
        """Leave room for the message that is to come, and recall for it in what is left."""
        count = self._memory.counter.count
        reserved += count(Message("user", input))
        window = self._window(reserved)
        if not self._recall:
            return self._reading(window, reserved)
        key = ("" if newest is None else newest.id), input
        text, ids = self._block(key, window, reserved)
        if text and window is None:
            reserved += count(Message("user", text))
        said = self._reading(window, reserved).messages
        if text:
            said.append(ChatMessage(role="user", content=text))
        return Reading(said, window, input, ids)

    def _window(self, reserved: int, query: str | None = None) -> ContextWindow | None:
        """Return the window; None as long as no user has said anything."""
        fixed = self._fixed
        try:
            window = self._in_loops().context(
                query, system=fixed.message, tools=fixed.tools, reserved=reserved
            )
        except EmptyContextError:
            return None
        return window if fixed.message is None else replace(window, messages=window.messages[1:])

    def _in_loops(self) -> AgentMemory:
        """Return the memory for agents, who work in loops: it lets the oldest steps be digested."""
        memory = self._memory
        if memory.policy.digest_loop:
            return memory
        with self._lock:
            if self._looping is None:
                policy = replace(memory.policy, digest_loop=True)
                self._looping = memory.beside(session=memory.scope.session, policy=policy)
            return self._looping

    def _reading(self, window: ContextWindow | None, reserved: int, query: str = "") -> Reading:
        if window is None:
            return Reading(self._without_user(reserved))
        recalled = window.report.recalled if query else ()
        return Reading(self._shown(window.messages), window, query or None, recalled)

    def _without_user(self, reserved: int) -> list[ChatMessage]:
        """Return the newest messages that fit, of a log in which no user has said anything."""
        memory, counter = self._memory, self._memory.counter
        log = memory.session.log(last=WITHOUT_USER)
        found = [logged for logged in log if logged.message.role == "system"]
        taken = reserved + counter.request_tokens + count_tools(counter, self._fixed.tools)
        taken += sum(logged.tokens for logged in found)
        taken += counter.count(self._fixed.message) if self._fixed.message else 0
        limit = int(memory.budget / (1 + counter.margin))
        if found and taken > limit:
            raise BudgetError(
                f"The system messages of the session {memory.scope.session!r} and what is sent"
                f" beside them take {taken} tokens of {limit}; raise the budget.",
                needed=taken,
                budget=memory.budget,
            )
        others = [logged for logged in log if logged.message.role != "system"]
        for logged in reversed(others):
            taken += logged.tokens
            if taken > limit:
                break
            found.append(logged)
        found.sort(key=lambda logged: logged.version)
        return from_messages(logged.message for logged in _without_orphans(found))

    def _shown(self, messages: Iterable[Message]) -> list[ChatMessage]:
        """Return copies of what `messages` are for LlamaIndex."""
        known = self._converted
        now: dict[int, tuple[Message, list[ChatMessage]]] = {}
        for message in messages:
            found = known.get(id(message))
            if found is None or found[0] is not message:
                found = message, _written(message)
            now[id(message)] = found
        self._converted = now
        return [copy_of(one) for _, converted in now.values() for one in converted]

    def _block(
        self, key: tuple[str, str], window: ContextWindow | None, reserved: int
    ) -> tuple[str, tuple[str, ...]]:
        """Return the text of what is recalled, and its ids; for the same turn the same."""
        with self._lock:
            if self._ahead is not None and self._ahead[0] == key:
                return self._ahead[1:]
        memory, (_, query) = self._memory, key
        limit, present = int(memory.budget / (1 + memory.counter.margin)), frozenset[str]()
        used = reserved
        if window is not None:
            limit, used = window.report.limit, window.tokens
            here = (version for fate in window.report.kept for version in fate.versions)
            present = frozenset(f"{memory.scope.session}@{version}" for version in here)
        room = min(int(memory.policy.recall_share * limit), limit - used - MESSAGE_TOKENS)
        text, ids = "", tuple[str, ...]()
        if room >= LEAST_BLOCK:
            found = memory.recall(query, k=MOST_RECALLED + len(present))
            fresh = [one for one in found if one.record.id not in present]
            text, ids = recalled_block(fresh, memory.counter, room, memory.policy.recall_limit)
        with self._lock:
            self._ahead = key, text, ids
        return text, ids


def _without_orphans(log: Sequence[Logged]) -> Iterable[Logged]:
    """Leave out results at the beginning, whose calls did not fit."""
    said = False
    for logged in log:
        said = said or logged.message.role == "assistant"
        if said or logged.message.role != "tool":
            yield logged


def _newest(window: ContextWindow | None) -> Message | None:
    """Return the newest message of a window that is no system message."""
    if window is None:
        return None
    report = window.report
    if report.recent:
        return report.recent[-1].message
    return report.frozen[-1].items[-1].message if report.frozen else None


def _written(message: Message) -> list[ChatMessage]:
    """Return LlamaIndex's for a message of a window.

    What is recalled for a user's text, and what sections say, is one text with it, for LlamaIndex
    takes the last text of a message for the message: there it writes the state of an agent.
    Calls that had no ids have those that their results have here.
    """
    message = with_call_ids(message)
    said = [part for part in message.content if not is_block(part)]
    blocks = [part for part in message.content if is_block(part)]
    texts = [(n, part) for n, part in enumerate(said) if isinstance(part, TextPart)]
    if not blocks or not texts:
        return from_messages([message])
    place, last = texts[-1]  # an image may come behind it
    said[place] = replace(last, text="\n\n".join(part.text for part in (last, *blocks)))
    return from_messages([replace(message, content=tuple(said))])
