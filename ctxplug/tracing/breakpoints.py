"""Breakpoints: where a replay stops."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

from ctxplug.errors import InvalidValueError
from ctxplug.recall.text import folded
from ctxplug.tracing.checks import to_kind
from ctxplug.tracing.step import Step

Text: TypeAlias = "str | re.Pattern[str]"

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "error": (bool, str),
    "tokens_over": (int, float),
    "text": (str, re.Pattern),
    "changed": str,
}


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """Stops a replay at steps for which all of its conditions hold; None is no condition.

    `kind` and `name` are the step's; `error=True` is any outcome but "ok", a text one that
    the outcome or the error says; `tokens_over` is what the step's tokens exceed; `text`
    stands in its name, error or data, or in a message that came with it (letter case and full
    width do not matter; a compiled pattern is searched as it is); `changed` names a watched
    value that is another one; `when(step)` is a condition of your own.
    """

    kind: str | None = None
    name: str | None = None
    error: bool | str | None = None
    tokens_over: int | None = None
    text: Text | None = None
    changed: str | None = None
    when: Callable[[Step], Any] | None = None

    def __post_init__(self) -> None:
        if all(getattr(self, field) is None for field in self.__dataclass_fields__):
            raise InvalidValueError(
                "A breakpoint has a condition: kind, name, error, tokens_over, text, changed or"
                " when.",
                path="break_on",
            )
        if self.kind is not None:
            to_kind(self.kind)
        for field, kinds in _KINDS.items():
            value = getattr(self, field)
            if value is not None and not isinstance(value, kinds):
                raise InvalidValueError(
                    f"{field} cannot be {value!r:.60}; see Breakpoint for what it is.", path=field
                )
        if self.text == "" or self.error == "":
            raise InvalidValueError(
                "An empty text would stop at every step; leave it out.", path="text"
            )
        if self.when is not None and not callable(self.when):
            raise InvalidValueError(
                f"`when` is a function of a step, not {self.when!r:.60}.", path="when"
            )

    def holds(self, step: Step, said: Callable[[], Iterable[str]], changed: Iterable[str]) -> bool:
        """Say whether to stop at `step`; `said()` gives what the messages that came with it say."""
        if self.kind is not None and step.kind != self.kind:
            return False
        if self.name is not None and step.name != self.name:
            return False
        if self.tokens_over is not None and (step.tokens or 0) <= self.tokens_over:
            return False
        if self.error is not None and not _fails(step, self.error):
            return False
        if self.changed is not None and self.changed not in changed:
            return False
        if self.text is not None and not _says(step, self.text, said):
            return False
        return self.when is None or bool(self.when(step))

    def __str__(self) -> str:
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return ", ".join(f"{k}={_shown(v)}" for k, v in given.items() if v is not None)


def _fails(step: Step, error: bool | str) -> bool:
    if isinstance(error, bool):
        return step.ok is not error
    return not step.ok and (
        folded(error) == folded(step.outcome) or folded(error) in folded(step.error or "")
    )


def _says(step: Step, text: Text, said: Callable[[], Iterable[str]]) -> bool:
    own = chain((step.name, step.error or ""), _leaves(step.data))
    return any(matches(text, one) for one in chain(own, _later(said)))


def _later(said: Callable[[], Iterable[str]]) -> Iterator[str]:
    """Ask what messages say only when the step itself does not say it."""
    yield from said()


def _leaves(data: Any) -> Iterator[str]:
    """Yield the keys and values of JSON data as texts."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield str(key)
            yield from _leaves(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _leaves(value)
    elif data is not None:
        yield str(data)


def matches(text: Text, where: str) -> bool:
    """Say whether `text` stands in `where`."""
    if isinstance(text, str):
        return folded(text) in folded(where)
    return text.search(where) is not None


def _shown(value: object) -> str:
    if isinstance(value, re.Pattern):
        return f"/{value.pattern}/"
    return getattr(value, "__name__", None) or repr(value)
