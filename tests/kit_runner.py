"""Runs a whole conformance suite on one component after the other, to see what it says of each.

What its properties are tried on is drawn once, so that hundreds of wrong components are quick;
`suite_runner` draws anew for each.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import wraps
from typing import Any, TypeAlias

from hypothesis import seed
from suite_runner import cases, names_of

Fixtures: TypeAlias = Mapping[str, Callable[[], Any]]
MOST = 12  # examples of a property test that are tried on each


def laws(suite: type) -> list[str]:
    """Return the names of the tests of `suite` that are no slow ones."""
    return [name for name in names_of(suite) if not _is_slow(suite, name)]


def broken(
    suite: type, fixtures: Fixtures, right: Fixtures, only: Iterable[str] = ()
) -> dict[str, Exception]:
    """Return the tests that fail, of `only` or of all, with their first failure.

    Each run has fixtures of its own. What a property test draws is drawn once, with the
    component of `right`, and tried on all: that is quick, and the same for each.
    """
    found = {}
    for name in only or laws(suite):
        failure = _failure(suite, name, fixtures, right)
        if failure is not None:
            found[name] = failure
    return found


def _failure(suite: type, name: str, fixtures: Fixtures, right: Fixtures) -> Exception | None:
    test = getattr(suite, name)
    for parameters in cases(test):
        drawn: Iterable[Mapping[str, Any]] = ({},)
        if hasattr(test, "hypothesis"):
            drawn = deepcopy(_drawn(suite, name, right)[:MOST])  # a wrong one may change them
            test = test.hypothesis.inner_test
        for examples in drawn:
            made = _made(getattr(suite, name), fixtures)
            try:
                test(suite(), **made, **parameters, **examples)
            except Exception as exc:
                return exc
    return None


def _made(test: Any, fixtures: Fixtures) -> dict[str, Any]:
    wanted = inspect.signature(test).parameters
    return {key: make() for key, make in fixtures.items() if key in wanted}


_known: dict[tuple[type, str], list[Mapping[str, Any]]] = {}


def _drawn(suite: type, name: str, right: Fixtures) -> list[Mapping[str, Any]]:
    """Return what a property test draws; the right component passes it."""
    if (suite, name) not in _known:
        test = getattr(suite, name)
        inner, made, found = test.hypothesis.inner_test, _made(test, right), []

        @wraps(inner)
        def recorded(self: Any, **values: Any) -> None:
            found.append({key: value for key, value in values.items() if key not in made})
            inner(self, **values)

        test.hypothesis.inner_test = recorded
        try:
            seed(1)(test)(suite(), **made)
        finally:
            test.hypothesis.inner_test = inner
        _known[suite, name] = found
    return _known[suite, name]


def _is_slow(suite: type, name: str) -> bool:
    marks = getattr(getattr(suite, name), "pytestmark", ())
    return any(mark.name == "slow" for mark in marks)
