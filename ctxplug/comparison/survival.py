"""Which values a later tool call needs are still in what is sent.

An argument value is a scalar leaf of a call's arguments, as text of at least 5 characters
(no booleans). It is *tool-only* if, before the call, it occurs in tool results and nowhere
else. It is *lost* if what is sent does not hold it. A *fact* is a number, date or
identifier of two characters or more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ctxplug import codec
from ctxplug.messages import Logged, Message

FLOOR = 5
EVERY = 10  # facts are looked at in every tenth call: it takes a pass over the history
FACT = re.compile(r"[A-Za-z_#/.:-]*\d[\w#/.:-]*\w")


@dataclass
class Survival:
    """Counts over the calls of a transcript, under one policy."""

    tool_only: int = 0
    lost: int = 0
    results_full: int = 0
    results_sent: int = 0
    facts: float = 0.0
    looks: int = 0
    _calls: int = 0

    def look(
        self, needed: Sequence[str], history: Sequence[Logged], sent: Sequence[Logged]
    ) -> None:
        """Count the tool-only values of one model call, given as `tool_only` found them."""
        self.tool_only += len(needed)
        self._calls += 1
        due = self._calls % EVERY == 0
        if needed or due:
            text = "\n".join(text_of(logged.message) for logged in sent)
            self.lost += sum(value not in text for value in needed)
            if due:
                self._look_at_facts(history, text)
        self.results_full += _result_tokens(history)
        self.results_sent += _result_tokens(sent)

    def _look_at_facts(self, history: Sequence[Logged], text: str) -> None:
        said = {fact for m in history for fact in FACT.findall(text_of(m.message))}
        if said:
            self.facts += len(said & set(FACT.findall(text))) / len(said)
            self.looks += 1

    @property
    def fact_share(self) -> float | None:
        """The mean share of the history's facts that are in what is sent."""
        return self.facts / self.looks if self.looks else None

    @property
    def loss(self) -> float | None:
        """Lost values of all tool-only ones, or None where there are none."""
        return self.lost / self.tool_only if self.tool_only else None


def tool_only(message: Message, history: Sequence[Logged]) -> list[str]:
    """Return the argument values of `message` whose only source before it is a tool result."""
    values = [leaf for call in message.tool_calls for leaf in _leaves(call.arguments)]
    if not values:
        return []
    said = "\n".join(text_of(m.message) for m in history if m.message.role != "tool")
    given = "\n".join(text_of(m.message) for m in history if m.message.role == "tool")
    return [value for value in values if value in given and value not in said]


def text_of(message: Message) -> str:
    """Return a message's text and the arguments of its calls."""
    calls = (
        call.raw_arguments or codec.encode(call.arguments).decode("utf-8", "replace")
        for call in message.tool_calls
    )
    return "\n".join([message.text, *calls])


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool) and len(str(value)) >= FLOOR:
        yield str(value)


def _result_tokens(messages: Sequence[Logged]) -> int:
    return sum(logged.tokens for logged in messages if logged.message.role == "tool")
