"""The sessions of a store: namespaces that open, and the conversations in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual import work
from textual.worker import get_current_worker

from ctxplug.errors import CtxplugError
from ctxplug.inspector.look import Bit, fitted, thousands
from ctxplug.inspector.reading import Reading, SessionRow, Size
from ctxplug.inspector.rows import Rows
from ctxplug.inspector.words import Words
from ctxplug.printable import visible
from ctxplug.scope import Namespace, namespace_key

STATES = {"active": "good", "failed": "bad", "suspended": "cut", "completed": "accent"}


class SessionList(Rows):
    """Two lines for each session; a namespace opens and closes with the enter key."""

    def __init__(self, reading: Reading, words: Words, *, id: str) -> None:
        super().__init__(height=2, id=id)
        self.reading = reading
        self.words = words
        self.chosen: SessionRow | None = None
        self._namespaces: list[Namespace] = []
        self._sessions: dict[Namespace, list[SessionRow]] = {}
        self._open: set[Namespace] = set()
        self._listed: list[Namespace | SessionRow] = []
        self._sizes: dict[SessionRow, Size] = {}
        self._asked: set[SessionRow] = set()

    def load(self) -> None:
        """Read what there is; one namespace alone stands open."""
        self._namespaces = self.reading.namespaces()
        self._sessions.clear()
        self._sizes.clear()
        self._asked.clear()
        if len(self._namespaces) == 1:
            self._open = set(self._namespaces)
        self._lay()

    def choose(self, session: str | None) -> SessionRow | None:
        """Put the cursor on a session, or the newest of the first namespace; return it."""
        for namespace in self._namespaces:
            for row in self._of(namespace):
                if session is None or row.session == session:
                    self._open.add(namespace)
                    self._lay()
                    self.cursor = self._listed.index(row)
                    self.chosen = row
                    return row
        return None

    def under(self, index: int) -> SessionRow | None:
        """Return the session of a row; a namespace opens or closes instead."""
        item = self._listed[index]
        if isinstance(item, SessionRow):
            self.chosen = item
            return item
        self._open ^= {item}
        self._lay()
        return None

    # -- inside --------------------------------------------------------------------------

    def _of(self, namespace: Namespace) -> list[SessionRow]:
        if namespace not in self._sessions:
            self._sessions[namespace] = self.reading.sessions(namespace)
        return self._sessions[namespace]

    def _lay(self) -> None:
        self._listed = list(self._items())
        self.show(len(self._listed), self._draw_item)

    def _items(self) -> Iterator[Namespace | SessionRow]:
        for namespace in self._namespaces:
            if len(self._namespaces) > 1:
                yield namespace
            if namespace in self._open:
                yield from self._of(namespace)

    def _draw_item(self, index: int, width: int) -> Sequence[Sequence[Bit]]:
        item = self._listed[index]
        if not isinstance(item, SessionRow):
            sign = "▾" if item in self._open else "▸"
            return [fitted([(f"{sign} {visible(namespace_key(item))}", "dim")], width), []]
        size = self._sizes.get(item)
        if size is None and item not in self._asked:
            self._asked.add(item)
            self._measure(item)
        name: list[Bit] = [(visible(item.session), self._tone(item))]
        if size is not None and size.state not in ("active", "idle"):
            state = self.words.known("state", size.state)
            name.append((f"  {state}", STATES.get(size.state, "dim")))
        return [fitted(name, width), [("  ", "dim"), *self._told(item, size)]]

    def _tone(self, item: SessionRow) -> str:
        return "strong" if item == self.chosen else "text"

    def _told(self, item: SessionRow, size: Size | None) -> Iterator[Bit]:
        if size is None:
            yield self.words("sessions.counting"), "faint"
            return
        more = "" if size.whole else "+"
        tokens = thousands(size.tokens) + more
        key = "sessions.size.one" if size.turns == 1 else "sessions.size"
        yield self.words(key, turns=f"{size.turns:,}{more}", tokens=tokens), "dim"
        if item.parent:
            fork = self.words("sessions.fork", parent=item.parent, version=item.forked)
            yield f" · {fork}", "faint"

    @work(thread=True, group="sizes")
    def _measure(self, item: SessionRow) -> None:
        try:
            size = self.reading.size(item)
        except CtxplugError:
            return
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._measured, item, size)

    def _measured(self, item: SessionRow, size: Size) -> None:
        self._sizes[item] = size
        self.refresh()
