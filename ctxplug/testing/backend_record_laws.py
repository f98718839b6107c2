"""The laws of records: found by id, by filter and by keyword, and only where they belong."""

# Test names are sentences.
# ruff: noqa: D102

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.records import MemoryRecord
from ctxplug.storage import Backend, Delete, Put, Stream, Touch, Where
from ctxplug.storage.backend import entry_record
from ctxplug.testing.backend_data import (
    KEYS,
    NS,
    PROPERTY,
    START,
    STREAM,
    TEXTS,
    WORDS,
    at,
    filters,
    fresh_namespace,
    memories,
    memory,
    require_refused,
    said,
)

Memories = list[tuple[MemoryRecord, str | None]]


def ids(records: Sequence[MemoryRecord]) -> list[str]:
    """Return the ids of `records`, in order."""
    return [record.id for record in records]


class RecordLaws:
    """Rules 1, 2 and 6 of the law, for records."""

    def test_get_returns_what_put_stored(self, backend: Backend) -> None:
        record = memory(
            "m",
            "She prefers 靠窗的座位\0\ud800",
            tier="long",
            importance=0.9,
            tags=("travel", "旅行"),
            metadata={"a": [1, {"b": None}], "": 0.5},
            last_accessed=at(7),
            access_count=3,
            expires_at=at(100),
            valid_from=at(-100),
            valid_to=at(1e9),
            sources=("x", "y"),
            origin="tool:search",
            session="trip",
            agent="planner",
        )
        backend.write(Put(record))
        assert backend.get(NS, "m") == record
        assert backend.get(NS, "other") is None
        assert backend.get(("other",), "m") is None

    @pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:12]))
    def test_any_text_survives_in_every_field(self, backend: Backend, text: str) -> None:
        name = f"x{text[:100]}"
        record = memory(
            name,
            text,
            kind=name,
            tags=(name,),
            metadata={name: text},
            session=name,
            agent=name,
            origin=name,
            sources=(name,),
        )
        backend.write(Put(record, "word"))
        assert backend.get(NS, name) == record
        where = Where(NS, ids=[name], kinds=[name], tags=[name], session=name, agent=name)
        assert backend.find(replace(where, metadata={name: text})) == [record]
        assert backend.write(Delete(NS, name)) == [1]

    def test_ids_that_differ_are_never_one(self, backend: Backend) -> None:
        names = [f"x{text[:100]}" for text in TEXTS] + ["x\ud801", "x\ufffd", "X", "x%", "x_", "x*"]
        backend.write(*[Put(memory(name, name)) for name in names])
        assert backend.count(Where(NS)) == len(set(names)) == len(names)
        for name in names:
            found = backend.get(NS, name)
            assert found is not None
            assert found.content == name

    def test_putting_twice_is_putting_once(self, backend: Backend) -> None:
        record = memory("m", metadata={"a": 1})
        for _ in range(2):
            backend.write(Put(record, "lisbon seat"))
            assert backend.find(Where(NS)) == [record]
            if "keyword" in backend.capabilities:
                assert len(backend.search(Where(NS), terms=["lisbon", "seat"])) == 1

    def test_a_put_replaces_everything(self, backend: Backend) -> None:
        backend.write(Put(memory("m", "old", tags=("t",), metadata={"a": 1}, session="s"), "old"))
        backend.write(Touch(NS, ("m",), at(5)))
        new = memory("m", "new", kind="preference", created_at=at(9))
        backend.write(Put(new, "new"))
        assert backend.get(NS, "m") == new
        assert backend.count(Where(NS, tags=["t"])) == 0
        assert backend.count(Where(NS, metadata={"a": 1})) == 0
        assert backend.count(Where(NS, session="s")) == 0

    def test_deleting_twice_is_deleting_once(self, backend: Backend) -> None:
        backend.write(Put(memory("m"), "word"), Put(memory("n"), "word"))
        assert backend.write(Delete(NS, "m")) == [1]
        assert backend.write(Delete(NS, "m")) == [0]
        assert backend.write(Delete(("nobody",), "m")) == [0]
        assert ids(backend.find(Where(NS))) == ["n"]

    def test_put_and_delete_in_one_write_apply_in_order(self, backend: Backend) -> None:
        backend.write(Put(memory("a")), Delete(NS, "a"), Delete(NS, "b"), Put(memory("b")))
        assert ids(backend.find(Where(NS))) == ["b"]

    @PROPERTY
    @given(
        drawn=memories(),
        where=filters(),
        limit=st.none() | st.integers(-1, 4),
        offset=st.integers(-1, 3),
    )
    def test_find_and_count_agree_with_plain_python(
        self, backend: Backend, drawn: Memories, where: Where, limit: int | None, offset: int
    ) -> None:
        where = self._store(backend, drawn, where)
        expected = [str(record.id) for record, _ in _ordered(drawn) if _holds(record, where)]
        assert ids(backend.find(where)) == expected
        assert backend.count(where) == len(expected)
        window = expected[max(0, offset) :][: None if limit is None else max(0, limit)]
        assert ids(backend.find(where, limit=limit, offset=offset)) == window

    @PROPERTY
    @given(
        drawn=memories(),
        where=filters(),
        terms=st.lists(st.sampled_from(WORDS) | st.just("absent"), max_size=4),
        limit=st.integers(-1, 8),
    )
    def test_search_agrees_with_plain_python_or_is_refused(
        self, backend: Backend, drawn: Memories, where: Where, terms: list[str], limit: int
    ) -> None:
        where = self._store(backend, drawn, where)
        if "keyword" not in backend.capabilities:
            require_refused(
                backend, "keyword", {"search by terms": lambda: backend.search(where, terms=terms)}
            )
            return
        expected = {
            record.id
            for record, words in drawn
            if _holds(record, where) and set((words or "").split()) & set(terms)
        }
        hits = backend.search(where, terms=terms, limit=100)
        assert {hit.record.id for hit in hits} == expected
        assert len(hits) == len(expected)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert all(hit.record == backend.get(where.namespace, hit.record.id) for hit in hits)
        few = backend.search(where, terms=terms, limit=limit)
        assert [hit.record.id for hit in few] == [hit.record.id for hit in hits][: max(0, limit)]

    @pytest.mark.parametrize("key", KEYS, ids=ascii)
    def test_a_metadata_key_is_compared_exactly(self, backend: Backend, key: str) -> None:
        backend.write(
            Put(memory("exact", metadata={key: "value"})),
            Put(memory("nested", metadata={"outer": {key: "value"}, "list": ["value"]})),
            *[Put(memory(f"{i}", metadata={k: "value"})) for i, k in enumerate(KEYS) if k != key],
        )
        assert ids(backend.find(Where(NS, metadata={key: "value"}))) == ["exact"]
        assert backend.find(Where(NS, metadata={key: "Value"})) == []
        assert backend.find(Where(NS, metadata={key: ["value"]})) == []

    def test_metadata_values_are_compared_as_json(self, backend: Backend) -> None:
        different: list[Any] = [None, True, 1, "1", "true", "null", "", [], {}, [1], {"a": 1}, 1.5]
        backend.write(*[Put(memory(f"{i}", metadata={"k": v})) for i, v in enumerate(different)])
        backend.write(Put(memory("none")))
        for i, value in enumerate(different):
            assert ids(backend.find(Where(NS, metadata={"k": value}))) == [f"{i}"]
        backend.write(Put(memory("two", metadata={"k": {"a": 1, "b": [2]}, "l": 5})))
        assert ids(backend.find(Where(NS, metadata={"k": {"b": [2], "a": 1}, "l": 5}))) == ["two"]
        assert backend.find(Where(NS, metadata={"k": {"b": [2], "a": 1}, "l": 6})) == []

    def test_expired_records_are_found_only_when_asked_for(self, backend: Backend) -> None:
        backend.write(
            Put(memory("past", expires_at=at(9)), "word"),
            Put(memory("now", expires_at=at(10)), "word"),
            Put(memory("later", expires_at=at(10) + timedelta(microseconds=1)), "word"),
            Put(memory("never"), "word"),
        )
        now = Where(NS, now=at(10))
        assert set(ids(backend.find(now))) == {"later", "never"}
        assert backend.count(now) == 2
        assert backend.count(Where(NS)) == 4
        assert backend.get(NS, "past") is not None
        if "keyword" in backend.capabilities:
            hits = backend.search(now, terms=["word"])
            assert {hit.record.id for hit in hits} == {"later", "never"}

    def test_touching_counts_and_keeps_the_latest_time(self, backend: Backend) -> None:
        backend.write(Put(memory("m")), Put(memory("n", access_count=5, last_accessed=at(50))))
        backend.write(Touch(NS, ("m", "n", "absent"), at(-1e10)))
        backend.write(Touch(NS, ("m",), at(8)), Touch(NS, ("m",), at(3)))
        assert backend.write(Touch(("nobody",), ("m",), at(99)), Touch(NS, (), at(99))) == [0, 0]
        assert backend.get(NS, "m") == memory("m", access_count=3, last_accessed=at(8))
        assert backend.get(NS, "n") == memory("n", access_count=6, last_accessed=at(50))

    # -- log entries as records ------------------------------------------------------------

    def test_a_searchable_entry_is_a_record_too(self, backend: Backend) -> None:
        backend.write(
            said("I moved to Lisbon", "move lisbon", metadata={"topic": "home", "version": 77}),
            said("not searchable"),
            said("我搬到了里斯本", "搬到 里斯 斯本", agent="planner"),
        )
        first, second, third = backend.read(STREAM)
        expected = [entry_record(third), entry_record(first)]
        assert [record.id for record in expected] == ["trip@3", "trip@1"]
        assert backend.find(Where(NS, kinds=["message"])) == expected
        assert backend.get(NS, "trip@1") == expected[1]
        assert backend.get(NS, f"trip@{second.version}") is None
        assert ids(backend.find(Where(NS, metadata={"version": 3}))) == ["trip@3"]
        assert ids(backend.find(Where(NS, metadata={"topic": "home", "version": 1}))) == ["trip@1"]
        assert ids(backend.find(Where(NS, session="trip", agent="planner"))) == ["trip@3"]
        if "keyword" in backend.capabilities:
            assert backend.search(Where(NS), terms=["里斯"])[0].record == expected[0]

    def test_deleting_an_entrys_record_leaves_the_log(self, backend: Backend) -> None:
        backend.write(said("secret", "secret"), said("other", "other"))
        log = backend.read(STREAM)
        backend.write(Delete(NS, "trip@1"))
        assert backend.get(NS, "trip@1") is None
        assert ids(backend.find(Where(NS))) == ["trip@2"]
        assert backend.read(STREAM) == log
        if "keyword" in backend.capabilities:
            assert backend.search(Where(NS), terms=["secret"]) == []

    def test_an_entrys_record_can_be_touched_and_replaced(self, backend: Backend) -> None:
        backend.write(said("text", "word"))
        backend.write(Touch(NS, ("trip@1",), at(4)))
        touched = backend.get(NS, "trip@1")
        assert touched is not None
        assert (touched.access_count, touched.last_accessed) == (1, at(4))
        backend.write(Put(memory("trip@1", "mine")))
        assert backend.get(NS, "trip@1") == memory("trip@1", "mine")
        assert backend.read(STREAM)[0].body["message"]["content"][0]["text"] == "text"

    def _store(self, backend: Backend, drawn: Memories, where: Where) -> Where:
        """Write what was drawn to a namespace of its own and return `where` for it."""
        namespace = fresh_namespace()
        backend.write(*[Put(record.evolve(namespace=namespace), words) for record, words in drawn])
        backend.write(said("noise", "lisbon", Stream((*namespace, "child"), "s")))
        for record, _ in drawn:
            stored = record.evolve(namespace=namespace)
            assert backend.get(namespace, record.id) == stored
        return replace(where, namespace=namespace)


def _ordered(drawn: Memories) -> Memories:
    return sorted(drawn, key=lambda pair: (pair[0].created_at, pair[0].id), reverse=True)


def _holds(record: MemoryRecord, where: Where) -> bool:
    start, end = record.valid_from or START.min, record.valid_to or START.max
    moment = None if where.valid_at is None else where.valid_at.replace(tzinfo=None)
    conditions = [
        where.ids is None or record.id in where.ids,
        where.kinds is None or record.kind in where.kinds,
        record.kind not in where.not_kinds,
        where.tiers is None or record.tier in where.tiers,
        set(where.tags) <= set(record.tags),
        where.session in (None, record.session),
        where.agent in (None, record.agent),
        where.since is None or where.since <= record.created_at,
        where.until is None or record.created_at < where.until,
        moment is None or start.replace(tzinfo=None) <= moment < end.replace(tzinfo=None),
        where.now is None or record.expires_at is None or where.now < record.expires_at,
        all(
            k in record.metadata and _json(record.metadata[k]) == _json(v)
            for k, v in where.metadata.items()
        ),
    ]
    return all(conditions)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
