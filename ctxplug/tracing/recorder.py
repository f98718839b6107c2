"""Recorder: steps that have ended wait for the next write, and are stored with it.

They stand in a stream of their own beside the session's, several in one entry (kind "steps");
what windows carried besides the log is kept once, by digest, in entries of kind "parts". A
process that is killed loses the steps since its last write, and nothing else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence, Set
from datetime import UTC, datetime
from typing import Any

from ctxplug import codec
from ctxplug.errors import CtxplugError, InvalidValueError
from ctxplug.scope import RESERVED, Namespace
from ctxplug.storage import Append, Stream
from ctxplug.tracing.policy import TracePolicy
from ctxplug.tracing.span import Span
from ctxplug.tracing.step import CANCELLED, FAILED, MODEL, OK

log = logging.getLogger("ctxplug")

STEPS, PARTS = "steps", "parts"
MOST_WAITING = 1_000
ENOUGH, SECONDS = 16, 1.0  # a write takes so many steps along, or what waits this long after one
TEXTS = {"query", "arguments", "notes"}  # what in a step's own data is anybody's words
CODES = {MODEL: {"stop_reason"}}  # by kind, what an application says that is nobody's words
STRUCTURE = {"type", "role", "id", "created_at"}  # of messages and schemas: nobody's words
SCALARS: dict[str, type | tuple[type, ...]] = {  # of a row, where they are there
    "name": str,
    "outcome": str,
    "error": str,
    "tokens": int,
    "cost": (int, float),
}
LONGEST_TEXT = 2_000  # characters of one text in a step's data
WITHHELD = "[withheld: it could not be redacted]"

Redact = Callable[[str], str]
Taken = tuple[list[Span], dict[str, Callable[[], Any]], int]  # and what was then written last


def trace_stream(namespace: Namespace, session: str) -> Stream:
    """Return the stream of a session's steps."""
    return Stream(namespace, f"{RESERVED}trace:{session}")


class Recorder:
    """The steps of one session that wait to be stored; usable from any thread."""

    def __init__(
        self,
        stream: Stream,
        agent: str | None,
        policy: TracePolicy,
        redact: Redact | None,
    ) -> None:
        self._stream = stream
        self._agent = agent
        self._policy = policy
        self._redact = redact
        self._lock = threading.Lock()
        self._steps: list[Span] = []
        self._parts: dict[str, Callable[[], Any]] = {}
        self._kept: set[str] = set()  # digests of parts that are stored
        self._since = float("-inf")
        self._head = 0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """How many steps wait."""
        return len(self._steps)

    def add(self, span: Span) -> None:
        """Let a step wait for the next write; the oldest give way where too many wait."""
        with self._lock:
            self._steps.append(span)
            for key, part in span.parts.items() if self._policy.text else ():
                if key not in self._kept:
                    self._parts[key] = part
            if len(self._steps) > MOST_WAITING:
                self.dropped += len(self._steps) - MOST_WAITING
                del self._steps[:-MOST_WAITING]

    def take(self, *, all_of_it: bool = True) -> Taken:
        """Return what waits; it waits no more. Else only where enough waits, or for long enough."""
        if not self._steps and not self._parts:
            return [], {}, 0
        now = time.monotonic()
        if not all_of_it and len(self._steps) < ENOUGH and now < self._since + SECONDS:
            return [], {}, 0
        with self._lock:
            taken = self._steps, self._parts, self._head
            self._steps, self._parts, self._since = [], {}, now
        return taken

    def put_back(self, taken: Taken) -> None:
        """Let what was taken wait on: it could not be written."""
        with self._lock:
            self._steps = [*taken[0], *self._steps][-MOST_WAITING:]
            self._parts = {**taken[1], **self._parts}

    def written(self, taken: Taken, versions: Sequence[int]) -> None:
        """Note that what was taken is stored, in entries of these versions."""
        steps, parts, head = taken
        if not versions:
            return
        with self._lock:
            if versions[0] <= head:  # somebody erased what was there before
                self._kept.clear()
                self._head = 0
                lost = {key: part for span in steps for key, part in span.parts.items()}
                if self._policy.text:
                    self._parts |= {key: lost[key] for key in lost.keys() - parts.keys()}
            self._head = max(self._head, versions[-1])
            self._kept.update(parts)

    def forget(self) -> None:
        """Drop what waits, and all knowledge of what is stored: it was erased."""
        with self._lock:
            self._steps, self._parts = [], {}
            self._kept.clear()
            self._head = 0

    def ops(self, taken: Taken) -> list[Append]:
        """Return what stores the steps that were taken."""
        at, (steps, parts, _) = datetime.now(UTC), taken
        found = {key: self._clean(make(), STRUCTURE) for key, make in parts.items()}
        rows = [self._row(span) for span in steps]
        appends = [self._append(PARTS, {"parts": found}, at, pinned=True)] if found else []
        return [*appends, *([self._append(STEPS, {"steps": rows}, at)] if rows else [])]

    def _append(
        self, kind: str, body: dict[str, Any], at: datetime, *, pinned: bool = False
    ) -> Append:
        return Append(
            stream=self._stream,
            kind=kind,
            body=body,
            created_at=at,
            agent=self._agent,
            pinned=pinned,
        )

    def _row(self, span: Span) -> dict[str, Any]:
        """Return a step as it is stored; of one that cannot be stored, what can, and why."""
        try:
            row = self._shown(span)
            for name, kinds in SCALARS.items():
                if name in row and not isinstance(row[name], kinds):
                    raise InvalidValueError(f"{name} is {row[name]!r:.60}.", path=name)
            codec.encode(row)
        except Exception as exc:  # one that is wrong must not keep others from the store
            log.warning("what cannot be stored of the step %s was left out: %s", span.id, exc)
            why = str(exc) if isinstance(exc, InvalidValueError) else type(exc).__name__
            row = {name: getattr(span, name) for name in ("id", "trace", "parent", "kind")}
            row |= {"name": span.name if isinstance(span.name, str) else ""}
            row |= {"outcome": span.outcome if span.outcome in (OK, CANCELLED) else FAILED}
            row |= {"started_at": span.started, "duration": round(span.duration, 7)}
            row["data"] = {"unstored": _cut(why) if self._policy.text else ""}
        return row

    def _shown(self, span: Span) -> dict[str, Any]:
        """Return `span` as it is stored: its texts cut, redacted, or left out."""
        step = span.to_row()
        data = step.get("data")
        if data:
            codes = CODES.get(span.kind, set())
            keys = data.keys() - codes if span.own else TEXTS & data.keys()
            step["data"] = {**data, **{key: self._text(data[key]) for key in keys}}
        if span.own:
            step["name"] = self._clean(step["name"])
        if "error" in step:
            error = step["error"]
            step["error"] = self._text(error) if self._policy.text else error.partition(":")[0]
        return step

    def _text(self, value: Any) -> Any:
        return self._clean(_each_text(value, _cut if self._policy.text else _size))

    def _clean(self, value: Any, spared: Set[str] = frozenset()) -> Any:
        if self._redact is None and self._policy.redact is None:
            return value
        try:
            return _each_text(value, self._redacted, spared)
        except Exception as exc:  # fails closed: what was to be said is not
            if not isinstance(exc, CtxplugError):
                log.exception("a text of a trace could not be redacted")
            return WITHHELD

    def _redacted(self, text: str) -> str:
        if self._redact is not None:
            text = self._redact(text)
        if self._policy.redact is not None:
            text = self._policy.redact(text)
        if not isinstance(text, str):
            raise TypeError(f"`redact` returned {type(text).__name__}, not text")
        return text


def _cut(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]} [{len(text) - LONGEST_TEXT} more characters]"


def _size(text: str) -> str:
    return f"[{len(text)} characters]"


def _each_text(value: Any, change: Redact, spared: Set[str] = frozenset()) -> Any:
    """Return JSON with each text changed, but for texts under the keys in `spared`."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {
            key: item
            if key in spared and isinstance(item, str)
            else _each_text(item, change, spared)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_each_text(item, change, spared) for item in value]
    return value
