"""MemoryLike: what has the verbs of an AgentMemory, wherever its store is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from ctxplug.agent_memory import AgentMemory


@runtime_checkable
class MemoryLike(Protocol):
    """An AgentMemory, or one of the same verbs whose store is elsewhere.

    Adapters take either; what cannot be done from afar raises UnsupportedError there.
    """

    def add(self, message: Any, content: Any = None, **fields: Any) -> Any:
        """Store one message."""

    def context(self, query: str | None = None, **options: Any) -> Any:
        """Return the window for the next model call."""

    def recall(self, query: str, **options: Any) -> Any:
        """Return the memories and messages that fit `query`."""

    def remember(self, content: str, **options: Any) -> Any:
        """Store a memory."""

    def beside(self, **options: Any) -> Any:
        """Return a memory of another session or namespace on the same store."""


def is_memory(value: object) -> TypeIs[AgentMemory]:
    """Say whether `value` is an AgentMemory, or has its verbs."""
    return isinstance(value, MemoryLike) and not isinstance(value, type)
