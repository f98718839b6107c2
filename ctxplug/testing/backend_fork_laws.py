"""The laws of forks: two logs that share their beginning, of which nothing is copied."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.errors import ConflictError, InvalidValueError
from ctxplug.storage import (
    ArchiveLog,
    Backend,
    Delete,
    Fork,
    Put,
    Stream,
    Touch,
    Unarchive,
    Where,
)
from ctxplug.storage.backend import entry_record
from ctxplug.testing.backend_archive_data import shelve_log
from ctxplug.testing.backend_data import (
    NS,
    PROPERTY,
    STREAM,
    TEXTS,
    at,
    memory,
    note,
    numbers,
    require_refused,
    said,
)
from ctxplug.testing.backend_fork_data import LENGTH, NAMES, Logs, forests, reads

FORK = Stream(NS, "fork")


class ForkLaws:
    """Rule 13 of the law."""

    def test_forks_work_or_are_refused(self, backend: Backend) -> None:
        backend.write(note(1), note(2))
        assert backend.lineage(STREAM) == [("trip", 2)]
        assert backend.lineage(FORK) == [("fork", 0)]
        if "fork" in backend.capabilities:
            assert backend.write(Fork(FORK, "trip", 1), note(3, FORK)) == [1, 2]
            assert backend.lineage(FORK) == [("trip", 1), ("fork", 2)]
            return
        call = {"a write with Fork": lambda: backend.write(note(3), Fork(FORK, "trip", 1))}
        require_refused(backend, "fork", call)
        assert backend.head(STREAM) == 2

    @PROPERTY
    @given(forest=forests(), wanted=st.lists(reads(), min_size=1, max_size=6))
    def test_forks_of_forks_read_as_lists_with_a_common_beginning(
        self, backend: Backend, forest: Any, wanted: list[dict[str, Any]]
    ) -> None:
        """In the archive or outside of it, whatever is archived, and in which order."""
        if "fork" not in backend.capabilities:
            return
        namespace, drawn = forest
        logs = Logs(namespace, drawn, "archive" in backend.capabilities)
        for op, expected in logs.steps():
            if isinstance(expected, ConflictError):
                with pytest.raises(ConflictError) as caught:
                    backend.write(op)
                told = caught.value.expected, caught.value.found
                assert told == (expected.expected, expected.found)
            else:
                assert backend.write(op) == [expected]
        infos = backend.sessions(logs.namespace)
        found = [(i.session, i.version, i.parent, i.forked, i.archived) for i in infos]
        assert found == logs.told()
        for name in NAMES:
            stream = Stream(logs.namespace, name)
            assert backend.head(stream) == len(logs.lists[name])
            assert backend.lineage(stream) == logs.lineage(name)
            for options in wanted:
                entries = backend.read(stream, **options)
                assert [entry.stream for entry in entries] == [stream] * len(entries)
                lines = [(e.version, e.kind, e.pinned, e.body["number"]) for e in entries]
                assert lines == logs.read(name, **options)
        assert backend.check().problems == ()

    def test_a_fork_may_end_before_its_parent_begins(self, backend: Backend) -> None:
        """It then reads nothing that its parent said, and is a fork of it all the same."""
        if "fork" not in backend.capabilities:
            return
        early, late = Stream(NS, "early"), Stream(NS, "late")
        backend.write(*[note(i) for i in range(1, 6)], Fork(FORK, "trip", 4), note(50, FORK))
        backend.write(Fork(early, "fork", 2), note(30, early), Fork(late, "early", 1))
        backend.write(Fork(Stream(NS, "same"), "fork", 4))
        assert numbers(backend.read(early)) == [1, 2, 30]
        assert numbers(backend.read(late, newest_first=True)) == [1]
        lines = [backend.lineage(Stream(NS, name)) for name in ("early", "late", "same")]
        assert lines[0] == [("trip", 2), ("early", 3)]
        assert lines[1] == [("trip", 1), ("late", 1)]
        assert lines[2] == [("trip", 4), ("same", 4)]
        parents = [(info.parent, info.forked) for info in backend.sessions(NS)]
        assert parents == [(None, 0), ("trip", 4), ("fork", 2), ("early", 1), ("fork", 4)]

    def test_a_fork_and_what_follows_are_one_write(self, backend: Backend) -> None:
        if "fork" not in backend.capabilities:
            return
        new = Stream(NS, "new")
        versions = backend.write(
            note(1), Fork(FORK, "trip", 1), note(2, FORK, expected=1), Fork(new, "fork", 2)
        )
        assert versions == [1, 1, 2, 2]
        for bad in (note(9, FORK, expected=7), Fork(FORK, "trip", 1), Fork(new, "none", 1)):
            with pytest.raises(ConflictError):
                backend.write(note(3, new), Fork(Stream(NS, "later"), "trip", 1), bad)
        assert [info.session for info in backend.sessions(NS)] == ["trip", "fork", "new"]
        assert numbers(backend.read(new)) == [1, 2]
        assert backend.check().ok

    def test_a_fork_needs_an_empty_stream_and_so_many_entries(self, backend: Backend) -> None:
        if "fork" not in backend.capabilities:
            return
        elsewhere = Stream(("acme",), "fork")
        backend.write(note(1), note(2), note(1, Stream(("acme",), "other")))
        refused = [
            (Fork(STREAM, "trip", 1), 0, 2),
            (Fork(FORK, "trip", 3), 3, 2),
            (Fork(FORK, "trip", 2**70), 2**70, 2),
            (Fork(FORK, "fork", 1), 1, 0),
            (Fork(FORK, "other", 1), 1, 0),
            (Fork(elsewhere, "trip", 1), 1, 0),
        ]
        for op, expected, found in refused:
            with pytest.raises(ConflictError) as caught:
                backend.write(op)
            assert (caught.value.expected, caught.value.found) == (expected, found)
        for upto in (0, -1, True, 1.0, "1", None):
            with pytest.raises(InvalidValueError):
                backend.write(Fork(FORK, "trip", upto))  # type: ignore[arg-type]
        assert [info.session for info in backend.sessions(NS)] == ["trip"]

    def test_neither_sees_what_the_other_gains(self, backend: Backend) -> None:
        if "fork" not in backend.capabilities:
            return
        backend.write(*[note(i) for i in range(1, 6)], Fork(FORK, "trip", 3))
        backend.write(note(60), note(40, FORK), note(50, FORK))
        assert numbers(backend.read(STREAM)) == [1, 2, 3, 4, 5, 60]
        assert numbers(backend.read(FORK)) == [1, 2, 3, 40, 50]
        assert (backend.head(STREAM), backend.head(FORK)) == (6, 5)
        assert backend.check().counts.get("entries") == 8

    def test_a_fork_begins_when_it_is_made(self, backend: Backend) -> None:
        if "fork" not in backend.capabilities:
            return
        backend.write(note(1), Fork(FORK, "trip", 1, at(30)), Fork(Stream(NS, "now"), "trip", 1))
        infos = {info.session: info for info in backend.sessions(NS)}
        assert (infos["fork"].created_at, infos["fork"].updated_at) == (at(30), at(30))
        assert infos["now"].created_at > at(30)
        backend.write(note(50, FORK))
        times = [(info.created_at, info.updated_at) for info in backend.sessions(NS)]
        assert times[:2] == [(at(1), at(1)), (at(30), at(50))]

    def test_a_record_is_of_the_session_that_said_it(self, backend: Backend) -> None:
        if "fork" not in backend.capabilities:
            return
        backend.write(said("one", "one"), said("two", "two"), Fork(FORK, "trip", 1))
        backend.write(said("three", "three", FORK), note(4, FORK), said("five", "five", FORK))
        own = ["fork@2", "fork@4", "trip@1", "trip@2"]
        assert sorted(record.id for record in backend.find(Where(NS))) == own
        assert sorted(r.id for r in backend.find(Where(NS, session="fork"))) == own[:2]
        entries = {entry.version: entry for entry in backend.read(FORK)}
        for version in (2, 4):
            assert backend.get(NS, f"fork@{version}") == entry_record(entries[version])
        past = replace(entries[1], stream=STREAM)
        assert [past] == backend.read(STREAM, before=2)
        assert backend.get(NS, "trip@1") == entry_record(past)
        if "keyword" in backend.capabilities:
            hits = backend.search(Where(NS), terms=["one", "two", "three", "five"])
            assert sorted(hit.record.id for hit in hits) == own
            places = {glance.id: glance.place for glance in backend.glance(Where(NS))}
            assert places["fork@4"] - places["fork@2"] == 2

    def test_a_record_may_have_the_id_of_an_entry_of_the_past(self, backend: Backend) -> None:
        if "fork" not in backend.capabilities:
            return
        backend.write(said("one", "one"), said("two", "two"), Fork(FORK, "trip", 2))
        backend.write(Put(memory("fork@1", "mine"), "mine"), said("three", "three", FORK))
        assert [getattr(backend.get(NS, f"{s}@1"), "content", "") for s in ("fork", "trip")] == [
            "mine",
            "one",
        ]
        assert backend.write(Delete(NS, "fork@2"), Delete(NS, "fork@1")) == [0, 1]
        assert backend.count(Where(NS)) == 3

    def test_forks_may_have_any_name(self, backend: Backend) -> None:
        if "fork" not in backend.capabilities:
            return
        for text in TEXTS:
            parent, fork = Stream(NS, f"p{text[:100]}"), Stream(NS, f"f{text[:100]}")
            backend.write(note(1, parent), Fork(fork, parent.session, 1), note(2, fork))
            assert numbers(backend.read(fork)) == [1, 2]
            assert backend.lineage(fork) == [(parent.session, 1), (fork.session, 2)]
            assert backend.sessions(NS)[-1].parent == parent.session

    def test_a_long_line_of_forks_is_one_log(self, backend: Backend) -> None:
        if "fork" not in backend.capabilities:
            return
        names = [f"s{i}" for i in range(LENGTH)]
        backend.write(note(0, Stream(NS, "s0")))
        for number, name in enumerate(names[1:], 1):
            stream = Stream(NS, name)
            backend.write(Fork(stream, names[number - 1], number), note(number, stream))
        last = Stream(NS, names[-1])
        assert numbers(backend.read(last)) == list(range(LENGTH))
        assert numbers(backend.read(last, newest_first=True, limit=3)) == [
            LENGTH - 1,
            LENGTH - 2,
            LENGTH - 3,
        ]
        assert numbers(backend.read(last, after=5, before=8)) == [5, 6]
        assert backend.lineage(last) == [(f"s{i}", i + 1) for i in range(LENGTH)]

    # -- the archive -----------------------------------------------------------------------

    def test_a_fork_archives_only_its_own_entries(self, backend: Backend) -> None:
        if not {"fork", "archive"} <= backend.capabilities:
            return
        texts = [f"w{i}" for i in range(8)]
        backend.write(*[said(t, t) for t in texts[:4]], Fork(FORK, "trip", 3))
        backend.write(*[said(t, t, FORK) for t in texts[4:]])
        before = backend.read(FORK), backend.read(STREAM), backend.find(Where(NS))
        terms = {version: f"w{version}" for version in range(4, 8)}
        assert backend.write(ArchiveLog(FORK, 3, terms), ArchiveLog(FORK, 5, terms, 3)) == [0, 0]
        assert backend.write(ArchiveLog(FORK, 5, terms, 0)) == [2]
        assert backend.write(ArchiveLog(FORK, 6, terms, 5), shelve_log(backend, STREAM)) == [1, 4]
        assert [info.archived for info in backend.sessions(NS)] == [4, 6]
        assert backend.archive_state(NS).entries == 7
        assert [r.id for r in backend.find(Where(NS))] == ["fork@7"]
        assert [one.record.id for one in backend.archived(Where(NS), ["w4"])] == ["fork@4"]
        assert (backend.read(FORK), backend.read(STREAM)) == before[:2]
        assert backend.read(FORK, after=2, before=6) == before[0][2:5]
        assert backend.check().problems == ()
        assert backend.write(Unarchive(NS, "fork", most=1), Unarchive(NS, "fork")) == [1, 2]
        assert [info.archived for info in backend.sessions(NS)] == [4, 0]
        assert backend.write(Unarchive(NS, "fork"), Unarchive(NS, "trip")) == [0, 4]
        assert (backend.read(FORK), backend.read(STREAM), backend.find(Where(NS))) == before
        assert backend.check().problems == ()

    def test_what_is_archived_of_a_fork_is_counted_on(self, backend: Backend) -> None:
        if not {"fork", "archive"} <= backend.capabilities:
            return
        backend.write(said("one", "one"), Fork(FORK, "trip", 1), said("two", "two", FORK))
        backend.write(Touch(NS, ("fork@2",), at(5)), ArchiveLog(FORK, 9, {2: "two"}))
        assert backend.write(Delete(NS, "fork@1"), Delete(NS, "trip@2")) == [0, 0]
        [found] = backend.archived(Where(NS, ids=["fork@2", "trip@2", "fork@1"]))
        assert (found.record.id, found.record.access_count) == ("fork@2", 1)
        assert backend.write(Delete(NS, "fork@2"), Unarchive(NS, "fork")) == [1, 1]
        assert backend.get(NS, "fork@2") is None
        assert [entry.version for entry in backend.read(FORK)] == [1, 2]

    def test_the_async_twins_of_forks_agree(self, backend: Backend) -> None:
        if "fork" not in backend.capabilities:
            return
        backend.write(note(1), Fork(FORK, "trip", 1))
        assert asyncio.run(backend.alineage(FORK)) == backend.lineage(FORK)
        assert asyncio.run(backend.aerase_session(NS, "fork", "trip")).entries == 1
