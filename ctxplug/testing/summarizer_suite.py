"""The conformance suite of summarizers: the law in `ctxplug.compression.Summarizer`.

Subclass it, override one fixture, and inherit the tests::

    class TestMySummarizer(SummarizerSuite):
        @pytest.fixture
        def summarizer(self):
            return my_summarizer()

A summarizer that asks a model is tested with a server on this machine, such as
`ctxplug.testing.ModelServer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import chain

import pytest
from hypothesis import given

from ctxplug.compression import Summarizer
from ctxplug.messages import Message
from ctxplug.testing.histories import FEATURES, START, histories
from ctxplug.testing.suite import (
    CHINESE,
    ODD_TEXTS,
    PROSE,
    THREADS,
    Suite,
    answering,
    examples,
    from_threads,
    kind_of,
    not_overridden,
)
from ctxplug.tokens.estimate import estimate

COUNTER = estimate()
_QUICK = FEATURES - {"huge"}
_FRAME = 16  # tokens beyond the target: a word more is no fault
_GOODS = ("boats", "lamps", "chairs", "灯笼", "茶叶", "tables", "自行车", "kettles")


def talk(subject: str, turns: int = 24) -> list[Message]:
    """Return a conversation about `subject` in English and Chinese, without random ids."""
    said = []
    for n in range(turns):
        goods = _GOODS[n % len(_GOODS)]
        english = f"Order {n} for {subject}: {n * 31} {goods} at {n + 7} euros, for Ann Lee."
        chinese = f"{subject}的第{n}个订单是{n * 31}件{goods}，由王芳经理签字。"
        text = english if n % 2 else chinese
        role = "assistant" if n % 2 else "user"
        said.append(Message(role, text, id=f"s{n}", created_at=START))
    return said


class SummarizerSuite(Suite):
    """The tests that every summarizer passes; override the fixture `summarizer`."""

    overshoot = 1.25  # a summary's tokens, by the built-in estimate, as a share of the target

    @pytest.fixture
    def summarizer(self) -> Summarizer:
        """Return the summarizer under test."""
        raise not_overridden("summarizer", "the summarizer")

    def test_it_is_a_summarizer(self, summarizer: Summarizer) -> None:
        """A summarizer is what the protocol says."""
        assert isinstance(summarizer, Summarizer), (
            f"a {kind_of(summarizer)} has no method summarize(messages, target_tokens)"
        )

    @pytest.mark.parametrize("text", [PROSE, CHINESE], ids=["English", "Chinese"])
    def test_a_summary_is_text_that_says_something(self, summarizer: Summarizer, text: str) -> None:
        """Plain text, not empty: what is none is thrown away, and the extractive one is used."""
        messages = [Message("user", text * 6), Message("assistant", text * 6)]
        summary = summarizer.summarize(messages, 200)
        assert isinstance(summary, str), f"a summary is text, not a {kind_of(summary)}"
        assert summary.strip(), "the summary is empty"

    def test_a_summary_is_smaller_than_what_it_stands_for(self, summarizer: Summarizer) -> None:
        """Even where the target leaves room for all of it."""
        for turns in (8, 24):
            messages = talk("Lisbon", turns)
            whole = sum(COUNTER.count(message) for message in messages)
            tokens = COUNTER.count_text(str(summarizer.summarize(messages, whole * 4 // 5)))
            assert tokens < whole, f"a summary of {tokens} tokens for messages of {whole}"

    @pytest.mark.parametrize("target", [96, 200, 400])
    def test_a_summary_keeps_to_its_target(self, summarizer: Summarizer, target: int) -> None:
        """About that many tokens at most; the caller has made room for no more."""
        summary = str(summarizer.summarize(talk("里斯本", 80), target))
        tokens, most = COUNTER.count_text(summary), int(target * self.overshoot) + _FRAME
        assert tokens <= most, f"a summary of about {tokens} tokens where {target} were asked for"

    @examples(15)
    @given(messages=histories(features=_QUICK, max_turns=3))
    def test_any_messages_can_be_summarized(
        self, summarizer: Summarizer, messages: list[Message]
    ) -> None:
        """Calls, results, thinking, images and opaque parts among them."""
        with answering(f"the messages {messages!r:.200}"):
            _is_text(summarizer.summarize(tuple(messages), 120))

    @pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
    def test_any_text_can_be_summarized(self, summarizer: Summarizer, text: str) -> None:
        """Lone surrogates, NUL, marks of direction, broken JSON, nothing at all."""
        with answering(f"the text {text!a:.60}"):
            said = [Message("user", text), Message("assistant", PROSE)]
            _is_text(summarizer.summarize(said, 120))

    @pytest.mark.parametrize("text", [PROSE, CHINESE, "x"], ids=["English", "Chinese", "one line"])
    def test_a_long_message_can_be_summarized(self, summarizer: Summarizer, text: str) -> None:
        """100,000 characters in one message; a summarizer that is not linear is felt here."""
        long = text * (100_000 // len(text))
        with answering("a message of 100,000 characters"):
            _is_text(summarizer.summarize([Message("user", long), Message("user", PROSE)], 200))

    @pytest.mark.parametrize("target", [1, 10_000])
    def test_any_target_can_be_asked_for(self, summarizer: Summarizer, target: int) -> None:
        """One that is too small for a sentence, and one that is larger than the messages."""
        with answering(f"a target of {target} tokens"):
            _is_text(summarizer.summarize(talk("Oslo", 3), target))

    def test_nothing_that_is_passed_in_is_changed(self, summarizer: Summarizer) -> None:
        """The messages, and the list of them, stay as they were."""
        messages = [Message(m.role, m.text, metadata={"tags": ["a"]}) for m in talk("Porto", 6)]
        before, given = deepcopy([m.to_dict() for m in messages]), list(messages)
        summarizer.summarize(given, 120)
        assert given == messages, "summarizing changed the list of messages"
        assert [m.to_dict() for m in messages] == before, "summarizing changed a message"

    def test_nothing_is_kept_of_another_conversation(self, summarizer: Summarizer) -> None:
        """What one user said is in no other user's summary."""
        summarizer.summarize(talk("ZEBRA-7319 斑马"), 300)
        summary = str(summarizer.summarize(talk("Lisbon"), 300))
        assert not _said_of("ZEBRA-7319 斑马", summary), "a summary tells of another conversation"

    def test_conversations_are_kept_apart_in_threads(self, summarizer: Summarizer) -> None:
        """It is called on a thread of its own for each window, and for many users at once."""
        subjects = [f"ZEBRA-{n}{n}{n}7" for n in range(THREADS)]
        found = from_threads(
            lambda n: [summarizer.summarize(talk(subjects[n]), 300) for _ in range(2)]
        )
        for n, summary in enumerate(chain.from_iterable(found)):
            _is_text(summary)
            others = [s for s in subjects if s != subjects[n // 2] and _said_of(s, summary)]
            assert not others, f"the summary of {subjects[n // 2]} tells of {others}"


def _is_text(summary: object) -> None:
    assert isinstance(summary, str), f"a summary is text, not a {kind_of(summary)}"


def _said_of(subject: str, summary: str) -> Sequence[str]:
    return [word for word in subject.split() if word in summary]
