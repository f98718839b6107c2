"""The laws of threads and cancelled callers: writes are whole, whoever looks, whoever gives up."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ctxplug.errors import ClosedError, ConflictError, UnsupportedError
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Expect, Op, Put, Stream, Touch, Where
from ctxplug.testing.backend_data import (
    EACH,
    NS,
    START,
    STREAM,
    elsewhere,
    fresh_namespace,
    memory,
    note,
    numbers,
    said,
)
from ctxplug.testing.suite import THREADS, from_threads

MANY = 64  # units of work, more than a backend has threads for
CANCELLED = 24  # writes, each cancelled a little later than the one before
WAIT = 30.0  # seconds until a thread is taken for lost

_asked_by: ContextVar[str] = ContextVar("asked_by", default="nobody")


class ThreadLaws:
    """Rules 1, 4 and 7 of the law, for those who come at once, and who leave too early."""

    def test_a_reader_never_sees_half_a_write(self, backend: Backend) -> None:
        done = threading.Event()
        errors: list[BaseException] = []

        def write() -> None:
            try:
                for number in range(60):
                    pair = [Put(memory(id, f"{number}")) for id in "ab"]
                    backend.write(note(number), pair[0], note(number), pair[1], note(number))
            except BaseException as exc:
                errors.append(exc)
            finally:
                done.set()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            over = False
            while not over:
                over = done.is_set()  # one more look when all is written
                assert len({record.content for record in backend.find(Where(NS))}) <= 1
                assert backend.count(Where(NS)) in (0, 2)
                assert len(backend.read(STREAM)) % 3 == 0
        finally:
            writer.join()
        assert errors == []
        assert backend.head(STREAM) == 180

    def test_accesses_from_many_threads_are_all_counted(self, backend: Backend) -> None:
        backend.write(Put(memory("m")), said("x", "x"))

        def touch(number: int) -> None:
            for _ in range(EACH):
                assert backend.write(Touch(NS, ("m", "trip@1"), START)) == [2]

        from_threads(touch)
        counts = [record.access_count for record in backend.find(Where(NS))]
        assert counts == [THREADS * EACH] * 2

    def test_records_from_many_threads_are_all_kept(self, backend: Backend) -> None:
        def put(thread: int) -> None:
            for i in range(EACH):
                backend.write(Put(memory(f"{thread}.{i}", f"第 {i} 条"), "word"))
                assert backend.get(NS, f"{thread}.{i}") is not None

        from_threads(put)
        expected = {f"{thread}.{i}" for thread in range(THREADS) for i in range(EACH)}
        assert {record.id for record in backend.find(Where(NS))} == expected
        if "keyword" in backend.capabilities:
            hits = backend.search(Where(NS), terms=["word"], limit=999)
            assert {hit.record.id for hit in hits} == expected
        assert backend.check().problems == ()

    def test_of_many_who_expect_one_record_one_wins(self, backend: Backend) -> None:
        record = memory("m", "before")
        backend.write(Put(record))
        won: list[int] = []
        lost: list[ConflictError] = []

        def attempt(number: int) -> None:
            try:
                backend.write(Expect(NS, "m", record), Put(memory("m", f"{number}")))
            except ConflictError as exc:
                lost.append(exc)
            else:
                won.append(number)

        from_threads(attempt)
        assert (len(won), len(lost)) == (1, THREADS - 1)
        assert backend.get(NS, "m") == memory("m", f"{won[0]}")

    def test_another_thread_may_close_it(self, backend: Backend) -> None:
        backend.write(note(1))
        elsewhere(backend.close)
        for call in (backend.namespaces, lambda: backend.read(STREAM), lambda: backend.write()):
            with pytest.raises(ClosedError):
                call()

    # -- twins -----------------------------------------------------------------------------

    def test_a_unit_of_work_runs_on_a_worker_as_its_caller(self, backend: Backend) -> None:
        def unit() -> tuple[int, str, list[int]]:
            return threading.get_ident(), _asked_by.get(), backend.write(note(1), note(2))

        def fails() -> None:
            raise ZeroDivisionError("in the unit")

        async def ask() -> None:
            _asked_by.set("爱丽丝")
            thread, name, versions = await backend.arun(unit)
            assert thread != threading.get_ident()
            assert (name, versions) == ("爱丽丝", [1, 2])
            with pytest.raises(ZeroDivisionError, match="in the unit"):
                await backend.arun(fails)

        asyncio.run(ask())

    def test_twins_fail_as_the_sync_methods_do(self, backend: Backend, tmp_path: Path) -> None:
        backend.write(note(1))

        async def ask() -> None:
            with pytest.raises(ConflictError):
                await backend.awrite(note(2), note(3, expected=9))
            target = str(tmp_path / "copy.db")
            calls: dict[str, Callable[[], Any]] = {
                "keyword": lambda: backend.asearch(Where(NS), terms=["x"]),
                "vector": lambda: backend.asearch(Where(NS), vector=[1.0]),
                "archive": lambda: backend.aarchived(Where(NS)),
                "backup": lambda: backend.abackup(target),
            }
            for capability, call in calls.items():
                if capability in backend.capabilities:
                    await call()
                    continue
                with pytest.raises(UnsupportedError) as caught:
                    await call()
                assert caught.value.capability == capability

        asyncio.run(ask())
        assert numbers(backend.read(STREAM)) == [1]
        assert (tmp_path / "copy.db").exists() == ("backup" in backend.capabilities)

    # -- callers that are cancelled ----------------------------------------------------------

    def test_a_cancelled_write_is_whole_or_absent(self, backend: Backend) -> None:
        """Whenever it is looked at, and in every reading."""
        namespace = fresh_namespace()
        asyncio.run(_cancel_writes(backend, namespace))

        def settled() -> bool:  # what was begun may still be on its way
            heads = {info.session: info.version for info in backend.sessions(namespace)}
            ids = [f"{name}{view}" for name in heads for view in ("", "@1", "@3")]
            found = sorted(record.id for record in backend.find(Where(namespace)))
            return set(heads.values()) <= {3} and found == sorted(ids)

        _wait_until(settled)
        assert settled()
        assert backend.write(note(0, Stream(namespace, "after"))) == [1]
        assert backend.check().problems == ()

    def test_a_unit_that_began_ends_though_its_caller_is_cancelled(self, backend: Backend) -> None:
        began, ended = asyncio.run(_cancel_units(backend))
        assert began, "no unit began; `arun` is to run what it is given"
        assert ended == began
        assert sorted(numbers(backend.read(STREAM))) == sorted(began)


async def _cancel_writes(backend: Backend, namespace: Namespace) -> None:
    """Write sessions of three entries and a record each, and cancel each a little later."""
    wholes: set[int] = set()
    for number in range(CANCELLED):
        name = f"s{number}"
        stream = Stream(namespace, name)
        own = Put(memory(name, namespace=namespace, session=name))
        ops: list[Op] = [said("one", "x", stream), note(2, stream), said("three", "x", stream), own]
        task = asyncio.ensure_future(backend.awrite(*ops))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        wholes.add(len(backend.read(stream)))
        wholes.add({0: 0, 3: 3}.get(backend.count(Where(namespace, session=name)), -1))
    assert wholes <= {0, 3}, "a cancelled caller left a part of a write"


async def _cancel_units(backend: Backend) -> tuple[set[int], set[int]]:
    """Cancel the callers of units that wait, some of them not begun; return who began and ended."""
    gate, one = threading.Event(), threading.Event()
    began, ended = set[int](), set[int]()

    def unit(number: int) -> None:
        began.add(number)
        one.set()
        gate.wait(WAIT)
        backend.write(note(number))
        ended.add(number)

    tasks = [asyncio.ensure_future(backend.arun(partial(unit, n))) for n in range(MANY)]
    await asyncio.sleep(0)
    await asyncio.to_thread(one.wait, WAIT)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    gate.set()
    await asyncio.to_thread(_wait_until, lambda: began <= ended)
    return began, ended


def _wait_until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds, or it is clear that it never will."""
    pause = threading.Event()
    for _ in range(200):
        if condition():
            return
        pause.wait(0.01)
