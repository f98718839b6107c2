"""The isolation suite: no method of an AgentMemory shows or changes another namespace.

::

    class TestIsolation(IsolationSuite):
        @pytest.fixture
        def backend(self, tmp_path):
            with MyBackend(tmp_path / "my.db") as backend:
                yield backend

Every public method is called, and its async twin, in a store that holds one namespace
alone and again in one full of others: what it returns, raises and tells is the same, and
the others stay as they were. A method without a line in CALLS fails the suite.
"""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any

import pytest

from ctxplug import AgentMemory
from ctxplug.errors import CtxplugError
from ctxplug.storage import Backend
from ctxplug.testing.isolation_calls import (
    CALLS,
    OF_THE_STORE,
    OPENING,
    READING,
    ROOMS,
    Arguments,
)
from ctxplug.testing.isolation_world import (
    CANARIES,
    ENGLISH,
    OTHERS,
    OWN,
    Recorder,
    contents,
    fill_others,
    fill_own,
    open_own,
    open_theirs,
    spilled,
)
from ctxplug.testing.suite import Suite, not_overridden


def public_methods() -> Iterator[str]:
    """Yield the name of every public method and computed property of an AgentMemory."""
    for prefix, room in ROOMS.items():
        for name in dir(room):
            member = inspect.getattr_static(room, name)
            counts = callable(member) or isinstance(
                member, classmethod | staticmethod | property | cached_property
            )
            if not name.startswith("_") and counts:
                yield prefix + name


def twin_of(name: str) -> str:
    """Return what the async twin of a method is called."""
    room, _, verb = name.rpartition(".")
    return f"{room}.a{verb}" if room else f"a{verb}"


class IsolationSuite(Suite):
    """Isolation as tests; override the fixture `backend` to yield an open, empty backend."""

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        """Yield an open, empty backend."""
        raise not_overridden("backend", "an open, empty backend")

    def test_every_public_method_has_a_call(self) -> None:
        public = set(public_methods())
        twins = {twin_of(name) for name in CALLS}
        unknown = public - set(CALLS) - twins - OPENING
        assert not unknown, f"add calls of {sorted(unknown)} to CALLS, with foreign ids"
        gone = {name for name in CALLS if name not in public}
        assert not gone, f"CALLS has methods that are no more: {sorted(gone)}"

    @pytest.mark.parametrize("name", CALLS)
    def test_no_method_shows_or_changes_another_namespace(
        self, backend: Backend, name: str
    ) -> None:
        public = set(public_methods())
        if name not in public:
            pytest.skip("the method is no more; another test says so")
        names = [one for one in (name, twin_of(name)) if one in public]
        fill_own(backend)
        alone = self._runs(backend, names, name)
        fill_others(backend)
        before = [contents(backend, namespace) for namespace in OTHERS]
        fill_own(backend)
        among = self._runs(backend, names, name)
        assert [contents(backend, namespace) for namespace in OTHERS] == before
        for one, other in zip(alone, among, strict=True):
            for text in (one[0], other[0]):
                assert _canaries(text) <= _given(name), text
            if name not in OF_THE_STORE:
                assert other[0] == one[0]
                assert other[1] == pytest.approx(one[1], rel=0.01, abs=0.01)
        assert set(backend.namespaces()) - {OWN} == set(OTHERS)

    def _runs(self, backend: Backend, names: list[str], name: str) -> list[tuple[str, list[float]]]:
        """Call each of `names` in a life of its own; return what came of it."""
        results = []
        for number, verb in enumerate(names):
            if number:
                fill_own(backend)
            results.append(_run(backend, verb, CALLS[name]()))
            backend.erase(OWN)
        return results

    def test_opening_shows_nothing_of_another_namespace(self, backend: Backend) -> None:
        fill_others(backend)
        before = [contents(backend, namespace) for namespace in OTHERS]
        options: dict[str, Any] = {"namespace": OWN, "session": "own", "counter": "estimate"}
        opened = [
            AgentMemory.open(backend, **options),
            asyncio.run(AgentMemory.aopen(backend, **options)),
        ]
        for memory in opened:
            assert memory.messages() == []
            assert memory.recall(ENGLISH) == []
            assert memory.stats().sessions == 0
            memory.close()
        assert [contents(backend, namespace) for namespace in OTHERS] == before
        assert OWN not in backend.namespaces()

    def test_what_others_asked_before_is_not_told_to_us(self, backend: Backend) -> None:
        """Neither is kept for all what was computed for one."""
        fill_own(backend)
        fill_others(backend)
        with open_theirs(backend) as theirs, open_own(backend, Recorder()) as ours:
            for name in READING:
                for args, options in CALLS[name]():
                    if _canaries(spilled([args, options])[0]):
                        continue  # what a question says may be in its answer
                    _called(theirs, name, args, options)
                    text, _ = spilled(_called(ours, name, args, options))
                    assert not _canaries(text), f"{name} told us what another holds: {text}"

    @pytest.mark.parametrize("other", OTHERS, ids=ascii)
    def test_what_others_erase_leaves_ours(self, backend: Backend, other: Any) -> None:
        fill_own(backend)
        fill_others(backend)
        before = [contents(backend, space) for space in (OWN, *OTHERS) if space != other]
        receipt = backend.erase(other)
        assert receipt.entries >= 6
        assert [contents(backend, space) for space in (OWN, *OTHERS) if space != other] == before
        assert other not in backend.namespaces()


def _given(name: str) -> set[str]:
    """Return the canaries that a call itself brings in: a query, a filter, an id."""
    text, _ = spilled([[args, options] for args, options in CALLS[name]()])
    return _canaries(text)


def _canaries(text: str) -> set[str]:
    return {canary for canary in CANARIES if canary in text}


def _run(backend: Backend, name: str, calls: list[Arguments]) -> tuple[str, list[float]]:
    """Return all that calling `name` returned, raised and told."""
    recorder = Recorder()
    memory = open_own(backend, recorder)
    results: list[Any] = [repr(memory), _member(memory, name)]
    results += [_called(memory, name, args, options) for args, options in calls]
    with suppress(CtxplugError):
        memory.close()
    told = [[event.kind, event.scope, event.data] for event in recorder.events]
    return spilled([results, told])


def _member(memory: AgentMemory, name: str) -> Any:
    """Return the method or property `name`, of the memory or of one of its rooms."""
    room, _, verb = name.rpartition(".")
    return getattr(getattr(memory, room) if room else memory, verb)


def _called(memory: AgentMemory, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return what calling `name` returned or raised."""
    try:
        return _result(_member(memory, name), args, options)
    except CtxplugError as exc:
        return exc


def _result(method: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    done = method(*args, **options)
    if inspect.isawaitable(done):

        async def wait() -> Any:
            return await done

        return asyncio.run(wait())
    return done
