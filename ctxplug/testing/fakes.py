"""Fakes for tests: a clock that stands still, a summarizer and an embedder without a model.

Each is deterministic, keeps what it was asked, and passes its conformance suite. They need
neither pytest nor a network; FakeEmbedder needs NumPy when it is called.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from ctxplug.compression.sentences import split
from ctxplug.messages import Message
from ctxplug.recall.text import terms
from ctxplug.times import to_datetime
from ctxplug.tokens.estimate import estimate

if TYPE_CHECKING:
    from ctxplug.recall.embedder import Rows

Answer: TypeAlias = str | BaseException | Callable[[Sequence[Message], int], str] | None


class FakeClock:
    """A clock that moves when it is told to.

    `clock()` and `clock.now` are the time as an aware UTC datetime, for what takes a `clock`
    or a time (`created_at=clock()`); `clock.seconds()` is the same as a float, for what takes
    a monotonic clock. `step`, in seconds, is added after each reading of `clock()`, so that
    no two are equal. Usable from any thread. Raises InvalidValueError for what is no time.
    """

    def __init__(
        self, start: datetime | str | float = "2026-01-01T00:00:00+00:00", *, step: float = 0.0
    ) -> None:
        self._now = to_datetime(start)
        self._step = timedelta(seconds=step)
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        """Return the time, and move on by `step`."""
        with self._lock:
            now = self._now
            self._now += self._step
        return now

    @property
    def now(self) -> datetime:
        """The time; reading it moves nothing."""
        return self._now

    def seconds(self) -> float:
        """Return the seconds since 1970; reading them moves nothing."""
        return self._now.timestamp()

    def advance(self, by: timedelta | float = 0.0, **units: float) -> datetime:
        """Move on by a timedelta, by seconds, or by `days=`, `hours=` and so on; return the time.

        Negative moves back, as the clocks of machines do.
        """
        move = by if isinstance(by, timedelta) else timedelta(seconds=by)
        with self._lock:
            self._now += move + timedelta(**units)
            return self._now

    def set(self, to: datetime | str | float) -> datetime:
        """Set the time, and return it."""
        with self._lock:
            self._now = to_datetime(to)
            return self._now

    def __repr__(self) -> str:
        return f"FakeClock({self._now.isoformat()!r})"


class FakeSummarizer:
    """A summarizer that takes the first sentence of each message, in as many tokens as asked for.

    `answer` takes the place of that: a text, a function of (messages, target_tokens), or an
    exception to raise. `asked` holds what it was asked, as (messages, target_tokens).
    """

    def __init__(self, answer: Answer = None) -> None:
        self.answer = answer
        self.asked: list[tuple[tuple[Message, ...], int]] = []
        self._counter = estimate()

    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        """Return what `messages` say, in about `target_tokens` tokens."""
        self.asked.append((tuple(messages), target_tokens))
        if isinstance(self.answer, BaseException):
            raise self.answer
        if callable(self.answer):
            return self.answer(messages, target_tokens)
        return (
            self._first_sentences(messages, target_tokens) if self.answer is None else self.answer
        )

    def _first_sentences(self, messages: Sequence[Message], target: int) -> str:
        lines: list[str] = []
        for message in messages:
            first = next((s.strip() for s in split(message.text) if s.strip()), "")
            target -= self._counter.count_text(first) + 1
            if target < 0:
                break
            if first:
                lines.append(first)
        return "\n".join(lines)


class FakeEmbedder:
    """An embedder of hashed words and pairs of Chinese characters.

    Texts with words in common are near to each other, in English and in Chinese, and others
    are not; it knows no meaning. `fails` is raised in place of an answer. `asked` holds the
    batches it was given.
    """

    def __init__(
        self,
        dimension: int = 256,
        *,
        name: str | None = None,
        fails: BaseException | None = None,
    ) -> None:
        self.name = name or f"fake:{dimension}"
        self.dimension = dimension
        self.fails = fails
        self.asked: list[tuple[str, ...]] = []

    def embed(self, texts: Sequence[str]) -> Rows:
        """Return one row for each text; zeros for a text without words."""
        import numpy as np

        self.asked.append(tuple(texts))
        if self.fails is not None:
            raise self.fails
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for term in terms(text):
                place, sign = self._place(term)
                row[place] += sign
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        scaled: Any = rows / np.where(lengths, lengths, 1)
        return scaled.astype(np.float32, copy=False)  # type: ignore[no-any-return]

    def _place(self, term: str) -> tuple[int, int]:
        digest = hashlib.blake2b(term.encode("utf-8", "surrogatepass"), digest_size=9).digest()
        return int.from_bytes(digest[1:]) % self.dimension, 1 if digest[0] % 2 else -1
