"""The memory and the memory block of ctxplug, under LlamaIndex's name for them."""

from ctxplug_llamaindex import CtxplugMemory, CtxplugMemoryBlock

__all__ = ["CtxplugMemory", "CtxplugMemoryBlock"]
