"""The life of memories: decay, capacity, summaries, maintenance, and many writers at once."""

from __future__ import annotations

import gc
import logging
import math
import threading
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug import AgentMemory, MemoryRecord, Message
from ctxplug.errors import ClosedError, ConflictError, InvalidValueError, NotFoundError
from ctxplug.events import Event
from ctxplug.hookspecs import hookimpl
from ctxplug.memories.consolidation import originals
from ctxplug.memories.decay import effective_importance
from ctxplug.memories.policy import DAY, MemoryPolicy, TierRule
from ctxplug.memories.report import STREAM
from ctxplug.plugins import Plugins
from ctxplug.recall.indexing import index_form
from ctxplug.storage import Delete, Op, Put, Stream, Touch, Where
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.testing.children import start_python

NS = ("acme", "alice")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
FOREVER = {tier: TierRule() for tier in ("short", "medium", "long")}


@pytest.fixture(params=["memory:", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory:" else str(tmp_path / "agent.db")


class Watcher:
    """A plugin that keeps events, and summarizes as `answer` says."""

    def __init__(self, answer: Any = "In short: 里斯本.") -> None:
        self.events: list[Event] = []
        self.answer = answer
        self.asked: list[Sequence[Message]] = []

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.events.append(event)

    @hookimpl
    def register_summarizers(self, register: Any) -> None:
        register("curt", lambda: self)

    @hookimpl
    def judge_memory(self, record: MemoryRecord, scope: object) -> bool:
        return "forbidden" not in record.content

    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        self.asked.append(messages)
        if isinstance(self.answer, Exception):
            raise self.answer
        return str(self.answer)


def opened(target: Any, watcher: Watcher | None = None, **policy: Any) -> AgentMemory:
    plugins = Plugins(load_entry_points=False, environ={})
    if watcher is not None:
        plugins.register(watcher, "watcher")
    chosen = MemoryPolicy(**policy)
    return AgentMemory.open(
        target, namespace=NS, counter="estimate", plugins=plugins, memory_policy=chosen
    )


def put(memory: AgentMemory, id: str, content: str = "", **fields: Any) -> MemoryRecord:
    values = {"kind": "fact", "created_at": LONG_AGO, "tier": "long", **fields}
    record = MemoryRecord(namespace=NS, id=id, content=content or f"{id} is here", **values)
    memory.backend.write(Put(record, *index_form(record.content)))
    return record


def ids(memory: AgentMemory) -> set[str]:
    return {record.id for record in memory.backend.find(Where(NS, not_kinds=["message"]))}


# -- decay -----------------------------------------------------------------------------

days = st.floats(0, 5_000)


@given(importance=st.floats(0, 1), first=days, more=days, used=days, floor=st.floats(0, 1))
def test_importance_only_falls_with_time_and_never_below_the_floor(
    importance: float, first: float, more: float, used: float, floor: float
) -> None:
    policy = MemoryPolicy(decay_floor=floor)
    record = MemoryRecord(
        namespace=NS, id="x", kind="fact", content="x", created_at=LONG_AGO, importance=importance,
        last_accessed=LONG_AGO + timedelta(days=used),
    )  # fmt: skip
    earlier = effective_importance(record, LONG_AGO + timedelta(days=first), policy)
    later = effective_importance(record, LONG_AGO + timedelta(days=first + more), policy)
    assert min(floor, importance) <= later <= earlier <= importance
    always = record.evolve(kind="preference")
    assert effective_importance(always, LONG_AGO + timedelta(days=9_999), policy) == importance
    assert effective_importance(record, LONG_AGO, MemoryPolicy(half_life=None)) == importance


def test_importance_halves_in_a_half_life_since_the_last_use() -> None:
    policy = MemoryPolicy(half_life=timedelta(days=10), decay_floor=0)
    record = MemoryRecord(
        namespace=NS, id="x", kind="fact", content="x", created_at=LONG_AGO, importance=0.8
    )
    at = LONG_AGO + timedelta(days=10)
    assert effective_importance(record, at, policy) == pytest.approx(0.4)
    used = record.evolve(last_accessed=LONG_AGO + timedelta(days=5))
    assert effective_importance(used, LONG_AGO + timedelta(days=25), policy) == pytest.approx(0.2)


# -- capacity --------------------------------------------------------------------------


def test_the_least_worthy_go_and_protected_ones_last(target: str) -> None:
    watcher = Watcher()
    with opened(target, watcher, capacity=4, **FOREVER) as memory:
        now = datetime.now(UTC)
        put(memory, "faded", importance=1.0)
        put(memory, "fresh", importance=0.6, created_at=now)
        put(memory, "used", importance=1.0, last_accessed=now, access_count=2)
        put(memory, "config", kind="config", importance=0.0)
        put(memory, "pinned", importance=0.0, metadata={"pinned": True})
        put(memory, "history", importance=1.0, created_at=now, valid_to=now)
        put(memory, "small", importance=0.2, created_at=now)
        assert [c.id for c in memory.maintain(dry_run=True).of("evicted")] == [
            "history", "faded", "small",
        ]  # fmt: skip
        report = memory.maintain()
        assert [c.id for c in report.of("evicted")] == ["history", "faded", "small"]
        assert ids(memory) == {"fresh", "used", "config", "pinned"}
        assert memory.maintain().changes == ()
    told = [event.data["id"] for event in watcher.events if event.kind == "memory.evicted"]
    assert told == ["history", "faded", "small"]


def test_each_tier_has_room_of_its_own(target: str) -> None:
    rules = {**FOREVER, "long": TierRule(capacity=1), "short": TierRule(capacity=0)}
    with opened(target, **rules) as memory:
        for tier in ("short", "medium", "long"):
            for number in range(3):
                put(memory, f"{tier}{number}", tier=tier, importance=0.1 * number)
        memory.maintain()
        assert ids(memory) == {"medium0", "medium1", "medium2", "long2"}


@given(
    records=st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["short", "medium", "long"]))),
    capacity=st.integers(0, 6),
    long=st.none() | st.integers(0, 4),
)
def test_capacities_hold_after_maintenance(
    records: list[tuple[float, str]], capacity: int, long: int | None
) -> None:
    rules = {**FOREVER, "long": TierRule(capacity=long)}
    with opened("memory:", capacity=capacity, supersede=False, similarity=9, **rules) as memory:
        for number, (importance, tier) in enumerate(records):
            put(memory, f"m{number}", f"thing {number}", importance=importance, tier=tier)
        memory.maintain()
        left = memory.memories()
        assert len(left) <= capacity
        held = Counter(record.tier for record in left)
        assert long is None or held["long"] <= long
        if long is None:
            assert len(left) == min(capacity, len(records))


# -- summaries of sessions ---------------------------------------------------------------


def talk(target: Any, session: str, count: int, start: int = 0, at: datetime = LONG_AGO) -> None:
    with AgentMemory.open(target, namespace=NS, session=session, counter="estimate") as memory:
        for n in range(start, start + count):
            text = f"On day {n} we decided to visit museum {n} in Lisbon. 第{n}天我们去了博物馆。"
            memory.add("user", text, created_at=at + timedelta(minutes=n))


@pytest.fixture
def store(target: str) -> Iterator[Any]:
    """What several memories can be opened on one after the other."""
    if target != "memory:":
        yield target
    else:
        with InMemoryBackend() as backend:
            yield backend


def test_a_quiet_session_is_summed_up_once(store: Any) -> None:
    talk(store, "trip", 6)
    talk(store, "short", 2)
    talk(store, "busy", 6, at=datetime.now(UTC))
    with opened(store) as memory:
        report = memory.consolidate()
        (summary,) = memory.memories(kinds="summary")
        assert [(c.id, c.into) for c in report.changes] == [(summary.id, "trip@1-6")]
        assert (summary.tier, summary.session, summary.sources) == ("long", "trip", ("trip@1-6",))
        assert summary.made_by == "consolidate"
        assert "museum" in summary.content
        assert "博物馆" in summary.content
        assert len(memory.original(summary.sources[0])) == 6
        assert memory.consolidate().changes == ()
        assert memory.memories(kinds="summary") == [summary]
        memory.forget(summary.id)
        assert memory.consolidate().changes == ()  # what was forgotten does not come back
        talk(store, "trip", 5, start=6)
        assert [c.into for c in memory.consolidate().of("summarised")] == ["trip@7-11"]


def test_a_forgotten_message_is_not_in_the_summary(store: Any) -> None:
    talk(store, "trip", 6)
    watcher = Watcher()
    with opened(store, watcher, summarizer="curt") as memory:
        memory.forget("trip@3")
        memory.consolidate()
    (asked,) = watcher.asked
    assert len(asked) == 5
    assert not any("museum 2 " in message.text for message in asked)


def test_the_policys_summarizer_is_asked_and_the_extractive_one_stands_in(store: Any) -> None:
    talk(store, "one", 4)
    watcher = Watcher()
    with opened(store, watcher, summarizer="curt") as memory:
        memory.consolidate()
        assert [r.content for r in memory.memories(kinds="summary")] == ["In short: 里斯本."]
        for number, answer in enumerate([RuntimeError("no network"), ""]):
            watcher.answer = answer
            talk(store, f"more{number}", 4)
            report = memory.consolidate()
            assert "extractive" in " ".join(report.notes)
            assert len(report.of("summarised")) == 1
        watcher.answer = "forbidden"
        talk(store, "refused", 4)
        report = memory.consolidate()
        assert report.changes == ()
        assert "refused" in " ".join(report.notes)
        assert len(memory.memories(kinds="summary")) == 3
    with opened(store, watcher, summarizer=None) as memory:
        assert memory.consolidate().changes == ()


# -- reports and their log ----------------------------------------------------------------


def test_every_run_is_reported_and_logged_without_the_text(target: str) -> None:
    watcher = Watcher()
    with opened(target, watcher, medium_after=1) as memory:
        put(memory, "a", "canary likes tea", tier="short", importance=0.1)
        put(memory, "b", "canary really likes tea", tier="short", importance=0.1)
        put(memory, "c", "canary expired", expires_at=LONG_AGO)
        memory.recall("canary", k=5)
        dry = memory.maintain(dry_run=True)
        assert ids(memory) == {"a", "b", "c"}
        assert memory.maintenance_log() == []
        report = memory.maintain()
        assert report.counts == {
            "expired": 1, "superseded": 0, "merged": 1, "promoted": 1, "summarised": 0,
            "evicted": 0, "retired": 0, "archived": 0,
        }  # fmt: skip
        assert [c.what for c in dry.changes] == ["expired", "merged"]  # accesses were unwritten
        assert "1 expired, 1 merged, 1 promoted" in str(report)
        second = memory.consolidate()
        assert memory.maintenance_log() == [second, report]
        assert memory.maintenance_log(limit=1) == [second]
        entries = memory.backend.read(Stream(NS, STREAM))
        assert "canary" not in str([entry.body for entry in entries])
        assert memory.stats().sessions == 0
    kinds = Counter(event.kind for event in watcher.events)
    assert kinds["memory.expired"] == kinds["memory.merged"] == kinds["memory.promoted"] == 1
    assert kinds["maintenance.done"] == 2


def test_a_run_that_was_cut_off_shows_as_unfinished(target: str) -> None:
    with opened(target) as memory:
        for n in range(120):
            put(memory, f"m{n}", expires_at=LONG_AGO)
        calls = iter(range(99))
        memory.maintain(stopped=lambda: next(calls) >= 2)
        assert 0 < len(ids(memory)) < 120
        backend = memory.backend
        rest = backend.read(Stream(NS, STREAM))
        assert [entry.kind for entry in rest] == ["changes", "run"]
        body = {"run": "killed", "verb": "maintain", "changes": [["expired", "x", ""]]}
        memory._write(_appended(body))
        killed, stopped = memory.maintenance_log()
        assert (killed.finished, killed.run, killed.counts["expired"]) == (False, "killed", 1)
        assert stopped.finished
        assert memory.maintain().counts["expired"] == len(rest[0].body["changes"]) + 20


def _appended(body: dict[str, Any]) -> Op:
    from ctxplug.storage import Append

    return Append(stream=Stream(NS, STREAM), kind="changes", body=body, created_at=LONG_AGO)


def test_cold_memories_are_archived_if_the_policy_says_so(target: str) -> None:
    with opened(target, archive_after=30 * DAY, **FOREVER) as memory:
        put(memory, "cold", "a zeppelin over 里斯本", importance=0.4, tier="medium")
        put(memory, "warm", created_at=datetime.now(UTC))
        report = memory.maintain()
        assert [change.id for change in report.of("archived")] == ["cold"]
        assert ids(memory) == {"warm"}
        assert memory.maintain().changes == ()


# -- in the background ---------------------------------------------------------------------


def test_maintenance_runs_in_the_background_and_ends_with_the_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = threading.Event()

    class Done(Watcher):
        @hookimpl
        def on_event(self, event: Event) -> None:
            if event.kind == "memory.expired":
                done.set()

    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Done(), "watcher")
    options: dict[str, Any] = {"namespace": NS, "counter": "estimate", "plugins": plugins}
    path = str(tmp_path / "agent.db")
    with AgentMemory.open(path, maintain_every=0.01, **options) as memory:
        put(memory, "gone", expires_at=LONG_AGO)
        assert done.wait(30)
        (keeper,) = (t for t in threading.enumerate() if t.name == "ctxplug-upkeep")
        assert keeper.daemon
    assert not keeper.is_alive()
    with AgentMemory.open(path, **options) as memory:
        assert "gone" not in ids(memory)
    with pytest.raises(InvalidValueError):
        AgentMemory.open(path, maintain_every=0, **options)
    assert not caplog.records


def test_a_memory_that_nobody_holds_is_not_kept_by_its_maintenance() -> None:
    memory = AgentMemory.open("memory:", namespace=NS, maintain_every=math.inf)
    (keeper,) = (t for t in threading.enumerate() if t.name == "ctxplug-upkeep")
    held = weakref.ref(memory)
    del memory
    gc.collect()
    assert held() is None
    keeper.join(30)
    assert not keeper.is_alive()


def test_what_fails_in_the_background_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    watcher = Watcher()
    told = threading.Event()
    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(watcher, "watcher")

    class Failing(AgentMemory):
        def tell_failed(self, exc: Exception) -> None:
            super().tell_failed(exc)
            told.set()

    policy = MemoryPolicy(summarizer="nobody offers this")
    with (
        caplog.at_level(logging.WARNING, "ctxplug"),
        Failing.open(
            "memory:", namespace=NS, plugins=plugins, memory_policy=policy, maintain_every=0.01
        ),
    ):
        assert told.wait(30)
    assert "nobody offers this" in caplog.text
    assert any(event.kind == "maintenance.failed" for event in watcher.events)


def test_a_closed_memory_is_not_maintained(target: str) -> None:
    memory = opened(target)
    memory.close()
    for verb in (memory.maintain, memory.consolidate, memory.memories, memory.maintenance_log):
        with pytest.raises(ClosedError):
            verb()


# -- many writers --------------------------------------------------------------------------


class Meddling(InMemoryBackend):
    """A store in which another writer comes between a reading and the write that follows."""

    def __init__(self) -> None:
        super().__init__()
        self.meddle: list[Op] = []

    def write(self, *ops: Op) -> list[int]:
        meddle, self.meddle = self.meddle, []
        if meddle:
            super().write(*meddle)
        return super().write(*ops)


@pytest.mark.parametrize("verb", ["consolidate", "update", "promote", "remember"])
def test_what_another_writer_did_meanwhile_is_not_undone(verb: str) -> None:
    with Meddling() as backend, opened(backend) as memory:
        one = put(memory, "one", "The user lives in Lisbon", tier="medium")
        two = put(memory, "two", "User lives in Lisbon", tier="medium")
        backend.meddle = [
            Touch(NS, ("one",), LONG_AGO + timedelta(days=1)),
            Put(two.evolve(importance=0.9), *index_form(two.content)),
        ]
        if verb == "consolidate":
            memory._write()  # nothing waits, so nothing is written and nobody meddles yet
            memory.consolidate()
            (merged,) = memory.memories()
            assert (merged.access_count, merged.importance) == (1, 0.9)
            return
        if verb == "update":
            assert memory.update("one", importance=0.7).access_count == 1
        elif verb == "promote":
            assert memory.promote("one").access_count == 1
        else:
            memory.remember("The user now lives in Berlin")
        held = {record.id: record for record in backend.find(Where(NS))}
        assert held["one"].access_count == 1
        assert held["two"].importance == 0.9
        assert held["one"].content == one.content
        if verb == "remember":
            assert held["one"].valid_to == held["two"].valid_to is not None


def test_what_another_forgot_meanwhile_does_not_come_back() -> None:
    with Meddling() as backend, opened(backend) as memory:
        put(memory, "one", "likes tea")
        put(memory, "two", "really likes tea")
        backend.meddle = [Delete(NS, "one")]
        assert memory.consolidate().changes == ()
        (left,) = memory.memories()
        assert (left.id, originals(left)) == ("two", [])
        backend.meddle = [Delete(NS, "two")]
        with pytest.raises(NotFoundError):
            memory.update("two", importance=1.0)
        assert memory.memories() == []


def test_who_is_overtaken_all_the_time_gives_up_with_an_error() -> None:
    class Busy(InMemoryBackend):
        def write(self, *ops: Op) -> list[int]:
            if any(isinstance(op, Put) for op in ops) and len(ops) > 1:
                super().write(Touch(NS, ("one",), LONG_AGO))
            return super().write(*ops)

    with Busy() as backend, opened(backend) as memory:
        put(memory, "one")
        with pytest.raises(ConflictError):
            memory.update("one", importance=1.0)


CHILD = """
import sys
from contextlib import suppress
from ctxplug import AgentMemory
from ctxplug.errors import NotFoundError
path, me, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
memory = AgentMemory.open(path, namespace="acme/alice", session=f"s{me}", counter="estimate")
print("ready", flush=True)
sys.stdin.readline()
for n in range(rounds):
    memory.remember(f"unit {me}x{n} likes tea and 喝茶", importance=0.9)
    memory.remember(f"the unit {me}x{n} really likes tea and 喝茶", tags=[me], importance=0.9)
    memory.remember(f"unit shared{n} likes tea", importance=0.9)
    memory.add("user", f"message {me}x{n}")
    if n % 3 == 0:
        memory.recall(f"unit {me}x{n}")
    if n % 2:
        memory.consolidate()
    if n % 7 == 0:
        with suppress(NotFoundError):  # the other may have merged it just now
            memory.update(memory.memories(tags=me, limit=1)[0].id, metadata={"seen": True})
memory.consolidate()
memory.close()
"""


def test_two_processes_consolidating_and_writing_lose_and_double_nothing(tmp_path: Path) -> None:
    path, rounds = str(tmp_path / "agent.db"), 40
    talk(path, "trip", 8)
    children = [start_python(CHILD, path, f"p{n}", f"{rounds}", stdin=-1, stdout=-1) for n in "ab"]
    for child in children:
        assert child.stdout
        assert child.stdout.readline() == b"ready\n"
    for child in children:
        assert child.stdin
        child.stdin.write(b"go\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=120)
        assert child.returncode == 0
    with opened(path) as memory:
        memory.consolidate()
        assert memory.consolidate().changes == ()
        left = memory.memories()
        texts = Counter(one.content for one in left)
        kept = Counter(old.content for one in left for old in originals(one))
        for n in range(rounds):
            for me in ("pa", "pb"):
                assert texts[f"unit {me}x{n} likes tea and 喝茶"] == 1
                assert kept[f"the unit {me}x{n} really likes tea and 喝茶"] == 1
            assert texts[f"unit shared{n} likes tea"] == kept[f"unit shared{n} likes tea"] == 1
        assert len(memory.memories(kinds="summary")) == 1
        assert len(left) == 3 * rounds + 1
        for me in ("pa", "pb"):
            stream = Stream(NS, f"s{me}")
            assert memory.backend.head(stream) == rounds
        merged = Counter(c.id for run in memory.maintenance_log(None) for c in run.of("merged"))
        assert set(merged.values()) == {1}
        assert len(merged) == 3 * rounds
        assert memory.check().ok
