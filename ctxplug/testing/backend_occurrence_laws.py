"""The laws of occurrences: where terms stand, and what ranking needs of records (rule 11)."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.errors import ClosedError
from ctxplug.messages import Message
from ctxplug.storage import Append, Backend, Delete, Glance, Occurrences, Put, Stream, Touch, Where
from ctxplug.storage.backend import COMMON
from ctxplug.testing.backend_data import (
    NS,
    PROPERTY,
    START,
    at,
    fresh_namespace,
    memory,
    note,
    require_refused,
    said,
)

EVERYTHING = Where(NS)
_words = st.sets(st.sampled_from(["a", "b", "c", "里斯", "^ann", '"']), max_size=4)


def lacks_keywords(backend: Backend) -> bool:
    """Say whether `backend` does not declare "keyword"; it must then refuse what needs it."""
    if "keyword" in backend.capabilities:
        return False
    calls: dict[str, Callable[[], Any]] = {
        "search by terms": lambda: backend.search(EVERYTHING, terms=["a"]),
        "occurrences": lambda: backend.occurrences(EVERYTHING, ["a"], limit=5),
        "glance": lambda: backend.glance(EVERYTHING),
    }
    require_refused(backend, "keyword", calls)
    return True


def places(backend: Backend, where: Where = EVERYTHING) -> dict[str, int]:
    """Return the place of each searchable record by its id."""
    return {glance.id: glance.place for glance in backend.glance(where)}


class OccurrenceLaws:
    """Places, counts and glances."""

    def test_places_say_which_messages_are_neighbours(self, backend: Backend) -> None:
        if lacks_keywords(backend):
            return
        one, two = Stream(NS, "one"), Stream(NS, "two")
        backend.write(said("1", "x", one), said("1", "x", two), said("2", "x", one))
        backend.write(Put(memory("m"), "x"), Put(memory("n"), "x"))
        backend.write(note(3, one), said("4", "x", one), said("2", "x", two))
        found = places(backend)
        assert set(found) == {"one@1", "one@2", "one@4", "two@1", "two@2", "m", "n"}
        assert found["one@2"] - found["one@1"] == found["two@2"] - found["two@1"] == 1
        assert found["one@4"] - found["one@1"] == 3
        for (id, place), (other, elsewhere) in combinations(found.items(), 2):
            if "@" not in id or id.split("@")[0] != other.split("@")[0]:
                assert abs(place - elsewhere) >= 16

    @PROPERTY
    @given(drawn=st.lists(_words, max_size=8), asked=_words, limit=st.integers(0, 12))
    def test_occurrences_agree_with_plain_python(
        self, backend: Backend, drawn: list[set[str]], asked: set[str], limit: int
    ) -> None:
        if lacks_keywords(backend):
            return
        space = fresh_namespace()
        stream = Stream(space, "s")
        for number, words in enumerate(drawn):
            terms = " ".join(sorted(words))
            record = memory(f"m{number}", namespace=space)
            backend.write(Put(record, terms) if number % 2 else said("x", terms, stream))
        found = backend.occurrences(Where(space), sorted(asked), limit=limit)
        of = places(backend, Where(space))
        at_place = {
            of[f"m{n}" if n % 2 else f"s@{n // 2 + 1}"]: words for n, words in enumerate(drawn)
        }
        held = {t: {p for p, words in at_place.items() if t in words} for t in asked}
        held = {term: where for term, where in held.items() if where}
        assert found.total == len(drawn)
        assert found.counts == {term: len(where) for term, where in held.items()}
        left, whole, common = limit, set[int](), 0
        for term in sorted(held, key=lambda term: (len(held[term]), term)):
            listed = found.places.get(term, ())
            assert len(set(listed)) == len(listed)
            if len(held[term]) <= left and not common:
                left -= len(held[term])
                whole |= held[term]
                assert set(listed) == held[term]
                continue
            common += 1
            assert set(listed) <= held[term]
            if whole:
                assert set(listed) == (held[term] & whole if common <= COMMON else set())
            else:
                assert len(listed) <= limit

    def test_only_what_fits_the_filter_is_listed_but_all_is_counted(self, backend: Backend) -> None:
        if lacks_keywords(backend):
            return
        backend.write(Put(memory("m", kind="wish"), "x"), said("x", "x"), Put(memory("n"), "x y"))
        found = backend.occurrences(Where(NS, kinds=["wish", "message"]), ["x", "y"], limit=9)
        assert found.total == 3
        assert found.counts == {"x": 3, "y": 1}
        of = places(backend)
        assert set(found.places["x"]) == {of["m"], of["trip@1"]}
        assert list(found.places.get("y", ())) == []
        assert {glance.id for glance in backend.glance(Where(NS, kinds=["wish"]))} == {"m"}
        assert {g.id for g in backend.glance(Where(NS, ids=["n", "no"]))} == {"n"}
        assert backend.glance(Where(NS, ids=[])) == []
        assert {g.id for g in backend.glance(Where(NS, kinds=["wish"]), list(of.values()))} == {"m"}

    def test_a_glance_tells_what_ranking_needs(self, backend: Backend) -> None:
        if lacks_keywords(backend):
            return
        ann = Message("user", "hello", name="Ann 安", created_at=at(5))
        backend.write(
            Append(
                stream=Stream(NS, "s"), kind="message", body={"message": ann.to_dict()},
                created_at=at(9), terms="hello", traits=2**40 + 5,
            ),
            Put(memory("m", importance=0.875, metadata={"name": "x"}), "hello", 7),
            Put(memory("silent"), traits=3),
            note(1),
        )  # fmt: skip
        backend.write(Touch(NS, ("m",), at(60)), Touch(NS, ("m",), at(50)))
        found = {glance.id: glance for glance in backend.glance(EVERYTHING)}
        assert set(found) == {"s@1", "m"}
        place, other = found["s@1"].place, found["m"].place
        assert found["s@1"] == Glance(place, "s@1", at(5), name="Ann 安", traits=2**40 + 5)
        assert found["m"] == Glance(other, "m", START, 0.875, 2, at(60), None, 7)
        assert backend.glance(EVERYTHING, [place, place + 1, 0]) == [found["s@1"]]
        assert backend.glance(EVERYTHING, []) == []

    def test_occurrences_follow_what_is_replaced_and_deleted(self, backend: Backend) -> None:
        if lacks_keywords(backend):
            return
        backend.write(Put(memory("m"), "old both"), said("x", "old both"), Put(memory("n"), "old"))
        backend.write(Put(memory("m"), "new both"), Delete(NS, "n"), Put(memory("trip@1"), "own"))
        found = backend.occurrences(EVERYTHING, ["old", "new", "both", "own"], limit=9)
        assert found.total == 2
        assert found.counts == {"new": 1, "both": 1, "own": 1}
        of = places(backend)
        assert {term: list(listed) for term, listed in found.places.items()} == {
            "new": [of["m"]], "both": [of["m"]], "own": [of["trip@1"]],
        }  # fmt: skip
        backend.write(Put(memory("m")))
        assert backend.occurrences(EVERYTHING, ["new"], limit=9) == Occurrences(1, {}, {})
        assert backend.check().ok

    def test_a_namespace_counts_only_its_own(self, backend: Backend) -> None:
        if lacks_keywords(backend):
            return
        for space in (NS, ("acme",), (*NS, "child")):
            backend.write(Put(memory("m", namespace=space), "x"))
            backend.write(said("x", "x", Stream(space, "s")))
        before = backend.occurrences(EVERYTHING, ["x"], limit=9), backend.glance(EVERYTHING)
        assert before[0].total == before[0].counts["x"] == len(before[0].places["x"]) == 2
        backend.erase(("acme",))
        backend.write(Put(memory("n", namespace=(*NS, "child")), "x"))
        after = backend.occurrences(EVERYTHING, ["x"], limit=9), backend.glance(EVERYTHING)
        assert before == after
        assert backend.occurrences(Where(("acme",)), ["x"], limit=9) == Occurrences(0, {}, {})
        assert backend.glance(Where(("acme",))) == []
        backend.erase(NS)
        assert backend.occurrences(EVERYTHING, ["x"], limit=9) == Occurrences(0, {}, {})

    def test_a_closed_backend_lists_nothing(self, backend: Backend) -> None:
        if lacks_keywords(backend):
            return
        backend.close()
        with pytest.raises(ClosedError):
            backend.occurrences(EVERYTHING, ["x"], limit=9)
        with pytest.raises(ClosedError):
            backend.glance(EVERYTHING)
