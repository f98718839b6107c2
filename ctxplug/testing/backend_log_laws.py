"""The laws of the log: atomic writes, gapless versions, reads from either end."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctxplug.errors import ConflictError, InvalidValueError
from ctxplug.storage import Append, Backend, Delete, Entry, Put, Stream, Touch, Where
from ctxplug.testing.backend_data import (
    EACH,
    NS,
    PROPERTY,
    START,
    STREAM,
    TEXTS,
    at,
    elsewhere,
    fresh_namespace,
    memory,
    note,
    numbers,
    said,
    texts,
    values,
)
from ctxplug.testing.suite import THREADS, from_threads


class LogLaws:
    """Rules 1, 4 and 7 of the law, for streams."""

    def test_write_returns_one_number_for_each_operation(self, backend: Backend) -> None:
        first = backend.write(
            note(1), note(2), Put(memory("m")), Touch(NS, ("m", "none", "m"), START)
        )
        assert first == [1, 2, 1, 2]
        assert backend.write(Delete(NS, "m"), Delete(NS, "m"), note(3)) == [1, 0, 3]
        assert backend.write() == []

    def test_versions_begin_at_one_and_have_no_gaps(self, backend: Backend) -> None:
        other = Stream(NS, "other")
        assert [backend.write(note(n))[0] for n in range(5)] == [1, 2, 3, 4, 5]
        assert backend.write(note(9, other), note(9), note(9, other)) == [1, 6, 2]
        assert (backend.head(STREAM), backend.head(other)) == (6, 2)
        assert backend.head(Stream(NS, "unknown")) == 0
        assert backend.read(Stream(NS, "unknown")) == []

    def test_an_entry_comes_back_as_it_was_appended(self, backend: Backend) -> None:
        body = {"text": "你好\0\ud800", "list": [1, 2.5, None, True, {"": "x"}], "big": 2**100}
        backend.write(
            Append(
                stream=STREAM, kind="步骤", body=body, created_at=START, agent="规划", pinned=True
            )
        )
        assert backend.read(STREAM) == [Entry(STREAM, 1, "步骤", body, START, "规划", True)]

    @pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:12]))
    def test_any_text_survives_in_bodies_kinds_agents_and_sessions(
        self, backend: Backend, text: str
    ) -> None:
        name = f"x{text[:100]}"
        stream = Stream(NS, name)
        backend.write(note(0, stream, kind=name, agent=name), said(text, stream=stream))
        first, second = backend.read(stream)
        assert (first.kind, first.agent, first.stream) == (name, name, stream)
        assert second.body["message"]["content"][0]["text"] == text
        assert [info.session for info in backend.sessions(NS)] == [name]
        assert numbers(backend.read(stream, kinds=[name])) == [0]

    @PROPERTY
    @given(body=st.dictionaries(texts, values, max_size=4))
    def test_any_json_survives_in_a_body(self, backend: Backend, body: dict[str, Any]) -> None:
        stream = Stream(fresh_namespace(), "s")
        backend.write(Append(stream=stream, kind="k", body=body, created_at=START))
        assert [entry.body for entry in backend.read(stream)] == [body]

    def test_a_naive_time_is_taken_as_utc(self, backend: Backend) -> None:
        backend.write(note(1, created_at=START.replace(tzinfo=None)))
        assert backend.read(STREAM)[0].created_at == START

    @PROPERTY
    @given(
        entries=st.lists(st.tuples(st.sampled_from("pqr"), st.booleans()), max_size=12),
        after=st.integers(-2, 14),
        before=st.none() | st.integers(-2, 14) | st.just(2**40),
        limit=st.none() | st.integers(-1, 14),
        newest_first=st.booleans(),
        kinds=st.none() | st.lists(st.sampled_from("pqrs"), max_size=2),
        pinned=st.none() | st.booleans(),
    )
    @example([("p", False), ("q", True)] * 4, 0, None, 2, False, ["q"], None)
    @example([("p", False), ("q", True)] * 4, 1, 8, 2, True, ["p"], False)
    def test_read_agrees_with_a_list(
        self,
        backend: Backend,
        entries: list[tuple[str, bool]],
        after: int,
        before: int | None,
        limit: int | None,
        newest_first: bool,
        kinds: list[str] | None,
        pinned: bool | None,
    ) -> None:
        stream = Stream(fresh_namespace(), "s")
        appends = [note(i, stream, kind=k, pinned=p) for i, (k, p) in enumerate(entries, 1)]
        assert backend.write(*appends) == list(range(1, len(entries) + 1))
        model = [
            version
            for version, (kind, is_pinned) in enumerate(entries, 1)
            if version > after
            and (before is None or version < before)
            and (kinds is None or kind in kinds)
            and (pinned is None or is_pinned == pinned)
        ]
        if newest_first:
            model.reverse()
        found = backend.read(
            stream,
            after=after,
            before=before,
            limit=limit,
            newest_first=newest_first,
            kinds=kinds,
            pinned=pinned,
        )
        stop = None if limit is None else max(0, limit)
        assert [entry.version for entry in found] == model[:stop]
        assert numbers(found) == [entry.version for entry in found]

    # -- atomic writes -------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("bad", "error"),
        [
            (lambda: note(9, expected=7), ConflictError),
            (lambda: note(9, Stream(NS, "newer"), expected=1), ConflictError),
            (
                lambda: Append(stream=STREAM, kind="k", body={"a": object()}, created_at=START),
                InvalidValueError,
            ),
            (
                lambda: Append(stream=STREAM, kind="k", body={"a": float("nan")}, created_at=START),
                InvalidValueError,
            ),
            (lambda: "no operation", TypeError),
        ],
        ids=["conflict", "conflict on a new stream", "object", "NaN", "no operation"],
    )
    def test_a_failing_operation_undoes_the_whole_write(
        self, backend: Backend, bad: Callable[[], Any], error: type[Exception]
    ) -> None:
        backend.write(note(1), Put(memory("kept", "before"), "before"))
        with pytest.raises(error):
            backend.write(
                note(2),
                note(3, Stream(NS, "new")),
                Put(memory("kept", "after"), "after"),
                Put(memory("new")),
                Put(memory("elsewhere", namespace=("other",))),
                bad(),
                Delete(NS, "kept"),
            )
        assert numbers(backend.read(STREAM)) == [1]
        assert backend.namespaces() == [NS]
        assert [info.session for info in backend.sessions(NS)] == ["trip"]
        assert [record.content for record in backend.find(Where(NS))] == ["before"]
        assert backend.write(note(2)) == [2]

    def test_a_conflict_carries_both_versions(self, backend: Backend) -> None:
        backend.write(note(1, expected=0), note(2, expected=1))
        with pytest.raises(ConflictError) as caught:
            backend.write(note(3, expected=1))
        assert (caught.value.expected, caught.value.found) == (1, 2)
        assert backend.write(note(3, expected=2)) == [3]

    def test_of_many_who_expect_one_version_one_wins(self, backend: Backend) -> None:
        won: list[int] = []
        lost: list[ConflictError] = []

        def attempt(number: int) -> None:
            try:
                won.extend(backend.write(note(number, expected=0)))
            except ConflictError as exc:
                lost.append(exc)

        from_threads(attempt)
        assert won == [1]
        assert [(exc.expected, exc.found) for exc in lost] == [(0, 1)] * (THREADS - 1)

    def test_appends_from_many_threads_are_neither_lost_nor_doubled(self, backend: Backend) -> None:
        got: list[int] = []

        def append(thread: int) -> None:
            for i in range(EACH):
                number = thread * EACH + i
                got.append(backend.write(note(number), note(i, Stream(NS, f"{thread}")))[0])

        from_threads(append)
        assert sorted(got) == list(range(1, THREADS * EACH + 1))
        assert sorted(numbers(backend.read(STREAM))) == list(range(THREADS * EACH))
        for thread in range(THREADS):
            assert numbers(backend.read(Stream(NS, f"{thread}"))) == list(range(EACH))

    def test_a_read_sees_every_write_that_returned(self, backend: Backend) -> None:
        for number in range(1, 30):
            backend.write(note(number), Put(memory("m", str(number))))
            seen: list[Any] = []

            def look(seen: list[Any] = seen) -> None:
                record = backend.get(NS, "m")
                seen.extend((backend.head(STREAM), record.content if record else None))

            elsewhere(look)
            assert seen == [number, str(number)]

    # -- sessions ------------------------------------------------------------------------

    def test_sessions_come_in_order_of_creation(self, backend: Backend) -> None:
        for number, name in enumerate(["b", "a", "c", "b"]):
            backend.write(note(number, Stream(NS, name)))
        backend.write(note(-5, Stream(NS, "a")))
        found = [
            (info.session, info.version, info.created_at, info.updated_at)
            for info in backend.sessions(NS)
        ]
        assert found == [("b", 2, at(0), at(3)), ("a", 2, at(1), at(1)), ("c", 1, at(2), at(2))]
        assert backend.sessions(("nobody",)) == []

    def test_what_is_read_is_a_copy(self, backend: Backend) -> None:
        op = said("hello", "hello", metadata={"list": [1]})
        backend.write(op, Put(memory("m", metadata={"list": [1]}), "hello"))

        def spoil() -> list[Any]:
            body = backend.read(STREAM)[0].body
            seen: list[Any] = [body, body["message"]]
            seen += [record.metadata for record in backend.find(Where(NS))]
            seen.append(getattr(backend.get(NS, "m"), "metadata", None))
            return seen

        before = deepcopy(spoil())
        for mapping in spoil():
            mapping["spoilt"] = True
            mapping.get("list", []).append("spoilt")
        assert spoil() == before
