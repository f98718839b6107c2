"""The conformance suite of importance scorers: the law in `ctxplug.scoring.scorer`.

Subclass it, override one fixture, and inherit the tests::

    class TestMyScorer(ImportanceScorerSuite):
        @pytest.fixture
        def scorer(self):
            return my_scorer()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any, overload

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.messages import Message, ToolCallPart
from ctxplug.records import MemoryRecord
from ctxplug.scoring.scorer import History, ImportanceScorer, Item
from ctxplug.testing.histories import FEATURES, START, histories
from ctxplug.testing.suite import Suite, answering, examples, from_threads, kind_of, not_overridden

NOW = datetime(2024, 6, 1, tzinfo=UTC)
ODD_TEXTS = (
    *("", " ", "\n", "\0", "\ud800", "\udfff\ud800", "\u202e", "👩\u200d👩\u200d👧", "e\u0301"),
    *("？", "不", "里斯本", "我会在5月15日把发票4711寄给王芳经理。", '{"a": [1, null, "中"]}'),
    *("I'll pay $1,250.00 to Ann Lee on 2024-05-15.", "```\nx = f()\n```", "a.b@c/d:e#f'" * 50),
)
KINDS = ("schema", "preference", "fact", "event", "message", "事实", "unheard-of")
ORIGINS = ("user", "assistant", "tool:search", "document", "elsewhere")

QUICK = FEATURES - {"huge"}  # size has a test of its own

_ANY = examples(30)


def records() -> st.SearchStrategy[MemoryRecord]:
    """Return a strategy of memory records of all kinds, ages and origins."""
    times = st.integers(-400, 400).map(lambda days: NOW + timedelta(days=days))
    return st.builds(
        MemoryRecord,
        namespace=st.just(("acme", "alice")),
        id=st.sampled_from(("r1", "r2", "记忆")),
        kind=st.sampled_from(KINDS),
        content=st.sampled_from(ODD_TEXTS) | st.text(max_size=40),
        importance=st.floats(0.0, 1.0),
        created_at=times,
        last_accessed=st.none() | times,
        access_count=st.integers(0, 10**6),
        sources=st.lists(st.sampled_from(("m0", "m1", "nowhere")), max_size=2).map(tuple),
        origin=st.sampled_from(ORIGINS),
    )


class ImportanceScorerSuite(Suite):
    """The tests that every importance scorer passes; override the fixture `scorer`."""

    @pytest.fixture
    def scorer(self) -> ImportanceScorer:
        """Return the scorer under test."""
        raise not_overridden("scorer", "the importance scorer")

    def test_it_has_a_name_and_a_score_method(self, scorer: ImportanceScorer) -> None:
        """A scorer is what the protocol says."""
        assert isinstance(scorer, ImportanceScorer), (
            f"a {kind_of(scorer)} has no `name`, or no method score(item, now, history)"
        )
        assert isinstance(scorer.name, str) and scorer.name, (
            f"the name is the full spec, such as 'recency:20', not {scorer.name!r}"
        )

    @_ANY
    @given(
        messages=histories(features=QUICK, max_turns=3),
        now=st.sampled_from((NOW, NOW - timedelta(days=9_000))),
    )
    def test_messages_score_from_zero_to_one_and_always_the_same(
        self, scorer: ImportanceScorer, messages: list[Message], now: datetime
    ) -> None:
        """Rules 1 and 2, with a history of accesses and ratings around the messages."""
        first = _scores(scorer, messages, now, _history(messages))
        again = _scores(scorer, messages[::-1], now, _history(messages))[::-1]
        assert first == again, "the order of asking, or having been asked, changed a score"

    @_ANY
    @given(record=records(), messages=histories(features=QUICK, max_turns=2))
    def test_records_score_from_zero_to_one_and_always_the_same(
        self, scorer: ImportanceScorer, record: MemoryRecord, messages: list[Message]
    ) -> None:
        """Rules 1 and 2 for memories."""
        history = _history([*messages, record])
        first, again = (_scores(scorer, [record], NOW, history) for _ in range(2))
        assert first == again, f"one memory was scored {first[0]}, and then {again[0]}"

    @_ANY
    @given(messages=histories(features=QUICK, max_turns=2), record=records())
    def test_nothing_that_is_passed_in_is_changed(
        self, scorer: ImportanceScorer, messages: list[Message], record: MemoryRecord
    ) -> None:
        """Rule 2: items, history, accesses and ratings stay as they were."""
        items: list[Item] = [*messages, record]
        history = _history(items)
        before = [item.to_dict() for item in items], dict(history.accesses), _plain(history)
        _scores(scorer, items, NOW, history)
        after = [item.to_dict() for item in items], dict(history.accesses), _plain(history)
        assert before == after, "scoring changed an item, or the history"

    @pytest.mark.parametrize("text", ODD_TEXTS, ids=ascii)
    def test_any_text_is_scored_without_a_history(
        self, scorer: ImportanceScorer, text: str
    ) -> None:
        """Rules 1 and 3: odd texts, of each role, with an empty history."""
        call = ToolCallPart("c1", "f", {"q": text}, raw_arguments=text)
        spoken = [Message(role, text) for role in ("system", "user", "assistant", "tool")]
        items = [*spoken, Message("assistant", [call]), Message("user")]
        with answering(f"the text {text!a:.60} without a history"):
            _scores(scorer, items, NOW, History())

    def test_a_megabyte_on_one_line_is_scored(self, scorer: ImportanceScorer) -> None:
        """Rule 1, in time: a scorer that is not linear is felt here."""
        texts = ("a" * 1_000_000, "中" * 400_000, "1,2;" * 250_000, '{"k":' * 200_000)
        messages = [Message("user", text) for text in texts]
        with answering("a message of a megabyte"):
            _scores(scorer, messages, NOW, History(messages))

    def test_an_item_outside_the_history_is_scored(self, scorer: ImportanceScorer) -> None:
        """Rule 3."""
        others = [Message("user", "Lisbon 4711"), Message("assistant", "里斯本 4711")]
        with answering("an item that is not in the history"):
            _scores(scorer, [Message("user", "Lisbon 4711")], NOW, History(others))

    def test_a_long_history_is_scored_in_few_passes(self, scorer: ImportanceScorer) -> None:
        """Rule 4: a pass over all messages is made once, with `history.derived`."""
        reads = {count: _reads(scorer, count) for count in (50, 400)}
        assert reads[400] <= 12 * max(reads[50], 50), (
            f"for 8 times the messages, {reads[400]} of them were read instead of {reads[50]}:"
            " a pass over all for each item; make it once with history.derived(make)"
        )

    def test_nothing_is_kept_of_another_history(self, scorer: ImportanceScorer) -> None:
        """Rule 2: what other users said decides about nothing here."""
        said, others = conversation("里斯本", 12), conversation("Lisbon", 12)
        before = _scores(scorer, said, NOW, _history(said))
        _scores(scorer, others, NOW, _history(others))
        after = _scores(scorer, said, NOW, _history(said))
        assert before == after, "after another history it scores otherwise"

    def test_nothing_is_kept_by_id_alone(self, scorer: ImportanceScorer) -> None:
        """Rule 2: ids are unique in a conversation, and no further."""
        for first, second in permutations((_SMALL_TALK, _CASE)):
            _scores(scorer, _of_ids(first, "m"), NOW, _history(_of_ids(first, "m")))
            found, expected = (
                _scores(scorer, messages, NOW, _history(messages))
                for messages in (_of_ids(second, "m"), _of_ids(second, "n"))
            )
            assert found == expected, (
                f"it scores {found} after another conversation with the same ids, and {expected}"
                " under new ids: what is kept belongs in history.derived(make)"
            )

    def test_it_scores_the_same_from_several_threads(self, scorer: ImportanceScorer) -> None:
        """Windows of many users are made at once, with one scorer."""
        said = [conversation("里斯本", 12), conversation("Lisbon", 12)]
        expected = [_scores(scorer, messages, NOW, _history(messages)) for messages in said]

        def scored(number: int) -> list[float]:
            messages = said[number % 2]
            return _scores(scorer, messages, NOW, _history(messages))

        found = from_threads(scored)
        assert found == expected * 4, "other threads got other scores"


def conversation(subject: str, count: int) -> list[Message]:
    """Return `count` messages about `subject`, the same each time."""
    roles, times = ("user", "assistant"), [START + timedelta(minutes=n) for n in range(count)]
    return [
        Message(roles[n % 2], f"{subject} {n}: 订单 A{n % 5}.", id=f"m{n}", created_at=times[n])
        for n in range(count)
    ]


_SMALL_TALK = ("Hi.", "Good day!", "It is raining here, as it often is. 又下雨了。", "我去散步。")
_CASE = (
    "Where is order A1027? It cost $1,250.00, and I will complain. 我的订单呢？",
    "I promise a refund by 2024-05-15. 我保证退款。",
    "Never call Ann Lee before noon, please. 请不要打电话。",
    "",
)


def _of_ids(texts: Sequence[str], prefix: str) -> list[Message]:
    said = zip(texts, ("user", "assistant") * 2, strict=True)
    return [
        Message(role, text, id=f"{prefix}{n}", created_at=START + timedelta(minutes=n))
        for n, (text, role) in enumerate(said)
    ]


class _Watched(Sequence[Message]):
    """Messages that count how often one of them is read."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.reads = 0
        self._messages = messages

    def __len__(self) -> int:
        return len(self._messages)

    @overload
    def __getitem__(self, place: int) -> Message: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Message]: ...
    def __getitem__(self, place: Any) -> Any:
        found = self._messages[place]
        self.reads += len(found) if isinstance(place, slice) else 1
        return found

    def __iter__(self) -> Iterator[Message]:
        return (self[n] for n in range(len(self)))


def _reads(scorer: ImportanceScorer, count: int) -> int:
    messages = conversation("Lisbon", count)
    watched = _Watched(messages)
    _scores(scorer, messages, NOW, History(watched))
    return watched.reads


def _scores(
    scorer: ImportanceScorer, items: Sequence[Item], now: datetime, history: History
) -> list[float]:
    found = [scorer.score(item, now, history) for item in items]
    for score in found:
        assert isinstance(score, int | float) and not isinstance(score, bool), (
            f"a score is a number, not {score!r}"
        )
        assert 0.0 <= score <= 1.0, f"a score is 0.0 to 1.0, not {score!r}"
    return found


def _history(items: Sequence[Item]) -> History:
    messages = [item for item in items if isinstance(item, Message)]
    ids = [item.id for item in items]
    ratings = {id: [-1.0, 0.25, 1.0][: i % 4] for i, id in enumerate(ids)}
    return History(messages, {id: i * i for i, id in enumerate(ids)}, ratings)


def _plain(history: History) -> dict[str, list[float]]:
    return {id: list(ratings) for id, ratings in history.ratings.items()}
