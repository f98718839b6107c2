"""Model: what one Claude model can take and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from ctxplug.errors import CtxplugError
from ctxplug.tokens.prices import Price, cost
from ctxplug.tokens.usage import Usage


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalogue; `price` is None where it is unknown, else dated.

    `capabilities` are of "images", "documents", "tools", "thinking", "effort",
    "structured_output", "sampling" (temperature and the like) and "system_messages" (between
    the turns), or names of your own.
    """

    name: str
    context_window: int
    max_output: int
    capabilities: frozenset[str] = frozenset()
    price: Price | None = None
    price_as_of: str | None = None
    released: date | None = None
    retires: date | None = None

    def __post_init__(self) -> None:
        for name in ("context_window", "max_output"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is a number of tokens, not {value!r}")

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """Return what a request without caching costs in US dollars, None if unknown."""
        return cost(Usage(input_tokens, output_tokens), self.price)


class NoModelError(CtxplugError, LookupError):
    """No model can do a request; `reasons` says of each model why."""

    def __init__(self, message: str, reasons: Mapping[str, str]) -> None:
        super().__init__(message)
        self.reasons = dict(reasons)
