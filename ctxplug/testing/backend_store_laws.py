"""The laws of the store: separate namespaces, odd words, threads, twins, closing."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctxplug.errors import ClosedError, StorageError, UnsupportedError
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Delete, Put, Stream, Touch, Where
from ctxplug.testing.backend_data import (
    NAMESPACES,
    NS,
    ODD_TERMS,
    START,
    STREAM,
    at,
    elsewhere,
    memory,
    note,
    numbers,
    require_refused,
    said,
)

CAPABILITIES = {"keyword", "vector", "archive", "fork", "backup", "durable"}


class StoreLaws:
    """Rules 3, 5, 7, 8 and 9 of the law."""

    # -- namespaces ------------------------------------------------------------------------

    def test_a_namespace_holds_only_what_was_written_under_it(self, backend: Backend) -> None:
        _fill(backend)
        assert backend.namespaces() == sorted(NAMESPACES)
        for namespace in NAMESPACES:
            _require_own(backend, namespace)

    def test_a_prefix_is_of_whole_labels(self, backend: Backend) -> None:
        _fill(backend)
        for prefix in [(), *NAMESPACES, ("nobody",)]:
            expected = [n for n in NAMESPACES if n[: len(prefix)] == prefix]
            assert backend.namespaces(prefix) == sorted(expected)

    def test_a_namespace_without_content_is_not_listed(self, backend: Backend) -> None:
        backend.write(Put(memory("m")), Delete(NS, "m"), Delete(("a",), "m"))
        backend.write(Touch(("b",), ("m",), START))
        assert backend.namespaces() == []

    def test_deleting_and_touching_stay_inside_the_namespace(self, backend: Backend) -> None:
        _fill(backend)
        backend.write(Delete(("a",), "same"), Touch(("A",), ("same",), at(5)))
        assert backend.get(("a",), "same") is None
        for namespace in NAMESPACES:
            record = backend.get(namespace, "same")
            assert (record is None) == (namespace == ("a",))
            if record is not None:
                assert record.access_count == (namespace == ("A",))

    @pytest.mark.parametrize("erased", NAMESPACES[:6] + NAMESPACES[-3:], ids=ascii)
    def test_erasing_one_namespace_leaves_all_others(
        self, backend: Backend, erased: Namespace
    ) -> None:
        _fill(backend)
        receipt = backend.erase(erased)
        assert (receipt.namespace, receipt.remaining) == (erased, 0)
        assert (receipt.entries, receipt.records) == (2, 2)
        assert backend.namespaces() == sorted(n for n in NAMESPACES if n != erased)
        assert backend.read(Stream(erased, "same")) == []
        assert backend.find(Where(erased)) == []
        assert backend.sessions(erased) == []
        for namespace in NAMESPACES:
            if namespace != erased:
                _require_own(backend, namespace)
        assert backend.check().ok

    def test_an_erased_namespace_begins_anew(self, backend: Backend) -> None:
        backend.write(note(1), note(2), Put(memory("m")))
        backend.erase(NS)
        assert backend.write(note(3)) == [1]
        assert numbers(backend.read(STREAM)) == [3]
        assert backend.get(NS, "m") is None

    def test_erasing_nothing_gives_an_empty_receipt(self, backend: Backend) -> None:
        backend.write(note(1))
        receipt = backend.erase(("nobody",))
        assert (receipt.entries, receipt.records, receipt.remaining) == (0, 0, 0)
        assert backend.head(STREAM) == 1

    # -- words -------------------------------------------------------------------------------

    @pytest.mark.parametrize("term", ODD_TERMS, ids=ascii)
    def test_any_word_is_found_as_it_is(self, backend: Backend, term: str) -> None:
        if "keyword" not in backend.capabilities:
            require_refused(
                backend,
                "keyword",
                {"search by terms": lambda: backend.search(Where(NS), terms=[term])},
            )
            return
        backend.write(Put(memory("with"), f"hello {term} world"))
        backend.write(Put(memory("without"), "hello x y"))
        hits = backend.search(Where(NS), terms=[term])
        assert [hit.record.id for hit in hits] == ["with"]

    def test_a_query_without_words_finds_nothing(self, backend: Backend) -> None:
        backend.write(Put(memory("m"), "hello"), Put(memory("empty"), ""), Put(memory("none")))
        if "keyword" not in backend.capabilities:
            require_refused(
                backend, "keyword", {"search by terms": lambda: backend.search(Where(NS), terms=[])}
            )
            return
        for terms in ([], [""], ["  "], ["", " "]):
            assert backend.search(Where(NS), terms=terms) == []
        assert backend.search(Where(("nobody",)), terms=["hello"]) == []

    def test_a_query_of_many_words_is_answered(self, backend: Backend) -> None:
        backend.write(Put(memory("m"), "hello"))
        terms = [f"w{i}" for i in range(2000)] + ["hello"]
        if "keyword" in backend.capabilities:
            assert len(backend.search(Where(NS), terms=terms)) == 1
        else:
            require_refused(
                backend,
                "keyword",
                {"search by terms": lambda: backend.search(Where(NS), terms=terms)},
            )

    def test_words_that_were_replaced_or_deleted_are_not_found(self, backend: Backend) -> None:
        if "keyword" not in backend.capabilities:
            require_refused(
                backend,
                "keyword",
                {"search by terms": lambda: backend.search(Where(NS), terms=["old"])},
            )
            return
        backend.write(*[Put(memory(id), "old") for id in "abc"])
        backend.write(Put(memory("a"), "new"), Put(memory("b")), Delete(NS, "c"))
        assert backend.search(Where(NS), terms=["old"]) == []
        assert [hit.record.id for hit in backend.search(Where(NS), terms=["new"])] == ["a"]
        assert backend.check().ok

    def test_the_better_match_comes_first(self, backend: Backend) -> None:
        if "keyword" not in backend.capabilities:
            require_refused(
                backend,
                "keyword",
                {"search by terms": lambda: backend.search(Where(NS), terms=["rare"])},
            )
            return
        backend.write(*[Put(memory(f"{i}"), "common filler") for i in range(20)])
        backend.write(Put(memory("both"), "common rare"), Put(memory("one"), "rare other words"))
        hits = backend.search(Where(NS), terms=["rare", "common"], limit=2)
        assert [hit.record.id for hit in hits] == ["both", "one"]
        assert hits[0].score > hits[1].score

    # -- capabilities ------------------------------------------------------------------------

    def test_capabilities_are_known_names(self, backend: Backend) -> None:
        assert backend.capabilities <= CAPABILITIES

    def test_vectors_are_searched_or_refused(self, backend: Backend) -> None:
        if "vector" in backend.capabilities:
            assert backend.search(Where(NS), vector=[1.0, 0.0], limit=3) == []
            return
        with pytest.raises(UnsupportedError) as caught:
            backend.search(Where(NS), vector=[1.0, 0.0])
        assert caught.value.capability == "vector"

    def test_backup_makes_a_new_file_or_is_refused(self, backend: Backend, tmp_path: Path) -> None:
        backend.write(note(1), Put(memory("m"), "word"))
        target = tmp_path / "备份 copy.db"
        if "backup" not in backend.capabilities:
            with pytest.raises(UnsupportedError) as caught:
                backend.backup(str(target))
            assert caught.value.capability == "backup"
            assert not target.exists()
            return
        backend.backup(str(target))
        content = target.read_bytes()
        with pytest.raises(StorageError, match="exists"):
            backend.backup(str(target))
        assert target.read_bytes() == content
        assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == [target.name]

    # -- threads, twins and the end ------------------------------------------------------------

    def test_it_works_from_another_thread(self, backend: Backend) -> None:
        backend.write(said("here", "here"))
        seen: list[Any] = []

        def work() -> None:
            backend.write(said("there", "there"))
            seen.append(len(backend.read(STREAM)))
            seen.append(backend.count(Where(NS)))
            seen.append(backend.check().ok)

        elsewhere(work)
        assert seen == [2, 2, True]

    def test_the_async_twins_agree(self, backend: Backend) -> None:
        asyncio.run(self._twins(backend))

    async def _twins(self, backend: Backend) -> None:
        where = Where(NS)
        assert await backend.awrite(said("hello", "hello"), Put(memory("m"), "hello")) == [1, 1]
        assert await backend.aread(STREAM, limit=5) == backend.read(STREAM, limit=5)
        assert await backend.ahead(STREAM) == backend.head(STREAM) == 1
        assert await backend.asessions(NS) == backend.sessions(NS)
        assert await backend.anamespaces() == backend.namespaces() == [NS]
        assert await backend.aget(NS, "m") == backend.get(NS, "m")
        assert await backend.afind(where, limit=1) == backend.find(where, limit=1)
        assert await backend.acount(where) == backend.count(where) == 2
        assert await backend.acheck() == backend.check()
        if "keyword" in backend.capabilities:
            hits = await backend.asearch(where, terms=["hello"])
            assert hits == backend.search(where, terms=["hello"])
        appended = await asyncio.gather(*[backend.awrite(note(i)) for i in range(20)])
        assert sorted(version for (version,) in appended) == list(range(2, 22))
        assert (await backend.aerase(NS)).entries == 21
        await backend.aclose()
        await backend.aclose()
        with pytest.raises(ClosedError):
            await backend.aread(STREAM)

    def test_check_finds_nothing_wrong_and_counts(self, backend: Backend) -> None:
        _fill(backend)
        report = backend.check()
        assert report.ok, report.problems
        assert report.counts.get("entries") == 2 * len(NAMESPACES)
        assert report.counts.get("records") == 2 * len(NAMESPACES)

    def test_everything_but_close_is_refused_after_close(self, backend: Backend) -> None:
        backend.write(note(1))
        backend.close()
        backend.close()
        calls: dict[str, Callable[[], Any]] = {
            "write": lambda: backend.write(note(2)),
            "write nothing": backend.write,
            "read": lambda: backend.read(STREAM),
            "head": lambda: backend.head(STREAM),
            "sessions": lambda: backend.sessions(NS),
            "namespaces": backend.namespaces,
            "get": lambda: backend.get(NS, "m"),
            "find": lambda: backend.find(Where(NS)),
            "count": lambda: backend.count(Where(NS)),
            "erase": lambda: backend.erase(NS),
            "check": backend.check,
        }
        if "keyword" in backend.capabilities:
            calls["search"] = lambda: backend.search(Where(NS), terms=["x"])
        if "backup" in backend.capabilities:
            calls["backup"] = lambda: backend.backup("never-made.db")
        for call in calls.values():
            with pytest.raises(ClosedError):
                call()
        with pytest.raises(ClosedError):
            asyncio.run(backend.awrite(note(2)))


def _fill(backend: Backend) -> None:
    """Write the same ids, sessions and words under every namespace, with telling content."""
    for namespace in NAMESPACES:
        stream, text = Stream(namespace, "same"), ascii(namespace)
        backend.write(
            said(text, "same", stream),
            note(1, stream, agent=text),
            Put(memory("same", text, namespace=namespace), "same"),
        )


def _require_own(backend: Backend, namespace: Namespace) -> None:
    """Fail if `namespace` lacks anything of its own or shows anything of another."""
    text, where = ascii(namespace), Where(namespace)
    entries = backend.read(Stream(namespace, "same"))
    assert [entry.version for entry in entries] == [1, 2]
    assert entries[0].body["message"]["content"][0]["text"] == text
    assert entries[1].agent == text
    records = backend.find(where)
    assert [(record.namespace, record.content) for record in records] == [(namespace, text)] * 2
    assert backend.count(where) == 2
    assert [info.version for info in backend.sessions(namespace)] == [2]
    if "keyword" in backend.capabilities:
        hits = backend.search(where, terms=["same"], limit=100)
        found = [(hit.record.namespace, hit.record.content) for hit in hits]
        assert found == [(namespace, text)] * 2
