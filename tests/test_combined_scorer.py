"""Scorers combined by weights, and what happens when one of them fails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import Message, hookimpl
from ctxplug.errors import InvalidValueError, UnknownComponentError
from ctxplug.hookspecs import Register
from ctxplug.plugins import Plugins
from ctxplug.registry import Registry
from ctxplug.scoring import Combined, History, combined, score_all
from ctxplug.scoring.content import Content
from ctxplug.scoring.recency import Recency
from ctxplug.scoring.reference import Reference
from ctxplug.testing.scorer_suite import ImportanceScorerSuite

NOW = datetime(2024, 6, 1, tzinfo=UTC)
WORST = [float("nan"), math.inf, -0.01, 1.01, None, "0.5", True, ValueError("sulks"), SystemError()]


@dataclass(frozen=True)
class Says:
    """Gives one answer, or raises it."""

    answer: Any
    name: str = "says"

    def score(self, item: Any, now: datetime, history: History) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Third:
    @hookimpl
    def register_importance_scorers(self, register: Register) -> None:
        register(
            "third.says", lambda argument: Says(float(argument or 0.5), f"third.says:{argument}")
        )


def registry() -> Registry:
    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Third(), "third")
    return Registry(plugins)


class TestCombined(ImportanceScorerSuite):
    @pytest.fixture
    def scorer(self) -> Combined:
        parts = [(Recency(), 0.3), (Content(), 0.4), (Reference(), 0.3)]
        return combined(parts, registry())


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.001, 1e6)), min_size=1, max_size=6))
@settings(deadline=None)
def test_the_weighted_mean_lies_between_the_scores(pairs: list[tuple[float, float]]) -> None:
    parts = [(Says(answer, f"s{i}"), weight) for i, (answer, weight) in enumerate(pairs)]
    found = combined(parts, registry()).score(Message("user", "x"), NOW, History())
    answers = [answer for answer, _ in pairs]
    assert min(answers) - 1e-9 <= found <= max(answers) + 1e-9
    expected = sum(a * w for a, w in pairs) / sum(w for _, w in pairs)
    assert found == pytest.approx(expected, abs=1e-9)


def test_weights_are_normalised_and_zero_is_not_asked() -> None:
    scorer = combined([(Says(1.0, "a"), 3), (Says(0.0, "b"), 1), (Says(None, "c"), 0)], registry())
    assert score_all([Message("user", "x")], scorer, now=NOW) == [0.75]
    assert [weight for _, weight in scorer.parts] == [0.75, 0.25]


def test_names_specs_and_objects_are_all_taken() -> None:
    by_spec = combined({"third.says:1.0": 1, "third.says:0.0": 1}, registry())
    mixed = combined([("third.says:1.0", 1), (Says(0.0), 1)], registry())
    alone = combined("third.says:0.25", registry())
    found = [one.score(Message("user", "你好"), NOW, History()) for one in (by_spec, mixed, alone)]
    assert found == [0.5, 0.5, 0.25]
    assert combined(Says(0.125), registry()).score(Message("user"), NOW, History()) == 0.125
    assert combined({Says(1.0): 2.0}, registry()).name == "says"


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"third.says": 0.0},
        {"third.says": -1.0},
        {"third.says": float("nan")},
        {"third.says": math.inf},
        {"third.says": "0.5"},
        {"third.says": True},
        pytest.param([(object(), 1.0)], id="no scorer"),
        [("third.says", 1.0), ("third.says", 1.0)],
    ],
    ids=repr,
)
def test_weights_that_make_no_sense_are_refused(weights: Any) -> None:
    with pytest.raises(InvalidValueError, match="scorer"):
        combined(weights, registry())


def test_a_name_that_nobody_offers_is_an_error_with_the_choices() -> None:
    with pytest.raises(UnknownComponentError, match=r"third\.says"):
        combined({"nobody": 1.0}, registry())


@pytest.mark.parametrize("answer", WORST, ids=repr)
def test_a_scorer_that_fails_is_left_out_and_named(answer: Any) -> None:
    scorer = combined([(Says(answer, "bad"), 9.0), (Says(0.25, "good"), 1.0)], registry())
    notes: list[str] = []
    messages = [Message("user", "hello"), Message("user", "你好")]
    assert score_all(messages, scorer, now=NOW, note=notes.append) == [0.25, 0.25]
    assert len(notes) == 1 and "'bad'" in notes[0]
    assert "good" in scorer.scores(messages, NOW, History()).parts


def test_a_scorer_that_fails_once_has_no_voice_for_any_item() -> None:
    """Scores that were made by different scorers do not compare."""

    class Fussy:
        name = "fussy"

        def score(self, item: Message, now: datetime, history: History) -> float:
            return 1.0 if item.text == "first" else float("nan")

    scorer = combined([(Fussy(), 1.0), (Says(0.25), 1.0)], registry())
    messages = [Message("user", "first"), Message("user", "second")]
    assert score_all(messages, scorer, now=NOW) == [0.25, 0.25]


def test_where_all_fail_the_scores_are_neutral_and_all_are_named() -> None:
    notes: list[str] = []
    found = score_all([Message("user", "x")], Says(None), now=NOW, note=notes.append)
    assert found == [0.5] and len(notes) == 1


def test_the_parts_of_a_score_are_told() -> None:
    scores = combined([(Says(1.0, "a"), 1), (Says(0.0, "b"), 1)], registry()).scores(
        [Message("user", "x")], NOW, History()
    )
    assert scores.values == (0.5,)
    assert scores.parts == {"a": (1.0,), "b": (0.0,)}
    assert scores.notes == ()


def test_the_messages_that_are_scored_are_the_history_unless_another_is_given() -> None:
    messages = [Message("user", "HAT-123"), Message("assistant", "HAT-123?")]
    assert score_all(messages, Reference(), now=NOW)[0] > 0
    assert score_all(messages, Reference(), now=NOW, history=History(messages[:1])) == [0.0, 0.0]
