"""One conversation behind the chat stores: its messages as they are in view, and edits of them.

What was read is kept, and a reading goes only through what is new in the log. An edit is an
entry of the log (`Session.keep`), decided on what was read and made anew if somebody else
wrote meanwhile; nothing that was said leaves the log.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count, pairwise
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage

from ctxplug import AgentMemory, Message
from ctxplug.errors import ConflictError
from ctxplug.sessions.log import MESSAGE, given
from ctxplug.storage import Entry, Stream
from ctxplug.storage.kept import KEPT, Kept, Run, to_runs
from ctxplug_llamaindex.chat_view import Edit, View
from ctxplug_llamaindex.messages import from_messages, one_result_each, to_messages

NOTE = "chat_store"  # under which our part of an edit's note stands
TRIES = 100
PAUSE = 0.002  # seconds, at most, times how often it was tried

T = TypeVar("T")


class Conversation:
    """The messages of one session; `announce` is told before one that was not there will be."""

    _last: Entry | None  # of the log, as far as it was read
    _versions: list[int]
    _messages: list[ChatMessage]
    _archived: Sequence[Run]
    _listed: bool
    _joined: bool
    _note: Mapping[str, Any]

    def __init__(self, memory: AgentMemory, announce: Callable[[int], None]) -> None:
        self.memory = memory
        self._announce = announce
        self._stream = Stream(memory.scope.namespace, memory.scope.session)
        self._lock = threading.RLock()
        self._forget()

    def view(self) -> View:
        """Return what is in view now; its messages are not to be changed or handed out."""
        with self._lock:
            self._refresh()
            return View(
                head=self._last.version if self._last else 0,
                versions=self._versions[:],
                messages=self._messages[:],
                runs=self._archived,
                listed=self._listed,
                joined=self._joined,
                note=self._note,
            )

    def add(self, messages: Sequence[ChatMessage]) -> None:
        """Store `messages` in one write."""
        new = to_messages(messages)
        with self._lock:
            self._refresh()
            if new and not (self._listed or self._versions):
                self._announce(self._last.version if self._last else 0)
            self.memory.extend(new)

    def edit(self, decide: Callable[[View], tuple[Edit | None, T]]) -> T:
        """Make the edit that `decide` makes of what is in view, and return what it gives beside.

        Raises ConflictError when others write to the session without a pause.
        """
        with self._lock:
            for attempt in count(1):
                view = self.view()
                edit, result = decide(view)
                if edit is None:
                    break
                if not view.exists:
                    self._announce(view.head)
                try:
                    # An edit may take one of several that the log can only take together.
                    self._keep(self._parted(view) if view.joined else edit, view)
                    if not view.joined:
                        break
                except ConflictError:
                    if attempt >= TRIES:
                        raise
                    time.sleep(random.uniform(0, PAUSE * attempt))
            return result

    def renewed(
        self, view: View, messages: Sequence[ChatMessage], places: Iterable[int]
    ) -> list[Message]:
        """Return `messages` to be stored; those that stand at `places`, as they are stored now.

        Who says something again in another place said it when he did.
        """
        stand: dict[str, deque[int]] = {}
        for place in places if messages else ():
            stand.setdefault(repr(view.messages[place]), deque()).append(place)
        same: dict[int, int] = {}  # the version of each message that stands there
        for number, message in enumerate(messages if stand else ()):
            if found := stand.get(repr(message)):
                same[number] = view.versions[found.popleft()]
        if not same:
            return to_messages(messages)
        log = self.memory.session.log(after=min(same.values()) - 1)
        stored = {logged.version: logged.message for logged in log}
        return [
            stored.get(same.get(number, 0)) or to_messages([message])[0]
            for number, message in enumerate(messages)
        ]

    # -- inside --------------------------------------------------------------------------

    def _keep(self, edit: Edit, view: View) -> None:
        # The edit is the next entry, and the new messages come right behind it.
        new = [view.head + 2 + place for place in sorted(edit.then_archived)]
        archived = [version for version in edit.versions if version in edit.archived]
        runs = to_runs([*archived, *new])
        ours: dict[str, Any] = {"archived": runs} if runs else {}
        ours |= {"listed": True} if edit.listed else {}
        note = {**view.note, **({NOTE: ours} if ours else {})}
        self.memory.session.keep(edit.versions, edit.then, expected=view.head, note=note)

    def _parted(self, view: View) -> Edit:
        """Return the edit by which each message has a version of its own, in the same order.

        What comes behind the first that has not was added by others, and is not archived.
        """
        first = next(place for place, (v, w) in enumerate(pairwise(view.versions)) if v == w)
        log = self.memory.session.log(after=view.versions[first] - 1)
        then = [piece for logged in log for piece in one_result_each(logged.message)]
        return Edit(view.versions[:first], then, view.archived, listed=view.listed)

    def _refresh(self) -> None:
        """Read what is new; all of it where there was an erasure."""
        if self._last is None:
            return self._load()
        entries = self.memory.backend.read(self._stream, after=self._last.version - 1)
        if entries[:1] != [self._last]:
            return self._load()
        for entry in entries[1:]:
            self._last = entry
            if entry.kind == MESSAGE:
                self._take(entry)
            elif entry.kind == KEPT and not self._apply(Kept.of(entry)):
                return self._load()
        return None

    def _load(self) -> None:
        """Read what is in view, up to the newest entry that there is at the beginning."""
        self._forget()
        backend, stream = self.memory.backend, self._stream
        newest = backend.read(stream, newest_first=True, limit=1)
        if not newest:
            return
        head = newest[0].version
        edits = backend.read(
            stream, before=head + 1, kinds=[KEPT], pinned=True, newest_first=True, limit=1
        )
        kept = Kept.of(edits[0]) if edits else Kept()
        for entry in kept.entries(backend, stream, kind=MESSAGE):
            if entry.version > head:
                break
            self._take(entry)
        self._read_note(kept.note)
        self._last = newest[0]

    def _take(self, entry: Entry) -> None:
        made = from_messages([given(entry)])
        self._versions += [entry.version] * len(made)
        self._messages += made
        self._joined |= len(made) > 1

    def _apply(self, kept: Kept) -> bool:
        """Leave in view what is `kept`; False if that is more than was in view."""
        held = [place for place, version in enumerate(self._versions) if kept.holds(version)]
        self._versions = [self._versions[place] for place in held]
        self._messages = [self._messages[place] for place in held]
        self._joined = self._joined and len({*self._versions}) < len(self._versions)
        self._read_note(kept.note)
        return len({*self._versions}) == sum(last - first + 1 for first, last in kept.runs)

    def _read_note(self, note: Mapping[str, Any]) -> None:
        ours = note.get(NOTE, {})
        self._note = {name: value for name, value in note.items() if name != NOTE}
        self._archived = [(run[0], run[1]) for run in ours.get("archived", ())]
        self._listed = bool(ours.get("listed", False))

    def _forget(self) -> None:
        self._last = None
        self._versions, self._messages = [], []
        self._joined = False
        self._read_note({})


def listed(kept: Kept) -> bool:
    """Say whether an edit made its session a key, whatever is in view."""
    return bool(kept.note.get(NOTE, {}).get("listed", False))
