"""The chat stores of ctxplug, under LlamaIndex's name for them."""

from ctxplug_llamaindex import CtxplugAsyncChatStore, CtxplugChatStore

__all__ = ["CtxplugAsyncChatStore", "CtxplugChatStore"]
