"""Sections of a window that is made elsewhere: functions are asked here, what they say is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from ctxplug.context.sections import Section, Sections, chosen
from ctxplug.context.window import ContextWindow
from ctxplug.messages import Logged

_ASKING: ContextVar[bool] = ContextVar("ctxplug_remote_asking", default=False)
LOOKED_AT = 50  # newest messages in which the user's last one is looked for
SILENT = "it says nothing"  # what a server says of a section without words


class RemoteSections(Sections):
    """The sections of a remote memory's windows; what cacheable functions said is kept here."""

    def __init__(self, above: Sections | None = None) -> None:
        super().__init__(above)
        self._words: dict[str, tuple[Section, Any]] = {}

    def known(self, section: Section) -> Any:
        """Return what `section` has said since `refresh`; None if it was not asked."""
        known = self._words.get(section.name)
        return known[1] if known is not None and known[0] == section else None

    def learned(self, section: Section, said: Any) -> Any:
        """Keep what `section` says, and return it: what another thread was told first wins."""
        known = self._words.setdefault(section.name, (section, said))
        if known[0] != section:
            known = self._words[section.name] = section, said
        return known[1]

    def refresh(self, name: str | None = None) -> None:
        """Ask a cacheable function, or all of them, anew at the next window."""
        super().refresh(name)
        for one in [name] if name is not None else list(self._words):
            self._words.pop(one, None)


@dataclass(frozen=True)
class Sectioned:
    """The sections of one call as they are sent, and why some say nothing."""

    body: list[dict[str, Any]] | None = None
    faults: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, memory: Any, query: str | None, wanted: Iterable[Section | str] | None
    ) -> Sectioned:
        """Return what the sections of `memory`, or those `wanted`, say now.

        A window that a section asks for has none.
        """
        if _ASKING.get():
            return cls([])
        sections = chosen(memory.sections, wanted)
        token = _ASKING.set(True)
        try:
            asking = Asking(memory, query)
            sent = asking.settled([asking.words(section) for section in sections])
            return cls(sent, asking.faults) if sent or wanted is not None else cls()
        finally:
            _ASKING.reset(token)

    @classmethod
    async def aof(
        cls, memory: Any, query: str | None, wanted: Iterable[Section | str] | None
    ) -> Sectioned:
        """Async twin of `of`: functions may block, so a thread asks them."""
        wanted = wanted if wanted is None or isinstance(wanted, str | Section) else list(wanted)
        if wanted is None and not memory.sections.list():
            return cls()
        return await asyncio.to_thread(cls.of, memory, query, wanted)

    def told(self, window: ContextWindow) -> ContextWindow:
        """Return `window` with what the server could not know: which functions failed."""
        if not self.faults:
            return window
        fates = tuple(
            replace(fate, why=self.faults[fate.name])
            if fate.name in self.faults and fate.why == SILENT
            else fate
            for fate in window.report.sections
        )
        return replace(window, report=replace(window.report, sections=fates))


class Asking:
    """Asks the sections of one call what they say."""

    def __init__(self, memory: Any, query: str | None) -> None:
        self._memory = memory
        self._query = query
        self._newest: list[Logged] | None = None
        self._of_turn: set[str] = set()
        self.faults: dict[str, str] = {}

    def words(self, section: Section) -> dict[str, Any]:
        """Return `section` as JSON, its function asked."""
        said: Any = section.content
        if callable(said):
            said = self._kept(section) if section.cacheable else self._asked(section)
        return {
            "name": section.name,
            "content": said if isinstance(said, str) else list(said),
            "priority": section.priority,
            "budget": section.budget,
            "cacheable": section.cacheable,
            "place": section.place,
        }

    def settled(self, sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return `sent`, but for what was asked about a message that is the newest no more."""
        if not self._of_turn or self._memory.session.log(last=1) == self._log()[-1:]:
            return sent
        return [{**one, "content": ""} if one["name"] in self._of_turn else one for one in sent]

    def _kept(self, section: Section) -> Any:
        """Return what a cacheable function says: it is asked once, until `refresh`."""
        sections: RemoteSections = self._memory.sections
        known = sections.known(section)
        if known is not None:
            return known
        said, fault = _said(section, self._memory, None)
        if fault is None:
            return sections.learned(section, said)
        self.faults[section.name] = fault
        return said

    def _asked(self, section: Section) -> Any:
        if section.place == "turn" and not self._is_users():
            return ""  # nothing joins a turn that has gone on
        if section.place == "turn":
            self._of_turn.add(section.name)
        query = self._question() if self._query is None else self._query
        said, fault = _said(section, self._memory, query)
        if fault is not None:
            self.faults[section.name] = fault
        return said

    def _is_users(self) -> bool:
        newest = self._log()[-1:]
        return bool(newest) and newest[0].message.role == "user"

    def _question(self) -> str:
        said = (logged.message for logged in reversed(self._log()))
        return next((message.text for message in said if message.role == "user"), "")

    def _log(self) -> list[Logged]:
        if self._newest is None:
            self._newest = self._memory.session.log(last=LOOKED_AT)
        return self._newest


def _said(section: Section, memory: Any, query: str | None) -> tuple[Any, str | None]:
    """Return the words of a function, and why there are none if it fails."""
    ask: Callable[..., Any] = section.content  # type: ignore[assignment]
    try:
        plain = Section("words", ask(memory, query))  # texts of texts and memories
        return plain.content, None
    except Exception as exc:  # the window goes out without it, and says so
        return "", f"it raised {type(exc).__name__}"
