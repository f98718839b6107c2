"""The conformance suites themselves: what is right passes, and what breaks one law is told so."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from kit_runner import Fixtures, broken, laws

import ctxplug.testing as kit


@dataclass(frozen=True)
class Kind:
    """A suite, and the module of components that each break one of its laws."""

    suite: type
    module: str
    fixture: str

    def fixtures(self, make: Callable[[], Any]) -> Fixtures:
        """Return the suite's fixtures for what `make` gives."""
        of_module = getattr(_module(self.module), "fixtures", None)
        return of_module(make) if of_module else {self.fixture: make}

    def broken(self, make: Callable[[], Any], only: Iterable[str] = ()) -> dict[str, Exception]:
        """Return what the suite says of what `make` gives, in the tests `only` or in all."""
        right = self.fixtures(_module(self.module).RIGHT)
        return broken(self.suite, self.fixtures(make), right, only)

    @property
    def at_once(self) -> set[str]:
        """Tests that check every law at once, for more examples."""
        return getattr(_module(self.module), "OMNIBUS", set())


KINDS = {
    "counter": Kind(kit.TokenCounterSuite, "wrong_counters", "counter"),
    "summarizer": Kind(kit.SummarizerSuite, "wrong_summarizers", "summarizer"),
    "tool": Kind(kit.ToolSuite, "wrong_tools", "tool"),
    "guard": Kind(kit.GuardSuite, "wrong_guards", "guard"),
    "observer": Kind(kit.ObserverSuite, "wrong_observers", "observer"),
    "scorer": Kind(kit.ImportanceScorerSuite, "wrong_scorers", "scorer"),
    "strategy": Kind(kit.CompressionStrategySuite, "wrong_strategies", "strategy"),
}
if importlib.util.find_spec("numpy"):
    KINDS["embedder"] = Kind(kit.EmbedderSuite, "wrong_embedders", "embedder")


@cache
def _module(name: str) -> Any:
    return importlib.import_module(name)


WRONG = [
    pytest.param(kind, make, told, id=f"{kind}-{place}-{getattr(make, '__name__', '')}")
    for kind in KINDS
    for place, (make, told) in enumerate(_module(KINDS[kind].module).WRONG)
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_right_passes_every_law(kind: str) -> None:
    assert KINDS[kind].broken(_module(KINDS[kind].module).RIGHT) == {}


@pytest.mark.parametrize(("kind", "make", "told"), WRONG)
def test_what_breaks_a_law_fails_the_test_of_that_law_and_no_other(
    kind: str, make: Callable[[], Any], told: set[str]
) -> None:
    asked = told | set(laws(KINDS[kind].suite)) - KINDS[kind].at_once
    found = KINDS[kind].broken(make, asked)
    assert set(found) == told
    assert any(isinstance(found[name], AssertionError) and str(found[name]) for name in told)


@pytest.mark.parametrize("kind", KINDS)
def test_every_law_has_a_component_that_breaks_it(kind: str) -> None:
    told = {name for _, names in _module(KINDS[kind].module).WRONG for name in names}
    assert set(laws(KINDS[kind].suite)) - told == set()
