"""TurnSettings: how a turn is held, whatever the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.tools.rules import Approve
from ctxplug_anthropic.deadline import Deadline

OURS = ("messages", "system", "tools", "model", "max_tokens", "stream")


@dataclass(frozen=True, kw_only=True)
class TurnSettings:
    """One turn: its `model`, what of the input `budget` it has, and what is sent along.

    `tools` are names of the memory's tools, and dicts of the API's own server tools; `options`
    are further arguments of `messages.create`, such as thinking. `fallback` is a cheaper
    model for when a limit refuses `model`; None is none.
    """

    model: str
    max_tokens: int = 4_096
    budget: int | None = None
    system: str | None = None
    tools: tuple[str | Mapping[str, Any], ...] = ()
    recall: bool = True
    cache: bool = True
    stream: bool = False
    fallback: str | None = None
    most_calls: int = 25
    options: Mapping[str, Any] = field(default_factory=dict)
    approve: Approve | None = None
    deadline: Deadline = field(default_factory=lambda: Deadline(None))

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise InvalidValueError(
                f"model is the name of a model, not {self.model!r}; give MemoryChat(model=...), or"
                " open the memory with one.",
                path="model",
            )
        for name in ("max_tokens", "most_calls"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidValueError(
                    f"{name} is a whole number above zero, not {value!r}.", path=name
                )
        if self.system is not None and not isinstance(self.system, str):
            raise InvalidValueError(
                f"system is text, not {type(self.system).__name__}; cache marks are set by"
                " cache=True, so join the texts of blocks.",
                path="system",
            )
        if wrong := sorted(set(self.options) & set(OURS)):
            raise InvalidValueError(
                f"options may not hold {', '.join(map(repr, wrong))}: MemoryChat sets"
                f" {', '.join(OURS)} itself; give them as its own arguments.",
                path="options",
            )

    @property
    def names(self) -> frozenset[str]:
        """The names of the tools that run here."""
        return frozenset(tool for tool in self.tools if isinstance(tool, str))

    @property
    def server_tools(self) -> Sequence[Mapping[str, Any]]:
        """The dicts of tools that run at the API."""
        return [tool for tool in self.tools if not isinstance(tool, str)]
