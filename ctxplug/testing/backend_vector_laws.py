"""The laws of vectors: nearest of one namespace, one embedder at a time, never stale."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.errors import ClosedError, EmbedderChangedError, InvalidValueError
from ctxplug.storage import Backend, Delete, Put, Touch, Unembed, VectorState, Where
from ctxplug.testing.backend_data import (
    NS,
    PROPERTY,
    START,
    at,
    elsewhere,
    fresh_namespace,
    memory,
    note,
    said,
)
from ctxplug.testing.backend_vector_data import EMBEDDER, embed, found, lacks_vectors

OTHER = ("other",)
_coordinates = st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0])
_vectors = st.tuples(_coordinates, _coordinates, _coordinates)


class VectorLaws:
    """Rule 10 of the law."""

    def test_the_nearest_come_first_with_their_dot_products(self, backend: Backend) -> None:
        if lacks_vectors(backend):
            return
        backend.write(*[Put(memory(id), "word") for id in "abcd"])
        done = backend.write(
            embed("a", [1.0, 0.0, 0.0]),
            embed("b", [0.0, 1.0, 0.0]),
            embed("c", [0.6, 0.8, 0.0]),
            embed("none", [1.0, 0.0, 0.0]),
        )
        assert done == [1, 1, 1, 0]
        hits = backend.search(Where(NS), vector=[0.0, 1.0, 0.0], embedder=EMBEDDER)
        assert [hit.record.id for hit in hits] == ["b", "c", "a"]
        assert [hit.score for hit in hits] == pytest.approx([1.0, 0.8, 0.0], abs=1e-6)
        assert hits[0].record == backend.get(NS, "b")
        assert found(backend, [0.0, 1.0, 0.0], limit=1) == ["b"]
        unnamed = backend.search(Where(NS), vector=[1.0, 0.0, 0.0], limit=1)
        assert [hit.record.id for hit in unnamed] == ["a"]

    @PROPERTY
    @given(
        drawn=st.lists(st.tuples(_vectors, st.sampled_from("pq"), st.booleans()), max_size=12),
        query=_vectors,
        kinds=st.none() | st.just(["p"]),
        limit=st.integers(-1, 14),
    )
    def test_search_by_vector_agrees_with_plain_python(
        self,
        backend: Backend,
        drawn: list[tuple[tuple[float, ...], str, bool]],
        query: tuple[float, ...],
        kinds: list[str] | None,
        limit: int,
    ) -> None:
        if "vector" not in backend.capabilities:
            return
        namespace = fresh_namespace()
        records = [
            memory(f"{number}", kind=kind, namespace=namespace)
            for number, (_, kind, _) in enumerate(drawn)
        ]
        puts = [Put(record, "word") for record in records]
        embeds = [embed(f"{i}", v, namespace=namespace) for i, (v, _, _) in enumerate(drawn)]
        again = [i for i, (_, _, replaced) in enumerate(drawn) if replaced]  # embedded anew
        backend.write(*puts, *embeds)
        backend.write(*[puts[number] for number in again])
        backend.write(*[embeds[number] for number in again])
        scores = {
            f"{i}": sum(x * y for x, y in zip(vector, query, strict=True))
            for i, (vector, kind, _) in enumerate(drawn)
            if kinds is None or kind in kinds
        }
        where = Where(namespace, kinds=kinds)
        hits = backend.search(where, vector=query, embedder=EMBEDDER, limit=limit)
        best = sorted(scores.values(), reverse=True)[: max(0, limit)]
        assert [hit.score for hit in hits] == pytest.approx(best, abs=1e-5)
        near = backend.nearest(where, query, embedder=EMBEDDER, limit=limit)
        assert near == [(hit.record.id, hit.score) for hit in hits]
        assert len({hit.record.id for hit in hits}) == len(hits)
        assert all(math.isclose(scores[h.record.id], h.score, abs_tol=1e-5) for h in hits)

    def test_filters_hold_among_the_nearest_however_few_pass(self, backend: Backend) -> None:
        if lacks_vectors(backend):
            return
        kinds = {f"{i}": "rare" if i % 100 == 99 else "common" for i in range(400)}
        backend.write(
            *[Put(memory(id, kind=kind, expires_at=at(10)), "word") for id, kind in kinds.items()],
            *[embed(f"{i}", [math.cos(i / 400), math.sin(i / 400), 0.0]) for i in range(400)],
        )
        query = [1.0, 0.0, 0.0]
        assert found(backend, query, kinds=["rare"]) == ["99", "199", "299", "399"]
        assert found(backend, query, limit=2, kinds=["rare"]) == ["99", "199"]
        assert found(backend, query, limit=2, ids=["7", "300", "5"]) == ["5", "7"]
        assert found(backend, query, limit=3) == ["0", "1", "2"]
        assert found(backend, query, now=at(10)) == []

    def test_replacing_a_record_takes_its_vector_away_and_touching_does_not(
        self, backend: Backend
    ) -> None:
        if lacks_vectors(backend):
            return
        backend.write(*[Put(memory(id), "word") for id in "abc"])
        backend.write(*[embed(id, [1.0, 0.0, 0.0]) for id in "abc"])
        backend.write(Put(memory("a", "new"), "word"), Delete(NS, "b"), Touch(NS, ("c",), START))
        assert found(backend, [1.0, 0.0, 0.0]) == ["c"]
        assert [record.id for record in backend.unembedded(NS, 9)] == ["a"]
        backend.write(Put(memory("b"), "word"))
        assert found(backend, [1.0, 0.0, 0.0]) == ["c"]
        assert backend.check().ok

    def test_a_vector_replaces_the_one_before(self, backend: Backend) -> None:
        if lacks_vectors(backend):
            return
        backend.write(Put(memory("a"), "word"), Put(memory("b"), "word"))
        backend.write(embed("b", [0.0, 0.9, 0.0]))
        for x in range(4):
            backend.write(*[embed("a", [1.0, x / 20 + y / 1000, 0.0]) for y in range(50)])
        assert found(backend, [0.0, 1.0, 0.0]) == ["b", "a"]
        hits = backend.search(Where(NS), vector=[0.0, 1.0, 0.0])
        assert hits[1].score == pytest.approx(0.199)

    def test_a_vector_of_what_was_replaced_meanwhile_touches_nothing(
        self, backend: Backend
    ) -> None:
        if lacks_vectors(backend):
            return
        backend.write(Put(memory("m", "old"), "old"), said("hello", "hello"))
        backend.write(Put(memory("m", "new\0\ud800"), "new"))
        old = embed("m", [1.0, 0.0, 0.0], content="old")
        new = embed("m", [0.0, 1.0, 0.0], content="new\0\ud800")
        entry = embed("trip@1", [0.0, 0.0, 1.0], content="hello")
        other = embed("trip@1", [0.0, 0.0, 1.0], content="other")
        assert backend.write(old, other) == [0, 0]
        assert backend.vector_state(NS) == VectorState(None, 0, 2)
        assert backend.write(new, entry) == [1, 1]
        assert found(backend, [0.0, 1.0, 0.0]) == ["m", "trip@1"]

    def test_searchable_records_wait_for_a_vector_in_order(self, backend: Backend) -> None:
        if lacks_vectors(backend):
            return
        assert backend.vector_state(NS) == VectorState(None, 0, 0)
        backend.write(Put(memory("silent")), said("one", "one"), note(1), said("two", ""))
        backend.write(Put(memory("m", created_at=at(-99)), "word"))
        waiting = backend.unembedded(NS, 9)
        assert [record.id for record in waiting] == ["trip@1", "trip@3", "m"]
        assert waiting[0] == backend.get(NS, "trip@1")
        assert [r.id for r in backend.unembedded(NS, 1)] == ["trip@1"]
        assert backend.unembedded(NS, 0) == backend.unembedded(("other",), 9) == []
        backend.write(embed("trip@1", [1.0, 0.0, 0.0]))
        assert backend.vector_state(NS) == VectorState(EMBEDDER, 3, 2)
        assert [record.id for record in backend.unembedded(NS, 9)] == ["trip@3", "m"]

    @pytest.mark.parametrize(
        ("embedder", "vector"), [("other", [1.0, 0.0, 0.0]), (EMBEDDER, [1.0, 0.0])]
    )
    def test_vectors_of_another_embedder_are_refused_whole(
        self, backend: Backend, embedder: str, vector: list[float]
    ) -> None:
        if lacks_vectors(backend):
            return
        backend.write(Put(memory("m"), "word"), Put(memory("n"), "word"))
        backend.write(embed("m", [1.0, 0.0, 0.0]))
        with pytest.raises(EmbedderChangedError) as caught:
            backend.write(note(1), embed("n", vector, embedder=embedder))
        assert (caught.value.stored, caught.value.given) == (EMBEDDER, embedder)
        with pytest.raises(EmbedderChangedError):
            backend.search(Where(NS), vector=vector, embedder=embedder)
        with pytest.raises(EmbedderChangedError):
            backend.nearest(Where(NS), vector, embedder=embedder)
        assert backend.sessions(NS) == []
        assert backend.vector_state(NS) == VectorState(EMBEDDER, 3, 1)
        backend.write(Put(memory("m", namespace=OTHER), "word"))
        backend.write(embed("m", vector, embedder=embedder, namespace=OTHER))
        assert backend.vector_state(OTHER) == VectorState(embedder, len(vector), 0)

    def test_after_an_unembed_another_embedder_may_begin(self, backend: Backend) -> None:
        if lacks_vectors(backend):
            return
        backend.write(*[Put(memory(id), "word") for id in "ab"])
        backend.write(*[embed(id, [1.0, 0.0, 0.0]) for id in "ab"])
        assert found(backend, [1.0, 0.0, 0.0]) == ["b", "a"]
        assert backend.write(Unembed(NS), Unembed(NS), Unembed(("nobody",))) == [2, 0, 0]
        assert backend.vector_state(NS) == VectorState(None, 0, 2)
        assert found(backend, [1.0, 0.0, 0.0]) == []
        backend.write(embed("a", [0.0, 1.0], embedder="other"))
        hits = backend.search(Where(NS), vector=[0.0, 1.0], embedder="other")
        assert [hit.record.id for hit in hits] == ["a"]
        backend.write(Unembed(NS), embed("b", [0.5, 0.0, 0.0]))
        assert found(backend, [1.0, 0.0, 0.0]) == ["b"]
        assert backend.check().ok

    @pytest.mark.parametrize(
        "vector", [[], [[1.0]], [math.nan, 0.0, 0.0], [math.inf, 0.0, 0.0], "abc", None]
    )
    def test_what_is_no_vector_is_refused(self, backend: Backend, vector: Any) -> None:
        if lacks_vectors(backend):
            return
        backend.write(Put(memory("m"), "word"))
        with pytest.raises(InvalidValueError):
            backend.write(note(1), embed("m", vector))
        assert backend.sessions(NS) == []

    def test_vectors_stay_in_their_namespace_and_go_with_it(self, backend: Backend) -> None:
        if lacks_vectors(backend):
            return
        spaces = [NS, ("acme",), (*NS, "child")]
        for space in spaces:
            backend.write(
                Put(memory("same", "/".join(space), namespace=space), "word"),
                embed("same", [1.0, 0.0, 0.0], namespace=space),
            )
        backend.erase(NS)
        assert backend.vector_state(NS) == VectorState(None, 0, 0)
        assert backend.write(embed("same", [1.0, 0.0, 0.0])) == [0]
        assert NS not in backend.namespaces()
        for space in spaces:
            hits = backend.search(Where(space), vector=[1.0, 0.0, 0.0], embedder=EMBEDDER)
            expected = [] if space == NS else [(space, "/".join(space))]
            assert [(hit.record.namespace, hit.record.content) for hit in hits] == expected
        assert backend.check().ok

    def test_what_one_thread_embedded_another_finds(self, backend: Backend) -> None:
        if lacks_vectors(backend):
            return
        for i in range(20):
            backend.write(Put(memory(f"{i}"), "word"), embed(f"{i}", [1.0, i / 100, 0.0]))
            nearest: list[str] = []

            def look(into: list[str] = nearest) -> None:
                into.extend(found(backend, [0.0, 1.0, 0.0], 1))

            elsewhere(look)
            assert nearest == [f"{i}"]

    def test_the_async_twin_finds_the_same(self, backend: Backend) -> None:
        if lacks_vectors(backend):
            return
        backend.write(Put(memory("m"), "word"), embed("m", [1.0, 0.0, 0.0]))
        hits = asyncio.run(backend.asearch(Where(NS), vector=[0.5, 0.0, 0.0]))
        assert hits == backend.search(Where(NS), vector=[0.5, 0.0, 0.0])

    def test_vectors_are_refused_after_close(self, backend: Backend) -> None:
        if lacks_vectors(backend):
            return
        backend.close()
        calls: list[Callable[[], Any]] = [
            lambda: backend.search(Where(NS), vector=[1.0]),
            lambda: backend.nearest(Where(NS), [1.0]),
            lambda: backend.vector_state(NS),
            lambda: backend.unembedded(NS, 1),
        ]
        for call in calls:
            with pytest.raises(ClosedError):
                call()
