"""Where values stand: in the log, and in what a model could read at a point of it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctxplug import codec
from ctxplug.errors import CtxplugError
from ctxplug.messages import Logged
from ctxplug.tracing.analysis.calls import Timeline, said
from ctxplug.tracing.analysis.subject import Seen
from ctxplug.tracing.analysis.values import (
    Haystack,
    arguments,
    is_name,
    same_key,
    specific,
    squash,
    tokens,
)
from ctxplug.tracing.step import Step

HAN_LOOKED_AT = 2_000  # messages that are searched for a name, the newest


@dataclass(frozen=True)
class Lost:
    """A value, the messages that held it, and what it is needed for: `used` instead of it."""

    value: str
    held: tuple[int, ...]
    version: int
    window: Step
    fate: str | None
    used: str | None = None


class Whereabouts:
    """Where in the log values stand."""

    def __init__(self, messages: Sequence[Logged]) -> None:
        self._at: dict[str, list[int]] = defaultdict(list)
        self._texts: list[tuple[int, str]] = []
        self._by_version = {logged.version: logged for logged in messages}
        self._versions = sorted(self._by_version)
        for logged in messages:
            text = said(logged.message)
            self._texts.append((logged.version, text))
            for token in dict.fromkeys(tokens(text)):
                self._at[token].append(logged.version)

    def holders(self, value: str, before: int) -> tuple[int, ...]:
        """Return the versions before `before` that hold `value`."""
        bare = squash(value)
        if bare in self._at:
            return tuple(v for v in self._at[bare] if v < before)
        if bare.isascii() and bare.isalnum() and not is_name(value):
            return ()
        earlier = [(v, text) for v, text in self._texts if v < before][-HAN_LOOKED_AT:]
        return tuple(v for v, text in earlier if bare in squash(text))

    def text(self, version: int) -> str:
        """Return what the message of a version says."""
        return said(self._by_version[version].message)

    def between(self, after: int, before: int) -> Iterator[Logged]:
        """Yield the messages between two versions, both not included."""
        first, last = bisect_right(self._versions, after), bisect_left(self._versions, before)
        for version in self._versions[first:last]:
            yield self._by_version[version]

    def of_other(self, key: str, value: str, before: int) -> bool:
        """Say whether `value` stood only in fields of other names, and others in that of `key`."""
        bare = squash(value)
        fields = [(squash(v) == bare, same_key(k, key)) for _, k, v in self.fields(before) if k]
        own = [named for same, named in fields if same]
        return bool(own) and not any(own) and any(named for _, named in fields)

    def fields(self, before: int) -> Iterator[tuple[int, str, str]]:
        """Yield versions, names and values of calls, answers and users, the newest first."""
        for version in reversed(self._versions[: bisect_left(self._versions, before)]):
            message = self._by_version[version].message
            for part in message.tool_calls:
                yield from ((version, k, v) for k, v in arguments(part.arguments))
            for result in message.tool_results:
                try:
                    found = arguments(codec.decode(result.text))
                    yield from ((version, k, v) for k, v in found)
                except CtxplugError:
                    yield from ((version, "", v) for v in specific(result.text + " "))
            if message.role == "user" and message.text:
                yield from ((version, "", v) for v in specific(message.text + " "))


class Visible:
    """What a model could read when it said the message of a version: its window, and later ones."""

    def __init__(self, timeline: Timeline, past: Whereabouts, window: Step, version: int) -> None:
        self.window, self.version = window, version
        self._timeline, self._past = timeline, past
        self._begun = timeline.goes_on_from(window)
        self._head = int(self._begun.data["head"])
        self._seen: Seen | None = None
        self._later: Haystack | None = None
        self._asked = False

    @property
    def seen(self) -> Seen | None:
        """The window, or the one that it goes on from, made again."""
        if not self._asked:
            self._seen, self._asked = self._timeline.subject.seen(self._begun), True
        return self._seen

    def holds(self, value: str, held: Sequence[int]) -> bool:
        """Say whether it could read `value`; a window that cannot be made again is trusted."""
        if held and held[-1] > self._head:
            return True
        if self._later is None:
            later = self._past.between(self._head, self.version)
            self._later = Haystack("\n".join(said(logged.message) for logged in later))
        seen = self.seen
        return seen is None or seen.text.holds(value) or self._later.holds(value)

    def lost(self, value: str, held: Sequence[int], used: str | None = None) -> Lost:
        """Return `value` as lost from here."""
        fate = self.seen.fates.get(held[-1]) if self.seen else None
        return Lost(value, tuple(held), self.version, self.window, fate, used)
