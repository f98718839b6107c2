"""Context sections: what an application adds to the window, by name, budget and priority.

A section is cacheable or volatile. What a cacheable one says is asked for once and stands
first in the system prompt, the same bytes in every call. What a volatile one says is asked
for in every turn and joins the current user message as marked data, where it stays.
"""

from __future__ import annotations

import inspect
import math
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from ctxplug.errors import InvalidValueError, NotFoundError
from ctxplug.recall.recalled import Recalled
from ctxplug.records import MemoryRecord

Words: TypeAlias = str | Sequence[str | MemoryRecord | Recalled]
Ask: TypeAlias = Callable[[Any, str | None], Words]
WHOLE, TRIMMED, LEFT_OUT = "whole", "trimmed", "left out"
_NAME = re.compile(r"\w[\w .:/-]{0,63}")


@dataclass(frozen=True)
class Section:
    """What an application adds to the window.

    `content` is a text; several, such as documents or table schemas, of which each is shown
    whole or not at all, the first ones first; or a function of (memory, query) that returns
    either, or memories. The section takes at most `budget` tokens; where not all sections
    fit into the policy's `section_share`, those of the highest `priority` are served first,
    and among equals those that were added first.

    A text is `cacheable` unless you say otherwise, and stands in the system prompt. A
    function is volatile unless you say otherwise, and stands in the current user's turn. A
    cacheable function is asked once, with None for the query, until `refresh`. A volatile
    section with `place="system"` stands last in the system prompt; whenever it changes, all
    messages behind it are read anew at full price.
    """

    name: str
    content: Words | Ask
    priority: float = 0.5
    budget: int = 500
    cacheable: bool | None = None
    place: Literal["system", "turn"] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise InvalidValueError(
                "A section's name is up to 64 letters, digits, spaces and . : / _ - and begins"
                f" with a letter or digit, not {self.name!r}.",
                path="name",
            )
        if inspect.iscoroutinefunction(self.content):
            raise self._wrong("content", "is a coroutine function; give a plain function")
        if not callable(self.content):
            words = self.content
            object.__setattr__(self, "content", words if isinstance(words, str) else _texts(words))
        if isinstance(self.priority, bool) or not isinstance(self.priority, int | float):
            raise self._wrong("priority", f"is a number, not {self.priority!r}")
        if not math.isfinite(self.priority):
            raise self._wrong("priority", f"is a finite number, not {self.priority!r}")
        if isinstance(self.budget, bool) or not isinstance(self.budget, int) or self.budget <= 0:
            raise self._wrong("budget", f"is a number of tokens above zero, not {self.budget!r}")
        self._settle()

    def _settle(self) -> None:
        """Decide what was left open, and refuse what cannot be."""
        if self.place not in (None, "system", "turn"):
            raise self._wrong("place", f'is "system" or "turn", not {self.place!r}')
        cacheable = self.cacheable
        if cacheable is None:
            cacheable = self.place != "turn" and not callable(self.content)
        if cacheable and self.place == "turn":
            raise self._wrong(
                "place",
                'is "turn", where nothing is cacheable; leave out `cacheable`, or place it in'
                " the system prompt",
            )
        object.__setattr__(self, "cacheable", bool(cacheable))
        place = self.place or ("system" if cacheable else "turn")
        object.__setattr__(self, "place", place)

    def _wrong(self, field: str, fault: str) -> InvalidValueError:
        return InvalidValueError(f"The {field} of section {self.name!r} {fault}.", path=field)


@dataclass(frozen=True, slots=True)
class SectionFate:
    """What became of a section: "whole", "trimmed" or "left out", and `why` if not whole.

    `tokens` are those it takes, `wanted` those it would take in full.
    """

    name: str
    place: str
    fate: str
    tokens: int
    wanted: int
    budget: int
    priority: float
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SectionFate:
        """Rebuild what `to_dict` gave."""
        return cls(**data)

    def __str__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        of = f" of {self.wanted}" if self.wanted != self.tokens else ""
        return f"section {self.name}: {self.fate}, {self.tokens}{of} tokens{why}"


@dataclass(frozen=True, slots=True)
class Said:
    """What a section says: a text, or `listed` ones; `why` it says nothing."""

    section: Section
    texts: tuple[str, ...]
    listed: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """What the sections of one call say, the highest priority first.

    `version` is that of the user message which volatile ones were asked about, 0 if the
    newest message is not the user's; `query` is what they were asked.
    """

    said: tuple[Said, ...]
    query: str = ""
    version: int = 0


class Sections:
    """The sections of a memory's windows, by name; see `Section`.

    Those of `above`, the memory that this one was opened beside, are among them; what is
    added or removed here is so for this memory alone.
    """

    def __init__(self, above: Sections | None = None) -> None:
        self._lock = threading.Lock()
        self._above = above
        self._own: dict[str, Section | None] = {}  # None takes one of `above` away
        self._kept: dict[str, Said] = {}

    def add(self, section: Section | str, content: Words | Ask = "", **fields: Any) -> Section:
        """Put a section into every window from now on, and return it.

        Give a Section, or a name and its content with the keywords of Section (priority,
        budget, cacheable, place). Raises InvalidValueError if the name is taken.
        """
        if isinstance(section, Section):
            if content or fields:
                raise InvalidValueError(
                    "add takes a Section alone, or a name, its content and keywords; use"
                    " dataclasses.replace to change a Section."
                )
        else:
            section = Section(section, content, **fields)
        with self._lock:
            if section.name in self._all():
                raise InvalidValueError(
                    f"There is a section {section.name!r} already; remove it first, or choose"
                    " another name.",
                    path="name",
                )
            self._own.pop(section.name, None)  # it stands where it was added last
            self._own[section.name] = section
        return section

    def remove(self, name: str) -> Section:
        """Take a section out of the windows and return it; NotFoundError if there is none."""
        section = self.get(name)
        with self._lock:
            self._own.pop(name, None)
            if name in self._all():
                self._own[name] = None
            self._kept.pop(name, None)
        return section

    def get(self, name: str) -> Section:
        """Return the section of that name; NotFoundError if there is none."""
        try:
            return self._all()[name]
        except KeyError:
            known = ", ".join(map(repr, self.names())) or "none"
            raise NotFoundError(f"There is no section {name!r}; there is {known}.") from None

    def names(self) -> tuple[str, ...]:
        """Return the names of all sections, in the order in which they were added."""
        return tuple(self._all())

    def list(self) -> tuple[Section, ...]:
        """Return all sections, in the order in which they were added."""
        return tuple(self._all().values())

    def refresh(self, name: str | None = None) -> None:
        """Ask a cacheable function, or all of them, anew at the next window."""
        with self._lock:
            if name is None:
                self._kept.clear()
            else:
                self._kept.pop(self.get(name).name, None)

    def _all(self) -> dict[str, Section]:
        found = self._above._all() if self._above else {}
        for name, section in tuple(self._own.items()):
            found.pop(name, None)
            if section is not None:
                found[name] = section
        return found


def chosen(sections: Sections, wanted: Iterable[Section | str] | None) -> tuple[Section, ...]:
    """Return the sections of one call, the highest priority first: `wanted`, or all."""
    if wanted is None:
        found = sections.list()
    else:
        several = (wanted,) if isinstance(wanted, Section | str) else tuple(wanted)
        found = tuple(s if isinstance(s, Section) else sections.get(s) for s in several)
        names = [section.name for section in found]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InvalidValueError(
                f"Two sections of one call are named {twice!r}; each has a name of its own.",
                path="sections",
            )
    return tuple(sorted(found, key=lambda section: -section.priority))


def ask(sections: Sections, section: Section, memory: Any, query: str) -> Said:
    """Return what `section` says; a cacheable one is asked once, until `refresh`."""
    kept = sections._kept.get(section.name)
    if kept is not None and kept.section == section:
        return kept
    said = _said(section, memory, None if section.cacheable else query)
    if section.cacheable and not said.why:
        with sections._lock:
            kept = sections._kept.get(section.name)
            if kept is not None and kept.section == section:
                return kept  # another thread was first, and its bytes were sent
            sections._kept[section.name] = said
    return said


def _said(section: Section, memory: Any, query: str | None) -> Said:
    words = section.content
    if callable(words):
        try:
            words = words(memory, query)
            words = words if isinstance(words, str) else _texts(words)
        except Exception as exc:  # the window goes out without it, and says so
            return Said(section, (), why=f"it raised {type(exc).__name__}")
    listed = not isinstance(words, str)
    several = (words,) if isinstance(words, str) else _texts(words)
    texts = tuple(text for text in several if text.strip())
    return Said(section, texts, listed, "" if texts else "it says nothing")


def _texts(words: Any) -> tuple[str, ...]:
    """Return several texts, of texts and memories; raises InvalidValueError for anything else."""
    if not isinstance(words, Iterable) or isinstance(words, Mapping | bytes):
        raise _no_words(words)
    return tuple(map(_text, words))


def _text(one: Any) -> str:
    if isinstance(one, Recalled):
        one = one.record
    if isinstance(one, MemoryRecord):
        return one.content
    if not isinstance(one, str):
        raise _no_words(one)
    return one


def _no_words(value: Any) -> InvalidValueError:
    return InvalidValueError(
        f"A section says a text, or several, or memories; not {type(value).__name__}.",
        path="content",
    )
