"""The log behind a chat message history: its generations, and what could not be written yet.

`clear` begins a new generation, which is a session of its own; that it happened is an entry in
a log of ctxplug's own. Nothing is rewritten or removed: the older generations stay readable for
AgentMemory under their names, and `AgentMemory.erase` removes them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from langchain_core.messages import BaseMessage

from ctxplug import AgentMemory
from ctxplug.scope import MAX_LABEL_BYTES, RESERVED
from ctxplug.sessions.log import MESSAGE, given
from ctxplug.storage import Append, Entry, Stream
from langchain_ctxplug.labels import hashed
from langchain_ctxplug.messages import from_messages, to_messages

CLEARED = "history.cleared"
_NEXT = "%g"  # stands before the number of a generation; `labels` never writes it


class ChatLog:
    """The messages of one conversation; any number of histories may share it."""

    def __init__(self, memory: AgentMemory) -> None:
        self.first = memory
        self.unsaved: list[BaseMessage] = []
        self.error: BaseException | None = None
        self._lock = threading.RLock()
        self._current = (0, memory)
        self._read: list[BaseMessage] = []
        self._last: Entry | None = None  # of those that were read

    @property
    def name(self) -> str:
        """The session's name, that of its first generation."""
        return self.first.scope.session

    def memory(self) -> AgentMemory:
        """Return the memory of the generation that is now."""
        with self._lock:
            generation = self.first.backend.head(self._clearings())
            if generation != self._current[0]:
                self._close_current()
                self._current = (generation, self._opened(generation))
                self._forget()
            return self._current[1]

    def messages(self) -> list[BaseMessage]:
        """Return every message, the oldest first; raise what keeps some from being saved."""
        with self._lock:
            self.settle()
            memory = self.memory()
            entries = self._entries(memory, 0 if self._last is None else self._last.version - 1)
            if self._last is not None:
                if entries[:1] == [self._last]:
                    entries = entries[1:]
                else:  # it was erased
                    self._forget()
                    entries = self._entries(memory, 0)
            self._read += from_messages(map(given, entries))
            self._last = entries[-1] if entries else self._last
            return [message.model_copy() for message in self._read]

    def add(self, messages: Sequence[BaseMessage]) -> None:
        """Store `messages` and what is unsaved in one write; all of it is kept if that fails."""
        with self._lock:
            self.unsaved += messages
            self.settle()

    def settle(self) -> None:
        """Try once more to save what is unsaved, and raise if that fails."""
        with self._lock:
            if not self.unsaved:
                return
            try:
                self.memory().extend(to_messages(self.unsaved))
            except Exception as exc:
                self.error = exc
                if not getattr(exc, "__notes__", None):
                    exc.add_note(
                        f"{len(self.unsaved)} messages of the session {self.name!r} are not saved."
                        " They are tried again at the next access; drop_unsaved() gives them up."
                    )
                raise
            self.unsaved, self.error = [], None

    def drop(self) -> list[BaseMessage]:
        """Return what is unsaved, and forget it with its error."""
        with self._lock:
            dropped, self.unsaved, self.error = self.unsaved, [], None
            return dropped

    def clear(self) -> None:
        """Begin a new generation, unless the one that is now is empty."""
        with self._lock:
            self.drop()
            memory = self.memory()
            stream = Stream(memory.scope.namespace, memory.scope.session)
            if not memory.backend.head(stream):
                return
            body = {"session": memory.scope.session}
            at = datetime.now(UTC)
            memory.backend.write(
                Append(stream=self._clearings(), kind=CLEARED, body=body, created_at=at)
            )

    def close(self) -> None:
        """Let go of the memory that a later generation opened; the first one's is its owner's."""
        with self._lock:
            self._close_current()
            self._current = (0, self.first)
            self._forget()

    # -- inside --------------------------------------------------------------------------

    def _clearings(self) -> Stream:
        name = f"{RESERVED}history:{self.name}"
        if len(name.encode()) > MAX_LABEL_BYTES:
            name = f"{RESERVED}history:{hashed(self.name)}"
        return Stream(self.first.scope.namespace, name)

    def _opened(self, generation: int) -> AgentMemory:
        if not generation:
            return self.first
        session = f"{self.name}{_NEXT}{generation + 1}"
        if len(session.encode()) > MAX_LABEL_BYTES:
            session = f"{hashed(self.name)}{_NEXT}{generation + 1}"
        return self.first.beside(session=session)

    def _close_current(self) -> None:
        if self._current[1] is not self.first:
            self._current[1].close()

    def _forget(self) -> None:
        self._read, self._last = [], None

    def _entries(self, memory: AgentMemory, after: int) -> list[Entry]:
        stream = Stream(memory.scope.namespace, memory.scope.session)
        return memory.backend.read(stream, after=after, kinds=[MESSAGE])
