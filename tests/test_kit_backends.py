"""The suite of backends catches what is wrong: each of its tests fails on some wrong backend."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import wrong_backends_beyond  # noqa: F401  its backends enter the table
from suite_runner import failure, names_of
from wrong_backends import CAUGHT

from ctxplug.storage import Backend
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.testing import MemoryBackendSuite
from ctxplug.testing.backend_vector_laws import VectorLaws

# Tests of the suite that no wrong backend fails, with the reason.
EXEMPT: dict[str, str] = {}
PAIRS = [(wrong, test) for wrong, tests in CAUGHT.items() for test in tests]
# One with parameters, one with a folder, one that could be opened again, one property.
SAMPLE = (
    "test_any_text_survives_in_every_field",
    "test_backup_makes_a_new_file_or_is_refused",
    "test_what_is_durable_is_there_when_it_is_opened_again",
    "test_read_agrees_with_a_list",
)
OF_VECTORS = {*names_of(VectorLaws), "test_vectors_are_made_again"} | {
    name for name in names_of(MemoryBackendSuite) if "vector" in name
}


def fails(backend: type[Backend], test: str) -> BaseException | None:
    def fixtures(folder: Path) -> dict[str, Any]:
        made = backend()
        return {"backend": made, "reopen": getattr(made, "again", None)}

    return failure(MemoryBackendSuite, test, fixtures)


@pytest.mark.parametrize(
    ("wrong", "test"), PAIRS, ids=[f"{wrong.__name__}-{test[5:]}" for wrong, test in PAIRS]
)
def test_a_wrong_backend_is_caught(wrong: type[Backend], test: str) -> None:
    if test in OF_VECTORS:
        pytest.importorskip("numpy")
    found = fails(wrong, test)
    assert found is not None, f"{test} passes on {wrong.__name__}: {inspect.getdoc(wrong)}"
    assert not isinstance(found, AttributeError | NameError | TypeError), "it is wrong in itself"


def test_every_test_of_the_suite_catches_a_wrong_backend() -> None:
    tests = set(names_of(MemoryBackendSuite))
    caught = {test for tests in CAUGHT.values() for test in tests}
    assert caught <= tests, "the table names tests that are no more"
    assert tests - caught == set(EXEMPT), "write a wrong backend that only a new test catches"


@pytest.mark.parametrize("test", SAMPLE)
def test_a_right_backend_is_not_caught(test: str) -> None:
    """What the runner reports is of the backend; the rest of the suite passes in test_backends."""
    found = fails(InMemoryBackend, test)
    if found is not None:
        raise found


def test_every_wrong_backend_says_what_is_wrong_and_is_caught() -> None:
    for wrong, tests in CAUGHT.items():
        assert tests, wrong
        assert wrong.__doc__
        assert wrong.__doc__ != InMemoryBackend.__doc__


def test_a_suite_without_its_fixture_says_what_to_write() -> None:
    class TestMine(MemoryBackendSuite):
        pass

    with pytest.raises(NotImplementedError, match="fixture 'backend' in your subclass"):
        inspect.unwrap(TestMine.backend)(TestMine())
