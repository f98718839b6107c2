"""The laws of changing records while others do: expectations and renewals."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

import pytest

from ctxplug.errors import ConflictError
from ctxplug.storage import Backend, Delete, Expect, Put, Touch, Where
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
