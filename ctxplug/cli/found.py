"""How what was recalled is printed: a table, or one after the other with its reasons."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from ctxplug.cli import screen
from ctxplug.recall.recalled import Recalled

CUT = 240  # characters of a text unless all is asked for
BAR = 12  # characters of the longest bar
SHORT = 12  # characters of an id that was made up; commands take the beginning of one
_MADE_UP = re.compile("[0-9a-f]{32}")
_MEANING = {
    "words": "rare words of the query are in it, or beside it",
    "topic": "the talk around it is about the query",
    "answers": "it follows a question like the query",
    "speaker": "it is by or about someone the query names",
    "date": "it is of a date the query names",
    "content": "it states something",
    "fits": "it has what is asked for: a time, a number, a place",
    "importance": "how important it is",
    "recency": "how new it is",
    "access": "how often it was recalled",
    "keyword": "all that its words say for it",
    "semantic": "it means the like",
}


def print_found(found: Sequence[Recalled], *, full: bool, why: bool) -> None:
    """Print what was recalled, best first."""
    console = screen.out()
    if why:
        for place, one in enumerate(found, 1):
            _print_why(console, place, one, full)
        return
    rows = [_row(one, full) for one in found]
    console.print(screen.table("", ["#score", "when", "kind, id, from", "text"], rows))


def _row(one: Recalled, full: bool) -> tuple[str, ...]:
    record = one.record
    return (
        f"{one.score:.2f}",
        f"{record.created_at:%Y-%m-%d}\n{record.created_at:%H:%M}",
        f"{screen.safe(record.kind)}\n[dim]{screen.safe(short_id(record.id))}\n{_who(one)}[/]",
        escape(_text(one, full)),
    )


def _print_why(console: Console, place: int, one: Recalled, full: bool) -> None:
    record = one.record
    said = Table.grid(padding=(0, 1))
    said.add_column()
    said.add_column(overflow="fold")
    said.add_row(f"{place}.", f"[bold]{escape(_text(one, full))}[/]")
    console.print(said)
    about = f"{screen.safe(record.kind)} {screen.safe(short_id(record.id))}, {_who(one)},"
    console.print(Padding(f"[dim]{about} {screen.when(record.created_at)}[/]", (0, 0, 0, 3)))
    rows = list(_parts(one.why.items()))
    table = screen.table("", ["", "#", "", ""], [("score", f"{one.score:.2f}", "", ""), *rows])
    console.print(Padding(table, (0, 0, 1, 3)))


def _parts(parts: Iterable[tuple[str, float]]) -> Iterator[tuple[str, ...]]:
    """Yield the parts of a score, what counts most first, with bars and what they mean."""
    ordered = sorted(parts, key=lambda part: -abs(part[1]))
    most = max((abs(value) for _, value in ordered), default=0) or 1
    for name, value in ordered:
        if round(value, 2):
            bar = "█" * max(1, round(BAR * abs(value) / most))
            yield screen.safe(name), f"{value:+.2f}", bar, f"[dim]{_MEANING.get(name, '')}[/]"


def _who(one: Recalled) -> str:
    record = one.record
    name = record.metadata.get("name")
    who = f"{name}, {record.origin}" if isinstance(name, str) and name else record.origin
    level = "" if record.origin.partition(":")[0] == record.trust else f" (trust: {record.trust})"
    return f"from {screen.safe(who)}{level}"


def short_id(id: str) -> str:
    """Return how an id begins; that of a message, which says where it is, is whole."""
    return id[:SHORT] if _MADE_UP.fullmatch(id) else id


def _text(one: Recalled, full: bool) -> str:
    content = one.record.content
    return screen.visible(content) if full else screen.short(content, CUT)
