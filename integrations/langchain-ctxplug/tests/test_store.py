"""CtxplugStore by LangGraph's contract, and where it goes beyond LangGraph's own stores."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_ctxplug.store import CtxplugStore
from langchain_ctxplug.store_filters import checked_filter, matches
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore
from typing_extensions import TypedDict

from ctxplug import AgentMemory, hookimpl
from ctxplug.errors import (
    EmbedderChangedError,
    GuardError,
    InvalidValueError,
    UnsupportedError,
)
from ctxplug.plugins import Plugins
from ctxplug.storage.in_memory import InMemoryBackend

USERS = ("users", "alice")


@pytest.fixture(params=["memory:", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CtxplugStore]:
    target = "memory:" if request.param == "memory:" else tmp_path / "store.db"
    with CtxplugStore(target) as store:
        yield store


class Clock:
    """A time that only tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def minutes(self, number: float) -> None:
        self.now += timedelta(minutes=number)


def keys(found: Any) -> list[str]:
    return [item.key for item in found]


# -- batches -----------------------------------------------------------------------------


def test_reads_see_what_was_before_the_batch_and_the_last_put_wins(store: CtxplugStore) -> None:
    store.put(USERS, "k", {"n": 0})
    got, _, _, found, listed = store.batch(
        [
            GetOp(USERS, "k"),
            PutOp(USERS, "k", {"n": 1}),
            PutOp(list(USERS), "k", {"n": 2}),  # type: ignore[arg-type]
            SearchOp(("users",)),
            ListNamespacesOp(),
        ]
    )
    assert got.value == {"n": 0} and [item.value for item in found] == [{"n": 0}]
    assert listed == [USERS]
    assert store.get(USERS, "k").value == {"n": 2}  # type: ignore[union-attr]
    store.batch([PutOp(USERS, "k", {"n": 3}), PutOp(USERS, "k", None)])
    assert store.get(USERS, "k") is None
    assert store.list_namespaces() == []


def test_a_batch_with_nonsense_does_nothing(store: CtxplugStore) -> None:
    good = PutOp(USERS, "k", {"n": 1})
    for bad, message in [
        (PutOp(USERS, "b", {"when": datetime.now(UTC)}), "not JSON"),
        (PutOp(USERS, "b", {"n": float("nan")}), "nan"),
        (PutOp(USERS, "b", ["no", "dict"]), "dict"),  # type: ignore[arg-type]
        (PutOp(USERS, "b", {}, index="text"), "index is"),  # type: ignore[arg-type]
        (PutOp(USERS, "b", {}, ttl=0), "ttl is"),
        (PutOp(USERS, "b", {}, ttl=1e300), "ttl is"),
        (PutOp((), "b", {}), "at least one label"),
        (SearchOp(USERS, limit=-1), "limit"),
        (SearchOp(USERS, offset=-1), "offset"),
        (SearchOp(USERS, {"n": {"$in": [1]}}), "operator"),
        (ListNamespacesOp(max_depth=0), "max_depth"),
        (ListNamespacesOp((MatchCondition("infix", ("a",)),)), "prefix"),  # type: ignore[arg-type]
        ("get", "GetOp"),
    ]:
        with pytest.raises(ValueError, match=message):
            store.batch([good, bad])  # type: ignore[list-item]
    for path in [("a.b",), ("",), (1,), ("a\x00",), "users"]:
        with pytest.raises(InvalidNamespaceError):
            store.batch([good, GetOp(path, "k")])  # type: ignore[arg-type]
    with pytest.raises(InvalidNamespaceError):
        store.put(("langgraph", "x"), "k", {})
    assert store.search(()) == []


def test_two_equal_texts_in_one_batch(store: CtxplugStore) -> None:
    index: Any = {"dims": 8, "embed": DeterministicFakeEmbedding(size=8)}
    puts = [PutOp(("d",), key, {"text": "same"}) for key in "ab"]
    with pytest.raises(ValueError):  # what LangGraph's own does
        InMemoryStore(index=index).batch(puts)
    with CtxplugStore("memory:", index=index) as ours:
        ours.batch(puts)
        assert [item.score for item in ours.search(("d",), query='{"text": "same"}')] == [
            pytest.approx(1),
            pytest.approx(1),
        ]


def test_times_and_copies(store: CtxplugStore) -> None:
    store.put(USERS, "k", {"list": [1], "t": (1, 2)})
    first = store.get(USERS, "k")
    assert first is not None and first.created_at == first.updated_at
    first.value["list"].append(2)
    store.put(USERS, "k", {"list": [3]})
    second = store.get(USERS, "k")
    assert second is not None and second.value == {"list": [3]}
    assert second.created_at == first.created_at < second.updated_at
    store.delete(USERS, "k")
    store.put(USERS, "k", {})
    third = store.get(USERS, "k")
    assert third is not None and third.created_at > second.updated_at


def test_what_was_put_last_comes_first(store: CtxplugStore) -> None:
    for number in range(6):
        store.put(("a" if number % 2 else "b", "x"), str(number), {"n": number})
    store.put(("b", "x"), "0", {"n": 0})
    assert keys(store.search(())) == ["0", "5", "4", "3", "2", "1"]
    assert keys(store.search((), limit=2, offset=3)) == ["3", "2"]
    assert keys(store.search(("b",), filter={"n": {"$gt": 0}})) == ["4", "2"]


# -- namespaces ----------------------------------------------------------------------------


def test_prefixes_are_whole_labels(store: CtxplugStore) -> None:
    for path in [("acme",), ("acme-corp",), ("acme", "corp"), ("ac", "me"), ("用户", "甲")]:
        store.put(path, "k", {"path": list(path)})
    assert {item.namespace for item in store.search(("acme",))} == {("acme",), ("acme", "corp")}
    assert store.search(("用",)) == []
    assert keys(store.search(("用户",))) == ["k"]
    assert store.list_namespaces(prefix=("acme",)) == [("acme",), ("acme", "corp")]


def test_listing_as_langgraph_documents_it(store: CtxplugStore) -> None:
    for path in ["abc", "abde", "abdi", "abf", "acf"]:
        store.put(tuple(path), "k", {})
    assert store.list_namespaces(prefix=("a", "b"), max_depth=3) == [
        ("a", "b", "c"),
        ("a", "b", "d"),
        ("a", "b", "f"),
    ]
    assert store.list_namespaces(suffix=("f",)) == [("a", "b", "f"), ("a", "c", "f")]
    assert store.list_namespaces(prefix=("a", "*", "f")) == [("a", "b", "f"), ("a", "c", "f")]
    assert store.list_namespaces(prefix=("*", "c"), suffix=("*", "f")) == [("a", "c", "f")]
    assert store.list_namespaces(max_depth=2, limit=1, offset=1) == [("a", "c")]


def test_namespaces_deeper_than_a_backend_has_labels(store: CtxplugStore) -> None:
    deep = tuple("abcdefghijklmnopqrst")
    store.put(deep, "deep", {})
    store.put((*deep[:17], "x", "y" * 500), "other", {})
    store.put(deep[:16], "above", {})
    assert keys(store.search(deep[:18])) == ["deep"]
    assert keys(store.search((*deep[:17], "x"))) == ["other"]
    assert keys(store.search(deep[:16])) == ["above", "other", "deep"]
    assert store.list_namespaces(prefix=deep[:18]) == [deep]
    assert store.list_namespaces(suffix=("y" * 500,)) == [(*deep[:17], "x", "y" * 500)]
    assert len(store.erase(deep[:17])) == 2 and keys(store.search(())) == ["above"]


def test_nothing_leaks_into_memories_or_out_of_them(tmp_path: Path) -> None:
    path = tmp_path / "both.db"
    with (
        AgentMemory.open(path, namespace="acme/alice") as alice,
        AgentMemory.open(path, namespace="acme/bob") as bob,
    ):
        alice.remember("Alice lives in Lisbon")
        hers, his = CtxplugStore(alice), CtxplugStore(bob)
        hers.put(("facts",), "home", {"text": "moved to Porto"})
        assert his.search(()) == [] and his.list_namespaces() == []
        assert [one.record.content for one in alice.recall("Lisbon Porto")] == [
            "Alice lives in Lisbon"
        ]
        assert sum(alice.stats().memories.values()) == 1
        assert keys(hers.search((), query="Lisbon")) == ["home"]
        hers.close()
        assert alice.recall("Lisbon")  # a memory that was given stays open
        wanted = hers.location(("facts",))
        with AgentMemory.open(path, namespace=wanted) as facts:  # unless wanted
            assert [one.record.kind for one in facts.recall("Porto")] == ["item"]
        with pytest.raises(InvalidValueError, match="open already"):
            CtxplugStore(alice, namespace="other")
        alice.erase()
        assert keys(hers.search(())) == ["home"]
        assert [receipt.records for receipt in hers.erase(("facts",))] == [1]
        assert hers.search(()) == []


# -- filters -------------------------------------------------------------------------------

VALUE = {
    "n": 5,
    "f": 2.5,
    "s": "b",
    "on": True,
    "nil": None,
    "list": [1, {"a": 1, "b": 2}],
    "meta": {"lang": "zh", "deep": {"x": 1}},
    "a.b": "literal",
    "a": {"b": "path", "c.d": 7},
    "颜色": "红",
}


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({}, True),
        ({"n": 5}, True),
        ({"n": 5.0}, True),
        ({"n": "5"}, False),
        ({"on": True}, True),
        ({"on": 1}, False),
        ({"nil": None}, True),
        ({"missing": None}, True),
        ({"missing": 1}, False),
        ({"颜色": "红"}, True),
        ({"颜色": {"$ne": "红"}}, False),
        ({"meta": {"lang": "zh"}}, True),
        ({"meta": {"lang": "zh", "no": 1}}, False),
        ({"meta": {"deep": {"x": {"$gte": 1}}}}, True),
        ({"meta.lang": "zh"}, True),
        ({"meta.deep.x": {"$lt": 1}}, False),
        ({"a.b": "literal"}, True),
        ({"a.b": "path"}, False),
        ({"a.c.d": 7}, True),
        ({"list": [1, {"a": 1}]}, True),
        ({"list": [1]}, False),
        ({"list": {"$eq": [1, {"a": 1}]}}, False),
        ({"n": {"$eq": 5, "$gt": 4, "$lte": 5.0}}, True),
        ({"n": {"$gt": "4"}}, False),
        ({"s": {"$gt": "a", "$lt": "c"}}, True),
        ({"s": {"$gt": 1}}, False),
        ({"on": {"$gt": 0}}, False),
        ({"missing": {"$gt": 1}}, False),
        ({"missing": {"$ne": 1}}, False),
        ({"nil": {"$ne": 1}}, True),
        ({"nil": {"$lte": None}}, False),
        ({"meta": {"$gt": {}}}, False),
    ],
)
def test_filters(store: CtxplugStore, filter: dict[str, Any], expected: bool) -> None:
    store.put(("d",), "k", VALUE)
    assert bool(store.search(("d",), filter=filter)) is expected
    assert matches(VALUE, filter) is expected


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        ({"$or": [{"n": 1}]}, r"Invalid filter key '\$or'.*no \$and, \$or"),
        ({"": 1}, "Invalid filter key ''"),
        ({1: 2}, "Invalid filter key 1"),
        ({"a..b": 1}, "between the dots"),
        ({"a\n": 1}, "control character"),
        ({"n": {"$regex": "x"}}, r"Unsupported operator '\$regex'.*\$gte"),
        ({"n": {"$gt": 1, "x": 2}}, "Unsupported operator 'x'"),
        ({"l": [{"$in": []}]}, "Unsupported operator"),
        ({"m": {"$": 1}}, "Unsupported operator"),
        ([("n", 1)], "Invalid filter"),
    ],
)
def test_malformed_filters_say_what_is_wrong(filter: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_filter(filter)


# -- what has expired ------------------------------------------------------------------------


@pytest.fixture(params=["memory:", "sqlite"])
def timed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[CtxplugStore, Clock]]:
    clock = Clock()
    target = "memory:" if request.param == "memory:" else tmp_path / "store.db"
    with CtxplugStore(target, ttl={"default_ttl": 10}, clock=clock) as store:
        yield store, clock


def test_ttl_in_minutes_by_default_and_by_item(timed: tuple[CtxplugStore, Clock]) -> None:
    store, clock = timed
    store.put(("t",), "default", {})
    store.put(("t",), "short", {}, ttl=0.5)
    store.put(("t",), "stays", {}, ttl=None)
    assert store.supports_ttl
    clock.minutes(1)
    assert sorted(keys(store.search(("t",), refresh_ttl=False))) == ["default", "stays"]
    clock.minutes(9)
    assert store.get(("t",), "default") is None
    store.delete(("t",), "stays")
    assert store.list_namespaces() == [] and store.search((), query="x") == []
    assert store.sweep_ttl() == 2 and store.sweep_ttl() == 0
    assert store.backend.namespaces() == []


def test_reading_refreshes_unless_told_otherwise(timed: tuple[CtxplugStore, Clock]) -> None:
    store, clock = timed
    for key in ("got", "found", "left"):
        store.put(("t", key), key, {"text": key})
    clock.minutes(9)
    store.get(("t", "got"), "got")
    store.search(("t", "found"))
    store.get(("t", "left"), "left", refresh_ttl=False)
    store.search(("t", "left"), refresh_ttl=False)
    store.list_namespaces()
    clock.minutes(2)
    assert sorted(keys(store.search(("t",), refresh_ttl=False))) == ["found", "got"]
    clock.minutes(7.5)
    store.put(("t", "got"), "got", {"text": "new"})
    clock.minutes(9)
    assert keys(store.search(("t",), refresh_ttl=False)) == ["got"]


def test_an_item_is_read_and_put_in_one_batch(timed: tuple[CtxplugStore, Clock]) -> None:
    store, clock = timed
    store.put(("t",), "k", {"n": 1})
    clock.minutes(9)
    got, _ = store.batch([GetOp(("t",), "k"), PutOp(("t",), "k", {"n": 2}, ttl=1)])
    assert got.value == {"n": 1} and store.get(("t",), "k").value == {"n": 2}  # type: ignore[union-attr]
    clock.minutes(1)
    assert store.get(("t",), "k") is None


def test_refresh_on_read_can_be_off_and_what_expired_begins_anew(tmp_path: Path) -> None:
    clock = Clock()
    config: Any = {"default_ttl": 10, "refresh_on_read": False}
    with CtxplugStore(tmp_path / "s.db", ttl=config, clock=clock) as store:
        store.put(("t",), "k", {})
        first = store.get(("t",), "k")
        clock.minutes(9)
        assert first is not None and store.get(("t",), "k") is not None
        clock.minutes(1)
        assert store.get(("t",), "k") is None
        store.put(("t",), "k", {})
        again = store.get(("t",), "k")
        assert again is not None and again.created_at > first.created_at


def test_a_store_that_cannot_be_written_can_be_read(tmp_path: Path) -> None:
    with CtxplugStore(tmp_path / "s.db") as store:
        store.put(("t",), "k", {"text": "hi"}, ttl=60)
    with CtxplugStore(f"sqlite:///{tmp_path}/s.db?mode=ro") as store:
        assert store.get(("t",), "k") is not None and keys(store.search(())) == ["k"]


def test_the_sweeper_sweeps_until_the_store_is_closed() -> None:
    clock, swept = Clock(), threading.Event()
    with CtxplugStore("memory:", clock=clock) as store:
        store.put(("t",), "k", {}, ttl=1)
        clock.minutes(2)
        sweep = store.sweep_ttl
        store.sweep_ttl = lambda: (sweep(), swept.set())[0]  # type: ignore[method-assign]
        store.start_ttl_sweeper(0.0001)
        assert swept.wait(30)
        assert store.backend.namespaces() == []
        assert store.stop_ttl_sweeper(30)


# -- search ------------------------------------------------------------------------------------


def test_a_query_ranks_by_words_in_english_and_chinese(store: CtxplugStore) -> None:
    store.put(("m", "a"), "home", {"text": "The user lives in Lisbon"})
    store.put(("m", "b"), "pet", {"text": "她养了一只橘色的猫"})
    store.put(("m", "b"), "both", {"text": "Lisbon has many cats; Lisbon is old"})
    store.put(("m", "b"), "hidden", {"text": "Lisbon"}, index=False)
    store.put(("m", "b"), "field", {"text": "nothing", "tags": ["Lisbon"]}, index=["text"])
    found = store.search(("m",), query="who lives in Lisbon?")
    assert keys(found)[:2] == ["home", "both"]
    assert [item.score is None for item in found] == [False, False, True, True, True]
    assert all(0 < item.score < 1 for item in found if item.score)
    assert keys(store.search(("m",), query="猫"))[0] == "pet"
    assert keys(store.search(("m",), query="Lisbon", limit=1, offset=1)) == ["home"]
    above = {"text": {"$gt": "z"}}
    assert keys(store.search(("m",), query="Lisbon", filter=above)) == ["pet"]
    store.put(("m", "a"), "home", {"text": "The user lives in Lisbon"}, index=False)
    assert all(item.score is None for item in store.search(("m",), query="lives"))


def hashed(texts: list[str]) -> list[list[float]]:
    """One direction for each word of a text; longer than 1, as some services give."""
    words = ["lisbon", "cat", "猫", "tea"]
    return [[3.0 * text.lower().count(word) for word in words] + [0.1] for text in texts]


INDEX: Any = {"dims": 5, "embed": hashed, "fields": ["text", "parts[*].text"]}


def test_a_query_ranks_by_the_nearest_vector_of_an_item(tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    with CtxplugStore(path, index=INDEX) as store:
        store.put(("v",), "parts", {"text": "tea", "parts": [{"text": "cat"}, {"text": "猫"}]})
        store.put(("v", "x"), "mixed", {"text": "tea cat 猫"})
        store.put(("v", "x"), "none", {"other": "cat"})
        store.put(("v", "x"), "off", {"text": "cat"}, index=False)
        found = store.search(("v",), query="猫")
        assert keys(found)[:2] == ["parts", "mixed"]
        assert found[0].score == pytest.approx(1) and found[1].score == pytest.approx(
            0.58, abs=0.01
        )
        assert [item.score for item in found[2:]] == [None, None]
        assert len(store.search((), filter={"text": "tea"}, query="cat")) == 1
        assert len(store.search((), query="cat", limit=sys.maxsize, offset=1)) == 3
        assert store.search((), offset=2 * sys.maxsize) == []
    with CtxplugStore(path, index=INDEX) as store:  # as it was stored
        assert store.search(("v",), query="猫")[0].score == pytest.approx(1)
        store.put(("v",), "parts", {"text": "tea"})
        assert store.search(("v",), query="猫")[0].key == "mixed"
        store.put(("v",), "parts", {"text": "猫"}, index=False)
        assert [i.key for i in store.search(("v",), query="猫") if i.score is not None] == ["mixed"]
        store.delete(("v",), "parts")
        assert store.backend.check().ok
        assert store.backend.check().counts["records"] == 3


def test_langgraphs_own_store_keeps_a_stale_vector_and_ours_does_not() -> None:
    theirs = InMemoryStore(index=INDEX)
    with CtxplugStore("memory:", index=INDEX) as ours:
        for store in (theirs, ours):
            store.put(("v",), "k", {"text": "cat"})
            store.put(("v",), "k", {"text": "cat"}, index=False)
        assert theirs.search(("v",), query="cat")[0].score is not None
        assert ours.search(("v",), query="cat")[0].score is None


class Failing(Embeddings):
    """Embeddings that fail while `down`."""

    def __init__(self) -> None:
        self.down = False
        self.asked = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked += 1
        if self.down:
            raise ConnectionError("no route to the service")
        return hashed(texts)

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def test_while_embeddings_fail_it_goes_by_words_and_loses_nothing(tmp_path: Path) -> None:
    embeddings = Failing()
    with CtxplugStore(tmp_path / "s.db", index={"dims": 5, "embed": embeddings}) as store:
        embeddings.down = True
        store.put(("v",), "cat", {"text": "a cat"})
        store.put(("v",), "tea", {"text": "some tea"})
        found = store.search(("v",), query="tea")
        assert keys(found) == ["tea", "cat"] and found[0].score != pytest.approx(1, abs=0.05)
        assert store.failure is not None and "no route" in store.failure
        with pytest.raises(InvalidValueError, match="no route"):
            store.reindex()
        embeddings.down = False
        assert store.reindex() == 2
        assert store.search(("v",), query="tea")[0].score == pytest.approx(1, abs=0.05)
        assert store.failure is None


def test_what_was_stored_without_an_embedder_is_found_by_its_words(tmp_path: Path) -> None:
    with CtxplugStore(tmp_path / "s.db") as store:
        store.put(("v",), "cat", {"text": "a cat"})
        store.put(("v",), "tea", {"text": "some tea"})
    with CtxplugStore(tmp_path / "s.db", index=INDEX) as store:
        assert keys(store.search(("v",), query="cat")) == ["cat", "tea"]
        assert store.reindex() == 2
        assert store.search(("v",), query="cat")[0].score == pytest.approx(1, abs=0.05)


def test_another_embedder_is_noticed_and_reindexed(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with CtxplugStore(path, index=INDEX) as store:
        store.put(("v",), "cat", {"text": "cat"})
    other: Any = {**INDEX, "embed": DeterministicFakeEmbedding(size=5)}
    with CtxplugStore(path, index=other) as store:
        with pytest.raises(EmbedderChangedError):
            store.put(("v",), "tea", {"text": "tea"})
        with pytest.raises(EmbedderChangedError):
            store.search(("v",), query="cat")
        assert store.get(("v",), "tea") is None
        assert store.reindex() == 1
        assert store.search(("v",), query="cat")[0].score == pytest.approx(1)


def test_an_index_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    for index, message in [
        ({"embed": hashed}, "dims of the index"),
        ({"embed": hashed, "dims": 0}, "dims of the index"),
        ({"fields": "text"}, "index is"),
    ]:
        with pytest.raises(InvalidValueError, match=message):
            CtxplugStore(tmp_path / "s.db", index=index)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="and not both"):
        CtxplugStore("memory:", index=INDEX, embedder=object())
    with pytest.raises(InvalidValueError, match="embedder is a spec"):
        CtxplugStore("memory:", embedder=object())
    with (
        CtxplugStore("memory:", index={"dims": 4, "embed": hashed}) as store,
        pytest.raises(InvalidValueError, match="must be the length"),
    ):
        store.put(("v",), "k", {"text": "x"})

    class NoVectors(InMemoryBackend):
        capabilities = frozenset({"keyword"})

    with pytest.raises(UnsupportedError, match="vector"):
        CtxplugStore(NoVectors(), index=INDEX)


def test_an_embedder_of_ctxplug_in_place_of_langchains() -> None:
    class Words:
        name, dimension = "words", 5

        def embed(self, texts: Any) -> Any:
            import numpy as np

            rows = np.array(hashed(list(texts)), np.float32)
            return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    with CtxplugStore("memory:", embedder=Words(), index={"fields": ["text"]}) as store:
        store.put(("v",), "cat", {"text": "cat"})
        assert store.search(("v",), query="cat")[0].score == pytest.approx(1)


# -- async and threads -------------------------------------------------------------------------


async def test_async_embeddings_are_awaited_on_the_callers_loop() -> None:
    loops = set()

    async def embed(texts: Any) -> list[list[float]]:
        loops.add(id(asyncio.get_running_loop()))
        return hashed(list(texts))

    async with CtxplugStore("memory:", index={"dims": 5, "embed": embed}) as store:
        await store.aput(("v",), "cat", {"text": "cat"})
        found = await store.asearch(("v",), query="cat")
        assert found[0].score == pytest.approx(1, abs=0.05)
        assert loops == {id(asyncio.get_running_loop())}
        store.put(("v",), "tea", {"text": "tea"})  # LangGraph's own raises here
        assert store.search(("v",), query="tea")[0].key == "tea"
        assert await store.areindex() == 2 and store.failure is None


async def test_sync_verbs_work_on_the_running_loop_too(store: CtxplugStore) -> None:
    """LangGraph's own async stores raise InvalidStateError here."""
    await store.aput(USERS, "k", {"n": 1})
    store.put(USERS, "k2", {"n": 2})
    assert store.get(USERS, "k") == await store.aget(USERS, "k")
    assert await store.alist_namespaces() == [USERS]
    await store.adelete(USERS, "k")
    assert keys(await store.asearch(("users",), filter={"n": 2})) == ["k2"]


def test_loops_and_threads_at_once_lose_nothing(tmp_path: Path) -> None:
    with CtxplugStore(f"sqlite:///{tmp_path}/s.db?synchronous=normal") as store:

        def sync(worker: int) -> None:
            for number in range(20):
                store.put(("w", str(worker)), str(number), {"worker": worker})
                store.put(("shared",), "counter", {"by": worker})
                found = store.search(("w", str(worker)), limit=100)
                assert len(found) == number + 1

        async def turn(worker: int) -> None:
            for number in range(20):
                await store.aput(("w", str(worker)), str(number), {"worker": worker})
                assert await store.aget(("w", str(worker)), str(number)) is not None

        def on_a_loop(worker: int) -> None:
            asyncio.run(turn(worker))

        with ThreadPoolExecutor(12) as pool:
            jobs = [pool.submit(sync if n % 2 else on_a_loop, n) for n in range(12)]
            for job in jobs:
                job.result()
        for worker in range(12):
            items = store.search(("w", str(worker)), limit=100)
            assert len(items) == 20 and {i.value["worker"] for i in items} == {worker}
        assert len(store.list_namespaces(prefix=("w",))) == 12


def test_one_creation_time_however_many_put_at_once(store: CtxplugStore) -> None:
    store.put(("c",), "k", {"n": -1})
    created = store.get(("c",), "k").created_at  # type: ignore[union-attr]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.put(("c",), "k", {"n": n}), range(40)))
    item = store.get(("c",), "k")
    assert item is not None and item.created_at == created and item.value["n"] in range(40)


def test_a_put_that_comes_second_replaces_what_came_first_in_whole() -> None:
    """Another process puts the item after ours was read, and before it is written."""

    class Racing(InMemoryBackend):
        other: CtxplugStore | None = None

        def write(self, *ops: Any) -> list[int]:
            other, self.other = self.other, None
            if other is not None:
                parts = [{"text": "cat"}, {"text": "猫"}]
                other.put(("v",), "k", {"text": "tea", "parts": parts})
            return super().write(*ops)

    backend = Racing()
    ours, other = CtxplugStore(backend, index=INDEX), CtxplugStore(backend, index=INDEX)
    backend.other = other
    ours.put(("v",), "k", {"text": "lisbon"})
    item = ours.get(("v",), "k")
    assert item is not None and item.value == {"text": "lisbon"}
    assert item.created_at < item.updated_at
    assert backend.check().counts["records"] == 1
    backend.other = other
    ours.delete(("v",), "k")
    assert backend.check().counts["records"] == 0


# -- plugins and graphs ------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["path", "memory"])
def test_redactors_and_judges_see_items_before_anything_is_stored_or_embedded(target: str) -> None:
    class Guarding:
        @hookimpl
        def redact(self, text: str, scope: Any) -> str:
            return text.replace("secret", "***")

        @hookimpl
        def judge_memory(self, record: Any, scope: Any) -> Any:
            if "forbidden" in record.content:
                return False
            if "mend" in record.content:
                return record.evolve(content='{"text": "mended secret"}')
            return record.evolve(content="[]") if "break" in record.content else None

    embedded: list[str] = []

    def embed(texts: list[str]) -> list[list[float]]:
        embedded.extend(texts)
        return hashed(texts)

    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Guarding(), "guarding")
    index: Any = {"dims": 5, "embed": embed}
    memory = AgentMemory.open("memory:", namespace="acme", plugins=plugins)
    opened = {
        "path": lambda: CtxplugStore("memory:", plugins=plugins, index=index),
        "memory": lambda: CtxplugStore(memory, index=index),  # whose plugins guard its store too
    }[target]
    with opened() as store:
        store.put(("g",), "a", {"text": "my secret", "list": ["secret"], "n": 1})
        assert store.get(("g",), "a").value == {"text": "my ***", "list": ["***"], "n": 1}  # type: ignore[union-attr]
        store.put(("g",), "b", {"text": "mend"})
        assert store.get(("g",), "b").value == {"text": "mended ***"}  # type: ignore[union-attr]
        for text in ("forbidden", "break"):
            with pytest.raises(GuardError):
                store.batch([PutOp(("g",), "c", {"text": text}), PutOp(("g",), "d", {})])
        assert sorted(keys(store.search(()))) == ["a", "b"]
        assert not any("secret" in text or "forbidden" in text for text in embedded)


class State(TypedDict):
    said: str


async def test_a_graph_writes_and_reads_it(store: CtxplugStore) -> None:
    def node(state: State, runtime: Runtime) -> State:
        assert runtime.store is not None
        runtime.store.put(("memories",), "m", {"text": state["said"]})
        found = runtime.store.search(("memories",), query="里斯本")
        return {"said": found[0].value["text"]}

    graph = StateGraph(State).add_node("node", node).add_edge(START, "node").compile(store=store)
    assert graph.invoke({"said": "我住在里斯本"}) == {"said": "我住在里斯本"}
    assert await graph.ainvoke({"said": "I live in Lisbon"}) == {"said": "I live in Lisbon"}


def test_values_of_any_json_come_back(store: CtxplugStore) -> None:
    value = {"big": 2**80, "s": "\ud800 \x00 文", "deep": {"a": [None, True, 1.5]}, "": ""}
    store.put(("j",), "\ud800/\x00.", value)
    item = store.get(("j",), "\ud800/\x00.")
    assert item is not None and item.value == value and item.key == "\ud800/\x00."
