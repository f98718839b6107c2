"""Sent: what one model call was sent, as far as two calls are compared by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ctxplug.messages import Logged
from ctxplug.tokens import TokenCounter
from ctxplug.tracing.past import Said

GONE = ("drop-low-priority", "left out", "skipped")  # forms that say nothing of a message


# A `ctxplug.context.window.ContextWindow`: that room stands beside this one.
Window: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Place:
    """How a message of the log stands in a window: its version, its role and its form.

    `form` is "verbatim" or what `window.report.fates` calls it.
    """

    version: int
    role: str
    form: str

    @property
    def there(self) -> bool:
        """Whether the window says anything of it; a mere reference does not."""
        return self.form not in GONE


@dataclass(frozen=True, slots=True)
class Sent:
    """What one call was sent: `places` by message id, `tokens` in all and by part.

    `prompt` are its messages with their tokens, system first, and `front` the tokens of what
    stands before them. Of a call that had no window, `error` says why, and `needed` how many
    tokens it would have taken.
    """

    budget: int
    policy: str
    counter: str
    tokens: int = 0
    parts: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)
    recalled: tuple[str, ...] = ()
    compactions: int = 0
    prompt: tuple[Logged, ...] = field(default=(), repr=False)
    front: int = 0
    tools: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    error: str | None = None
    needed: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return its sizes as JSON data; `places` by message id."""
        return {
            "budget": self.budget,
            "policy": self.policy,
            "counter": self.counter,
            "tokens": self.tokens,
            "parts": dict(self.parts),
            "messages": len(self.prompt),
            "compactions": self.compactions,
            "recalled": list(self.recalled),
            "error": self.error,
            "needed": self.needed,
        }


def sent(window: Window, said: Mapping[int, Said], counter: TokenCounter) -> Sent:
    """Return what `window` sends; `said` has what its versions stand for."""
    report = window.report
    places: dict[str, Place] = {}
    for fate in report.fates:
        for version in fate.versions:
            if one := said.get(version):
                places[one.id] = Place(one.version, one.role, fate.fate)
    parts = dict(report.tokens)
    return Sent(
        budget=report.budget,
        policy=report.policy,
        counter=report.counter,
        tokens=window.tokens,
        parts=parts,
        places=places,
        recalled=report.recalled,
        compactions=report.compactions,
        prompt=tuple(counted(window, counter)),
        front=parts.get("request", 0) + parts.get("tools", 0),
        tools=window.tools,
    )


def counted(window: Window, counter: TokenCounter) -> list[Logged]:
    """Return the messages of `window` with their tokens; version 0 where the log has none."""
    known: dict[int, Logged] = {id(one.message): one for one in _logged(window.report)}
    return [
        known.get(id(message)) or Logged(0, message, counter.count(message))
        for message in window.messages
    ]


def _logged(report: Any) -> Iterable[Logged]:
    yield from report.system
    yield from report.recent
    for unit in report.frozen:
        yield from unit.items
