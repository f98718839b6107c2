"""The laws of changing records while others do: expectations and renewals."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

from dataclasses import replace

import pytest

from ctxplug.errors import ConflictError
from ctxplug.storage import Backend, Delete, Expect, Put, Stream, Touch, Where
from ctxplug.testing.backend_data import NS, STREAM, at, memory, note, said


class ChangeLaws:
    """Rules 1 and 6 of the law, for records that change."""

    def test_touching_puts_off_the_end_of_what_has_not_ended(self, backend: Backend) -> None:
        backend.write(
            Put(memory("soon", expires_at=at(10))),
            Put(memory("late", expires_at=at(99))),
            Put(memory("over", expires_at=at(5))),
            Put(memory("never")),
        )
        backend.write(Touch(NS, ("soon", "late", "over", "never"), at(5), at(50)))
        ends = {record.id: record.expires_at for record in backend.find(Where(NS))}
        assert ends == {"soon": at(50), "late": at(99), "over": at(5), "never": None}
        assert {r.id for r in backend.find(Where(NS, now=at(20)))} == {"soon", "late", "never"}
        backend.write(Touch(NS, ("soon",), at(6)))
        found = backend.get(NS, "soon")
        assert found == memory("soon", expires_at=at(50), access_count=2, last_accessed=at(6))

    def test_a_write_that_expects_another_record_does_nothing(self, backend: Backend) -> None:
        record = memory("m", metadata={"a": [1]})
        backend.write(Put(record, "word"), said("x", "x"))
        message = backend.get(NS, "trip@1")
        absent, present = Expect(NS, "n", None), Expect(NS, "m", record)
        backend.write(Put(memory("n")), Expect(NS, "trip@1", message), absent, present)
        backend.write(Touch(NS, ("m",), at(3)))
        touched = record.evolve(access_count=1, last_accessed=at(3))
        for wrong in (absent, present, Expect(NS, "o", record), Expect(("other",), "m", record)):
            with pytest.raises(ConflictError) as caught:
                backend.write(Put(memory("m", "changed")), Delete(NS, "n"), note(1), wrong)
            assert caught.value.found == int(wrong.id in "mn" and wrong.namespace == NS)
        assert backend.get(NS, "m") == touched
        assert backend.get(NS, "n") is not None
        assert backend.head(STREAM) == 1
        assert backend.write(Expect(NS, "m", touched), Delete(NS, "m")) == [1, 1]

    def test_an_append_unless_something_is_marked_is_refused_once_it_is(
        self, backend: Backend
    ) -> None:
        backend.write(note(1), note(2))
        guarded = replace(note(3), unless=("mark", 2))
        assert backend.write(guarded, note(4)) == [3, 4]
        backend.write(replace(note(5), kind="mark"))  # not pinned: it marks nothing
        assert backend.write(replace(guarded, unless=("mark", 4))) == [6]
        backend.write(replace(note(7), kind="mark", pinned=True))
        for after in (0, 6, 8):  # of the last, the stream has not come so far
            with pytest.raises(ConflictError) as caught:
                backend.write(Put(memory("m")), replace(guarded, unless=("mark", after)))
            assert (caught.value.expected, caught.value.found) == (after, 7)
        assert backend.get(NS, "m") is None
        assert backend.write(replace(guarded, unless=("mark", 7))) == [8]
        assert backend.write(replace(guarded, unless=("other", 0))) == [9]
        assert backend.write(note(1, Stream(NS, "new"), unless=("mark", 0))) == [1]

    def test_a_message_that_was_deleted_is_put_back_as_the_record_of_its_entry(
        self, backend: Backend
    ) -> None:
        backend.write(said("one two", "one two"), said("three", "three"), note(3))
        indexed = "keyword" in backend.capabilities
        before = backend.get(NS, "trip@1")
        glances = backend.glance(Where(NS, ids=["trip@1"])) if indexed else []
        assert before is not None
        backend.write(Delete(NS, "trip@1"))
        assert backend.get(NS, "trip@1") is None
        assert backend.write(Put(before, "one two", version=1)) == [1]
        assert backend.get(NS, "trip@1") == before
        if indexed:
            assert backend.glance(Where(NS, ids=["trip@1"])) == glances
            assert [h.record.id for h in backend.search(Where(NS), terms=["two"])] == ["trip@1"]
        assert backend.check().ok
        other = before.evolve(id="x", session="nobody")  # there is no such entry
        backend.write(Put(other, "one two", version=1))
        assert backend.get(NS, "x") == other
        if "fork" in backend.capabilities:
            backend.erase_session(NS, "trip")
            assert [record.id for record in backend.find(Where(NS))] == ["x"]
