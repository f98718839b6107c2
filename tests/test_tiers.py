"""Tiers: where memories go, how long they stay, how they move, and how they are listed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ctxplug import AgentMemory, MemoryRecord
from ctxplug.cli.app import app
from ctxplug.errors import GuardError, InvalidValueError, NotFoundError
from ctxplug.hookspecs import hookimpl
from ctxplug.memories.accesses import Accesses
from ctxplug.memories.policy import DAY, HOUR, MemoryPolicy, TierRule
from ctxplug.memories.tiers import earned, routed
from ctxplug.plugins import Plugins
from ctxplug.recall.indexing import index_form
from ctxplug.records import TIERS
from ctxplug.storage import Put

NS = "acme/alice"
DURATIONS = {"short": HOUR, "medium": DAY, "long": 365 * DAY}


@pytest.fixture(params=["memory:", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory:" else str(tmp_path / "agent.db")


@pytest.fixture
def memory(target: str) -> Iterator[AgentMemory]:
    with AgentMemory.open(target, namespace=NS, counter="estimate") as opened:
        yield opened


def aged(memory: AgentMemory, record: MemoryRecord, **age: float) -> MemoryRecord:
    """Store `record` as if all that happened to it had happened so much earlier."""
    by = timedelta(**age)
    names = ("created_at", "last_accessed", "expires_at", "valid_from", "valid_to")
    held = memory.backend.get(record.namespace, record.id)
    assert held is not None
    times = {name: getattr(held, name) - by for name in names if getattr(held, name)}
    older = held.evolve(**times)
    memory.backend.write(Put(older, *index_form(older.content)))
    return older


def stored(memory: AgentMemory, record: MemoryRecord) -> MemoryRecord | None:
    return memory.backend.get(memory.scope.namespace, record.id)


def texts(memory: AgentMemory, query: str, **options: Any) -> list[str]:
    return [found.record.content for found in memory.recall(query, **options)]


# -- routing -------------------------------------------------------------------------


@given(
    kind=st.text(min_size=1, max_size=8) | st.sampled_from(["schema", "config", "preference"]),
    importance=st.floats(0, 1),
    bounds=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    always=st.lists(st.sampled_from(["schema", "规则", "fact"])),
)
def test_every_memory_has_one_tier_and_more_importance_never_lowers_it(
    kind: str, importance: float, bounds: list[float], always: list[str]
) -> None:
    policy = MemoryPolicy(medium_from=bounds[0], long_from=bounds[1], always_long=tuple(always))
    tier = routed(kind, importance, policy)
    assert tier in TIERS
    assert TIERS.index(routed(kind, min(1.0, importance + 0.1), policy)) >= TIERS.index(tier)
    assert (tier == "long") == (kind in always or importance >= bounds[1])


@pytest.mark.parametrize(
    ("kind", "importance", "tier"),
    [
        ("fact", 0.8, "long"), ("fact", 0.79, "medium"), ("fact", 0.5, "medium"),
        ("fact", 0.49, "short"), ("fact", 0, "short"), ("schema", 0, "long"),
        ("config", 0.1, "long"), ("preference", 0.2, "long"),
    ],
)  # fmt: skip
def test_a_memory_expires_as_its_tier_says(
    memory: AgentMemory, kind: str, importance: float, tier: str
) -> None:
    before = datetime.now(UTC)
    record = memory.remember("喜欢靠窗的座位", kind=kind, importance=importance)
    assert record.tier == tier
    assert record.expires_at is not None
    kept = timedelta(seconds=DURATIONS[tier])
    assert before + kept <= record.expires_at <= datetime.now(UTC) + kept
    assert stored(memory, record) == record


def test_routing_and_retention_are_the_policys(target: str) -> None:
    policy = MemoryPolicy(
        long_from=0.3, medium_from=0.1, always_long=("规则",),
        long=TierRule(retention=None), short=TierRule(retention=timedelta(minutes=5)),
    )  # fmt: skip
    with AgentMemory.open(target, namespace=NS, memory_policy=policy) as memory:
        assert memory.remember("a", importance=0.3).expires_at is None
        assert memory.remember("b", importance=0, kind="规则").tier == "long"
        short = memory.remember("c", importance=0, kind="preference")
        assert short.tier == "short"
        assert short.expires_at is not None
        assert short.expires_at - short.created_at < timedelta(minutes=6)


def test_an_explicit_ttl_wins_over_tier_access_and_promotion(memory: AgentMemory) -> None:
    record = memory.remember("The code is 4711.", importance=0.9, ttl=60)
    assert record.expires_at == record.created_at + timedelta(seconds=60)
    memory.recall("code 4711")
    memory.promote(record.id)
    memory.maintain()
    held = stored(memory, record)
    assert held is not None
    assert held.expires_at == record.expires_at
    assert held.access_count == 1
    forever = memory.remember("Keep this", importance=0, ttl=math.inf)
    assert forever.expires_at is None
    assert forever.tier == "short"
    memory.update(record.id, ttl=math.inf)
    held = stored(memory, record)
    assert held is not None
    assert held.expires_at is None


@pytest.mark.parametrize("ttl", [0, -1, timedelta(0), "soon", math.nan])
def test_a_wrong_ttl_is_refused(memory: AgentMemory, ttl: Any) -> None:
    with pytest.raises(InvalidValueError, match="ttl"):
        memory.remember("x", ttl=ttl)
    assert memory.memories() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"long_from": 0.2}, {"medium_from": -0.1}, {"half_life": 0}, {"decay_floor": 2},
        {"capacity": -1}, {"similarity": 0}, {"summary_from": 0}, {"always_long": "schema"},
        {"session_idle": "1h"}, {"archive_after": math.nan}, {"medium_after": True},
    ],
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        MemoryPolicy(**wrong)
    with pytest.raises(InvalidValueError):
        TierRule(retention=0)


# -- retention -----------------------------------------------------------------------


def test_what_expired_is_not_recalled_and_maintenance_removes_it(memory: AgentMemory) -> None:
    gone = memory.remember("zeppelin 飞艇", importance=0.1)
    kept = memory.remember("zeppelin 飞艇 again", importance=0.9)
    aged(memory, gone, minutes=61)
    assert texts(memory, "zeppelin") == texts(memory, "飞艇") == [kept.content]
    assert memory.memories() == [kept]
    assert memory.stats().memories == {"short": 0, "medium": 0, "long": 1}
    report = memory.maintain()
    assert [change.id for change in report.of("expired")] == [gone.id]
    assert stored(memory, gone) is None
    assert stored(memory, kept) is not None


def test_what_is_used_lives_on_from_its_last_use(memory: AgentMemory) -> None:
    record = memory.remember("zeppelin", importance=0.1)
    aged(memory, record, minutes=59)
    assert texts(memory, "zeppelin") == ["zeppelin"]
    memory.add("user", "the next write takes the access along")
    held = stored(memory, record)
    assert held is not None
    assert held.expires_at is not None
    assert held.expires_at > datetime.now(UTC) + timedelta(minutes=58)
    assert held.access_count == 1


def test_a_use_is_written_before_the_memory_would_be_missed(memory: AgentMemory) -> None:
    now = datetime.now(UTC)
    record = memory.remember("x", importance=0.1)
    accesses = Accesses(memory.scope.namespace, memory.memory_policy)
    accesses.note([record], now)
    assert not accesses.due(now + timedelta(minutes=59))
    assert accesses.due(now + timedelta(minutes=61))
    ((touch, _),) = accesses.take()
    assert touch.until == now + timedelta(hours=1)
    assert not accesses.due(now + timedelta(minutes=61))
    accesses.note([memory.remember("y", ttl=60)], now)
    assert not accesses.due(now + timedelta(minutes=61))


def test_messages_do_not_expire_with_their_tier(memory: AgentMemory) -> None:
    past = datetime.now(UTC) - timedelta(days=900)
    memory.add("user", "我们坐过飞艇。 We flew a zeppelin.", created_at=past)
    memory.maintain()
    assert len(memory.messages()) == 1
    assert len(memory.recall("zeppelin", kinds="message")) == 1
    assert memory.memories() == []


def test_recall_finds_a_memory_once_whatever_tiers_it_is_in(memory: AgentMemory) -> None:
    for importance in (0.1, 0.5, 0.9):
        memory.remember("Zeppelins fly 飞艇", importance=importance)
        memory.add("user", "Zeppelins fly 飞艇")
    memory.remember("A zeppelin lands", importance=0.9)
    for query in ("zeppelin", "飞艇 zeppelin"):
        found = [one.record.content for one in memory.recall(query, kinds="fact", k=2)]
        assert sorted(found) == ["A zeppelin lands", "Zeppelins fly 飞艇"]
    assert len(memory.recall("zeppelin", k=10)) == 5
    assert memory.recall("zeppelin", k=0) == []


# -- promotion and changes -----------------------------------------------------------


def test_promote_moves_up_and_begins_the_time_anew(memory: AgentMemory) -> None:
    record = memory.remember("x", importance=0.1)
    for tier in ("medium", "long", "long"):
        record = memory.promote(record.id)
        assert record.tier == tier
        assert record.expires_at is not None
        assert record.expires_at > datetime.now(UTC) + timedelta(seconds=DURATIONS[tier] - 60)
    with pytest.raises(InvalidValueError, match="update"):
        memory.promote(record.id, "short")
    assert memory.update(record.id, tier="short").tier == "short"
    assert memory.promote(record.id, "long").tier == "long"
    with pytest.raises(NotFoundError):
        memory.promote("nothing")


def test_maintenance_promotes_by_accesses_and_leaves_what_was_placed(memory: AgentMemory) -> None:
    often = memory.remember("zeppelin one", importance=0.1)
    placed = memory.remember("zeppelin two", importance=0.1)
    memory.update(placed.id, tier="short")
    for _ in range(3):
        memory.recall("zeppelin")
    report = memory.maintain()
    assert [(c.id, c.into) for c in report.of("promoted")] == [(often.id, "medium")]
    for _ in range(7):
        memory.recall("zeppelin")
    assert [(c.id, c.into) for c in memory.maintain().of("promoted")] == [(often.id, "long")]
    held = stored(memory, placed)
    assert held is not None
    assert held.tier == "short"
    assert memory.maintain().changes == ()


@given(
    accesses=st.integers(0, 30), importance=st.floats(0, 1), tier=st.sampled_from(TIERS),
    more=st.integers(0, 30),
)  # fmt: skip
def test_what_is_earned_is_never_lower_and_grows_with_use(
    accesses: int, importance: float, tier: str, more: int
) -> None:
    policy = MemoryPolicy()
    record = MemoryRecord(
        namespace=("a",), id="x", kind="fact", content="x", created_at=datetime.now(UTC),
        tier=tier, importance=importance, access_count=accesses,
    )  # fmt: skip
    first = earned(record, policy)
    assert TIERS.index(first) >= TIERS.index(tier)
    assert earned(record.evolve(tier=first), policy) == first
    later = earned(record.evolve(access_count=accesses + more), policy)
    assert TIERS.index(later) >= TIERS.index(first)


def test_update_changes_in_place_and_what_is_found(memory: AgentMemory) -> None:
    record = memory.remember("zeppelin", tags=["sky"], metadata={"page": 1})
    changed = memory.update(record.id, content="潜水艇", tags="sea", importance=0.9)
    assert (changed.id, changed.content, changed.tags) == (record.id, "潜水艇", ("sea",))
    assert (changed.tier, changed.metadata) == ("long", {"page": 1})
    assert stored(memory, record) == changed
    assert texts(memory, "zeppelin") == []
    assert texts(memory, "潜水艇") == ["潜水艇"]
    assert memory.update(record.id, metadata={"page": 2}).metadata == {"page": 2}
    assert memory.update(record.id) == stored(memory, record)
    with pytest.raises(InvalidValueError):
        memory.update(record.id, importance=2)
    with pytest.raises(InvalidValueError):
        memory.update(record.id, content=" ")


def test_a_message_is_no_memory_to_be_changed(memory: AgentMemory) -> None:
    memory.add("user", "zeppelin")
    (found,) = memory.recall("zeppelin")
    for change in (lambda id: memory.update(id, importance=1.0), memory.promote):
        with pytest.raises(NotFoundError, match="message"):
            change(found.record.id)
    with pytest.raises(NotFoundError):
        memory.remember("x", supersedes=found.record.id)


class Guard:
    """Redacts a word, refuses another, and makes what is secret important."""

    @hookimpl
    def redact(self, text: str, scope: object) -> str:
        return text.replace("4711", "[code]").replace("口令", "[code]")

    @hookimpl
    def judge_memory(self, record: MemoryRecord, scope: object) -> MemoryRecord | bool:
        return record.evolve(importance=0.95) if "vital" in record.content else (
            "forbidden" not in record.content
        )  # fmt: skip


def guarded(target: str) -> AgentMemory:
    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Guard(), "guard")
    return AgentMemory.open(target, namespace=NS, counter="estimate", plugins=plugins)


def test_an_update_passes_the_guards_as_a_new_memory_does(target: str) -> None:
    with guarded(target) as memory:
        record = memory.remember("harmless")
        assert memory.update(record.id, content="code 4711, 口令").content == "code [code], [code]"
        with pytest.raises(GuardError):
            memory.update(record.id, content="forbidden")
        held = stored(memory, record)
        assert held is not None
        assert held.content == "code [code], [code]"
        assert memory.remember("vital").tier == "long"


# -- listing and numbers ---------------------------------------------------------------


def test_memories_lists_without_messages_newest_first(memory: AgentMemory) -> None:
    memory.add("user", "a message")
    one = memory.remember("one", kind="preference", tags=["t"], metadata={"n": 1})
    two = memory.remember("二", importance=0.1)
    assert memory.memories() == [two, one]
    assert memory.memories(kinds="preference") == memory.memories(tiers="long") == [one]
    assert memory.memories(tags="t") == memory.memories(metadata={"n": 1}) == [one]
    assert memory.memories(limit=1) == [two]
    assert memory.memories(limit=1, offset=1) == [one]
    assert memory.memories(session=memory.session.id) == [two, one]
    assert memory.memories(since=two.created_at) == [two]
    assert memory.memories(until=two.created_at) == [one]
    with AgentMemory.open(memory.backend, namespace="acme/bob") as other:
        assert other.memories() == []


def test_stats_tell_of_each_tier(memory: AgentMemory) -> None:
    assert memory.stats().tiers["long"].to_dict()["oldest"] is None
    first = memory.remember("the user likes tea", importance=0.8)
    second = memory.remember("用户喜欢喝茶", importance=1.0)
    memory.add("user", "a message counts in no tier")
    stats = memory.stats()
    long = stats.tiers["long"]
    counted = [memory.counter.count_text(r.content) for r in (first, second)]
    assert (long.count, long.tokens) == (2, sum(counted))
    assert long.average_importance == pytest.approx(0.9)
    assert (long.oldest, long.newest) == (first.created_at, second.created_at)
    assert {tier: stats.tiers[tier].count for tier in TIERS} == dict(stats.memories)
    assert stats.tiers["short"].count == 0


def test_the_commands_print_tiers_and_maintain(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.db")
    for name in ("acme/alice", "acme/鲍勃"):
        with AgentMemory.open(path, namespace=name, counter="estimate") as memory:
            memory.remember("The user likes tea.", kind="preference")
            memory.remember("The user really likes tea.", kind="preference")
    run = CliRunner().invoke
    held = json.loads(run(app, ["stats", path, "--json"]).output)
    assert [one["tiers"]["long"]["count"] for one in held] == [2, 2]
    assert "importance" in run(app, ["stats", path]).output
    dry = json.loads(run(app, ["maintain", path, "--all", "--dry-run", "--json"]).output)
    assert [one["counts"]["merged"] for one in dry] == [1, 1]
    assert run(app, ["maintain", path]).exit_code == 1
    assert run(app, ["maintain", path, "--all", "-n", "acme/alice"]).exit_code == 1
    done = run(app, ["maintain", path, "-n", "acme/alice"])
    assert done.exit_code == 0
    assert "merged" in done.output
    rest = json.loads(run(app, ["maintain", path, "--all", "--json"]).output)
    assert [one["counts"]["merged"] for one in rest] == [0, 1]
    assert "tidy" in run(app, ["maintain", path, "--all"]).output


async def test_the_verbs_have_a_twins(target: str) -> None:
    async with await AgentMemory.aopen(target, namespace=NS) as memory:
        record = await memory.aremember("x", importance=0.1)
        assert (await memory.apromote(record.id)).tier == "medium"
        assert (await memory.aupdate(record.id, importance=0.9)).tier == "long"
        assert len(await memory.amemories(tiers="long")) == 1
        assert (await memory.aconsolidate()).changes == ()
        assert (await memory.amaintain(dry_run=True)).dry_run
        assert [run.verb for run in await memory.amaintenance_log()] == ["consolidate"]
