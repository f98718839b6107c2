"""The conformance suite of token counters: the law in `ctxplug.tokens.TokenCounter`.

Subclass it, override one fixture, and inherit the tests::

    class TestMyCounter(TokenCounterSuite):
        @pytest.fixture
        def counter(self):
            return my_counter()
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.messages import ImagePart, Message, Part, TextPart, ToolCallPart, ToolResultPart
from ctxplug.testing.histories import FEATURES, histories
from ctxplug.testing.suite import (
    CHINESE,
    ODD_TEXTS,
    PROSE,
    Suite,
    answering,
    examples,
    from_threads,
    kind_of,
    not_overridden,
)
from ctxplug.tokens import TokenCounter

_SPEC = re.compile(r"\w[\w.+-]*(?::.+)?", re.DOTALL)
_ODD = FEATURES - {"huge"}
_PLAIN = _ODD - {"odd_text", "opaque"}
_TEXT = st.sampled_from((PROSE, CHINESE, "", "OK", "好", "🙂", *ODD_TEXTS[-6:]))
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|system|>")
_SAID = tuple(Message("user", text, id=text[:4]) for text in (PROSE, CHINESE, "OK 好的"))
_PARTS: dict[str, Part] = {
    "text": TextPart(PROSE + CHINESE),
    "the arguments of a call": ToolCallPart("c1", "pay", {"to": "王芳", "note": PROSE}),
    "a tool's result": ToolResultPart("c1", (TextPart(PROSE + CHINESE),)),
    "an image": ImagePart(data=b"\x89PNG\r\n\x1a\n" + bytes(24), media_type="image/png"),
}

MOST_OF_EXACT = 0.05  # the margin of a counter that does not estimate
LEAST_OF_A_MEGABYTE = 1000  # tokens: no vocabulary has one of a thousand letters


class TokenCounterSuite(Suite):
    """The tests that every token counter passes; override the fixture `counter`."""

    @pytest.fixture
    def counter(self) -> TokenCounter:
        """Return the counter under test."""
        raise not_overridden("counter", "the token counter")

    def test_it_is_a_token_counter_with_a_name(self, counter: TokenCounter) -> None:
        """A counter is what the protocol says, and its name could be a spec."""
        assert isinstance(counter, TokenCounter), (
            f"a {kind_of(counter)} lacks a member of ctxplug.tokens.TokenCounter"
        )
        name = counter.name
        assert isinstance(name, str) and _SPEC.fullmatch(name), (
            f"the name is the full spec, such as 'tiktoken:o200k_base', not {name!r}"
        )

    @examples(25)
    @given(messages=histories(features=_PLAIN, max_turns=2), text=_TEXT)
    def test_counts_are_integers_of_zero_or_more(
        self, counter: TokenCounter, messages: list[Message], text: str
    ) -> None:
        """For text of any script and for messages of any parts."""
        for tokens in (*map(counter.count, messages), counter.count_text(text)):
            assert isinstance(tokens, int) and not isinstance(tokens, bool), (
                f"a count is an integer, not {tokens!r}"
            )
            assert tokens >= 0, f"a count is never negative, as {tokens!r} is"

    @examples(15)
    @given(messages=histories(features=_PLAIN, max_turns=2), text=_TEXT)
    def test_a_count_is_the_same_every_time(
        self, counter: TokenCounter, messages: list[Message], text: str
    ) -> None:
        """Counted twice in a row, and as the copy that a store gives back."""
        first, again = counter.count_text(text), counter.count_text(text)
        assert first == again, f"{text!r:.60} was counted as {first}, and then as {again}"
        for message in messages:
            stored = Message.from_dict(message.to_dict())
            counts = [counter.count(one) for one in (message, message, stored)]
            assert len(set(counts)) == 1, f"one message was counted as {counts} when asked again"

    @examples(15)
    @given(messages=histories(features=_PLAIN, max_turns=3))
    def test_a_count_does_not_depend_on_other_messages(
        self, counter: TokenCounter, messages: list[Message]
    ) -> None:
        """Counts are additive: a list costs the sum of its messages, whatever their order."""
        forward = [counter.count(message) for message in messages]
        backward = [counter.count(message) for message in messages[::-1]][::-1]
        assert forward == backward, "what was counted before a message changed its count"

    def test_nothing_is_kept_of_another_message(self, counter: TokenCounter) -> None:
        """One id may be two users' messages, and one beginning that of many texts."""
        counter.count(Message("user", PROSE, id="m1"))
        found, expected = (counter.count(Message("user", CHINESE * 9, id=i)) for i in ("m1", "m2"))
        assert found == expected, (
            f"a message was counted as {found} after another of its id, and as {expected} under a"
            " new id: what is cached by id is another user's"
        )
        short, long = counter.count_text(PROSE), counter.count_text(PROSE * 9)
        assert long > short, f"{short} tokens of a text, and {long} of it nine times over"

    @pytest.mark.parametrize("text", [PROSE, CHINESE, "OK", "好"], ids=ascii)
    def test_a_message_costs_at_least_its_text(self, counter: TokenCounter, text: str) -> None:
        """`count` includes the framing, `count_text` has none."""
        bare, framed = counter.count_text(text), counter.count(Message("user", text))
        assert framed >= bare, f"a message costs {framed}, less than the {bare} of its text alone"

    @pytest.mark.parametrize("part", _PARTS)
    def test_whatever_a_message_carries_is_counted(self, counter: TokenCounter, part: str) -> None:
        """A window over its budget is refused by the provider, however it came to be over."""
        role = "tool" if part == "a tool's result" else "assistant"
        without = counter.count(Message(role, ()))
        assert counter.count(Message(role, (_PARTS[part],))) > without, f"{part} costs nothing"

    @pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
    def test_any_text_can_be_counted(self, counter: TokenCounter, text: str) -> None:
        """Lone surrogates, NUL, marks of direction, broken JSON, nothing at all."""
        with answering(f"the text {text!a:.60}"):
            counter.count_text(text)
            counter.count(Message("user", text, name="王芳"))
            counter.count(Message("assistant", (ToolCallPart("c1", "f", {}, raw_arguments=text),)))

    @examples(20)
    @given(messages=histories(features=_ODD, max_turns=2))
    def test_any_message_can_be_counted(
        self, counter: TokenCounter, messages: list[Message]
    ) -> None:
        """With calls, results, thinking, images, and parts that only a provider knows."""
        for message in messages:
            with answering(f"the message {message!r:.200}"):
                counter.count(message)

    @pytest.mark.parametrize("piece", ["a", "中"], ids=ascii)
    def test_a_megabyte_without_a_space_is_counted(self, counter: TokenCounter, piece: str) -> None:
        """A counter that is not linear is felt here, and one that counts words."""
        text = piece * (1_000_000 // len(piece.encode()))
        tokens = counter.count_text(text)
        assert tokens >= LEAST_OF_A_MEGABYTE, (
            f"a megabyte of {piece!r} costs {tokens} tokens: Chinese has no spaces between words,"
            " so count characters or bytes"
        )

    @pytest.mark.parametrize("special", _SPECIAL)
    def test_special_tokens_count_as_the_text_they_are(
        self, counter: TokenCounter, special: str
    ) -> None:
        """In what people and tools say they are text, and cost no less than their letters."""
        letters, tokens = counter.count_text(special.strip("<|>")), counter.count_text(special)
        assert tokens >= letters, (
            f"{special!r} was counted as the special token: {tokens}, its letters {letters}"
        )

    def test_an_estimate_has_a_margin_and_an_exact_count_next_to_none(
        self, counter: TokenCounter
    ) -> None:
        """`estimated` and `margin` agree; framing may differ by `MOST_OF_EXACT` of a request."""
        counter.count_text(PROSE)
        margin = counter.margin
        assert isinstance(margin, int | float) and 0.0 <= margin < 1.0, (
            f"the margin is a share of the budget, 0.0 to 1.0, not {margin!r}"
        )
        assert counter.estimated in (True, False), f"estimated is a bool: {counter.estimated!r}"
        assert margin > 0 if counter.estimated else margin <= MOST_OF_EXACT, (
            "an estimate keeps a margin of the budget free, and an exact counter at most"
            f" {MOST_OF_EXACT}; this one says estimated={counter.estimated!r}, margin={margin!r}"
        )

    def test_what_a_request_costs_besides_is_fixed(self, counter: TokenCounter) -> None:
        """`request_tokens` is counted once per request, whatever is in it."""
        before = counter.request_tokens
        assert isinstance(before, int) and not isinstance(before, bool) and before >= 0, (
            f"request_tokens is an integer of 0 or more, not {before!r}"
        )
        _counts(counter)
        assert counter.request_tokens == before, "counting changed request_tokens"

    def test_its_name_stays(self, counter: TokenCounter) -> None:
        """Counts are stored under the name, and those under one name are comparable."""
        before = counter.name
        _counts(counter)
        assert counter.name == before, f"counting changed the name to {counter.name!r}"

    def test_without_a_network_it_counts_or_says_that_it_estimates(
        self, counter: TokenCounter
    ) -> None:
        """No service that cannot be reached keeps a window from being made."""
        with _no_network() as attempts, answering("a text without a network"):
            counter.count_text("Nobody has counted this before. 从未数过。")
        assert counter.estimated or not attempts, (
            "it asked a service that could not be reached, and does not say that it estimated"
        )

    def test_nothing_that_is_passed_in_is_changed(self, counter: TokenCounter) -> None:
        """A message may be read, its arguments and metadata included, and no more."""
        call = ToolCallPart("c1", "pay", {"to": "王芳", "items": [1, 2]})
        message = Message("assistant", (TextPart("I pay."), call), metadata={"tags": ["a"]})
        before = deepcopy(message.to_dict())
        counter.count(message)
        assert message.to_dict() == before, "counting changed the message"

    def test_it_counts_the_same_from_several_threads(self, counter: TokenCounter) -> None:
        """A counter is made on one thread and used on all."""
        expected = _counts(counter)
        for found in from_threads(lambda _: [_counts(counter) for _ in range(5)]):
            assert found == [expected] * 5, "other threads got other counts"


def _counts(counter: TokenCounter, messages: Sequence[Message] = _SAID) -> list[int]:
    return [counter.count(m) for m in messages] + [counter.count_text(m.text) for m in messages]


@contextmanager
def _no_network() -> Iterator[list[object]]:
    """Refuse every connection but local pipes; yield a list of what was tried."""
    attempts: list[object] = []

    def refused(call: Callable[..., Any]) -> Callable[..., Any]:
        def inner(self: socket.socket, *arguments: Any) -> Any:
            if self.family not in (socket.AF_INET, socket.AF_INET6):
                return call(self, *arguments)
            attempts.append(arguments)
            raise OSError("There is no network in this test.")

        return inner

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "send", "sendall", "sendto"):
            patch.setattr(socket.socket, name, refused(getattr(socket.socket, name)))
        yield attempts
