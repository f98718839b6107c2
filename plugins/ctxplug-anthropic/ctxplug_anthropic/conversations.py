"""Conversations: the memories behind a chat, one for each session of a user.

What the sync and the async chat have in common, and none of it waits for the network.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from ctxplug import AgentMemory
from ctxplug.errors import InvalidValueError, ToolConflictError
from ctxplug.memory_like import is_memory
from ctxplug.recall.recalled import Recalled
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace, to_namespace
from ctxplug.storage import Backend, EraseReceipt
from ctxplug.tools.convert import to_tool
from ctxplug.tools.registry import MEMORY_TOOLS
from ctxplug_anthropic.replies import ChatStatistics

NAMESPACE = "chat"
MOST_OPEN = 256  # memories that are kept at hand


@dataclass(eq=False)
class Conversation:
    """One session of a user; its turns are held one after the other."""

    memory: AgentMemory
    lock: threading.Lock = field(default_factory=threading.Lock)


class Conversations:
    """The sessions of all users of a chat, on one store.

    `target` is an open AgentMemory, whose users then stand below its namespace, or what
    `AgentMemory.open` takes. With `conscious` the model decides what to remember, by the memory
    tools; with `auto` rules find it in what users say. Usable from any thread.
    """

    def __init__(
        self,
        target: AgentMemory | str | os.PathLike[str] | Backend,
        *,
        tools: Iterable[Any] = (),
        conscious: bool = False,
        auto: bool = False,
        **opening: Any,
    ) -> None:
        if is_memory(target):
            if auto or opening:
                names = ["auto"] if auto else sorted(opening)
                raise InvalidValueError(
                    f"{', '.join(names)} is decided when a memory is opened, and this one is: open"
                    ' it so, as with AgentMemory.open(..., capture="auto").',
                    path=names[0],
                )
            self.root, self._owned = target, False
        else:
            opening.setdefault("namespace", NAMESPACE)
            if auto:
                opening["capture"] = "auto"
            self.root = AgentMemory.open(target, **opening)
            self._owned = True
        if conscious:
            self.root.tools.add_memory_tools()
        for tool in tools:
            self.root.tools.add(tool)
        self._lock = threading.Lock()
        self._open: OrderedDict[tuple[Namespace, str], Conversation] = OrderedDict()
        # Those a turn holds too: a session has one lock, however many are open.
        self._alive = WeakValueDictionary[tuple[Namespace, str], Conversation]()

    def of(
        self, user_id: str, session_id: str, namespace: str | Iterable[str] | None = None
    ) -> Conversation:
        """Return the conversation of a user's session."""
        if not isinstance(session_id, str):
            raise InvalidValueError(
                f"session_id is the name of a session, not {session_id!r}.", path="session_id"
            )
        key = (self._namespace(user_id, namespace), session_id)
        with self._lock:
            found = self._open.pop(key, None) or self._alive.get(key)
            if found is None:
                found = Conversation(self.root.beside(namespace=key[0], session=session_id))
            self._open[key] = self._alive[key] = found
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
            return found

    def user(self, user_id: str, namespace: str | Iterable[str] | None = None) -> AgentMemory:
        """Return a memory of a user, of no session that was held."""
        return self.root.beside(namespace=self._namespace(user_id, namespace))

    def tool_names(self, tools: Iterable[Any] | None) -> tuple[str | Mapping[str, Any], ...]:
        """Return the names of `tools`, added if they are new, and the dicts among them.

        None: all that are enabled. Raises UnknownToolError for a name without a tool, and
        ToolConflictError for a tool whose name another has.
        """
        registry = self.root.tools
        if tools is None:
            return tuple(tool.name for tool in registry.list())
        chosen: list[str | Mapping[str, Any]] = []
        for tool in tools:
            if isinstance(tool, str):
                chosen.append(registry.get(tool).name)
                if tool in MEMORY_TOOLS:
                    registry.add_memory_tools(tool)
            elif isinstance(tool, Mapping):
                chosen.append(dict(tool))
            else:
                chosen.append(self._added(tool))
        return tuple(chosen)

    def search(
        self, user_id: str, query: str, k: int, namespace: Any, options: Mapping[str, Any]
    ) -> list[Recalled]:
        """Return the best of a user's memories and messages."""
        with self.user(user_id, namespace) as memory:
            return memory.recall(query, k=k, **options)

    def remember(
        self, user_id: str, content: str, namespace: Any, options: Mapping[str, Any]
    ) -> MemoryRecord:
        """Store a memory of a user."""
        with self.user(user_id, namespace) as memory:
            return memory.remember(content, **options)

    def clear(self, user_id: str, session_id: str | None, namespace: Any) -> EraseReceipt | None:
        """Begin a session anew, or erase all of a user."""
        conversations = self.held_by(user_id, session_id, namespace)
        with ExitStack() as turns:
            for conversation in conversations:
                turns.enter_context(conversation.lock)
            if session_id is not None:
                conversations[0].memory.session.keep(())
                return None
            with self.user(user_id, namespace) as memory:
                receipt = memory.erase()
            gone = self._namespace(user_id, namespace)
            with self._lock:
                for held in (self._open, self._alive):
                    for key in [key for key in held if key[0] == gone]:
                        held.pop(key, None)
            return receipt

    def held_by(
        self, user_id: str, session_id: str | None, namespace: str | Iterable[str] | None
    ) -> list[Conversation]:
        """Return the conversation of a session, or all of a user's that are at hand, in order."""
        if session_id is not None:
            return [self.of(user_id, session_id, namespace)]
        mine = self._namespace(user_id, namespace)
        with self._lock:
            alive = dict(self._alive)
        return [alive[key] for key in sorted(key for key in alive if key[0] == mine)]

    def statistics(self, user_id: str, days: int, namespace: Any) -> ChatStatistics:
        """Count what is stored of a user, and what the user's turns have cost."""
        with self.user(user_id, namespace) as memory:
            stats, spent = memory.stats(), memory.usage.report(days)
        return ChatStatistics(
            sessions=stats.sessions,
            memories=stats.memories,
            usage=spent.total.usage,
            calls=spent.total.calls,
            cost=spent.total.cost,
        )

    def close(self) -> None:
        """Close the store if it was opened here."""
        with self._lock:
            self._open.clear()
        if self._owned:
            self.root.close()

    # -- inside --------------------------------------------------------------------------

    def _namespace(self, user_id: str, namespace: str | Iterable[str] | None) -> Namespace:
        above = self.root.scope.namespace if namespace is None else to_namespace(namespace)
        return to_namespace((*above, user_id))

    def _added(self, tool: Any) -> str:
        """Add a tool unless it is there; the same function twice is one tool."""
        made = to_tool(tool)
        registry = self.root.tools
        try:
            return registry.add(made).name
        except ToolConflictError:
            known = registry.get(made.name)
            if known.function is made.function:
                return known.name
            raise
