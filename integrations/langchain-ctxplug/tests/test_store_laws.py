"""CtxplugStore against a dict, and against LangGraph's InMemoryStore, for any batches."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_ctxplug.labels import from_label, to_label
from langchain_ctxplug.store import CtxplugStore
from langchain_ctxplug.store_filters import matches
from langgraph.store.base import (
    GetOp,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

Path_ = tuple[str, ...]

LABELS = st.sampled_from(
    ["acme", "acme-corp", "a", "*", "用户", "a/b", "a%2Fb", "x" * 200, " ", "e\u0301", "é"]
)
PATHS = st.lists(LABELS, min_size=1, max_size=3).map(tuple)
DEEP = st.lists(LABELS, min_size=1, max_size=18).map(tuple)
ANY_LABEL = st.text(min_size=1).filter(lambda text: "." not in text and "\x00" not in text)
TEXTS = st.sampled_from(["red cat", "blue cat", "红色的猫", "dog"])
ANY_PATH = st.lists(ANY_LABEL, min_size=1, max_size=20).map(tuple)
KEYS = st.sampled_from(["", "k", "k:1", "1:k", "键", "\ud800", "a\x00b"])
LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 2.5, "x", "y", "猫"])
)
VALUES = st.dictionaries(
    st.sampled_from(["a", "b", "a.b", "颜色"]),
    LEAVES
    | st.lists(LEAVES, max_size=2)
    | st.dictionaries(st.sampled_from("ab"), LEAVES, max_size=2),
    max_size=3,
)
WANTED = LEAVES | st.builds(
    lambda name, operand: {name: operand},
    st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]),
    LEAVES,
)
FILTERS = st.none() | st.dictionaries(
    st.sampled_from(["a", "b", "a.b", "颜色"]), WANTED, max_size=2
)
CONDITIONS = st.builds(
    MatchCondition,
    st.sampled_from(["prefix", "suffix"]),
    st.lists(LABELS, min_size=1, max_size=2).map(tuple),
)
PUTS = st.tuples(PATHS | DEEP, KEYS, st.none() | VALUES, st.sampled_from([None, False, ["a"]])).map(
    lambda fields: PutOp(*fields)
)
GETS = st.tuples(PATHS, KEYS).map(lambda fields: GetOp(*fields))
SEARCHES = st.tuples(PATHS | st.just(()), FILTERS, st.integers(0, 5), st.integers(0, 3)).map(
    lambda fields: SearchOp(*fields)
)
LISTINGS = st.tuples(
    st.lists(CONDITIONS, max_size=2).map(tuple),
    st.none() | st.integers(1, 3),
    st.integers(0, 5),
    st.integers(0, 2),
).map(lambda fields: ListNamespacesOp(*fields))
READS = GETS | SEARCHES | LISTINGS
BATCHES = st.lists(st.lists(PUTS | READS, min_size=1, max_size=6), min_size=1, max_size=6)


class Model:
    """What a store is, in the plainest words."""

    def __init__(self) -> None:
        self.items: dict[tuple[Path_, str], tuple[int, dict[str, Any]]] = {}
        self.puts = 0

    def batch(self, ops: list[Op]) -> list[Any]:
        results = [self.read(op) for op in ops]
        last = {(op.namespace, op.key): op.value for op in ops if isinstance(op, PutOp)}
        for place, value in last.items():
            self.items.pop(place, None)
            if value is not None:
                self.puts += 1
                self.items[place] = (self.puts, dict(value))
        return results

    def read(self, op: Op) -> Any:
        if isinstance(op, GetOp):
            found = self.items.get((op.namespace, op.key))
            return found and (op.namespace, op.key, found[1])
        if isinstance(op, SearchOp):
            length = len(op.namespace_prefix)
            found = [
                (path, key, value)
                for (path, key), (put, value) in sorted(
                    self.items.items(), key=lambda one: -one[1][0]
                )
                if path[:length] == op.namespace_prefix and matches(value, op.filter or {})
            ]
            return found[op.offset : op.offset + op.limit]
        if isinstance(op, ListNamespacesOp):
            paths = {
                path for path, _ in self.items if all(fits(path, c) for c in op.match_conditions)
            }
            found = sorted({path[: op.max_depth] for path in paths})
            return found[op.offset : op.offset + op.limit]
        return None


def fits(path: Path_, condition: MatchCondition) -> bool:
    wanted = condition.path
    part = path[: len(wanted)] if condition.match_type == "prefix" else path[-len(wanted) :]
    return len(part) == len(wanted) and all(
        w in ("*", p) for p, w in zip(part, wanted, strict=True)
    )


def plain(result: Any) -> Any:
    if isinstance(result, list):
        return [plain(one) for one in result]
    return (result.namespace, result.key, result.value) if hasattr(result, "value") else result


@pytest.mark.parametrize("twin", ["sync", "async"])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_any_batches_give_what_a_dict_gives(kind: str, twin: str) -> None:
    @settings(max_examples=60 if kind == "memory" else 25, deadline=None)
    @given(BATCHES)
    def law(batches: list[list[Op]]) -> None:
        with TemporaryDirectory() as folder:
            target = (
                "memory:" if kind == "memory" else f"sqlite:///{folder}/s.db?synchronous=normal"
            )
            with CtxplugStore(target) as store:
                model = Model()
                for ops in batches:
                    done = store.batch(ops) if twin == "sync" else asyncio.run(store.abatch(ops))
                    assert plain(done) == model.batch(ops)
                assert store.backend.check().ok

    law()


@settings(max_examples=60, deadline=None)
@given(BATCHES)
def test_it_finds_what_the_in_memory_store_finds(batches: list[list[Op]]) -> None:
    """Where that one is right: not in order, and not in what operators raise."""
    ours, theirs = CtxplugStore("memory:"), InMemoryStore()
    for ops in batches:
        ops = [op for op in ops if isinstance(op, PutOp | GetOp)]
        assert plain(ours.batch(ops)) == plain(theirs.batch(ops))
    for path in {op.namespace for ops in batches for op in ops if isinstance(op, PutOp)}:
        for prefix in (path[:n] for n in range(len(path) + 1)):
            mine = plain(ours.search(prefix, limit=100))
            others = plain(theirs.search(prefix, limit=100))
            assert sorted(mine, key=repr) == sorted(others, key=repr)
    ours.close()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(ANY_LABEL, min_size=1, max_size=20).map(tuple),
    st.lists(ANY_LABEL, min_size=1).map(tuple),
)
def test_any_namespace_of_langgraph_has_a_place_of_its_own(one: Path_, other: Path_) -> None:
    with CtxplugStore("memory:", namespace=("acme", "team")) as store:
        store.put(one, "k", {"of": "one"}) if one[0] != "langgraph" else None
        store.put(other, "k", {"of": "other"}) if other[0] != "langgraph" else None
        if one != other and "langgraph" not in (one[0], other[0]):
            assert store.location(one) != store.location(other)
            assert store.get(one, "k").value == {"of": "one"}  # type: ignore[union-attr]
            assert set(store.list_namespaces()) == {one, other}
            assert [i.namespace for i in store.search(one, filter={"of": "one"})] == [one]


@given(ANY_LABEL)
def test_labels_come_back(name: str) -> None:
    label = to_label(name)
    assert len(label.encode()) <= 128
    assert label.startswith("%~") or from_label(label) == name


@settings(max_examples=100, deadline=None)
@given(VALUES, FILTERS, FILTERS)
def test_conditions_of_a_filter_must_all_hold(value: Any, one: Any, other: Any) -> None:
    one, other = one or {}, other or {}
    if not one.keys() & other.keys():
        both = matches(value, one) and matches(value, other)
        assert matches(value, {**one, **other}) == both


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            PATHS,
            st.sampled_from("abcdef"),
            st.sampled_from(["red cat", "blue cat", "红色的猫", "dog"]),
        ),
        max_size=12,
    ),
    st.sampled_from(["cat", "猫", "dog red", "nothing"]),
    st.integers(1, 4),
    st.booleans(),
)
def test_pages_of_a_ranked_search_are_all_items_once(
    puts: list[tuple[Path_, str, str]], query: str, size: int, vectors: bool
) -> None:
    index: Any = {"dims": 3, "embed": lambda texts: [[len(t), t.count("a"), 1] for t in texts]}
    with CtxplugStore("memory:", index=index if vectors else None) as store:
        for path, key, text in puts:
            store.put(path, key, {"text": text}, index=False if key == "f" else None)
        found = store.search((), query=query, limit=100)
        places = [(item.namespace, item.key) for item in found]
        assert sorted(places) == sorted({(path, key) for path, key, _ in puts})
        scores = [item.score for item in found if item.score is not None]
        assert scores == sorted(scores, reverse=True)
        assert [item.score is None for item in found] == sorted(i.score is None for i in found)
        pages = [
            (item.namespace, item.key)
            for offset in range(0, len(found) + 1, size)
            for item in store.search((), query=query, limit=size, offset=offset)
        ]
        assert pages == places


def test_the_model_can_tell_a_store_that_is_wrong(tmp_path: Path) -> None:
    """A read that sees the puts of its own batch is caught."""
    ops = [PutOp(("a",), "k", {}), GetOp(("a",), "k")]
    assert Model().batch(ops)[1] is None
    with CtxplugStore(tmp_path / "s.db") as store:
        assert store.batch(ops)[1] is None
        assert store.batch(ops)[1] is not None
