"""What stands for a memory: copied as itself, pickled as where the memory is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ctxplug import AgentMemory


class ByReference:
    """What has a memory inside that no copy copies; the model it is mixed into has the rest."""

    if TYPE_CHECKING:  # pydantic would take what is annotated here for fields
        _memory: AgentMemory

        def close(self) -> None:
            """Let go of what was opened here."""

        async def aclose(self) -> None:
            """Async twin of `close`."""

        def to_dict(self, **kwargs: Any) -> dict[str, Any]:
            """Return where the memory is kept."""

        @classmethod
        def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> Self:
            """Return one on the same memory."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._memory!r}>"

    __str__ = __repr__
