"""Runs the tests of a conformance suite one by one in this process, on any subject."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import seed

FAILURES = (Exception, pytest.fail.Exception)


class First(BaseException):
    """The first failure of a property; no Exception, so that Hypothesis stops at once."""


def names_of(suite: type) -> list[str]:
    """Return the names of the tests of `suite`."""
    return [name for name in dir(suite) if name.startswith("test_")]


def failure(
    suite: type, name: str, fixtures: Callable[[Path], dict[str, Any]]
) -> BaseException | None:
    """Return what the first failing case of a test raised; `fixtures` makes new ones for each."""
    method = getattr(suite, name)
    wanted = set(inspect.signature(method).parameters)
    for given in cases(method):
        with tempfile.TemporaryDirectory() as folder:
            made = {"tmp_path": Path(folder), **fixtures(Path(folder))}
            arguments = {key: value for key, value in made.items() if key in wanted}
            try:
                _stopping(method, suite(), {**arguments, **given})
            except First as exc:
                return exc.__cause__
            except FAILURES as exc:
                return exc
            finally:
                for value in made.values():
                    with suppress(Exception):
                        getattr(value, "close", bool)()
    return None


def cases(method: Any) -> Iterator[dict[str, Any]]:
    """Yield the arguments of each case that the parametrize marks of a test make."""
    marks = [m for m in getattr(method, "pytestmark", []) if m.name == "parametrize"]
    for chosen in product(*[_values(mark) for mark in marks]):
        yield {key: value for part in chosen for key, value in part.items()}


def _values(mark: pytest.Mark) -> list[dict[str, Any]]:
    names, values = mark.args[0], mark.args[1]
    keys = [key.strip() for key in names.split(",")] if isinstance(names, str) else list(names)
    rows = [getattr(value, "values", value) if not isinstance(value, dict) else value
            for value in values]  # fmt: skip
    return [dict(zip(keys, row if len(keys) > 1 else [row], strict=True)) for row in rows]


def _stopping(method: Any, suite: Any, arguments: dict[str, Any]) -> None:
    """Call a test; a property is left at its first failure, for there is nothing to shrink."""
    handle = getattr(method, "hypothesis", None)
    if handle is None:
        method(suite, **arguments)
        return
    inner = handle.inner_test

    def once(*args: Any, **options: Any) -> None:
        try:
            inner(*args, **options)
        except FAILURES as exc:
            if type(exc).__module__.startswith("hypothesis"):  # a rejected example
                raise
            raise First from exc

    handle.inner_test = once
    try:
        seed(1)(method)(suite, **arguments)  # what is caught is caught every time
    finally:
        handle.inner_test = inner
        seed(None)(method)
