"""The look of the inspector: two palettes, and the widths of what is shown in cells.

A tone is what a colour means; every tone is in both palettes, and readable on its background.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from textual.theme import Theme

Bit: TypeAlias = tuple[str, str]  # text and its tone

DARK: Mapping[str, str] = {
    "background": "#15171c",
    "surface": "#1a1d23",
    "raised": "#262b34",
    "text": "#d3d8e0",
    "strong": "#f2f4f7",
    "dim": "#8b95a3",
    "faint": "#58616e",
    "accent": "#82aaff",
    "good": "#8fc79a",
    "bad": "#e58080",
    "kept": "#8fc79a",
    "shortened": "#6fc0cf",
    "cut": "#e0b366",
    "merged": "#d89a6a",
    "out": "#e58080",
    "removed": "#c58bb0",
    "answer": "#82aaff",
    "later": "#58616e",
    "unknown": "#8b95a3",
    "recalled": "#bba2ec",
    "system": "#98a3e0",
    "tools": "#8b9ab8",
    "sections": "#b093d0",
    "past": "#8fc79a",
    "now": "#c3e0a8",
    "reserved": "#8b95a3",
    "free": "#2b313b",
    "margin": "#20242b",
    "user": "#c3e0a8",
    "assistant": "#82aaff",
    "tool": "#d9c48f",
}
LIGHT: Mapping[str, str] = {
    "background": "#fbfaf7",
    "surface": "#f4f2ec",
    "raised": "#e6e2d8",
    "text": "#2c3038",
    "strong": "#0e1116",
    "dim": "#656c77",
    "faint": "#a3a8b0",
    "accent": "#2456b8",
    "good": "#2f6f3e",
    "bad": "#b02a2a",
    "kept": "#2f6f3e",
    "shortened": "#15667c",
    "cut": "#885800",
    "merged": "#8c4a1c",
    "out": "#b02a2a",
    "removed": "#83386a",
    "answer": "#2456b8",
    "later": "#a3a8b0",
    "unknown": "#656c77",
    "recalled": "#653fb0",
    "system": "#3c4a9e",
    "tools": "#4a5873",
    "sections": "#6d3f91",
    "past": "#2f6f3e",
    "now": "#4c7a16",
    "reserved": "#656c77",
    "free": "#dcd8cd",
    "margin": "#ebe8df",
    "user": "#4c7a16",
    "assistant": "#2456b8",
    "tool": "#7a5c00",
}
NAMES = {True: "ctxplug-dark", False: "ctxplug-light"}


def themes() -> list[Theme]:
    """Return the two themes."""
    return [
        Theme(
            NAMES[dark],
            primary=tones["accent"],
            secondary=tones["recalled"],
            warning=tones["cut"],
            error=tones["bad"],
            success=tones["good"],
            accent=tones["accent"],
            foreground=tones["text"],
            background=tones["background"],
            surface=tones["surface"],
            panel=tones["raised"],
            dark=dark,
            variables={
                "border": tones["raised"],
                "scrollbar": tones["raised"],
                "scrollbar-hover": tones["faint"],
                "scrollbar-active": tones["accent"],
                "scrollbar-background": tones["background"],
                "scrollbar-background-hover": tones["background"],
                "scrollbar-background-active": tones["background"],
                "footer-background": tones["surface"],
                "dim": tones["dim"],
                "faint": tones["faint"],
                "raised": tones["raised"],
            },
        )
        for dark, tones in ((True, DARK), (False, LIGHT))
    ]


def style(tone: str, *, dark: bool, on: str | None = None) -> Style:
    """Return the style of a tone; "strong" and "title" are bold."""
    tones = DARK if dark else LIGHT
    back = tones[on] if on else None
    bold = tone == "strong" or None
    return Style(color=tones.get(tone, tones["text"]), bgcolor=back, bold=bold)


def block(tone: str, *, dark: bool) -> Style:
    """Return the style of a block of a bar, with text that can be read on it."""
    tones = DARK if dark else LIGHT
    quiet = tone in ("free", "margin")
    return Style(color=tones["dim" if quiet else "background"], bgcolor=tones[tone])


def fit(text: str, width: int) -> str:
    """Return `text` in exactly `width` cells: cut with an ellipsis, or filled with spaces."""
    if width <= 0:
        return ""
    if cell_len(text.rstrip()) > width:
        text = set_cell_size(text, width - 1).rstrip() + "…" if width > 1 else "…"
    return set_cell_size(text, width)


def right(text: str, width: int) -> str:
    """Return `text` flushed right in `width` cells."""
    return " " * max(0, width - cell_len(text)) + fit(text, min(width, cell_len(text)))


def fitted(bits: Iterable[Bit], width: int) -> list[Bit]:
    """Return `bits` in exactly `width` cells, the last cut or filled."""
    done: list[Bit] = []
    left = width
    for text, tone in bits:
        size = cell_len(text)
        if size >= left:
            done.append((fit(text, left), tone))
            return done
        done.append((text, tone))
        left -= size
    return [*done, (" " * left, "text")]


def thousands(count: int) -> str:
    """Return a number of tokens shortly: 840, 3.5k, 120k, 1.2M."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            shown = count / size
            return f"{shown:.1f}{unit}" if shown < 100 else f"{shown:.0f}{unit}"
    return str(count)


def span(versions: Sequence[int]) -> str:
    """Return the versions that a piece stands for: "@3", or "@3-24"."""
    if not versions:
        return ""
    first, last = versions[0], versions[-1]
    return f"@{first}" if first == last else f"@{first}-{last}"
