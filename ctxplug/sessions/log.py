"""SessionLog: how messages stand in a session's log.

An entry holds the message as it was given and its token count. A large tool result is
shaped once, before it is ever sent: the entry then also holds the form that is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ctxplug import codec
from ctxplug.errors import NotFoundError
from ctxplug.messages import Logged, Message, TextPart, ToolResultPart
from ctxplug.storage import Append, Backend, Entry, Stream
from ctxplug.storage.kept import Kept, newest_kept
from ctxplug.tokens import TokenCounter

MESSAGE = "message"
OUTPUT, ENDS = "tool.output", "tool.finished"  # entries with what tools gave back, whole
SHAPED = {"ctxplug": {"form": "shape-tool-results"}}
_SELF = "@\ue000"  # stands for the entry's own reference until its version is known
_REF = re.compile(
    r"(?:(?P<session>.+))?@(?P<first>\d+)(?:-(?P<last>\d+)|\.(?P<place>\d+))?\Z", re.DOTALL
)

Shape = Callable[[str, str], str | None]


class SessionLog:
    """The messages of `stream`; `shape(text, ref)` shortens a large result, or gives None."""

    def __init__(
        self,
        backend: Backend,
        stream: Stream,
        counter: TokenCounter,
        agent: str | None = None,
        shape: Shape = lambda text, ref: None,
    ) -> None:
        self.stream = stream
        self._backend = backend
        self._counter = counter
        self._agent = agent
        self._shape = shape
        self._kept: tuple[Kept, Entry | None] = Kept(), None  # and up to where it was looked for

    def append(self, message: Message) -> Append:
        """Return the operation that adds `message`, counted and ready to be searched."""
        body: dict[str, Any] = {"message": message.to_dict()}
        shaped = self._shaped(message) if message.tool_results else None
        if shaped is not None:
            body["shaped"] = shaped.to_dict()["content"]
        from ctxplug.recall.indexing import index_form  # at first use: it compiles much

        terms, traits = index_form(message.text, message.name)
        body["tokens"] = {self._counter.name: self._counter.count(shaped or message)}
        return Append(
            stream=self.stream,
            kind=MESSAGE,
            body=body,
            created_at=message.created_at,
            agent=self._agent,
            pinned=message.pinned or message.role == "system",
            terms=terms,
            traits=traits,
        )

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Yield the entries of the messages in view, oldest first."""
        yield from self.kept().entries(self._backend, self.stream, kind=MESSAGE, after=after)

    def newest(self, count: int) -> list[Entry]:
        """Return the entries of the newest `count` messages in view, oldest first."""
        return self.kept().newest(self._backend, self.stream, kind=MESSAGE, count=count)

    def kept(self) -> Kept:
        """Return what is in view."""
        known, seen = self._kept
        after = seen.version - 1 if seen else 0
        newest = self._backend.read(self.stream, after=after, limit=1, newest_first=True)
        if newest == [seen]:
            return known
        if seen and self._backend.read(self.stream, after=after, limit=1) != [seen]:
            known, after = Kept(), 0  # it was erased, and begun anew
        known = newest_kept(self._backend, self.stream, after=after) or known
        self._kept = known, newest[0] if newest else None
        return known

    def logged(self, entry: Entry, counter: TokenCounter | None = None) -> Logged:
        """Return the message of an entry as it is sent, with its count by `counter`, or ours."""
        counter = counter or self._counter
        message = given(entry)
        if "shaped" in entry.body:
            message = _as_sent(entry)
        count = entry.body["tokens"].get(counter.name)
        if count is None:  # written under another counter
            count = counter.count(message)
        return Logged(entry.version, message, count)

    def original(self, ref: str, *, in_view: bool = False) -> tuple[Message, ...]:
        """Return the messages behind a reference: "@12", "@3-40" or "session@12".

        With `in_view` only those that no edit removed. Raises NotFoundError if there are none.
        """
        match = _REF.match(ref.strip())
        found: list[Message] = []
        if match:
            stream = replace(self.stream, session=match["session"] or self.stream.session)
            first = int(match["first"])
            last = int(match["last"] or first)
            kinds = [MESSAGE] if last > first else [MESSAGE, OUTPUT]
            kinds = [ENDS] if match["place"] else kinds
            entries = self._backend.read(stream, after=first - 1, before=last + 1, kinds=kinds)
            kept = newest_kept(self._backend, stream) if in_view else None
            said = [(e, m) for e in entries for m in _held(e, match["place"])]
            found = [message for e, message in said if self._in_view(e, message, kept)]
        if not found:
            raise NotFoundError(
                f"There is no original behind {ref!r}. A reference reads like '@12' or '@3-40'"
                " and stands in every shortened part of a window."
            )
        return tuple(found)

    def _in_view(self, entry: Entry, message: Message, kept: Kept | None) -> bool:
        """Say whether an entry is a message in view, or holds a tool's output for one."""
        if kept is None or kept.holds(entry.version):
            return True
        if entry.kind == MESSAGE:
            return False
        calls = {part.call_id for part in message.tool_results}
        later = kept.entries(self._backend, entry.stream, kind=MESSAGE, after=entry.version)
        return any(part.call_id in calls for one in later for part in given(one).tool_results)

    def _shaped(self, message: Message) -> Message | None:
        """Return the message with its large results shortened, or None if none is."""
        parts = []
        for part in message.content:
            if isinstance(part, ToolResultPart) and len(part.content) == 1:
                only = part.content[0]
                short = self._shape(only.text, _SELF) if isinstance(only, TextPart) else None
                if short is not None and isinstance(only, TextPart):
                    part = replace(part, content=(replace(only, text=short),))
            parts.append(part)
        if all(new is old for new, old in zip(parts, message.content, strict=True)):
            return None
        return replace(message, content=tuple(parts))


def given(entry: Entry) -> Message:
    """Return the message of an entry as it was given."""
    return Message.from_dict(entry.body["message"])


def _held(entry: Entry, place: str | None) -> list[Message]:
    """Return the message of an entry; of one that tells of several runs that of a `place`."""
    if place is None:
        return [given(entry)]
    ends = entry.body["ends"][int(place) : int(place) + 1]
    return [Message.from_dict(end["message"]) for end in ends if "message" in end]


def _as_sent(entry: Entry) -> Message:
    message = Message.from_dict({**entry.body["message"], "content": entry.body["shaped"]})
    parts = []
    for part in message.content:
        if isinstance(part, ToolResultPart):
            inner = tuple(
                replace(p, text=p.text.replace(_SELF, f"@{entry.version}"))
                if isinstance(p, TextPart)
                else p
                for p in part.content
            )
            part = replace(part, content=inner)
        parts.append(part)
    return replace(message, content=tuple(parts), extra={**message.extra, **SHAPED})


def in_full(message: Message) -> str:
    """Return what a message says and calls, as text."""
    lines = [message.text] if message.text else []
    for call in message.tool_calls:
        arguments = call.raw_arguments or codec.encode(call.arguments).decode("utf-8", "replace")
        lines.append(f"{call.name}({arguments})")
    return "\n".join(lines)
