"""Sessions against a plain Python model, on the stores of the core."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from ctxplug.storage import Backend
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing import SessionMachine


def of(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


class InMemoryMachine(SessionMachine):
    keeps = False

    def open_store(self) -> Backend:
        return InMemoryBackend()


class SqliteMachine(SessionMachine):
    def open_store(self) -> Backend:
        return SqliteBackend(self.folder / "agent.db", synchronous="normal")


class TestInMemory(InMemoryMachine.TestCase):
    settings = of(12, 25)


class TestSqlite(SqliteMachine.TestCase):
    settings = of(8, 20)


@pytest.mark.slow
class TestInMemoryLong(InMemoryMachine.TestCase):
    settings = of(200, 50)


@pytest.mark.slow
class TestSqliteLong(SqliteMachine.TestCase):
    settings = of(60, 50)
