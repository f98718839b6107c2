"""Claude on ctxplug; the anthropic SDK is imported when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ctxplug import hookimpl

if TYPE_CHECKING:
    from ctxplug.hookspecs import Register
    from ctxplug_anthropic.async_chat import AsyncMemoryChat
    from ctxplug_anthropic.catalogue import Catalogue, select_model
    from ctxplug_anthropic.chat import MemoryChat
    from ctxplug_anthropic.chat_errors import ChatDeadlineError, ChatError, IncompleteReplyError
    from ctxplug_anthropic.chat_settings import ChatSettings
    from ctxplug_anthropic.counter import AnthropicCounter, Count
    from ctxplug_anthropic.memory_files import FileVersion, MemoryFiles
    from ctxplug_anthropic.memory_tool import AsyncMemoryTool, MemoryTool
    from ctxplug_anthropic.model import Model, NoModelError
    from ctxplug_anthropic.replies import ChatEvent, ChatReply, ChatStatistics
    from ctxplug_anthropic.streaming import AsyncChatStream, ChatStream
    from ctxplug_anthropic.summarizer import AnthropicSummarizer, SummaryError

__all__ = [
    "AnthropicCounter",
    "AnthropicSummarizer",
    "AsyncChatStream",
    "AsyncMemoryChat",
    "AsyncMemoryTool",
    "Catalogue",
    "ChatDeadlineError",
    "ChatError",
    "ChatEvent",
    "ChatReply",
    "ChatSettings",
    "ChatStatistics",
    "ChatStream",
    "Count",
    "FileVersion",
    "IncompleteReplyError",
    "MemoryChat",
    "MemoryFiles",
    "MemoryTool",
    "Model",
    "NoModelError",
    "SummaryError",
    "register_summarizers",
    "register_token_counters",
    "select_model",
]

_MODULES = {
    "ChatSettings": "chat_settings",
    "ChatStream": "streaming",
    "AsyncChatStream": "streaming",
    "ChatStatistics": "replies",
    "ChatReply": "replies",
    "ChatEvent": "replies",
    "IncompleteReplyError": "chat_errors",
    "ChatError": "chat_errors",
    "ChatDeadlineError": "chat_errors",
    "MemoryChat": "chat",
    "AsyncMemoryChat": "async_chat",
    "AnthropicCounter": "counter",
    "AnthropicSummarizer": "summarizer",
    "AsyncMemoryTool": "memory_tool",
    "Catalogue": "catalogue",
    "Count": "counter",
    "FileVersion": "memory_files",
    "MemoryFiles": "memory_files",
    "MemoryTool": "memory_tool",
    "Model": "model",
    "NoModelError": "model",
    "SummaryError": "summarizer",
    "select_model": "catalogue",
}


@hookimpl
def register_token_counters(register: Register) -> None:
    """Offer the counter "anthropic:MODEL"."""
    register("anthropic", "ctxplug_anthropic.counter:anthropic_counter")


@hookimpl
def register_summarizers(register: Register) -> None:
    """Offer the summarizer "anthropic:MODEL"."""
    register("anthropic", "ctxplug_anthropic.summarizer:anthropic_summarizer")


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
