"""A session of a store as the Subject of an analysis; its windows are made again when asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from ctxplug import codec
from ctxplug.errors import CtxplugError
from ctxplug.messages import Logged, Message
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Entry, Stream, Where
from ctxplug.tracing.analysis.calls import said
from ctxplug.tracing.analysis.subject import Seen
from ctxplug.tracing.reading import newest_steps
from ctxplug.tracing.recorder import trace_stream
from ctxplug.tracing.step import Step

MESSAGE, SESSION = "message", "session"  # kinds of entries
SESSIONS = 50  # others whose steps are compared with, the newest
STEPS = 5_000  # of theirs
MEMORIES = 10_000
REMEMBERED = 256  # windows that were made again


class SessionSubject:
    """The session `session` of a store; `window(step)` makes a past window again."""

    def __init__(
        self,
        backend: Backend,
        namespace: Namespace,
        session: str,
        window: Callable[[Step], Any],
    ) -> None:
        self.session = session
        self.notes: list[str] = []
        self._backend = backend
        self._namespace = namespace
        self._stream = Stream(namespace, session)
        self._window = window
        self._seen: OrderedDict[str, Seen | None] = OrderedDict()

    @cached_property
    def steps(self) -> Sequence[Step]:
        """Its steps, oldest first."""
        steps = list(newest_steps(self._backend, self._namespace, self.session))
        return sorted(reversed(steps), key=lambda step: step.started_at)

    @cached_property
    def messages(self) -> Sequence[Logged]:
        """All messages of its log, as they were given, oldest first."""
        entries = self._backend.read(self._stream, kinds=[MESSAGE])
        return [
            Logged(entry.version, Message.from_dict(entry.body["message"]), _tokens(entry))
            for entry in entries
        ]

    @cached_property
    def history(self) -> Sequence[Step]:
        """Steps of the newest other sessions."""
        begins = trace_stream(self._namespace, "").session
        traced = [info.session for info in self._backend.sessions(self._namespace)]
        names = (name[len(begins) :] for name in traced if name.startswith(begins))
        others = [name for name in names if name != self.session]
        found: list[Step] = []
        for session in reversed(others[-SESSIONS:]):
            found += newest_steps(self._backend, self._namespace, session)
            if len(found) >= STEPS:
                break
        return found[:STEPS]

    @cached_property
    def memories(self) -> Sequence[MemoryRecord]:
        """The memories of the namespace, the newest first."""
        where = Where(self._namespace, not_kinds=(MESSAGE,))
        return self._backend.find(where, limit=MEMORIES)

    @cached_property
    def failed(self) -> str | None:
        """Why the session is marked as failed."""
        if self._marked.get("state") != "failed":
            return None
        return str(self._marked.get("reason") or "no reason was given")

    @cached_property
    def completed(self) -> bool:
        """Whether the session is marked as completed."""
        return self._marked.get("state") == "completed"

    @cached_property
    def _marked(self) -> Mapping[str, Any]:
        entries = self._backend.read(
            self._stream, kinds=[SESSION], pinned=True, newest_first=True, limit=1
        )
        return entries[0].body if entries else {}

    def seen(self, step: Step) -> Seen | None:
        """Return the window of a step, made again; None, and a note, if that cannot be done."""
        if step.id not in self._seen:
            self._seen[step.id] = self._made_again(step)
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return self._seen[step.id]

    def _made_again(self, step: Step) -> Seen | None:
        try:
            window = self._window(step).window
        except (CtxplugError, KeyError, ValueError) as exc:
            self.notes.append(f"The window of step {step.id} cannot be made again: {exc}")
            return None
        return seen_of(window)


def seen_of(window: Any) -> Seen:
    """Return what a context window says, and what became of each message."""
    texts = [said(message) for message in window.messages]
    if window.tools:
        texts.append(codec.encode([dict(tool) for tool in window.tools]).decode("utf-8", "replace"))
    fates: Mapping[int, str] = {
        version: fate.fate for fate in window.report.fates for version in fate.versions
    }
    return Seen("\n".join(texts), fates)


def _tokens(entry: Entry) -> int:
    return next(iter(entry.body.get("tokens", {}).values()), 0)
