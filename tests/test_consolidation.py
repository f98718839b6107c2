"""Consolidation: what says the same becomes one, what contradicts supersedes; nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, MemoryRecord
from ctxplug.errors import InvalidValueError, NotFoundError
from ctxplug.memories.consolidation import originals
from ctxplug.memories.contradictions import timeline
from ctxplug.memories.likeness import says_all_of, text_of
from ctxplug.memories.policy import MemoryPolicy
from ctxplug.memories.statements import statement_of
from ctxplug.recall.indexing import index_form
from ctxplug.storage import Put, Where

NS = ("acme", "alice")
START = datetime(2026, 5, 1, tzinfo=UTC)
KEYED = MemoryPolicy().always_long
PROPERTY = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["memory:", "sqlite"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentMemory]:
    target = "memory:" if request.param == "memory:" else str(tmp_path / "agent.db")
    with AgentMemory.open(target, namespace=NS, counter="estimate") as opened:
        yield opened


def record(content: str, id: str = "x", kind: str = "fact", **fields: object) -> MemoryRecord:
    values = {"created_at": START, "tier": "long", **fields}
    return MemoryRecord(namespace=NS, id=id, kind=kind, content=content, **values)  # type: ignore[arg-type]


def everything(memory: AgentMemory) -> list[MemoryRecord]:
    return memory.backend.find(Where(memory.scope.namespace))


def texts(memory: AgentMemory, query: str, **options: object) -> set[str]:
    return {found.record.content for found in memory.recall(query, **options)}  # type: ignore[arg-type]


# -- what says the same ----------------------------------------------------------------

SAME = [
    ("The user prefers window seats", "User prefers window seats."),
    ("Prefers a window seat on long flights", "prefers window seats on long flights!"),
    ("User really likes dark chocolate", "User likes dark chocolate"),
    ("The deadline is Friday, 12 May", "the deadline is friday 12 may"),
    ("Alice and her husband plant tomatoes in spring on the balcony",
     "Alice and husband plant tomatoes in spring on the balcony"),
    ("用户喜欢靠窗的座位", "用户喜欢靠窗座位。"),
    ("用户非常喜欢喝咖啡", "用户喜欢喝咖啡"),
    ("ＰＲＥＦＥＲＳ　ｔｅａ", "prefers tea"),
]  # fmt: skip
DIFFERENT = [
    ("The user does not like coffee", "The user likes coffee"),
    ("The user doesn't like coffee", "The user like coffee"),
    ("The meeting with the whole team is at 5 pm", "The meeting with the whole team is at 6 pm"),
    ("Invoice 4711 was paid by the customer", "Invoice 4712 was paid by the customer"),
    ("Alice loves Bob", "Bob loves Alice"),
    ("She bought the big blue car from the dealer", "She bought the big red car from the dealer"),
    ("They lived in the old harbour", "They live in the old harbour"),
    ("The user used to play the piano in the evening", "The user play the piano in the evening"),
    ("The flight to Lisbon leaves with Anna and Tom", "The flight to Lisbon leaves with Anna"),
    ("The shop opens only on some days", "The shop opens on some days"),
    ("Is Bob at home?", "Bob is at home"),
    ("Bob is at home?", "Bob is at home"),
    ("The limit is -5 degrees", "The limit is 5 degrees"),
    ("x != y", "x = y"),
    ("用户不喜欢喝咖啡", "用户喜欢喝咖啡"),
    ("用户每天早上喝两杯咖啡", "用户每天早上喝三杯咖啡"),
    ("我在2023年搬到上海", "我在2024年搬到上海"),
    ("我妈妈对花生过敏", "我爸爸对花生过敏"),
    ("他已经不在公司里工作", "他在公司里工作"),
    ("小王打算去北京旅游一周", "小王去北京旅游一周"),
    ("他住在北京吗", "他住在北京"),
]


def alike(one: str, other: str, similarity: float = 0.8) -> bool:
    texts = text_of(one), text_of(other)
    return says_all_of(*texts, similarity) or says_all_of(*reversed(texts), similarity)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_texts_that_say_the_same_are_alike(one: str, other: str) -> None:
    assert alike(one, other)
    assert alike(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_texts_that_differ_in_substance_are_not_alike(one: str, other: str) -> None:
    assert not alike(one, other, 0.5)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_says_the_same_becomes_one_and_the_other_is_kept(
    memory: AgentMemory, one: str, other: str
) -> None:
    first = memory.remember(one, tags=["a"], importance=0.5, metadata={"page": 1})
    second = memory.remember(other, tags=["b"], importance=0.9)
    report = memory.consolidate()
    (merged,) = memory.memories()
    gone = second if merged.id == first.id else first
    assert [(c.id, c.into) for c in report.of("merged")] == [(gone.id, merged.id)]
    assert gone.id in merged.sources
    assert originals(merged) == [gone]
    assert (merged.importance, merged.tier) == (0.9, "long")
    assert set(merged.tags) == {"a", "b"}
    assert merged.metadata["page"] == 1
    assert merged.expires_at is not None
    assert merged.expires_at >= max(first.expires_at or START, second.expires_at or START)
    assert memory.consolidate().changes == ()


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_differs_stays_apart(memory: AgentMemory, one: str, other: str) -> None:
    memory.remember(one)
    memory.remember(other)
    memory.consolidate()
    assert len(everything(memory)) == 2


def test_only_what_belongs_together_is_merged(memory: AgentMemory) -> None:
    memory.remember("likes tea")
    memory.remember("likes tea", kind="preference")
    memory.remember("likes tea", origin="document")
    memory.remember("likes tea", ttl=60)
    memory.remember("likes tea", metadata={"name": "Ann"})
    memory.remember("likes tea", metadata={"name": "Bob"})
    memory.consolidate()
    assert len(everything(memory)) == 5  # Ann's went with the nameless one, Bob's could not
    assert memory.consolidate().changes == ()


def test_a_similarity_above_one_merges_only_equal_texts(tmp_path: Path) -> None:
    policy = MemoryPolicy(similarity=1.1)
    with AgentMemory.open("memory:", namespace=NS, memory_policy=policy) as memory:
        for text in ("likes tea", "Likes  TEA!", "really likes tea"):
            memory.remember(text)
        memory.consolidate()
        assert len(everything(memory)) == 2


def test_accesses_of_what_is_merged_are_added(memory: AgentMemory) -> None:
    for text in ("zeppelin flies", "the zeppelin flies"):
        memory.remember(text, importance=0.1)
    memory.recall("zeppelin")
    memory.recall("zeppelin")
    report = memory.consolidate()
    (merged,) = everything(memory)
    assert merged.access_count == 4
    assert merged.tier == "medium"  # four accesses together
    assert [change.what for change in report.changes] == ["merged", "promoted"]


WORDS = ["tea", "green tea", "likes", "The user", "really", "not", "7", "8", "Lisbon", "喝茶", "不",
         "喜欢", "用户", "非常", "的", "now lives in", "lives in", "Berlin", "我住在",
         "上海"]  # fmt: skip
contents = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@PROPERTY
@given(drawn=st.lists(st.tuples(contents, st.sampled_from(["fact", "preference"])), max_size=12))
def test_consolidating_again_changes_nothing_and_no_text_or_source_is_lost(
    drawn: list[tuple[str, str]],
) -> None:
    with AgentMemory.open("memory:", namespace=NS, counter="estimate") as memory:
        backend = memory.backend
        before = [
            record(text, f"m{n}", kind, created_at=START + timedelta(hours=n), sources=(f"s{n}",))
            for n, (text, kind) in enumerate(drawn)
        ]
        backend.write(*[Put(one, *index_form(one.content)) for one in before])
        memory.consolidate()
        after = everything(memory)
        known = {one.id: one for one in after}
        known |= {old.id: old for one in after for old in originals(one)}
        assert {id: one.content for id, one in known.items()} == {r.id: r.content for r in before}
        for one in after:
            gone = [old.id for old in originals(one)]
            named = {f"s{id[1:]}" for id in (one.id, *gone)}
            assert set(one.sources) >= {*gone, *named}
        assert memory.consolidate().changes == ()
        assert everything(memory) == after


# -- contradictions ----------------------------------------------------------------------

CHAINS = [
    ["The user lives in Lisbon.", "The user now lives in Berlin.", "I moved to Rome last week."],
    ["lives in Lisbon", "now lives in Berlin", "lives in Porto"],
    ["Alice lives in Lisbon", "Alice has moved to Berlin"],
    ["My favourite colour is blue.", "The user's favorite color is now green."],
    ["favorite color is blue", "favourite colour is green"],
    ["我住在上海", "I now live in Berlin"],
    ["User works at Acme", "User now works for Initech"],
    ["我住在上海", "我搬到北京了", "用户现在住在广州"],
    ["我最喜欢的颜色是蓝色", "我最喜欢的颜色现在是绿色了"],
    ["我的电话是13800138000", "我的电话改为13900139000"],
    ["我在腾讯工作", "我现在在阿里上班了"],
]
NO_CHAINS = [
    ["The user lives in Lisbon", "Alice lives in Berlin"],
    ["The user lives in Lisbon", "The user lives in Lisbon, Portugal"],
    ["The user lives in Lisbon", "The user lived in Berlin"],
    ["The user lives in Lisbon", "The user wants to move to Berlin"],
    ["The user lives in Lisbon", "The user does not live in Berlin"],
    ["The user lives in Lisbon", "The meeting moved to Friday"],
    ["The user lives in Lisbon", "He lives in Berlin"],
    ["The user likes tea", "The user likes coffee"],
    ["The user works at Acme", "The user works at Initech on weekends"],
    ["I live in Lisbon and work in Porto", "I live in Berlin"],
    ["我住在上海", "他住在北京"],
    ["我住在上海", "我以前住在北京"],
    ["我住在上海", "我想搬到北京"],
    ["我住在上海", "我没有搬到北京"],
    ["我喜欢喝茶", "我喜欢喝咖啡"],
]


@pytest.mark.parametrize("chain", CHAINS)
def test_a_new_value_supersedes_the_old_when_it_is_remembered(
    memory: AgentMemory, chain: list[str]
) -> None:
    made = [memory.remember(text, kind="fact") for text in chain]
    stored = [memory.backend.get(NS, one.id) for one in made]
    query = " ".join(chain)
    assert texts(memory, query) == {chain[-1]}
    assert [one.content for one in memory.memories()] == [chain[-1]]
    assert texts(memory, query, include_superseded=True) == set(chain)
    for text, one, following in zip(chain, stored, [*stored[1:], None], strict=True):
        assert one is not None
        assert texts(memory, query, valid_at=one.created_at) == {text}
        if following is not None:
            assert one.valid_to == following.valid_from
            assert following.metadata["ctxplug"]["supersedes"] == [one.id]
            assert one.metadata["ctxplug"]["superseded_by"] == following.id
            assert one.content == text
    assert texts(memory, query, valid_at=START) == {chain[0]}
    assert memory.consolidate().of("superseded") == []


@pytest.mark.parametrize("chain", CHAINS)
def test_consolidation_finds_contradictions_that_came_another_way(
    memory: AgentMemory, chain: list[str]
) -> None:
    for number, text in enumerate(chain):
        one = record(text, f"m{number}", created_at=START + timedelta(days=number))
        memory.backend.write(Put(one, *index_form(text)))
    report = memory.consolidate()
    assert [(c.id, c.into) for c in report.of("superseded")] == [
        (f"m{n}", f"m{n + 1}") for n in range(len(chain) - 1)
    ]
    assert texts(memory, " ".join(chain)) == {chain[-1]}
    assert texts(memory, " ".join(chain), valid_at=START + timedelta(hours=1)) == {chain[0]}
    assert memory.consolidate().changes == ()


@pytest.mark.parametrize("pair", NO_CHAINS)
def test_what_is_not_certainly_a_contradiction_stands(memory: AgentMemory, pair: list[str]) -> None:
    for text in pair:
        memory.remember(text)
    memory.consolidate()
    assert len(memory.memories()) == 2


def test_a_key_has_one_value_in_each_kind(memory: AgentMemory) -> None:
    memory.remember("theme: dark", kind="preference", metadata={"key": "theme"})
    light = memory.remember("浅色主题", kind="preference", metadata={"key": "theme"})
    other = memory.remember("theme: dark", kind="config", metadata={"key": "theme"})
    font = memory.remember("font: large", kind="preference", metadata={"key": "font"})
    facts = [memory.remember(text, metadata={"key": "doc"}) for text in ("one fact", "another")]
    assert {one.id for one in memory.memories()} == {r.id for r in (light, other, font, *facts)}
    assert len(memory.memories(include_superseded=True)) == 6


def test_a_document_does_not_supersede_what_the_user_said(memory: AgentMemory) -> None:
    memory.remember("The user lives in Lisbon")
    memory.remember("The user lives in Berlin", origin="document")
    memory.consolidate()
    assert len(memory.memories()) == 2


def test_superseding_can_be_said(memory: AgentMemory) -> None:
    old = [memory.remember("likes tea"), memory.remember("喜欢喝茶")]
    new = memory.remember("drinks only water", supersedes=[one.id for one in old])
    assert memory.memories() == [new]
    assert new.metadata["ctxplug"]["supersedes"] == [one.id for one in old]
    with pytest.raises(InvalidValueError, match=new.id):
        memory.remember("likes milk", supersedes=old[0].id)
    with pytest.raises(NotFoundError):
        memory.remember("likes milk", supersedes="nothing")
    with pytest.raises(InvalidValueError, match="valid_from"):
        memory.remember("likes milk", supersedes=new.id, valid_from=START)
    assert memory.memories() == [new]


def test_rules_can_be_switched_off() -> None:
    policy = MemoryPolicy(supersede=False)
    with AgentMemory.open("memory:", namespace=NS, memory_policy=policy) as memory:
        for text in CHAINS[0]:
            memory.remember(text)
        memory.consolidate()
        assert len(memory.memories()) == 3


def test_what_held_earlier_can_be_told_later(memory: AgentMemory) -> None:
    memory.remember("I live in Rome", valid_from="2026-03-01")
    memory.remember("I live in Lisbon", valid_from="2026-01-01")
    memory.remember("I live in Paris", valid_from="2026-02-01")
    by_time = {"2026-01-15": "Lisbon", "2026-02-15": "Paris", "2026-03-15": "Rome"}
    for time, city in by_time.items():
        assert texts(memory, "live", valid_at=time) == {f"I live in {city}"}
    assert texts(memory, "live") == {"I live in Rome"}


def test_messages_are_found_whenever_one_asks(memory: AgentMemory) -> None:
    memory.add("user", "I live in Lisbon.")
    assert texts(memory, "Lisbon") == texts(memory, "Lisbon", valid_at=START)
    assert texts(memory, "Lisbon") == {"I live in Lisbon."}


@given(
    drawn=st.lists(
        st.tuples(st.sampled_from(["Lisbon", "Berlin", "里斯本", "Rome"]), st.integers(0, 6)),
        min_size=1,
        max_size=8,
    ),
    asked=st.lists(st.integers(-1, 8), min_size=1, max_size=5),
)
def test_at_every_time_exactly_one_value_of_a_chain_holds(
    drawn: list[tuple[str, int]], asked: list[int]
) -> None:
    held = {
        f"{n}": record(f"I live in {city}", f"{n}", created_at=START + timedelta(days=day, hours=n))
        for n, (city, day) in enumerate(drawn)
    }
    for chain in timeline(held.values(), KEYED):
        for before, after in chain:
            assert held[before.id] == before
            assert after.content == before.content
            held[before.id] = after
    assert timeline(held.values(), KEYED) == []
    for day in asked:
        at = START + timedelta(days=day, minutes=30)
        values = {
            one.content
            for one in held.values()
            if (one.valid_from is None or one.valid_from <= at)
            and (one.valid_to is None or at < one.valid_to)
        }
        assert len(values) == 1


@given(st.text(st.characters(codec=None), max_size=60) | contents)
def test_any_text_is_read_or_not_but_never_trips(text: str) -> None:
    statement_of(record(text), KEYED)
    assert not says_all_of(text_of(text), text_of(text + " not 7"), 0.1)
