"""Find what a built page would fetch from elsewhere: it must need nothing but its own folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_FAR = r"(?:https?:)?//[^\s\"'<>)]+"
# What a browser loads by itself. A link that somebody clicks (`<a href>`) is no asset.
_INSIDE = r"(?:[^>\"']|\"[^\"]*\"|'[^']*')*?"  # of a tag, whatever its attributes hold
_LOADED = {
    ".html": re.compile(
        rf"<(?:script|img|iframe|source|video|audio|embed|object|input|track|image|use)\b"
        rf"{_INSIDE}\s(?:src|srcset|data|href|xlink:href)\s*=\s*[\"']?({_FAR})"
        rf"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preload|icon|preconnect|dns-prefetch|manifest"
        rf"|shortcut))[^>]*?\bhref\s*=\s*[\"']?({_FAR})"
        rf"|\burl\(\s*[\"']?({_FAR})",
        re.IGNORECASE,
    ),
    ".css": re.compile(
        rf"\burl\(\s*[\"']?({_FAR})|@import\s+[\"']({_FAR})",
        re.IGNORECASE,
    ),
    ".js": re.compile(
        rf"\b(?:import|from)\s*\(?\s*[\"'`]({_FAR})|\b(?:fetch|importScripts)\(\s*[\"'`]({_FAR})"
        rf"|\.(?:src|href)\s*=\s*[\"'`]({_FAR})",
    ),
}
_LOADED[".svg"] = _LOADED[".html"]


def far_assets(text: str, suffix: str) -> list[str]:
    """Return the addresses elsewhere that a file of this suffix makes a browser fetch."""
    pattern = _LOADED.get(suffix)
    if pattern is None:
        return []
    return [next(filter(None, match.groups())) for match in pattern.finditer(text)]


def far_assets_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file under `folder` with each address elsewhere that it fetches."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in _LOADED:
            text = path.read_text(encoding="utf-8", errors="replace")
            for address in far_assets(text, path.suffix):
                yield path, address
