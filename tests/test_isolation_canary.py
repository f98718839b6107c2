"""Nothing crosses a namespace: every public method, on every built-in backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctxplug import AgentMemory
from ctxplug.storage import Backend, Where
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing import IsolationSuite
from ctxplug.testing.isolation_calls import CALLS


@pytest.mark.slow
class TestInMemory(IsolationSuite):
    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        with InMemoryBackend() as backend:
            yield backend


class TestSqlite(IsolationSuite):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[Backend]:
        with SqliteBackend(tmp_path / "agent.db", synchronous="normal") as backend:
            yield backend


# -- the suite itself ----------------------------------------------------------------------


def run_suite(backend: Backend, names: tuple[str, ...] = tuple(CALLS)) -> None:
    suite = IsolationSuite()
    suite.test_every_public_method_has_a_call()
    for name in names:
        suite.test_no_method_shows_or_changes_another_namespace(backend, name)


def test_a_method_without_a_call_fails_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AgentMemory, "look_around", lambda self: None, raising=False)
    with InMemoryBackend() as backend, pytest.raises(AssertionError, match="look_around"):
        run_suite(backend)


def everywhere(backend: Backend, method: str, where: Where, *args: Any, **options: Any) -> Any:
    """Call a method of the in-memory backend as if its namespace were all of them."""
    plain = getattr(InMemoryBackend, method)
    found: Any = 0 if method == "count" else []
    for namespace in backend.namespaces():
        here = Where(**{f: getattr(where, f) for f in Where.__slots__ if f != "namespace"},
                     namespace=namespace)  # fmt: skip
        found = found + plain(backend, here, *args, **options)
    return found


@pytest.mark.parametrize(
    ("method", "shown_by"),
    [
        ("find", "memories"),
        ("count", "stats"),
        ("glance", "recall"),
    ],
)
def test_a_planted_missing_predicate_is_caught(method: str, shown_by: str) -> None:
    def leaky(self: Backend, where: Where, *args: Any, **options: Any) -> Any:
        return everywhere(self, method, where, *args, **options)

    leaking = type("Leaking", (InMemoryBackend,), {method: leaky})
    with leaking() as backend, pytest.raises(AssertionError):
        run_suite(backend, (shown_by,))


def test_a_planted_write_into_another_namespace_is_caught() -> None:
    class Leaking(InMemoryBackend):
        def write(self, *ops: Any) -> list[int]:
            from dataclasses import replace

            from ctxplug.storage import Delete

            spread = [
                replace(op, namespace=namespace)
                for op in ops
                if isinstance(op, Delete)
                for namespace in self.namespaces()
            ]
            return [*super().write(*ops, *spread)][: len(ops)]

    with Leaking() as backend, pytest.raises(AssertionError):
        run_suite(backend, ("forget",))
