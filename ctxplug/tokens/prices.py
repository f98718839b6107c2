"""What models cost: a dated table that can be overridden, in which unknown is not zero.

The table is `prices.json` beside this file, in US dollars per million tokens for text at
the standard rate. CTXPLUG_PRICES names a file of the same form that is laid over it::

    {"as_of": "2026-05-01", "models": {"my-model": {"input": 1.0, "output": 4.0}}}
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug.tokens.usage import Usage

VARIABLE = "CTXPLUG_PRICES"
PER = 1_000_000
CACHE_READ, CACHE_WRITE, CACHE_WRITE_1H = 0.1, 1.25, 2.0

# What may stand before and after a model's name in the table: "us.anthropic.",
# "openai/", "models/"; a date, a Bedrock version, "-latest".
_VENDOR = re.compile(r"\A(?:[\w.-]+/)*(?:(?:us|eu|apac|ap|jp|au|global)\.)?(?:anthropic\.)?")
_VERSION = re.compile(
    r"(?:[-@](?:20[0-9]{6}|20[0-9]{2}-[01][0-9]-[0-3][0-9]|latest|00[0-9]))?(?:-v[0-9](?::[0-9])?)?\Z"
)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; what is left out costs as much as plain input.

    `long` holds instead where a request's whole input has more than `above` tokens.
    """

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    above: int | None = None
    long: Price | None = None

    def __post_init__(self) -> None:
        for name in ("input", "output", "cache_read", "cache_write", "cache_write_1h"):
            value = getattr(self, name)
            optional = value is None and name.startswith("cache")
            if not optional and not (_is_number(value) and 0 <= value < math.inf):
                raise InvalidValueError(
                    f"The price {name!r} is in dollars per million tokens, not {value!r}.",
                    path=name,
                )

    @property
    def dearest(self) -> float:
        """The most that a token may cost, whatever it turns out to be."""
        mine = [v for v in (self.input, self.output, *self._cache()) if v is not None]
        return max(*mine, self.long.dearest if self.long else 0.0)

    def _cache(self) -> tuple[float | None, ...]:
        return self.cache_read, self.cache_write, self.cache_write_1h


@dataclass(frozen=True, slots=True)
class CacheRatios:
    """Prices of the prompt cache relative to plain input."""

    read: float = CACHE_READ
    write: float = CACHE_WRITE
    write_1h: float = CACHE_WRITE_1H


class Prices:
    """Prices by model: the built-in table, the file of CTXPLUG_PRICES over it, `overrides` on top.

    `overrides` maps a model's name to a Price, to a dict of its fields, or to None (which
    makes it unknown). Raises InvalidValueError for a price or a file that makes no sense.
    """

    def __init__(
        self,
        overrides: Mapping[str, Price | Mapping[str, Any] | None] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        path = (os.environ if environ is None else environ).get(VARIABLE)
        table, self.as_of = _built_in()
        self._table: dict[str, Price | None] = dict(table)
        if path:
            more, as_of = _read(path)
            self._table.update(more)
            self.as_of = as_of or self.as_of
        for name, price in (overrides or {}).items():
            self._table[name.lower()] = _price(price, name) if price is not None else None

    def price_of(self, model: str | None) -> Price | None:
        """Return the price of `model`, or None where it is unknown.

        A vendor or region in front and a date or version behind are overlooked
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), anything else is not: a sibling's
        price would be a guess.
        """
        return next((self._table[n] for n in _names(model or "") if n in self._table), None)

    def ratios_of(self, model: str | None) -> CacheRatios:
        """Return cache prices relative to input; for an unknown price, Anthropic's."""
        price = self.price_of(model)
        if price is None or not price.input:
            return CacheRatios()
        read, write, write_1h = (
            1.0 if value is None else value / price.input for value in _rates(price)[2:]
        )
        return CacheRatios(read, write, write_1h)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(name for name, price in self._table.items() if price))


def cost(usage: Usage, price: Price | None) -> float | None:
    """Return what `usage` costs in US dollars, or None where the price is unknown."""
    if price is None:
        return None
    if price.long and price.above is not None and usage.total_input > price.above:
        price = price.long
    plain, output, read, write, write_1h = _rates(price)
    long = usage.cache_write_1h_tokens
    return (
        math.fsum(
            (
                usage.input_tokens * plain,
                usage.output_tokens * output,
                usage.cache_read_tokens * read,
                (usage.cache_write_tokens - long) * write,
                long * write_1h,
            )
        )
        / PER
    )


def _rates(price: Price) -> tuple[float, float, float, float, float]:
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    write_1h = write if price.cache_write_1h is None else price.cache_write_1h
    return price.input, price.output, read, write, write_1h


def _names(model: str) -> Iterator[str]:
    """Yield the names under which `model` may stand in the table, the exact one first."""
    name = model.lower()
    for whole in (name, _VENDOR.sub("", name)):
        yield whole
        bare = _VERSION.sub("", whole)
        yield bare
        yield re.sub(r"(?<=[0-9])\.(?=[0-9])", "-", bare) if "claude" in bare else bare


@cache
def _built_in() -> tuple[Mapping[str, Price], str]:
    data = files("ctxplug.tokens").joinpath("prices.json").read_bytes()
    return _table(codec.decode(data), "prices.json")


def _read(path: str) -> tuple[Mapping[str, Price], str]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as exc:
        raise InvalidValueError(
            f"{VARIABLE} names {path!r}, which cannot be read: {exc.strerror}.", path=VARIABLE
        ) from exc
    return _table(codec.decode(data), path)


def _table(data: Any, where: str) -> tuple[Mapping[str, Price], str]:
    models = data.get("models") if isinstance(data, dict) else None
    if not isinstance(models, dict):
        raise InvalidValueError(
            f"The price table {where!r} is a JSON object with 'models', each with its prices in"
            " US dollars per million tokens.",
            path=where,
        )
    table = {name.lower(): _price(price, name) for name, price in models.items()}
    return table, str(data.get("as_of", ""))


def _price(given: Any, model: str) -> Price:
    if isinstance(given, Price):
        return given
    known = [field.name for field in fields(Price)]
    if not isinstance(given, Mapping) or not {"input", "output"} <= set(given) <= set(known):
        raise InvalidValueError(
            f"The price of {model!r} has 'input' and 'output' and may have"
            f" {', '.join(known[2:])}; it is {given!r:.120}.",
            path=model,
        )
    values = dict(given)
    if isinstance(longer := values.get("long"), Mapping):
        values["above"] = longer.get("above")
        values["long"] = _price({k: v for k, v in longer.items() if k != "above"}, model)
    price = Price(**values)
    if (price.long is None) != (price.above is None) or not isinstance(price.above, int | None):
        raise InvalidValueError(
            f"The price of {model!r} for long input says above how many tokens it holds:"
            ' {"long": {"above": 200000, "input": ..., "output": ...}}.',
            path=model,
        )
    return price


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
