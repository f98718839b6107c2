"""The law of compression strategies.

`compress(units, target, tools) -> units`:

1. Pure and deterministic: the same arguments give the same result, byte for byte, and
   nothing that was passed in is changed. What needs a model, the store or a clock is
   asked for through `tools`.
2. Atomic units stay whole: a unit keeps the calls and results it had (ids, names, order),
   or it is replaced as a whole, alone or together with its neighbours, by a unit without
   calls. Thinking is never edited; a changed unit may drop it whole.
3. Never grows: the result has at most the tokens of `units`. A strategy stops changing
   units once the sum is at or under `target`; it need not reach it.
4. Order is kept. Every changed unit has the strategy's name as `form`, names in `sources`
   every version it stands for, and carries `tools.ref(unit)` in its text, by which the
   agent can ask for the original. No version disappears from the sources of the result,
   except with the strategy named "drop-low-priority", which says in one unit what it left out.
5. Any text is survived: empty, a megabyte on one line, lone surrogates, NUL.

The caller passes only units that may be changed (no pins, no system messages, not the
current turn), oldest first, checks the result against this law, and goes on without the
strategy when it breaks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

from ctxplug.messages import Logged, Message
from ctxplug.tokens import TokenCounter

VERBATIM = "verbatim"


@dataclass(frozen=True)
class Unit:
    """Messages that go to the model together or not at all.

    `items` are the messages as they are sent. `form` is "verbatim", or the name of the
    strategy that made them; `sources` are then the versions of the log they stand for.
    `score` is the importance, 0.0 to 1.0, that the policy's scorers gave it.
    """

    items: tuple[Logged, ...]
    form: str = VERBATIM
    sources: tuple[int, ...] = ()
    score: float = 0.5

    @cached_property
    def tokens(self) -> int:
        """The sum over its messages."""
        return sum(item.tokens for item in self.items)

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions of the log that this unit stands for, ascending."""
        return self.sources or tuple(sorted({item.version for item in self.items}))

    @property
    def role(self) -> str:
        """The role of its first message."""
        return self.items[0].message.role

    @property
    def priority(self) -> str:
        """The priority of its first message: high, medium or low."""
        return self.items[0].message.priority

    def changed(self, form: str, messages: Sequence[Message], counter: TokenCounter) -> Unit:
        """Return this unit as `messages`, made by strategy `form`; sources are kept.

        `messages` correspond to `items` one to one.
        """
        items = tuple(
            item
            if message is item.message
            else Logged(item.version, message, counter.count(message))
            for item, message in zip(self.items, messages, strict=True)
        )
        return replace(self, items=items, form=form, sources=self.versions)


@runtime_checkable
class Summarizer(Protocol):
    """`summarize(messages, target_tokens) -> text`: the messages in about that many tokens.

    The law:

    - A summary is text, not empty where the messages say anything, and smaller than what it
      stands for; it has about `target_tokens` at most.
    - Any messages are taken, of any length, for any target; they are not changed.
    - It is called on a thread of its own each time, for many users at once: nothing that one
      has said is in the summary of another.
    - It may use a model and may fail: the caller falls back to the extractive built-in.
    """

    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        """Return what `messages` say, in about `target_tokens` tokens."""


@dataclass(frozen=True)
class CompressionTools:
    """What a strategy may ask for.

    `ref(unit)` is the text by which the original is found again, such as "trip@12" or
    "trip@3-40". `summarizer` is None where the policy names none. `note` records a remark
    for the window's report, such as that a summarizer failed.
    """

    counter: TokenCounter
    ref: Callable[[Unit], str]
    summarizer: Summarizer | None = None
    note: Callable[[str], None] = field(default=lambda text: None)


@runtime_checkable
class CompressionStrategy(Protocol):
    """See the law in this module's docstring. `name` is the registered name."""

    name: str

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> tuple[Unit, ...]:
        """Return `units` in at most as many tokens, at or under `target` if it can."""


def total(units: Sequence[Unit]) -> int:
    """Return the tokens of `units` together."""
    return sum(unit.tokens for unit in units)


def merged(units: Sequence[Unit], form: str, text: str, counter: TokenCounter) -> Unit:
    """Return one unit without calls that stands for neighbouring `units`, saying `text`.

    It is a user message (what happened is data), with the time and version of the first.
    """
    first = units[0].items[0]
    versions = tuple(sorted({v for unit in units for v in unit.versions}))
    message = Message(
        "user",
        text,
        created_at=first.message.created_at,
        id=f"{form}-{versions[0]}-{versions[-1]}",
    )
    score = max(unit.score for unit in units)
    logged = Logged(versions[0], message, counter.count(message))
    return Unit((logged,), form, versions, score)
