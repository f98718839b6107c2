"""The laws of keeping: what is written stays, and what is erased is marked and gone."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from ctxplug.errors import ClosedError, ConflictError, EmbedderChangedError, InvalidValueError
from ctxplug.storage import Backend, Embed, Put, Stream, Touch, Unembed, Where, marks_of
from ctxplug.storage.erasure import Marks
from ctxplug.testing.backend_archive_data import contents, shelve, shelve_log
from ctxplug.testing.backend_data import NS, START, STREAM, TEXTS, memory, note, numbers, said

Reopen: TypeAlias = Callable[[], Backend]
MANY = 3000


class KeepingLaws:
    """Rules 1, 8, 9 and 10 of the law."""

    def test_what_is_durable_is_there_when_it_is_opened_again(
        self, backend: Backend, reopen: Reopen | None
    ) -> None:
        if "durable" not in backend.capabilities:
            return
        assert reopen is not None, (
            f"{type(backend).__name__} declares 'durable': override the fixture `reopen` too, and"
            " return a function that opens the same store once more"
        )
        backend.write(said("我搬到了里斯本", "搬到 里斯"), note(2), Put(memory("m", "two"), "two"))
        backend.write(Touch(NS, ("m", "trip@1"), START), *[note(1, Stream(NS, t)) for t in "ba"])
        for number, text in enumerate(TEXTS[:-1]):
            backend.write(Put(memory(f"{number}", text, metadata={"k": text}), "word"))
        if "vector" in backend.capabilities:
            backend.write(Embed(NS, "m", "model", [0.6, 0.8]))
        if "archive" in backend.capabilities:
            backend.write(shelve_log(backend, STREAM, 1), shelve(NS, backend, {"0", "1"}))
        before = contents(backend, NS)
        backend.close()
        with reopen() as again:
            assert again.capabilities == backend.capabilities
            assert contents(again, NS) == before
            if "vector" in backend.capabilities:
                assert again.nearest(Where(NS), [0.6, 0.8])[0][0] == "m"
                assert again.vector_state(NS).embedder == "model"
            if "archive" in backend.capabilities:
                assert {one.record.id for one in again.archived(Where(NS))} == {"trip@1", "0", "1"}
            assert again.write(note(3, expected=2)) == [3]
            assert again.check().problems == ()

    def test_leaving_a_with_block_closes(self, backend: Backend) -> None:
        with backend as same:
            assert same is backend
            same.write(note(1))
        with pytest.raises(ClosedError):
            backend.read(STREAM)
        with pytest.raises(ZeroDivisionError), backend:
            raise ZeroDivisionError("is passed on, though it is closed already")

    def test_a_large_write_is_one_write(self, backend: Backend) -> None:
        ops = [op for n in range(MANY // 2) for op in (note(n), Put(memory(f"{n}"), f"w{n}"))]
        with pytest.raises(ConflictError):
            backend.write(*ops, note(0, expected=1))
        assert backend.namespaces() == []
        assert backend.write(*ops)[-2:] == [MANY // 2, 1]
        assert numbers(backend.read(STREAM)) == list(range(MANY // 2))
        assert backend.count(Where(NS)) == len(backend.find(Where(NS))) == MANY // 2
        if "keyword" in backend.capabilities:
            [hit] = backend.search(Where(NS), terms=[f"w{MANY // 4}"])
            assert hit.record.id == f"{MANY // 4}"

    def test_the_receipt_of_a_namespace_marks_entries_and_records(self, backend: Backend) -> None:
        own = Stream(NS, "ctxplug:trace")
        backend.write(said("one", "one"), note(2), note(1, own), Put(memory("m"), "two"))
        backend.write(Put(memory("n")), Put(memory("n", namespace=("acme",))))
        marked = [*backend.read(STREAM), *backend.read(own)]
        records = [record for record in backend.find(Where(NS)) if record.id in "mn"]
        if "archive" in backend.capabilities:
            backend.write(shelve_log(backend, STREAM, 1), shelve(NS, backend, {"m"}))
        receipt = backend.erase(NS)
        assert (receipt.entries, receipt.records, receipt.sessions) == (2, 3, ())
        assert receipt.archived == (3 if "archive" in backend.capabilities else 0)
        marks = Marks(receipt.salt)
        expected = {marks.of_entry(entry) for entry in marked}
        assert marks_of(receipt) == expected | {marks.of_record(record) for record in records}
        assert type(receipt).from_dict(receipt.to_dict()) == receipt
        backend.write(note(1))
        assert backend.erase(NS).salt != receipt.salt

    # -- vectors -----------------------------------------------------------------------------

    def test_vectors_of_two_embedders_in_one_write_are_refused_whole(
        self, backend: Backend
    ) -> None:
        if "vector" not in backend.capabilities:
            return
        backend.write(Put(memory("a"), "x"), Put(memory("b"), "x"))
        one, other = Embed(NS, "a", "one", [1.0, 0.0]), Embed(NS, "b", "other", [1.0, 0.0])
        longer = Embed(NS, "b", "one", [1.0, 0.0, 0.0])
        for ops in ((one, other), (one, longer), (note(1), one, Unembed(("acme",)), other)):
            with pytest.raises((EmbedderChangedError, InvalidValueError)):
                backend.write(*ops)
        assert backend.vector_state(NS).embedder is None
        assert backend.sessions(NS) == []
        assert backend.write(one, Unembed(NS)) == [1, 1]
        assert backend.vector_state(NS).pending == 2

    def test_a_record_that_no_word_finds_may_have_a_vector(self, backend: Backend) -> None:
        if "vector" not in backend.capabilities:
            return
        backend.write(Put(memory("silent")), Put(memory("m"), "x"))
        assert backend.write(Embed(NS, "silent", "model", [0.0, 1.0])) == [1]
        assert [id for id, _ in backend.nearest(Where(NS), [0.0, 1.0])] == ["silent"]
        assert backend.vector_state(NS).pending == 1
        backend.write(Put(memory("silent")))
        assert backend.nearest(Where(NS), [0.0, 1.0], embedder="model") == []
