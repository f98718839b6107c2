"""ctxplug for LangChain and LangGraph; importing it costs nothing until a name is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what the names below are; at run time each is loaded when it is asked for
    from langchain_ctxplug.chat_message_histories import (
        CtxplugChatMessageHistory,
        ctxplug_history,
        ctxplug_user_history,
    )
    from langchain_ctxplug.compressor import CtxplugCompressor
    from langchain_ctxplug.memory import CtxplugMemory
    from langchain_ctxplug.messages import from_message, from_messages, to_messages
    from langchain_ctxplug.middleware import CtxplugMiddleware
    from langchain_ctxplug.opening import memory_of
    from langchain_ctxplug.retrievers import CtxplugRetriever
    from langchain_ctxplug.stock import (
        CtxplugContextEdit,
        ctxplug_summarizer,
        ctxplug_token_counter,
        expand_tool,
    )
    from langchain_ctxplug.store import CtxplugStore
    from langchain_ctxplug.store_bytes import CtxplugByteStore
    from langchain_ctxplug.tools import (
        as_function,
        as_langchain_tool,
        memory_tools,
        registered_tools,
        tools_plugin,
    )

_WHERE = {
    "CtxplugByteStore": "store_bytes",
    "CtxplugChatMessageHistory": "chat_message_histories",
    "CtxplugCompressor": "compressor",
    "CtxplugContextEdit": "stock",
    "CtxplugMemory": "memory",
    "CtxplugMiddleware": "middleware",
    "CtxplugRetriever": "retrievers",
    "CtxplugStore": "store",
    "as_function": "tools",
    "as_langchain_tool": "tools",
    "ctxplug_history": "chat_message_histories",
    "ctxplug_summarizer": "stock",
    "ctxplug_token_counter": "stock",
    "ctxplug_user_history": "chat_message_histories",
    "expand_tool": "stock",
    "from_message": "messages",
    "from_messages": "messages",
    "memory_of": "opening",
    "memory_tools": "tools",
    "registered_tools": "tools",
    "to_messages": "messages",
    "tools_plugin": "tools",
}

_EXTRAS = {"memory": "classic", "middleware": "agents", "store": "store", "store_bytes": "store"}

__all__ = [
    "CtxplugByteStore",
    "CtxplugChatMessageHistory",
    "CtxplugCompressor",
    "CtxplugContextEdit",
    "CtxplugMemory",
    "CtxplugMiddleware",
    "CtxplugRetriever",
    "CtxplugStore",
    "as_function",
    "as_langchain_tool",
    "ctxplug_history",
    "ctxplug_summarizer",
    "ctxplug_token_counter",
    "ctxplug_user_history",
    "expand_tool",
    "from_message",
    "from_messages",
    "memory_of",
    "memory_tools",
    "registered_tools",
    "to_messages",
    "tools_plugin",
]


if not TYPE_CHECKING:  # so that a name that is not there is an error to a type checker

    def __getattr__(name: str) -> Any:
        if name not in _WHERE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            value = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
        except ModuleNotFoundError as exc:
            extra = _EXTRAS.get(_WHERE[name])
            if extra is None or (exc.name or "").startswith(("ctxplug", __name__)):
                raise
            raise ModuleNotFoundError(
                f"{name} needs {exc.name!r}, which is not installed; run"
                f" `pip install 'langchain-ctxplug[{extra}]'`.",
                name=exc.name,
            ) from exc
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
