"""What the chat stores share: the memory they are opened on, and how they find it again."""

from __future__ import annotations

from typing import Any, Self

from llama_index.core.bridge.pydantic import (
    BaseModel,
    PrivateAttr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from ctxplug import AgentMemory
from ctxplug.memory_like import is_memory
from ctxplug_llamaindex.by_reference import ByReference
from ctxplug_llamaindex.directory import Directory
from ctxplug_llamaindex.opening import memory_of, spec_of


class Reconnecting(ByReference, BaseModel):
    """A store on a memory: dumped as where that is kept, and copied as itself."""

    _memory: AgentMemory = PrivateAttr()
    _directory: Directory = PrivateAttr()
    _opened: bool = PrivateAttr()

    def __init__(self, target: Any = "memory:", **options: Any) -> None:
        options.pop("class_name", None)
        super().__init__()
        self._memory = memory_of(target, **options)
        self._opened = not is_memory(target)
        self._directory = Directory(self._memory)

    @property
    def memory(self) -> AgentMemory:
        """The memory that it was opened on; `memory.beside(session=key)` is that of a key."""
        return self._memory

    def close(self) -> None:
        """Let go of what it opened itself; a memory that was given stays open."""
        if self._opened:
            self._memory.close()

    async def aclose(self) -> None:
        """Async twin of `close`."""
        if self._opened:
            await self._memory.aclose()

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which it is dumped."""
        return cls.__name__

    @model_serializer(mode="wrap")
    def custom_model_dump(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Return what opens it again: JSON without messages."""
        return {**spec_of(self._memory), "class_name": self.class_name()}

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Return what `from_dict` takes: JSON without messages."""
        return self.model_dump(**kwargs)

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
        """Return a store on the same memory; one that lived in a process is found there only."""
        return cls(**{**data, **kwargs})
