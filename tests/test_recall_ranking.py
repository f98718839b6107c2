"""Recall: what is found, in what order, and why; in English and in Chinese."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, Message
from ctxplug.context.policy import ContextPolicy
from ctxplug.errors import InvalidValueError
from ctxplug.recall.indexing import index_form
from ctxplug.recall.nearness import Nearness
from ctxplug.recall.periods import bounds, periods
from ctxplug.recall.query import read
from ctxplug.recall.ranking import recall
from ctxplug.recall.traits import Traits, traits
from ctxplug.recall.weights import RecallWeights
from ctxplug.records import MemoryRecord
from ctxplug.storage import Backend, Put, Where
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend

NOW = datetime(2024, 3, 15, 12, tzinfo=UTC)  # a Friday
NS = ("home", "ann")
WORDS = ("cat", "dog", "猫咪", "river", "May", "2023", "?", "Mara")
EVERYTHING = Where(NS, now=NOW)


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    with (
        InMemoryBackend()
        if request.param == "memory"
        else SqliteBackend(tmp_path / "agent.db") as opened
    ):
        yield opened


def say(backend: Backend, session: str, *lines: tuple[str | None, str], at: datetime = NOW) -> None:
    """Add lines as messages a minute apart, each by the named person or by nobody."""
    memory = AgentMemory.open(backend, namespace="home/ann", session=session)
    memory.extend(
        Message("user", text, name=name, created_at=at + timedelta(minutes=i))
        for i, (name, text) in enumerate(lines)
    )


def put(backend: Backend, id: str, content: str, **fields: Any) -> None:
    fields = {"kind": "fact", "created_at": NOW - timedelta(days=400), **fields}
    record = MemoryRecord(namespace=NS, id=id, content=content, **fields)
    backend.write(Put(record, *index_form(content)))


def ids(backend: Backend, query: str, where: Where = EVERYTHING, **options: Any) -> list[str]:
    return [one.record.id for one in recall(backend, query, where, **options)]


# -- words and neighbours ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "best"),
    [("Which hotel did they book?", "hotel"), ("他们订了哪家酒店？", "酒店"), ("猫", "猫")],
)
def test_the_record_with_the_rarest_words_comes_first(
    backend: Backend, query: str, best: str
) -> None:
    put(backend, "hotel", "They booked a quiet hotel near the river.")
    put(backend, "酒店", "他们订了一家安静的酒店，靠近河边。")
    put(backend, "猫", "家里的猫喜欢晒太阳，最爱吃鱼。")
    put(backend, "other", "They booked two train tickets; the river was calm.")
    put(backend, "其他", "他们订了两张火车票，河边很安静。")
    assert ids(backend, query)[0] == best


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        (
            "What are the cats called?",
            ["What are your cats called?", "Miso and Tofu.", "It rains.", "It snows.", "Hm."],
        ),
        (
            "猫叫什么名字？",
            ["你家的猫叫什么名字？", "豆豆和米粒。", "下雨了。", "下雪了。", "嗯。"],
        ),
    ],
)
def test_an_answer_is_found_by_the_words_of_the_question_before_it(
    backend: Backend, query: str, lines: list[str]
) -> None:
    say(backend, "s", *[(None, line) for line in lines])
    say(backend, "t", *[(None, "Nothing of interest here.")] * 5)
    found = recall(backend, query, EVERYTHING, 5)
    assert {one.record.id for one in found[:2]} == {"s@1", "s@2"}
    assert found[1].why["words"] > 0 or found[0].why["words"] > 0
    (answer,) = [one for one in found if one.record.id == "s@2"]
    assert answer.why["answers"] > 0
    assert all(one.record.session == "s" for one in found)


def test_neighbours_are_of_the_same_session(backend: Backend) -> None:
    one = AgentMemory.open(backend, namespace="home/ann", session="one")
    two = AgentMemory.open(backend, namespace="home/ann", session="two")
    for i in range(6):  # in turns, so that what is stored next is of the other session
        one.add("user", "the zeppelin landed" if i == 2 else "so it goes")
        two.add("user", "so it goes")
    found = ids(backend, "zeppelin")
    assert found[0] == "one@3"
    assert set(found) == {f"one@{i}" for i in range(1, 7)}


def test_memories_are_nobodys_neighbours(backend: Backend) -> None:
    for i in range(8):
        put(backend, f"m{i}", "the zeppelin landed" if i == 3 else "so it goes")
    assert ids(backend, "zeppelin") == ["m3"]


def test_a_message_is_found_as_soon_as_add_returns(backend: Backend) -> None:
    memory = AgentMemory.open(backend, namespace="home/ann", session="s")
    for word in ("walnut", "核桃", "HAT-123"):
        memory.add("user", f"note {word}")
        assert memory.recall(word)[0].record.content == f"note {word}"


def test_what_says_nothing_is_not_recalled_beside_what_does(backend: Backend) -> None:
    say(backend, "s", (None, "The zeppelin landed."), (None, " \n"), (None, "Really."))
    assert set(ids(backend, "zeppelin")) == {"s@1", "s@3"}


# -- persons and times ---------------------------------------------------------------------


@pytest.mark.parametrize(("name", "other"), [("Mara", "Joe"), ("陈伟", "小蓉")])
def test_the_named_person_is_preferred(backend: Backend, name: str, other: str) -> None:
    say(backend, "s", (other, "I went sailing, 我去航海了。"), *[(None, "hm")] * 20)
    say(backend, "t", (name, "I went sailing, 我去航海了。"), *[(None, "hm")] * 20)
    found = recall(backend, f"When did {name} go sailing? {name} 航海", EVERYTHING)
    assert found[0].record.id == "t@1"
    assert found[0].why["speaker"] == RecallWeights().speaker
    (rest,) = [one for one in found if one.record.id == "s@1"]
    assert "speaker" not in rest.why
    plain = RecallWeights(speaker=0)
    again = recall(backend, f"When did {name} go sailing? {name} 航海", EVERYTHING, weights=plain)
    assert all("speaker" not in one.why for one in again)


def test_a_memory_about_the_named_person_is_preferred_too(backend: Backend) -> None:
    say(backend, "s", ("Mara", "Good morning."), ("Joe", "Morning."))
    put(backend, "mara", "Mara is allergic to nuts.")
    put(backend, "joe", "Joe is allergic to nuts.")
    found = recall(backend, "What is Mara allergic to?", EVERYTHING)
    assert found[0].record.id == "mara"
    assert found[0].why["speaker"] > 0


@pytest.mark.parametrize(
    ("query", "day"),
    [
        ("What did we eat on 8 May 2023?", datetime(2023, 5, 8, tzinfo=UTC)),
        ("2023年5月8日我们吃了什么？eat", datetime(2023, 5, 8, tzinfo=UTC)),
        ("What did we eat last week?", datetime(2024, 3, 6, tzinfo=UTC)),
        ("上周我们吃了什么？eat", datetime(2024, 3, 6, tzinfo=UTC)),
        ("What did we eat yesterday?", datetime(2024, 3, 14, 9, tzinfo=UTC)),
        ("昨天我们吃了什么？eat", datetime(2024, 3, 14, 9, tzinfo=UTC)),
    ],
)
def test_the_named_time_is_preferred(backend: Backend, query: str, day: datetime) -> None:
    for i in range(12):
        at = datetime(2022, 1, 20, tzinfo=UTC) + timedelta(days=33 * i)
        put(backend, f"m{i}", "We eat noodles. 我们吃了面条。", created_at=at)
    put(backend, "then", "We eat noodles. 我们吃了面条。", created_at=day)
    found = recall(backend, query, EVERYTHING)
    assert found[0].record.id == "then"
    assert found[0].why["date"] == RecallWeights().date


def test_a_query_of_a_time_alone_finds_what_is_of_that_time(backend: Backend) -> None:
    put(backend, "old", "Nothing.", created_at=datetime(2023, 5, 8, 9, tzinfo=UTC))
    put(backend, "new", "Nothing.", created_at=datetime(2024, 3, 14, 9, tzinfo=UTC))
    assert ids(backend, "what was yesterday?") == ["new"]
    assert ids(backend, "前天") == []


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("May 2023", "2023-05-01", "2023-06-01"),
        ("8th of May, 2023", "2023-05-08", "2023-05-09"),
        ("Dec. 31, 2023", "2023-12-31", "2024-01-01"),
        ("2023-05-08", "2023-05-08", "2023-05-09"),
        ("2023年12月", "2023-12-01", "2024-01-01"),
        ("in 2023", "2023-01-01", "2024-01-01"),
        ("last week", "2024-03-04", "2024-03-11"),
        ("上周末", "2024-03-09", "2024-03-11"),
        ("上周五", "2024-03-08", "2024-03-09"),
        ("last month", "2024-02-01", "2024-03-01"),
        ("上个月", "2024-02-01", "2024-03-01"),
        ("去年", "2023-01-01", "2024-01-01"),
        ("前天", "2024-03-13", "2024-03-14"),
        ("3 days ago", "2024-03-12", "2024-03-13"),
        ("三天前", "2024-03-12", "2024-03-13"),
        ("on Friday", "2024-03-08", "2024-03-09"),
    ],
)
def test_named_times_are_resolved(text: str, since: str, until: str) -> None:
    (period,) = periods(text, NOW)
    span = bounds(period)
    assert span is not None
    assert [time.date().isoformat() for time in span] == [since, until]


@pytest.mark.parametrize(
    "text", ["may I come in?", "May I?", "三个月大", "1999 of 3000 rows", "they march on!", ""]
)
def test_what_names_no_time_is_not_taken_for_one(text: str) -> None:
    assert [p for p in periods(text, NOW) if p.month] == []


def test_a_month_without_a_year_is_that_of_any_year() -> None:
    (period,) = periods("what happened in 五月?", NOW)
    assert bounds(period) is None
    assert [period.share(datetime(year, 5, 2, tzinfo=UTC)) for year in (2019, 2024)] == [1.0, 1.0]
    assert period.share(datetime(2024, 6, 2, tzinfo=UTC)) == 0.0


@given(st.text(max_size=80), st.datetimes(timezones=st.just(UTC)))
@settings(deadline=None, max_examples=200)
def test_any_text_at_any_time_is_read(text: str, now: datetime) -> None:
    if datetime(2, 1, 1, tzinfo=UTC) < now < datetime(9997, 1, 1, tzinfo=UTC):
        for period in periods(f"{text} last week, 三天前, 2 years ago, 31 February 2023", now):
            assert 0.0 <= period.share(now) <= 1.0
    assert all(0 < weight <= 1 for weight in read(text, NOW).terms.values())


# -- traits --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We met last Friday at noon.", Traits.TIME | Traits.NAME | Traits.FIRST_PERSON),
        ("上周五见的。", Traits.TIME),
        ("Is it 42?", Traits.NUMBER | Traits.ASKS | Traits.ENDS_ASKING),
        ("是三个吗", Traits.NUMBER | Traits.ASKS | Traits.ENDS_ASKING),
        ("the train to Porto", Traits.NAME | Traits.PLACE),
        ("we left in May", Traits.TIME | Traits.NAME | Traits.FIRST_PERSON),
        ("他住在杭州市", Traits.PLACE),
        ("Hey Ann", Traits.GREETING),
        ("谢谢！", Traits.GREETING),
        ("读了《活着》", Traits.TITLE),
        ("\t", Traits.SILENT),
        ("", Traits.SILENT),
        ("grey", Traits.NONE),
    ],
)
def test_traits_say_what_a_text_is_like(text: str, expected: Traits) -> None:
    assert traits(text) == expected


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("When did it rain?", {Traits.TIME}),
        ("什么时候下雨？", {Traits.TIME}),
        ("How many cats?", {Traits.NUMBER}),
        ("有多少只猫？", {Traits.NUMBER}),
        ("Who came?", {Traits.NAME}),
        ("Where is it?", {Traits.NAME, Traits.PLACE}),
        ("她住在哪个城市？", {Traits.NAME, Traits.PLACE}),
        ("Which books did she read?", {Traits.TITLE}),
        ("他看过什么电影？", {Traits.TITLE}),
        ("Why?", set()),
    ],
)
def test_a_question_asks_for_traits(query: str, wanted: set[Traits]) -> None:
    assert {trait for trait, _ in read(query, NOW).fits} == wanted


def test_what_a_question_asks_for_is_preferred(backend: Backend) -> None:
    put(backend, "plain", "The parcel came.")
    put(backend, "time", "The parcel came on Monday.")
    found = recall(backend, "When did the parcel come?", EVERYTHING)
    assert [one.record.id for one in found] == ["time", "plain"]
    assert found[0].why["fits"] > 0


# -- scores --------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    texts=st.lists(
        st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), min_size=1, max_size=12
    ),
    query=st.lists(st.sampled_from([*WORDS, "last week"]), max_size=6).map(" ".join),
)
def test_why_sums_to_the_score_and_scores_descend(texts: list[str], query: str) -> None:
    with InMemoryBackend() as backend:
        say(backend, "s", *[("Mara" if i % 2 else None, text) for i, text in enumerate(texts)])
        put(backend, "m", texts[0], importance=0.9)
        found = recall(backend, query, EVERYTHING)
        options = [RecallWeights(words=0.0), RecallWeights(recency=5.0, importance=3.0)]
        others = [recall(backend, query, EVERYTHING, weights=weights) for weights in options]
    for ranked in (found, *others):
        for one in ranked:
            assert math.isclose(one.score, sum(one.why.values()), abs_tol=1e-9)
            assert all(one.why.values())
        assert [one.score for one in ranked] == sorted((o.score for o in ranked), reverse=True)


def test_weights_that_leave_nothing_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="'keyword' and 'semantic'"):
        RecallWeights(keyword=0, semantic=0)


def test_importance_recency_and_access_are_small_bounded_boosts(backend: Backend) -> None:
    put(backend, "plain", "The code of the gate.")
    put(backend, "important", "The code of the gate.", importance=1.0)
    put(backend, "recent", "The code of the gate.", created_at=NOW)
    put(backend, "used", "The code of the gate.", access_count=10**9)
    put(backend, "better", "The secret code of the gate.", importance=0.0)
    weights = RecallWeights()
    found = {o.record.id: o for o in recall(backend, "secret code of the gate", EVERYTHING)}
    plain = found["plain"].score
    assert found["important"].score - plain == pytest.approx(weights.importance / 2)
    assert found["recent"].score - plain == pytest.approx(weights.recency, abs=1e-3)
    assert found["used"].score - plain == pytest.approx(weights.access)
    heavy = RecallWeights(words=5.0)
    assert ids(backend, "secret code of the gate", weights=heavy)[0] == "better"


def test_equals_come_newest_first_and_every_time_alike(backend: Backend) -> None:
    for i in range(9):
        put(backend, f"m{i}", "The code.", created_at=NOW - timedelta(days=4_000 + i))
    first = ids(backend, "code")
    assert first == [f"m{i}" for i in range(9)]
    assert ids(backend, "code") == first
    assert ids(backend, "code", k=4) == first[:4]


def test_both_backends_rank_alike(tmp_path: Path) -> None:
    found = []
    for backend in (InMemoryBackend(), SqliteBackend(tmp_path / "agent.db")):
        with backend:
            texts = ["The cat slept.", "Where?", "By the river. 在河边。", "Since May 2023.", "Oh."]
            for session in ("a", "b"):
                say(backend, session, *zip(["Joe", "Mara"] * 3, texts, strict=False))
            put(backend, "m", "Mara has a cat.", importance=0.8)
            queries = ["Where did Mara's cat sleep in May?", "河边有猫吗？", "cat"]
            results = [recall(backend, query, EVERYTHING, 20) for query in queries]
            found.append([[(o.record.id, o.score, dict(o.why)) for o in r] for r in results])
    assert found[0] == found[1]
    assert all(found[0])


@pytest.mark.parametrize("value", [-0.1, math.nan, True, "1", None])
def test_a_weight_is_a_number_from_zero(value: Any) -> None:
    with pytest.raises(InvalidValueError, match="words"):
        RecallWeights(words=value)


# -- filters -------------------------------------------------------------------------------


def test_filters_narrow_what_is_found(backend: Backend) -> None:
    day = timedelta(days=1)
    put(backend, "fact", "zeppelin", tags=("sky", "old"), metadata={"page": 1})
    put(backend, "wish", "zeppelin", kind="wish", tags=("sky",), agent="scout")
    put(backend, "new", "zeppelin", created_at=NOW - day)
    put(backend, "past", "zeppelin", valid_to=NOW - 300 * day, metadata={"page": True})
    put(backend, "gone", "zeppelin", expires_at=NOW - day)
    say(backend, "talk", (None, "zeppelin"), at=NOW - 2 * day)

    def found(**conditions: Any) -> set[str]:
        return set(ids(backend, "zeppelin", Where(NS, now=NOW, **conditions)))

    assert found() == {"fact", "wish", "new", "past", "talk@1"}
    assert found(kinds=["wish", "message"]) == {"wish", "talk@1"}
    assert found(tags=["sky", "old"]) == {"fact"}
    assert found(agent="scout") == {"wish"}
    assert found(session="talk") == {"talk@1"}
    assert found(since=NOW - 3 * day) == {"new", "talk@1"}
    assert found(until=NOW - day) == {"fact", "wish", "past", "talk@1"}
    assert found(valid_at=NOW) == {"fact", "wish", "new", "talk@1"}
    assert found(metadata={"page": 1}) == {"fact"}
    assert ids(backend, "zeppelin", Where(("home",), now=NOW)) == []


def test_a_filter_reaches_what_many_better_matches_hide(backend: Backend) -> None:
    for i in range(700):
        put(backend, f"m{i}", "zeppelin zeppelin")
    put(backend, "wish", "a zeppelin and many more words that make it a worse match", kind="wish")
    assert ids(backend, "zeppelin", Where(NS, kinds=["wish"], now=NOW)) == ["wish"]


def test_the_verb_takes_the_filters(backend: Backend) -> None:
    memory = AgentMemory.open(backend, namespace="home/ann", session="s", agent="scout")
    memory.remember("The zeppelin landed.", tags="sky", metadata={"page": 1})
    memory.add("user", "What about the zeppelin?")
    everything = memory.recall("zeppelin")
    assert len(everything) == 2
    for options in (
        {"tags": "sky"},
        {"metadata": {"page": 1}},
        {"kinds": "fact"},
        {"session": "s", "k": 1},
    ):
        assert len(memory.recall("zeppelin", **options)) == 1  # type: ignore[arg-type]
    assert memory.recall("zeppelin", agent="other") == []
    assert memory.recall("zeppelin", valid_at=NOW, until=NOW) == []
    plain = memory.recall("zeppelin", weights=RecallWeights(recency=0, content=0))
    assert all("recency" not in one.why for one in plain)


# -- odd queries ---------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", " \n", "the of and", "???", "的了吗", "\ud800", "nowhere"])
def test_a_query_that_says_nothing_known_finds_nothing(backend: Backend, query: str) -> None:
    put(backend, "m", "The zeppelin landed. 飞艇降落。")
    say(backend, "s", ("Mara", "Hello."))
    assert ids(backend, query) == []


def test_the_name_of_a_speaker_alone_is_a_query(backend: Backend) -> None:
    say(backend, "s", ("Mara", "Hello Joe."), ("Joe", "Hello Mara."), ("Mara", "Bye."))
    put(backend, "m", "Mara has a boat.")
    assert set(ids(backend, "Mara")) >= {"m", "s@2"}


@pytest.mark.parametrize("query", [None, 3, b"cat", ["cat"]])
def test_a_query_is_text(backend: Backend, query: Any) -> None:
    with pytest.raises(InvalidValueError, match="A query is text"):
        recall(backend, query, EVERYTHING)


@pytest.mark.parametrize("k", [0, -1])
def test_nothing_is_found_if_nothing_is_wanted(backend: Backend, k: int) -> None:
    put(backend, "m", "zeppelin")
    assert ids(backend, "zeppelin", k=k) == []


def test_a_dialogue_is_a_query_whose_last_lines_count_most(backend: Backend) -> None:
    put(backend, "early", "小明在公园放风筝。")
    put(backend, "late", "小明在海边捡贝壳。")
    talk = "小明：我们去公园放风筝吧。\n" + "助手：嗯。\n" * 20 + "小明：或者去海边捡贝壳？"
    assert ids(backend, talk)[0] == "late"
    assert read(talk, NOW).speakers >= {"小明"}
    assert "助手" not in read(talk, NOW).speakers


def test_a_very_long_query_is_answered(backend: Backend) -> None:
    put(backend, "m", "飞艇 zeppelin")
    query = " ".join(f"word{i}" for i in range(3_000)) + "今天天气很好" * 2_000 + " zeppelin"
    assert ids(backend, query) == ["m"]


def test_complete_adds_what_has_nothing_to_do_with_the_query(backend: Backend) -> None:
    put(backend, "hit", "zeppelin")
    put(backend, "rest", "boat")
    assert ids(backend, "zeppelin", complete=True) == ["hit", "rest"]
    assert ids(backend, "zeppelin") == ["hit"]


# -- a window that is all recall -----------------------------------------------------------

QUESTION = ContextPolicy(keep_last=0, recall_share=0.99, recall_limit=None)


@pytest.mark.parametrize("budget", [150, 300, 900, 2_000])
@pytest.mark.parametrize(
    ("line", "query"),
    [
        ("Day {}: we saw the harbour and the museum.", "Where did the zeppelin land?"),
        ("第{}天：我们参观了港口和博物馆。", "飞艇停在哪里？"),
    ],
)
def test_a_block_that_takes_the_window_stands_in_it(line: str, query: str, budget: int) -> None:
    options: dict[str, Any] = {"namespace": "home/ann", "session": "s", "policy": QUESTION}
    memory = AgentMemory.open("memory:", budget=budget, **options)
    for day in range(300):
        memory.add("user", line.format(day))
    memory.add("user", "The zeppelin landed on a meadow. 飞艇停在草地上。")
    memory.context()  # what is in the window now goes when the block is filled
    memory.add("user", query)
    window = memory.context(query=query)
    assert window.tokens <= budget
    assert "s@301" in window.report.recalled
    assert "meadow" in window.messages[-1].text
    assert "草地" in window.messages[-1].text


# -- nearness ------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.lists(st.frozensets(st.integers(0, 30), max_size=12), min_size=1, max_size=6),
    st.integers(-5, 35),
)
def test_nearness_never_falls_when_a_term_is_added(
    places: list[frozenset[int]], place: int
) -> None:
    values = [1.0 + i for i in range(len(places))]
    less, more = Nearness(values, [*places[:-1], ()]), Nearness(values, places)
    assert less.words(place) <= more.words(place) + 1e-9
    assert less.topic(place) <= more.topic(place) + 1e-9
    assert more.own(place) <= more.words(place) + 1e-9 <= sum(values) + 2e-9
    best = more.best(5)
    assert [more.own(p) for p in best] == sorted(map(more.own, more.held), reverse=True)[:5]


@pytest.mark.parametrize(
    ("asked", "said", "other"),
    [
        ("大熊猫", "国庆带女儿去成都看大熊猫。", "We fly to Berlin in May 2027."),
        ("pandas", "she likes the pandas", "Maria Silva flies to Berlin on 3 May 2027."),
    ],
)
def test_among_two_records_what_was_asked_for_outweighs_what_else_speaks_for_a_record(
    asked: str, said: str, other: str
) -> None:
    memory = AgentMemory.open("memory:", namespace="u")
    memory.add("user", said)
    memory.add("assistant", other)
    assert memory.recall(asked)[0].record.content == said


# -- what is known already -------------------------------------------------------------------


def test_what_is_left_out_makes_room_for_what_comes_next(backend: Backend) -> None:
    for number in range(12):
        put(backend, f"hotel{number:02}", f"A hotel 酒店, {'very ' * number}far away")
    every = ids(backend, "hotel 酒店", k=12)
    known = frozenset(every[:3]) | {every[5], "unheard-of"}
    assert ids(backend, "hotel 酒店", k=4, without=known) == [*every[3:5], *every[6:8]]
    assert ids(backend, "hotel 酒店", k=99, without=frozenset(every)) == []
