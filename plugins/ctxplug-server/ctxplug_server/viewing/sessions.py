"""Sessions: the list of conversations, searched by name, title and what was said in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.inspector.reading import Reading
from ctxplug.printable import visible
from ctxplug.recall.text import folded
from ctxplug.scope import Namespace, namespace_key
from ctxplug.sessions.info import SessionState, info_of
from ctxplug.sessions.policy import SessionPolicy
from ctxplug.sessions.states import STATES
from ctxplug.storage import Backend, SessionInfo, conversations
from ctxplug_server.viewing.cursors import cursor_of, read_cursor
from ctxplug_server.viewing.telling import when
from ctxplug_server.viewing.titles import Titles

__all__ = ["SessionList", "find_info"]

FOUND = 60  # messages that a search looks at in a namespace
SEARCHED = 50  # namespaces whose contents one search looks through
AROUND = 60  # characters around what was found
QUERY = 400


@dataclass(frozen=True, slots=True)
class _One:
    namespace: Namespace
    info: SessionInfo
    rank: float = 0.0
    snippet: str | None = None

    @property
    def key(self) -> tuple[float, float, str, str]:
        """What the list is in the order of: how well it was found, then the newest first."""
        where = namespace_key(self.namespace)
        return -self.rank, -self.info.updated_at.timestamp(), where, self.info.session


class SessionList:
    """The sessions of namespaces; titles that were read are remembered."""

    def __init__(self, titles: Titles) -> None:
        self._titles = titles

    def page(
        self,
        backend: Backend,
        reading: Reading,
        namespaces: Sequence[Namespace],
        *,
        q: str | None,
        state: str | None,
        limit: int,
        cursor: str | None,
    ) -> dict[str, Any]:
        """Return a page of the sessions of `namespaces`, what was spoken last first."""
        if state is not None and state not in STATES:
            raise InvalidValueError(
                f"state is one of {', '.join(STATES)}, not {state!r:.60}.", path="state"
            )
        place = read_cursor(cursor, (float, float, str, str))
        after = tuple(place) if place else None
        every = [
            _One(namespace, info)
            for namespace in namespaces
            for info in conversations(backend, namespace)
        ]
        words = (q or "").strip()[:QUERY]
        if words:
            every = list(self._found(backend, reading, every, words))
        every.sort(key=lambda one: one.key)
        items: list[dict[str, Any]] = []
        last: _One | None = None
        for one in every:
            if after is not None and one.key <= after:
                continue
            if len(items) == limit:
                return {"items": items, "next": cursor_of(list(last.key)) if last else None}
            told = self._item(backend, one)
            if state is None or told["state"] == state:
                items.append(told)
            last = one
        return {"items": items, "next": None}

    def _item(self, backend: Backend, one: _One) -> dict[str, Any]:
        info = one.info
        standing = state_of(backend, one.namespace, info)
        return {
            "namespace": namespace_key(one.namespace),
            "session": info.session,
            "state": standing.state,
            "title": self._titles.of(backend, one.namespace, info),
            "created_at": when(info.created_at),
            "updated_at": when(info.updated_at),
            "version": info.version,
            "parent": info.parent,
            "forked": info.forked if info.parent else None,
            "snapshots": standing.snapshots,
            "snippet": one.snippet,
        }

    def _found(
        self, backend: Backend, reading: Reading, every: Sequence[_One], words: str
    ) -> Iterable[_One]:
        """Yield what is called so, best first, then that in which it was said."""
        wanted = folded(words).split()
        said = dict(self._said(reading, every, words))
        for one in every:
            name = folded(f"{one.info.session} {namespace_key(one.namespace)}")
            title = folded(self._titles.of(backend, one.namespace, one.info))
            snippet = said.get((one.namespace, one.info.session))
            if all(word in name for word in wanted):
                yield _One(one.namespace, one.info, 3.0, snippet)
            elif all(word in f"{name} {title}" for word in wanted):
                yield _One(one.namespace, one.info, 2.0, snippet)
            elif snippet is not None:
                yield _One(one.namespace, one.info, 1.0, snippet)

    def _said(
        self, reading: Reading, every: Sequence[_One], words: str
    ) -> Iterable[tuple[tuple[Namespace, str], str]]:
        for namespace in list(dict.fromkeys(one.namespace for one in every))[:SEARCHED]:
            snippets: dict[str, str] = {}
            for found in reading.search(namespace, words, FOUND):
                record = found.record
                session = record.metadata.get("session") if record.kind == "message" else None
                if session and session not in snippets and _holds(record.content, words):
                    snippets[session] = snippet_of(record.content, words)
            yield from (((namespace, session), text) for session, text in snippets.items())


def state_of(backend: Backend, namespace: Namespace, info: SessionInfo) -> SessionState:
    """Return what is known of the session of `info` by now."""
    return info_of(backend, namespace, info, SessionPolicy(), datetime.now(UTC))


def find_info(backend: Backend, namespace: Namespace, session: str) -> SessionInfo | None:
    """Return the session of that name, None if there is none."""
    return next((i for i in conversations(backend, namespace) if i.session == session), None)


def snippet_of(text: str, words: str) -> str:
    """Return the place of `text` where the first of `words` stands, with what is around it."""
    line = " ".join(text.split())
    plain = folded(line)
    places = [plain.find(word) for word in _parts(words)] if len(plain) == len(line) else []
    at = min((place for place in places if place >= 0), default=0)
    start, end = max(0, at - AROUND), at + 2 * AROUND
    told = line[start:end]
    return visible(("…" if start else "") + told + ("…" if end < len(line) else ""))


def _holds(text: str, words: str) -> bool:
    """Say whether any of `words` stands in `text`: what is near by meaning alone is not found."""
    plain = folded(text)
    return any(part in plain for part in _parts(words))


def _parts(words: str) -> list[str]:
    """Return the words to look for in a text: of Chinese without spaces, pairs of characters."""
    parts: list[str] = []
    for word in folded(words).split():
        parts.append(word)
        if not word.isascii() and len(word) > 2:
            parts += [word[i : i + 2] for i in range(len(word) - 1)]
    return parts
