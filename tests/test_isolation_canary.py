"""Nothing crosses a namespace: every public method, on every built-in backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from wrong_isolation import WRONG, ErasesByTheFirstLabel, ListsSessionsOfAll

from ctxplug import AgentMemory
from ctxplug.storage import Backend
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing import IsolationSuite
from ctxplug.testing.isolation_world import ENGLISH, OTHERS


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


def caught(backend: Backend, *names: str) -> pytest.ExceptionInfo[AssertionError]:
    """Return how the suite fails on the calls `names`."""
    with backend, pytest.raises(AssertionError) as failure:
        for name in names:
            IsolationSuite().test_no_method_shows_or_changes_another_namespace(backend, name)
    return failure


def test_a_method_without_a_call_fails_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AgentMemory, "look_around", lambda self: None, raising=False)
    with pytest.raises(AssertionError, match="look_around"):
        IsolationSuite().test_every_public_method_has_a_call()


@pytest.mark.parametrize(
    ("wrong", "verb"), WRONG, ids=[f"{wrong.__name__}-{verb}" for wrong, verb in WRONG]
)
def test_a_backend_that_leaks_in_one_verb_is_caught(wrong: type[Backend], verb: str) -> None:
    caught(wrong(), verb)


def test_what_is_open_to_others_when_a_memory_opens_is_caught() -> None:
    with ListsSessionsOfAll() as backend, pytest.raises(AssertionError):
        IsolationSuite().test_opening_shows_nothing_of_another_namespace(backend)


def test_an_erasure_that_takes_its_neighbours_is_caught() -> None:
    with ErasesByTheFirstLabel() as backend, pytest.raises(AssertionError):
        IsolationSuite().test_what_others_erase_leaves_ours(backend, OTHERS[2])


def test_an_answer_that_is_kept_for_all_namespaces_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recall, kept = AgentMemory.recall, dict[str, Any]()

    def cached(self: AgentMemory, query: str, **options: Any) -> Any:
        key = f"{query} {options}"  # the namespace is missing
        return kept.setdefault(key, recall(self, query, **options))

    with InMemoryBackend() as backend:
        IsolationSuite().test_what_others_asked_before_is_not_told_to_us(backend)
    monkeypatch.setattr(AgentMemory, "recall", cached)
    with InMemoryBackend() as backend, pytest.raises(AssertionError, match="context told us"):
        IsolationSuite().test_what_others_asked_before_is_not_told_to_us(backend)


def test_a_memory_that_remembers_for_all_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leak of the memory itself, over a store that has none."""
    extend, said = AgentMemory.extend, list[Any]()

    def extend_all(self: AgentMemory, messages: Any) -> Any:
        said.extend(messages)
        return extend(self, messages)

    monkeypatch.setattr(AgentMemory, "extend", extend_all)
    monkeypatch.setattr(AgentMemory, "messages", lambda self, last=None: list(said))
    assert ENGLISH in str(caught(InMemoryBackend(), "messages").value)


def test_a_number_that_depends_on_others_is_caught() -> None:
    """No text of theirs is told, but how many they are."""

    class TellsInReceipts(InMemoryBackend):
        def erase(self, namespace: Any) -> Any:
            receipt = super().erase(namespace)
            return replace(receipt, records=receipt.records + len(self.namespaces()))

    caught(TellsInReceipts(), "erase")


def test_every_test_of_the_suite_is_shown_to_fail() -> None:
    shown = {
        "test_every_public_method_has_a_call",
        "test_no_method_shows_or_changes_another_namespace",
        "test_opening_shows_nothing_of_another_namespace",
        "test_what_others_asked_before_is_not_told_to_us",
        "test_what_others_erase_leaves_ours",
    }
    assert shown == {name for name in dir(IsolationSuite) if name.startswith("test_")}
