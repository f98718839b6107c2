"""ctxplug for LlamaIndex; importing it costs nothing until a name is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what the names below are; at run time each is loaded when it is asked for
    from ctxplug_llamaindex.agents import bounded
    from ctxplug_llamaindex.async_chat_store import CtxplugAsyncChatStore
    from ctxplug_llamaindex.chat_store import CtxplugChatStore
    from ctxplug_llamaindex.memory import CtxplugMemory
    from ctxplug_llamaindex.memory_block import CtxplugMemoryBlock
    from ctxplug_llamaindex.messages import from_message, from_messages, to_message, to_messages
    from ctxplug_llamaindex.opening import memory_of
    from ctxplug_llamaindex.retriever import CtxplugRetriever
    from ctxplug_llamaindex.tools import (
        CtxplugToolSpec,
        as_function,
        as_function_tool,
        registered_tools,
        tools_plugin,
    )

_WHERE = {
    "CtxplugAsyncChatStore": "async_chat_store",
    "CtxplugChatStore": "chat_store",
    "CtxplugMemory": "memory",
    "CtxplugMemoryBlock": "memory_block",
    "CtxplugRetriever": "retriever",
    "CtxplugToolSpec": "tools",
    "as_function": "tools",
    "as_function_tool": "tools",
    "bounded": "agents",
    "from_message": "messages",
    "from_messages": "messages",
    "memory_of": "opening",
    "registered_tools": "tools",
    "to_message": "messages",
    "to_messages": "messages",
    "tools_plugin": "tools",
}

__all__ = [
    "CtxplugAsyncChatStore",
    "CtxplugChatStore",
    "CtxplugMemory",
    "CtxplugMemoryBlock",
    "CtxplugRetriever",
    "CtxplugToolSpec",
    "as_function",
    "as_function_tool",
    "bounded",
    "from_message",
    "from_messages",
    "memory_of",
    "registered_tools",
    "to_message",
    "to_messages",
    "tools_plugin",
]


if not TYPE_CHECKING:  # so that a name that is not there is an error to a type checker

    def __getattr__(name: str) -> Any:
        if name not in _WHERE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
