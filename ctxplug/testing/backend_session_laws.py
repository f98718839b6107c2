"""The laws of single sessions being erased, and of namespaces that are ctxplug's own."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ctxplug.errors import ClosedError, ConflictError
from ctxplug.scope import PRIVATE, Namespace
from ctxplug.storage import Backend, Delete, Embed, Fork, Put, Stream, Unarchive, Where, marks_of
from ctxplug.storage.erasure import Marks
from ctxplug.testing.backend_archive_data import contents, shelve, shelve_log
from ctxplug.testing.backend_data import NAMESPACES, NS, STREAM, TEXTS, memory, note, numbers, said

OTHER, FORK = Stream(NS, "other"), Stream(NS, "fork")


class SessionLaws:
    """Rule 3 of the law, and what `erase_session` removes."""

    def test_erasing_a_session_leaves_the_others_and_other_records(self, backend: Backend) -> None:
        backend.write(said("one", "one"), note(2), said("three", "three", OTHER))
        backend.write(Put(memory("m", "four", session="trip"), "four"))
        before = [entry.stream for entry in backend.read(OTHER)], backend.get(NS, "other@1")
        receipt = backend.erase_session(NS, "trip")
        assert (receipt.namespace, receipt.sessions) == (NS, ("trip",))
        assert (receipt.entries, receipt.records, receipt.remaining) == (2, 1, 0)
        assert [info.session for info in backend.sessions(NS)] == ["other"]
        assert (backend.read(STREAM), backend.head(STREAM)) == ([], 0)
        assert {record.id for record in backend.find(Where(NS))} == {"m", "other@1"}
        after = [entry.stream for entry in backend.read(OTHER)], backend.get(NS, "other@1")
        assert after == before
        if "keyword" in backend.capabilities:
            assert backend.search(Where(NS), terms=["one"]) == []
            words = ["one", "three", "four"]
            counts = backend.occurrences(Where(NS), words, limit=9)
            assert (counts.total, counts.counts) == (2, {"three": 1, "four": 1})
        assert backend.check().problems == ()

    def test_an_erased_session_begins_anew(self, backend: Backend) -> None:
        backend.write(said("one", "one"), said("two", "two", OTHER))
        backend.erase_session(NS, "trip")
        assert backend.write(said("new", "new"), said("three", "three", OTHER)) == [1, 2]
        contents = {record.id: record.content for record in backend.find(Where(NS))}
        assert contents == {"trip@1": "new", "other@1": "two", "other@2": "three"}
        assert [info.session for info in backend.sessions(NS)] == ["other", "trip"]
        if "keyword" in backend.capabilities:
            assert len({glance.place for glance in backend.glance(Where(NS))}) == 3
            assert [h.record.id for h in backend.search(Where(NS), terms=["two"])] == ["other@1"]
        assert backend.check().problems == ()

    def test_a_record_put_in_place_of_a_view_is_no_view(self, backend: Backend) -> None:
        backend.write(said("one", "one"), said("two", "two"), said("three", "three"))
        backend.write(Put(memory("trip@1", "mine"), "mine"), Delete(NS, "trip@2"))
        receipt = backend.erase_session(NS, "trip")
        assert (receipt.entries, receipt.records) == (3, 1)
        assert [record.content for record in backend.find(Where(NS))] == ["mine"]

    def test_erasing_an_archived_session_leaves_nothing_of_it(self, backend: Backend) -> None:
        if "archive" not in backend.capabilities:
            return
        backend.write(said("one", "one"), said("two", "two"), said("three", "three", OTHER))
        backend.write(Put(memory("m", "four", session="trip"), "four"))
        backend.write(shelve_log(backend, STREAM, 1), shelve_log(backend, OTHER))
        backend.write(shelve(NS, backend, {"m"}))
        receipt = backend.erase_session(NS, "trip")
        assert (receipt.entries, receipt.records, receipt.archived) == (2, 2, 2)
        assert {one.record.id for one in backend.archived(Where(NS))} == {"m", "other@1"}
        assert backend.archive_state(NS).entries == 1
        assert backend.write(Unarchive(NS), Unarchive(NS, "trip")) == [1, 0]
        assert backend.check().problems == ()

    def test_the_vectors_of_an_erased_session_are_gone(self, backend: Backend) -> None:
        if "vector" not in backend.capabilities:
            return
        backend.write(said("one", "one"), note(2), Put(memory("m", "two"), "two"))
        backend.write(*[Embed(NS, id, "model", [1.0, 0.0]) for id in ("trip@1", "m")])
        assert backend.nearest(Where(NS), [1.0, 0.0])[0][1] == pytest.approx(1.0)
        assert backend.erase_session(NS, "trip").vectors == 1
        assert [id for id, _ in backend.nearest(Where(NS), [1.0, 0.0])] == ["m"]
        assert backend.vector_state(NS).pending == 0
        assert backend.check().problems == ()

    def test_several_sessions_are_erased_at_once(self, backend: Backend) -> None:
        backend.write(said("one", "one"), note(1, OTHER), note(1, Stream(NS, "third")))
        receipt = backend.erase_session(NS, "trip", "other", "nobody", "trip")
        assert receipt.sessions == ("trip", "other", "nobody")
        assert (receipt.entries, receipt.records, receipt.remaining) == (2, 1, 0)
        assert [info.session for info in backend.sessions(NS)] == ["third"]
        receipt = backend.erase_session(NS, "nobody")
        assert (receipt.entries, receipt.records, receipt.remaining) == (0, 0, 0)
        assert backend.erase_session(("nobody",), "trip").entries == 0

    def test_the_receipt_marks_what_was_erased(self, backend: Backend) -> None:
        backend.write(said("one", "one"), note(2), said("other", "other", OTHER))
        entries, others = backend.read(STREAM), backend.read(OTHER)
        receipt = backend.erase_session(NS, "trip")
        marks = Marks(receipt.salt)
        assert marks_of(receipt) == {marks.of_entry(entry) for entry in entries}
        assert not marks_of(receipt) & {marks.of_entry(entry) for entry in others}
        assert type(receipt).from_dict(receipt.to_dict()) == receipt

    def test_erasing_a_session_stays_inside_the_namespace(self, backend: Backend) -> None:
        for space in NAMESPACES:
            backend.write(said("same", "same", Stream(space, "trip")), note(1, Stream(space, "s")))
        for number, erased in enumerate(NAMESPACES):
            rest = NAMESPACES[number + 1 :]
            before = [contents(backend, space) for space in rest]
            assert backend.erase_session(erased, "trip").entries == 1
            assert [contents(backend, space) for space in rest] == before
            assert [info.session for info in backend.sessions(erased)] == ["s"]

    def test_a_session_of_any_name_is_erased(self, backend: Backend) -> None:
        names = [f"x{text[:100]}" for text in TEXTS]
        for name, text in zip(names, TEXTS, strict=True):
            backend.write(said(text, "word", Stream(NS, name)), note(1))
        for some in (names[::2], names[1::2]):
            assert backend.erase_session(NS, *some).remaining == 0
            left = {info.session for info in backend.sessions(NS)}
            assert left == {"trip", *names} - {*names[::2], *some}

    def test_a_namespace_without_sessions_is_not_listed(self, backend: Backend) -> None:
        backend.write(note(1))
        backend.erase_session(NS, "trip")
        assert backend.namespaces() == []
        assert backend.write(note(2)) == [1]
        assert numbers(backend.read(STREAM)) == [2]

    def test_erasing_a_namespace_counts_each_entry_once(self, backend: Backend) -> None:
        if "fork" not in backend.capabilities:
            return
        backend.write(said("one", "one"), said("two", "two"), Fork(FORK, "trip", 2))
        backend.write(said("three", "three", FORK), Fork(Stream(NS, "more"), "fork", 3))
        if "archive" in backend.capabilities:
            backend.write(shelve_log(backend, FORK))
        receipt = backend.erase(NS)
        assert (receipt.entries, receipt.records, receipt.remaining) == (3, 3, 0)
        assert len(receipt.marks) == 8 * 3
        assert backend.namespaces() == []
        assert backend.read(FORK) == []
        assert backend.write(note(1, FORK)) == [1]

    def test_a_session_is_erased_together_with_its_forks(self, backend: Backend) -> None:
        if "fork" not in backend.capabilities:
            return
        more = Stream(NS, "more")
        backend.write(said("one", "one"), Fork(FORK, "trip", 1), said("two", "two", FORK))
        backend.write(Fork(more, "fork", 1), note(3, more))  # it shares nothing of the fork's own
        for names, forks in ((["trip"], 1), (["fork"], 1), (["trip", "fork"], 1)):
            with pytest.raises(ConflictError) as caught:
                backend.erase_session(NS, *names)
            assert (caught.value.expected, caught.value.found) == (0, forks)
        assert backend.count(Where(NS)) == 2
        receipt = backend.erase_session(NS, "more", "fork")
        assert receipt.sessions == ("more", "fork")
        assert (receipt.entries, receipt.records, receipt.remaining) == (2, 1, 0)
        assert [r.id for r in backend.find(Where(NS))] == ["trip@1"]
        assert [entry.version for entry in backend.read(STREAM)] == [1]
        assert backend.write(Fork(FORK, "trip", 1), note(5, FORK)) == [1, 2]
        assert backend.check().problems == ()

    def test_the_vectors_of_an_erased_fork_are_gone(self, backend: Backend) -> None:
        if not {"fork", "vector"} <= backend.capabilities:
            return
        backend.write(said("one", "one"), Fork(FORK, "trip", 1), said("two", "two", FORK))
        backend.write(*[Embed(NS, id, "model", [1.0, 0.0]) for id in ("trip@1", "fork@2")])
        assert backend.erase_session(NS, "fork").vectors == 1
        found = backend.nearest(Where(NS), [1.0, 0.0], embedder="model")
        assert [id for id, _ in found] == ["trip@1"]

    def test_erasing_a_session_of_a_closed_store_is_refused(self, backend: Backend) -> None:
        backend.write(note(1))
        backend.close()
        calls: list[Callable[[], Any]] = [
            lambda: backend.erase_session(NS, "trip"),
            lambda: backend.lineage(STREAM),
            lambda: asyncio.run(backend.aerase_session(NS, "trip")),
        ]
        for call in calls:
            with pytest.raises(ClosedError):
                call()

    def test_namespaces_of_ctxplug_are_listed_only_when_asked_for(self, backend: Backend) -> None:
        own: list[Namespace] = [(PRIVATE,), (PRIVATE, "a")]
        plain: list[Namespace] = [("a", PRIVATE), ("ctxplug",), ("ctxplug:store",), NS]
        for space in (*own, *plain):
            backend.write(note(1, Stream(space, "s")), Put(memory("m", namespace=space)))
        assert backend.namespaces() == sorted(plain)
        assert backend.namespaces(own[0]) == sorted(own)
        assert backend.namespaces(("a",)) == plain[:1]
        assert numbers(backend.read(Stream(own[0], "s"))) == [1]
        assert backend.get(own[1], "m") is not None
        assert backend.erase(own[0]).entries == 1
        assert backend.namespaces(own[0]) == [own[1]]
