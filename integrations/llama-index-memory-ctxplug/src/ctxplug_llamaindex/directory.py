"""The keys of a chat store: the sessions of a namespace that are there, in order of insertion.

Sessions stand in order of creation. What that does not tell is in a log of ctxplug's own:
where a key stands that was deleted and came back, and the name of one that is too long to
be a session's.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ctxplug import AgentMemory
from ctxplug.scope import RESERVED
from ctxplug.sessions.log import MESSAGE
from ctxplug.storage import Append, Entry, SessionInfo, Stream, conversations
from ctxplug.storage.kept import Kept, newest_kept
from ctxplug_llamaindex.conversation import Conversation, listed
from ctxplug_llamaindex.keys import from_ascii, to_ascii, to_key, to_session

LOG = f"{RESERVED}chat_keys"
PLACED, NAMED = "chat_key.placed", "chat_key.named"
OPEN = 256  # conversations that are kept open


class Directory:
    """The conversations of one namespace by key, those in use kept open."""

    _last: Entry | None  # of the log, as far as it was read
    _names: dict[str, str]  # by session
    _places: dict[str, tuple[int, int]]

    def __init__(self, memory: AgentMemory) -> None:
        self.memory = memory
        self._stream = Stream(memory.scope.namespace, LOG)
        self._lock = threading.RLock()
        self._open: OrderedDict[str, Conversation] = OrderedDict()
        self._there: dict[str, tuple[SessionInfo, bool]] = {}
        self._forget()

    def conversation(self, key: str) -> Conversation:
        """Return the conversation of `key`; asking for it writes nothing."""
        session = to_session(key)
        with self._lock:
            found = self._open.get(session)
            if found is None:
                ours = session == self.memory.scope.session
                memory = self.memory if ours else self.memory.beside(session=session)
                found = Conversation(memory, partial(self._announce, session, key))
                self._open[session] = found
                while len(self._open) > OPEN:
                    self._open.popitem(last=False)
            self._open.move_to_end(session)
            return found

    def keys(self) -> list[str]:
        """Return the keys that are there."""
        with self._lock:
            self._refresh()
            found = []
            for number, info in enumerate(self._sessions(), start=1):
                key = to_key(info.session)
                key = self._names.get(info.session) if key is None else key
                if key is not None and self._is_there(info):
                    found.append((self._places.get(info.session, (number, 0)), key))
            return [key for _, key in sorted(found)]

    # -- inside --------------------------------------------------------------------------

    def _sessions(self) -> list[SessionInfo]:
        return conversations(self.memory.backend, self.memory.scope.namespace)

    def _is_there(self, info: SessionInfo) -> bool:
        """Say whether a session is a key; while nothing is written to it, that stays so."""
        known, there = self._there.get(info.session, (None, False))
        if known != info:
            backend, stream = self.memory.backend, Stream(self._stream.namespace, info.session)
            kept = newest_kept(backend, stream) or Kept()
            there = listed(kept) or bool(kept.newest(backend, stream, kind=MESSAGE, count=1))
            self._there[info.session] = info, there
        return there

    def _announce(self, session: str, key: str, head: int) -> None:
        """Note what is to be known of a key that was not there: before `head` it was, or never."""
        with self._lock:
            self._refresh()
            if to_key(session) is None and session not in self._names:
                self._note(NAMED, {"session": session, "key": to_ascii(key)})
            if head:
                self._note(PLACED, {"session": session, "after": len(self._sessions())})

    def _note(self, kind: str, body: Mapping[str, Any]) -> None:
        at = datetime.now(UTC)
        self.memory.backend.write(Append(stream=self._stream, kind=kind, body=body, created_at=at))

    def _refresh(self) -> None:
        """Read what is new of the log; all of it where there was an erasure."""
        after = self._last.version - 1 if self._last else 0
        entries = self.memory.backend.read(self._stream, after=after)
        if self._last is not None:
            if entries[:1] != [self._last]:
                self._forget()
                return self._refresh()
            entries = entries[1:]
        for entry in entries:
            self._last = entry
            session = entry.body["session"]
            if entry.kind == NAMED:
                self._names[session] = from_ascii(entry.body["key"])
            elif entry.kind == PLACED:
                self._places[session] = entry.body["after"], entry.version
        return None

    def _forget(self) -> None:
        self._last = None
        self._names, self._places = {}, {}
