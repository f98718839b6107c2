"""The laws of the archive: what is in it reads as before, and comes back as it was."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.scope import Namespace
from ctxplug.storage import (
    ArchiveLog,
    Backend,
    Delete,
    Embed,
    Op,
    Put,
    Stream,
    Touch,
    Unarchive,
    Where,
)
from ctxplug.testing.backend_archive_data import (
    IDS,
    SESSIONS,
    contents,
    histories,
    moved,
    plain,
    shelve,
    shelve_log,
    terms_of,
)
from ctxplug.testing.backend_data import (
    NS,
    PROPERTY,
    START,
    STREAM,
    TEXTS,
    WORDS,
    fresh_namespace,
    memory,
    require_refused,
    said,
)


class ArchiveLaws:
    """Rule 12 of the law."""

    def test_the_archive_works_or_is_refused(self, backend: Backend) -> None:
        backend.write(said("one", "one"), Put(memory("m", "two"), "two"))
        calls: dict[str, Callable[[], Any]] = {
            "a write with ArchiveRecords": lambda: backend.write(shelve(NS, backend, {"m"})),
            "a write with ArchiveLog": lambda: backend.write(shelve_log(backend, STREAM)),
            "archived": lambda: backend.archived(Where(NS)),
            "archive_state": lambda: backend.archive_state(NS),
            "a write with Unarchive": lambda: backend.write(Unarchive(NS)),
        }
        if "archive" in backend.capabilities:
            assert [call() for call in [*calls.values()][:2]] == [[1], [1]]
            assert {one.record.id for one in backend.archived(Where(NS))} == {"m", "trip@1"}
            return
        require_refused(backend, "archive", calls)
        assert backend.count(Where(NS)) == 2

    @PROPERTY
    @given(
        history=histories(),
        through=st.lists(st.integers(0, 9), min_size=2, max_size=2),
        ids=st.sets(st.sampled_from(IDS)),
    )
    def test_what_is_archived_reads_as_before_and_comes_back_as_it_was(
        self, backend: Backend, history: tuple[Namespace, list[Op]], through: list[int], ids: Any
    ) -> None:
        if "archive" not in backend.capabilities:
            return
        namespace, ops = history
        backend.write(*ops)
        before = contents(backend, namespace)
        streams = [Stream(namespace, session) for session in SESSIONS]
        backend.write(shelve(namespace, backend, ids))
        for stream, upto in zip(streams, through, strict=True):
            for step in (upto // 2, upto):  # a second call goes on where the first ended
                backend.write(shelve_log(backend, stream, step))
        within = contents(backend, namespace)
        for same in ("logs", "sessions", "listed"):
            assert within[same] == before[same]
        archived = [one.record for one in backend.archived(Where(namespace))]
        everything = sorted(
            archived + within["records"], key=lambda r: (r.created_at, r.id), reverse=True
        )
        assert everything == before["records"]
        for word in WORDS:
            hits = {one.record.id for one in backend.archived(Where(namespace), [word])}
            assert hits == {r.id for r in archived if word in terms_of(r, ops)}
        assert backend.check().problems == ()
        backend.write(Unarchive(namespace), *[Unarchive(namespace, s) for s in SESSIONS])
        assert contents(backend, namespace) == before
        assert backend.archive_state(namespace).segments == 0
        assert backend.archived(Where(namespace)) == []
        assert backend.check().problems == ()

    @PROPERTY
    @given(history=histories(), later=histories(), ids=st.lists(st.sampled_from(IDS)))
    def test_writing_goes_on_as_if_nothing_were_archived(
        self, backend: Backend, history: Any, later: Any, ids: list[str]
    ) -> None:
        """A log goes on; an archived id is replaced, deleted, or comes back alone."""
        if "archive" not in backend.capabilities:
            return
        spaces, ops = (history[0], fresh_namespace()), [*history[1]]
        backend.write(*ops)
        backend.write(*moved(ops, spaces[1]))
        for session in SESSIONS:
            backend.write(shelve_log(backend, Stream(spaces[0], session)))
        backend.write(shelve(spaces[0], backend))
        rest = [op for op in later[1] if not isinstance(op, Touch)]  # what is archived is not used
        written = [backend.write(*moved(rest, space)) for space in spaces]
        assert written[0] == written[1]
        backend.write(Unarchive(spaces[0], ids=tuple(ids)))
        backend.write(Unarchive(spaces[0]), *[Unarchive(spaces[0], s) for s in SESSIONS])
        one, other = (plain(contents(backend, space)) for space in spaces)
        assert one == other
        assert backend.check().problems == ()

    def test_long_logs_are_archived_in_runs(self, backend: Backend) -> None:
        if "archive" not in backend.capabilities:
            return
        backend.write(*[said(f"text {i} 里斯本", f"w{i} 里斯") for i in range(700)])
        before = backend.read(STREAM)
        terms = {entry.version: f"w{entry.version - 1} 里斯" for entry in before}
        assert backend.write(ArchiveLog(STREAM, 600, terms)) == [600]
        state = backend.archive_state(NS)
        assert (state.entries, state.records) == (600, 0)
        assert state.segments > 1
        assert 0 < state.nbytes < state.size / 2
        assert [info.archived for info in backend.sessions(NS)] == [600]
        assert backend.read(STREAM) == before
        assert backend.read(STREAM, after=250, before=620) == before[250:619]
        assert backend.read(STREAM, newest_first=True, limit=300) == before[:-301:-1]
        [found] = backend.archived(Where(NS), ["w123"])
        assert (found.record.id, found.terms) == ("trip@124", "w123 里斯")
        assert len(backend.archived(Where(NS), ["里斯"], limit=7)) == 7
        assert backend.archived(Where(NS), ["absent"]) == []
        assert backend.write(said("last", "last")) == [701]
        assert backend.write(ArchiveLog(STREAM, 650, terms), ArchiveLog(STREAM, 1, {})) == [50, 0]
        some = Unarchive(NS, "trip", most=100)
        assert backend.write(some, Unarchive(NS, "trip", most=0)) == [100, 0]
        assert [info.archived for info in backend.sessions(NS)] == [550]
        assert backend.archive_state(NS).entries == 550
        assert backend.archived(Where(NS), ["w560"]) == []
        if "keyword" in backend.capabilities:
            assert len(backend.search(Where(NS), terms=["w560"])) == 1
        assert backend.read(STREAM) == [*before, *backend.read(STREAM, after=700)]
        assert backend.write(Unarchive(NS, "trip"), Unarchive(NS, "trip")) == [550, 0]
        assert backend.read(STREAM) == [*before, *backend.read(STREAM, after=700)]

    def test_records_come_back_run_by_run(self, backend: Backend) -> None:
        if "archive" not in backend.capabilities:
            return
        ids = [f"m{i:03}" for i in range(700)]
        backend.write(*[Put(memory(id, id), id) for id in ids])
        before = backend.find(Where(NS))
        backend.write(shelve(NS, backend, set(ids)))
        for some in (ids[:300], ids[250:310]):  # from several segments, and some of them again
            backend.write(Unarchive(NS, ids=(*some, "none", some[0])))
        assert {r.id for r in backend.find(Where(NS))} == set(ids[:310])
        assert {one.record.id for one in backend.archived(Where(NS))} == set(ids[310:])
        back = 310
        while done := backend.write(Unarchive(NS, most=100))[0]:
            assert done < 400
            back += done
            assert backend.count(Where(NS)) == back
        assert backend.find(Where(NS)) == before
        assert backend.archive_state(NS).segments == 0

    def test_what_is_archived_is_found_by_any_filter(self, backend: Backend) -> None:
        """By filters that leave out whole segments, too."""
        if "archive" not in backend.capabilities:
            return
        other = Stream(NS, "t@1")
        backend.write(said("one", "one"), said("two", "two", other), Put(memory("m", kind="x")))
        for stream in (STREAM, other):
            backend.write(shelve_log(backend, stream))
        backend.write(shelve(NS, backend, {"m"}))
        wheres: dict[str, dict[str, Any]] = {
            "m trip@1 t@1@1": {},
            "trip@1": {"session": "trip"},
            "trip@1 t@1@1": {"kinds": ["message", "y"]},
            "m": {"not_kinds": ["message"]},
            "t@1@1 m": {"ids": ["m", "t@1@1", "t@1@2", "none@1", "m"]},
            "t@1@1": {"ids": ["m", "t@1@1"], "kinds": ["message"]},
            "": {"ids": []},
        }
        for ids, conditions in wheres.items():
            found = backend.archived(Where(NS, **conditions))
            assert sorted(one.record.id for one in found) == sorted(ids.split())

    @pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:12]))
    def test_any_text_comes_back_from_the_archive(self, backend: Backend, text: str) -> None:
        if "archive" not in backend.capabilities:
            return
        stream = Stream(NS, f"x{text[:100]}")
        record = memory(f"y{text[:100]}", text, metadata={text[:9]: text}, tags=(f"t{text[:9]}",))
        backend.write(said(text, "word", stream, agent=f"x{text[:9]}"), Put(record, "word"))
        before = contents(backend, NS)
        backend.write(shelve_log(backend, stream), shelve(NS, backend, {record.id}))
        assert backend.read(stream) == before["logs"][stream.session][0]
        assert {one.record.id for one in backend.archived(Where(NS))} == {
            r.id for r in before["records"]
        }
        assert backend.archived(Where(NS, ids=[record.id]))[0].record == record
        backend.write(Unarchive(NS, stream.session), Unarchive(NS, ids=(record.id,)))
        assert backend.find(Where(NS)) == before["records"]
        assert backend.read(stream) == before["logs"][stream.session][0]

    def test_a_record_that_changed_meanwhile_stays(self, backend: Backend) -> None:
        if "archive" not in backend.capabilities:
            return
        backend.write(*[Put(memory(id, "old"), "old") for id in "abc"], said("d", "d"))
        op = shelve(NS, backend, {"a", "b", "c", "trip@1"})
        backend.write(Put(memory("a", "new"), "new"), Delete(NS, "b"))
        assert backend.write(op, op) == [1, 0]
        assert [one.record.id for one in backend.archived(Where(NS))] == ["c"]
        assert {r.id for r in backend.find(Where(NS))} == {"a", "trip@1"}

    def test_the_archive_stays_inside_the_namespace(self, backend: Backend) -> None:
        if "archive" not in backend.capabilities:
            return
        others: list[Namespace] = [("acme",), (*NS, "child"), ("acme", "alice2")]
        for space in (NS, *others):
            stream = Stream(space, "trip")
            backend.write(said("one", "same", stream), Put(memory("m", namespace=space), "same"))
        before = [contents(backend, space) for space in others]
        backend.write(shelve_log(backend, STREAM), shelve(NS, backend))
        for space in others:
            assert backend.archived(Where(space)) == []
            assert backend.archive_state(space).segments == 0
            backend.write(Unarchive(space), Unarchive(space, "trip"), Delete(space, "none"))
        assert [contents(backend, space) for space in others] == before
        assert len(backend.archived(Where(NS), ["one"])) == 1
        receipt = backend.erase(NS)
        assert (receipt.entries, receipt.records, receipt.archived) == (1, 2, 3)
        assert backend.archived(Where(NS)) == []
        assert [contents(backend, space) for space in others] == before

    def test_vectors_are_made_again(self, backend: Backend) -> None:
        if not {"archive", "vector"} <= backend.capabilities:
            return
        backend.write(said("one", "one"), Put(memory("m", "two"), "two"))
        backend.write(*[Embed(NS, id, "model", [1.0, 0.0]) for id in ("trip@1", "m")])
        backend.write(shelve_log(backend, STREAM), shelve(NS, backend))
        assert backend.vector_state(NS).pending == 0
        assert backend.search(Where(NS), vector=[1.0, 0.0], embedder="model") == []
        backend.write(Unarchive(NS), Unarchive(NS, "trip"))
        assert {record.id for record in backend.unembedded(NS, 9)} == {"trip@1", "m"}

    def test_the_async_twins_of_the_archive_agree(self, backend: Backend) -> None:
        if "archive" not in backend.capabilities:
            return
        backend.write(Put(memory("m", "two"), "two"))
        backend.write(shelve(NS, backend))
        assert asyncio.run(backend.aarchived(Where(NS))) == backend.archived(Where(NS))
        assert asyncio.run(backend.aarchive_state(NS)) == backend.archive_state(NS)
        assert backend.archived(Where(NS))[0].record.created_at == START
