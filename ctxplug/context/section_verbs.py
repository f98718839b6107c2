"""The sections of an AgentMemory, and asking them for one window."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from ctxplug.context.sections import Given, Said, Section, Sections, ask, chosen
from ctxplug.messages import Logged
from ctxplug.scope import Scope

if TYPE_CHECKING:
    from ctxplug.guards import Guards

_ASKING: ContextVar[bool] = ContextVar("_ASKING", default=False)
LOOKED_AT = 50  # newest messages in which the user's last one is looked for


class SectionVerbs:
    """`sections`; AgentMemory brings the attributes below."""

    scope: Scope

    if TYPE_CHECKING:
        _guards: Guards

    @cached_property
    def sections(self) -> Sections:
        """What the application adds to every window; see `ctxplug.context.sections.Section`."""
        return Sections()

    def _given(
        self,
        query: str | None,
        wanted: Iterable[Section | str] | None,
        log: Callable[..., list[Logged]],
    ) -> Given | None:
        """Return what sections say now; None if there are none.

        Volatile ones are asked about `query`, or the newest user message. In the turn they are
        asked only while that message is the newest of all, for later nothing joins it. A window
        that a section asks for has none.
        """
        sections = chosen(self.sections, wanted)
        if not sections or _ASKING.get():
            return None
        token = _ASKING.set(True)
        try:
            return self._answers(query, sections, log)
        finally:
            _ASKING.reset(token)

    def _answers(
        self,
        query: str | None,
        sections: tuple[Section, ...],
        log: Callable[..., list[Logged]],
    ) -> Given:
        if all(section.cacheable for section in sections):
            return Given(tuple(ask(self.sections, section, self, "") for section in sections))
        newest = log(last=1)
        is_users = bool(newest) and newest[0].message.role == "user"
        asked = _question(newest if is_users else log(last=LOOKED_AT)) if query is None else query
        said = [
            Said(section, ())
            if section.place == "turn" and not is_users
            else self._redacted(ask(self.sections, section, self, asked))
            for section in sections
        ]
        return Given(tuple(said), query or "", newest[0].version if is_users else 0)

    def _redacted(self, said: Said) -> Said:
        """Pass what will stand in the log through the plugins that redact."""
        if said.section.place != "turn" or not self._guards.redacts:
            return said
        texts = tuple(self._guards.redact(text, self.scope) for text in said.texts)
        return replace(said, texts=tuple(text for text in texts if text.strip()))


def _question(newest: list[Logged]) -> str:
    """Return the text of the last user message."""
    said = (logged.message for logged in reversed(newest))
    return next((message.text for message in said if message.role == "user"), "")
