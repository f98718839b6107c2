"""The model catalogue: what each Claude model can take and costs, and which one to choose.

The data is `models.json` beside this file. CTXPLUG_MODELS names a file of the same form
that is laid over it, model by model and field by field; "price" is in US dollars per million
tokens, as in ctxplug.tokens.prices::

    {"as_of": "2026-11-01",
     "models": {"claude-sonnet-5-5": {"price": {"input": 2.0, "output": 10.0}}},
     "use_cases": {"chat": ["claude-sonnet-5-5"]}}
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug.tokens.prices import Prices
from ctxplug_anthropic.model import Model, NoModelError

VARIABLE = "CTXPLUG_MODELS"
OUTPUT_TOKENS = 1_024  # of an answer whose length is not given

_FIELDS = ("context_window", "max_output", "capabilities", "released", "retires", "price")
_VENDOR = re.compile(r"\A(?:[\w.-]+/)*(?:(?:us|eu|apac|ap|jp|au|global)\.)?(?:anthropic\.)?")
_VERSION = re.compile(r"(?:[-@](?:20[0-9]{6}|latest))?(?:-v[0-9](?::[0-9])?)?\Z")


class Catalogue:
    """Models by name: the built-in data, CTXPLUG_MODELS over it, `overrides` on top.

    `overrides` is a dict of the form above or the path of such a file; a model that is
    None there is taken out. Prices are those of the overrides, else of `prices`, by default
    ctxplug's table; what is in neither is unknown, which is not zero. Raises
    InvalidValueError for data that makes no sense.
    """

    def __init__(
        self,
        overrides: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        prices: Prices | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        environ = os.environ if environ is None else environ
        self._prices = prices or Prices(environ=environ)
        self.as_of = ""
        self._use_cases: dict[str, tuple[str, ...]] = {}
        rows: dict[str, dict[str, Any]] = {}
        layers: list[tuple[Any, str]] = [(_built_in(), "models.json")]
        if path := environ.get(VARIABLE):
            layers.append((_read(path), path))
        if isinstance(overrides, Mapping):
            layers.append((overrides, "overrides"))
        elif overrides is not None:
            layers.append((_read(overrides), os.fspath(overrides)))
        for data, where in layers:
            self._lay(rows, data, where)
        self._models = {name: self._model(name, row) for name, row in rows.items()}

    def get(self, name: str) -> Model | None:
        """Return the model, or None; a vendor before and a date behind its name do not count."""
        bare = _VERSION.sub("", _VENDOR.sub("", name.lower()))
        return self._models.get(name.lower()) or self._models.get(bare)

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    @property
    def use_cases(self) -> Mapping[str, tuple[str, ...]]:
        """The models for each use case, the preferred first."""
        return dict(self._use_cases)

    def select(
        self,
        use_case: str,
        budget_left: float | None = None,
        *,
        input_tokens: int = 0,
        output_tokens: int = OUTPUT_TOKENS,
        requires: Iterable[str] = (),
        today: date | None = None,
    ) -> Model:
        """Return the first model of `use_case` that can do the request.

        It has room for `input_tokens` and `output_tokens`, every capability in `requires`,
        is not retired, and with `budget_left`, in US dollars, is known to cost no more.
        Raises NoModelError, which says of each model why not.
        """
        if use_case not in self._use_cases:
            known = ", ".join(sorted(self._use_cases))
            raise InvalidValueError(
                f"There is no use case {use_case!r}; use one of {known}, or add it in the"
                " 'use_cases' of an override.",
                path="use_case",
            )
        names = self._use_cases[use_case]
        needs = _Needs(budget_left, input_tokens, output_tokens, requires, today)
        return self._first(names, needs, f"for {use_case!r}")

    def affordable(
        self,
        model: str,
        budget_left: float,
        *,
        input_tokens: int = 0,
        output_tokens: int = OUTPUT_TOKENS,
        requires: Iterable[str] = (),
        today: date | None = None,
    ) -> Model:
        """Return `model` if it can do the request within `budget_left`, else a cheaper one.

        Of those that are cheaper, the dearest that fits. Raises NoModelError if none does.
        """
        needs = _Needs(budget_left, input_tokens, output_tokens, requires, today)
        names = [model, *(one.name for one in self.cheaper(model))]
        return self._first(names, needs, f"in place of {model!r}")

    def cheaper(self, model: str) -> list[Model]:
        """Return the models that are known to cost less than `model`, the dearest first."""
        mine = self.get(model)
        if mine is None or mine.price is None:
            return []
        limit = mine.price.input + mine.price.output
        found = [
            (one.price.input + one.price.output, one.released or date.min, one)
            for one in self
            if one.price is not None and one.price.input + one.price.output < limit
        ]
        return [one for _, _, one in sorted(found, key=lambda row: row[:2], reverse=True)]

    def _first(self, names: Iterable[str], needs: _Needs, purpose: str) -> Model:
        reasons: dict[str, str] = {}
        for name in names:
            model = self.get(name)
            fault = "is not in the catalogue" if model is None else needs.fault(model)
            if model is not None and fault is None:
                return model
            reasons[name] = str(fault)
        told = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
        raise NoModelError(f"No model {purpose} can do this request: {told}.", reasons)

    def _lay(self, rows: dict[str, dict[str, Any]], data: Any, where: str) -> None:
        if not isinstance(data, Mapping) or not isinstance(data.get("models", {}), Mapping):
            raise InvalidValueError(
                f"The model catalogue {where!r} is a JSON object with 'models' by name.", path=where
            )
        self.as_of = str(data.get("as_of") or self.as_of)
        for name, row in data.get("models", {}).items():
            if row is None:
                rows.pop(name.lower(), None)
                continue
            if not isinstance(row, Mapping) or not set(row) <= set(_FIELDS):
                raise InvalidValueError(
                    f"The model {name!r} in {where!r} may have {', '.join(_FIELDS)}; it is"
                    f" {row!r:.120}.",
                    path=f"models.{name}",
                )
            rows.setdefault(name.lower(), {}).update(row)
        for use_case, names in _use_cases(data, where):
            self._use_cases[use_case] = tuple(names)

    def _model(self, name: str, row: Mapping[str, Any]) -> Model:
        price, as_of = self._prices.price_of(name), self._prices.as_of
        if row.get("price") is not None:
            price, as_of = Prices({name: row["price"]}, environ={}).price_of(name), self.as_of
        try:
            if isinstance(row.get("capabilities"), str):
                raise TypeError("letters are no capabilities")
            return Model(
                name=name,
                context_window=row["context_window"],
                max_output=row["max_output"],
                capabilities=frozenset(row.get("capabilities", ())),
                price=price,
                price_as_of=as_of if price else None,
                released=_date(row.get("released")),
                retires=_date(row.get("retires")),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise InvalidValueError(
                f"The model {name!r} has a context_window and a max_output, dates as"
                f" YYYY-MM-DD, and capabilities as a list; it is {dict(row)!r:.200}.",
                path=f"models.{name}",
            ) from exc


class _Needs:
    def __init__(
        self,
        budget: float | None,
        inputs: int,
        outputs: int,
        requires: Iterable[str],
        today: date | None,
    ) -> None:
        self.budget, self.inputs, self.outputs = budget, inputs, outputs
        self.requires = frozenset((requires,) if isinstance(requires, str) else requires)
        self.today = today or datetime.now(UTC).date()

    def fault(self, model: Model) -> str | None:
        """Return why `model` cannot do the request, or None."""
        if model.retires is not None and model.retires <= self.today:
            return f"was retired on {model.retires}"
        if lacking := sorted(self.requires - model.capabilities):
            return f"lacks {', '.join(lacking)}"
        if self.outputs > model.max_output:
            return f"puts out at most {model.max_output:,} tokens"
        if self.inputs + self.outputs > model.context_window:
            return f"has a window of {model.context_window:,} tokens"
        if self.budget is None:
            return None
        cost = model.cost(self.inputs, self.outputs)
        if cost is None:
            return "has no known price"
        return f"would cost ${cost:,.6f}" if cost > self.budget else None


def select_model(use_case: str, budget_left: float | None = None, **needs: Any) -> Model:
    """Return the model of the default catalogue for `use_case`; see Catalogue.select."""
    return Catalogue().select(use_case, budget_left, **needs)


@cache
def _built_in() -> Mapping[str, Any]:
    data: Mapping[str, Any] = codec.decode(
        files("ctxplug_anthropic").joinpath("models.json").read_bytes()
    )
    return data


def _read(path: str | os.PathLike[str]) -> Any:
    try:
        return codec.decode(Path(path).read_bytes())
    except OSError as exc:
        raise InvalidValueError(
            f"The model catalogue {os.fspath(path)!r} cannot be read: {exc.strerror}."
        ) from exc


def _use_cases(data: Mapping[str, Any], where: str) -> Iterable[tuple[str, list[str]]]:
    given: Any = data.get("use_cases", {})
    rows = given.values() if isinstance(given, Mapping) else [None]
    for names in rows:
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise InvalidValueError(
                f"The 'use_cases' of {where!r} are lists of models by name; here is"
                f" {given if names is None else names!r:.120}.",
                path="use_cases",
            )
    return [(str(use_case), list(names)) for use_case, names in given.items()]


def _date(text: Any) -> date | None:
    return None if text is None else date.fromisoformat(text)
