"""Titles: what a session is called, by what its user said first or its metadata."""

from __future__ import annotations

import threading
from collections import OrderedDict

from ctxplug.errors import CtxplugError
from ctxplug.printable import short
from ctxplug.scope import Namespace
from ctxplug.sessions.log import given
from ctxplug.storage import Backend, Entry, SessionInfo, Stream

__all__ = ["Titles"]

KEPT = 50_000
WIDTH = 120
FIRST = 4  # messages among which the first of a user is looked for


class Titles:
    """The titles of sessions; each is read once, as the beginning of a log does not change."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Namespace, str, float], str] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, backend: Backend, namespace: Namespace, info: SessionInfo) -> str:
        """Return the title of a session, "" where nobody has said anything yet."""
        key = namespace, info.session, info.created_at.timestamp()
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            return known
        entries = backend.read(Stream(namespace, info.session), limit=FIRST, kinds=["message"])
        title = _title(entries)
        if title:
            with self._lock:
                self._known[key] = title
                while len(self._known) > KEPT:
                    self._known.popitem(last=False)
        return title


def _title(entries: list[Entry]) -> str:
    said = []
    for entry in entries:
        try:
            said.append(given(entry))
        except CtxplugError:  # of a later version
            continue
    spoken = [message for message in said if message.role == "user" and message.text.strip()]
    first = (spoken or [message for message in said if message.text.strip()])[:1]
    return short(first[0].text, WIDTH) if first else ""
