"""The laws of what is seen: the same by every way of reading, and nothing besides."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

import pytest

from ctxplug.errors import ConflictError
from ctxplug.storage import Backend, Delete, Embed, Expect, Put, Stream, Touch, Where
from ctxplug.testing.backend_archive_data import shelve, shelve_log
from ctxplug.testing.backend_data import NS, START, STREAM, at, memory, note, said

SIBLINGS = [("acme",), (*NS, "child"), ("acme", "Alice"), ("acme", "爱丽丝")]


class SightLaws:
    """Rules 3, 5, 6, 11 and 12 of the law, as those who read and expect meet them."""

    def test_words_that_look_alike_are_different(self, backend: Backend) -> None:
        if "keyword" not in backend.capabilities:
            return
        words = [
            "e",
            "é",
            "e\u0301",
            "ａ",
            "a",
            "里",
            "里斯",
            "hell",
            "hello",
            "ﬁ",
            "fi",
            "ß",
            "ss",
        ]
        backend.write(*[Put(memory(word), word) for word in words])
        for word in words:
            assert [hit.record.id for hit in backend.search(Where(NS), terms=[word])] == [word]
            assert backend.occurrences(Where(NS), [word], limit=9).counts == {word: 1}

    def test_records_of_one_time_come_in_order_of_id(self, backend: Backend) -> None:
        names = ["b", "a", "é", "😀", "\uffee", "Z", "里", "10", "9", "a\0"]
        backend.write(*[Put(memory(name)) for name in names])
        backend.write(Put(memory("newest", created_at=at(1))))
        found = [record.id for record in backend.find(Where(NS))]
        assert found == ["newest", *sorted(names, reverse=True)]

    def test_times_without_a_zone_are_utc_wherever_they_are_given(self, backend: Backend) -> None:
        def naive(seconds: float) -> object:
            return at(seconds).replace(tzinfo=None)

        backend.write(Put(memory("m", expires_at=at(9), valid_from=at(0), valid_to=at(9))))
        backend.write(Touch(NS, ("m",), naive(3)))  # type: ignore[arg-type]
        found = backend.get(NS, "m")
        assert found is not None
        assert found.last_accessed == at(3)
        for name, inside, outside in (
            ("since", 0, 1),
            ("until", 1, 0),
            ("now", 8, 9),
            ("valid_at", 0, 9),
        ):
            for seconds, count in ((inside, 1), (outside, 0)):
                where = Where(NS, **{name: naive(seconds)})  # type: ignore[arg-type]
                assert backend.count(where) == len(backend.find(where)) == count

    # -- expectations ------------------------------------------------------------------------

    def test_an_expectation_is_of_what_was_there_before_the_write(self, backend: Backend) -> None:
        record = memory("m", "new")
        with pytest.raises(ConflictError):
            backend.write(Put(record), Expect(NS, "m", record))
        with pytest.raises(ConflictError):
            backend.write(said("x", "x"), Touch(NS, ("m",), START), Expect(NS, "m", record))
        assert backend.namespaces() == []
        assert backend.write(Put(record), Touch(NS, ("m",), START), Expect(NS, "m", None))[2] == 1
        assert backend.get(NS, "m") == record.evolve(access_count=1, last_accessed=START)

    def test_what_is_expected_is_of_one_namespace(self, backend: Backend) -> None:
        for space in SIBLINGS:
            stream = Stream(space, "trip")
            backend.write(note(1, stream), note(2, stream, kind="mark", pinned=True))
            backend.write(Put(memory("m", namespace=space)))
        guarded = note(1, expected=0), note(2, unless=("mark", 0)), Expect(NS, "m", None)
        assert backend.write(*guarded) == [1, 2, 1]
        for op in (note(3, expected=3), Expect(NS, "m", memory("m"))):
            with pytest.raises(ConflictError) as caught:
                backend.write(op)
            assert caught.value.found == (2 if op == note(3, expected=3) else 0)
            assert not [s for space in SIBLINGS for s in space[2:] if s in str(caught.value)]
        assert [backend.head(Stream(space, "trip")) for space in SIBLINGS] == [2] * len(SIBLINGS)

    # -- places ------------------------------------------------------------------------------

    def test_a_place_stays_while_others_come_and_go(self, backend: Backend) -> None:
        if "keyword" not in backend.capabilities:
            return
        backend.write(*[Put(memory(id), "x") for id in "abc"], said("x", "x"), said("y", "y"))
        before = {glance.id: glance.place for glance in backend.glance(Where(NS))}
        backend.write(Delete(NS, "b"), Delete(NS, "trip@1"), Touch(NS, ("a", "trip@2"), at(5)))
        backend.write(Put(memory("b"), "x"), note(3), said("z", "z"), Put(memory("d"), "x"))
        after = {glance.id: glance.place for glance in backend.glance(Where(NS))}
        for id in ("a", "c", "trip@2"):
            assert after[id] == before[id]
        assert len(set(after.values())) == len(after) == 6
        for id, place in after.items():
            assert [glance.id for glance in backend.glance(Where(NS), [place])] == [id]

    def test_of_a_term_that_is_everywhere_the_newer_places_are_listed(
        self, backend: Backend
    ) -> None:
        if "keyword" not in backend.capabilities:
            return
        for number in range(9):
            backend.write(said(f"{number}", "里斯"))
        newest = {f"trip@{version}" for version in range(6, 10)}
        listed = backend.occurrences(Where(NS), ["里斯"], limit=4).places["里斯"]
        ids = {glance.id for glance in backend.glance(Where(NS), listed)}
        assert 1 <= len(ids) == len(listed)
        assert ids <= newest
        assert "trip@9" in ids

    def test_what_has_expired_is_not_glanced_at(self, backend: Backend) -> None:
        if "keyword" not in backend.capabilities:
            return
        backend.write(Put(memory("past", expires_at=at(9)), "x"), Put(memory("never"), "x"))
        for now, ids in ((None, {"past", "never"}), (at(8), {"past", "never"}), (at(9), {"never"})):
            assert {glance.id for glance in backend.glance(Where(NS, now=now))} == ids

    # -- what is put away --------------------------------------------------------------------

    def test_nothing_but_the_archive_sees_what_is_archived(self, backend: Backend) -> None:
        if "archive" not in backend.capabilities:
            return
        backend.write(said("one", "x"), Put(memory("m", "two"), "x"))
        backend.write(shelve_log(backend, STREAM), shelve(NS, backend, {"m"}))
        for id in ("m", "trip@1"):
            assert backend.get(NS, id) is None
            assert backend.write(Touch(NS, (id,), START), Expect(NS, id, None)) == [0, 1]
        assert (backend.find(Where(NS)), backend.count(Where(NS, ids=["m"]))) == ([], 0)
        if "keyword" in backend.capabilities:
            assert backend.search(Where(NS), terms=["x"]) == []
            assert backend.glance(Where(NS)) == []
            found = backend.occurrences(Where(NS), ["x"], limit=9)
            assert (found.total, found.counts) == (0, {})
        if "vector" in backend.capabilities:
            assert backend.unembedded(NS, 9) == []
            assert backend.write(Embed(NS, "m", "model", [1.0, 0.0])) == [0]
        assert backend.namespaces() == [NS]
        assert [one.record.access_count for one in backend.archived(Where(NS))] == [0, 0]

    def test_the_archive_is_told_newest_first(self, backend: Backend) -> None:
        if "archive" not in backend.capabilities:
            return
        times = {"a": 3, "b": 1, "c": 2, "d": 2}
        records = [memory(id, created_at=at(s), expires_at=at(s + 5)) for id, s in times.items()]
        backend.write(*[Put(record, "x") for record in records])
        for some in ({"b", "d"}, {"a", "c"}):
            backend.write(shelve(NS, backend, some))
        assert [one.record.id for one in backend.archived(Where(NS))] == ["a", "d", "c", "b"]
        assert [one.record.id for one in backend.archived(Where(NS), limit=2)] == ["a", "d"]
        assert [one.record.id for one in backend.archived(Where(NS, now=at(7)))] == ["a"]
        assert backend.archived(Where(NS), limit=0) == backend.archived(Where(NS), []) == []
