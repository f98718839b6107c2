"""Paths of the memory tool: what a model may name, and nothing outside of it."""

from __future__ import annotations

import unicodedata

from ctxplug.errors import ToolError

ROOT = "/memories"
TOOL = "memory"
MAX_BYTES, MAX_DEPTH = 1024, 16
_ENCODED = ("%2e", "%2f", "%5c", "%00")


def to_path(given: object) -> str:
    """Return `given` as a path below /memories, in NFC and without a slash at its end.

    Raises ToolError, whose text is for the model, for what leaves /memories or could be
    read as leaving it: "..", ".", empty parts, backslashes, control characters, and their
    percent-encoded forms.
    """
    if not isinstance(given, str):
        raise ToolError(f"A path is text such as {ROOT}/notes.md, not {given!r:.60}.", tool=TOOL)
    path = unicodedata.normalize("NFC", given)
    path = path[:-1] if path.endswith("/") else path
    fault = _fault(path)
    if fault:
        raise ToolError(f"The path {given!r:.200} {fault}.", tool=TOOL)
    return path


def is_under(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies in it."""
    return path == folder or path.startswith(f"{folder}/")


def parents(path: str) -> list[str]:
    """Return the folders that `path` lies in, /memories left out."""
    parts = path.split("/")[2:-1]
    return ["/".join((ROOT, *parts[: n + 1])) for n in range(len(parts))]


def _fault(path: str) -> str | None:
    if not is_under(path, ROOT):
        return f"does not start with {ROOT}"
    parts = path.split("/")[1:]
    if any(part in ("", ".", "..") for part in parts):
        return "has a part that is empty, '.' or '..'"
    if "\\" in path or any(code in path.lower() for code in _ENCODED):
        return "has a backslash, or an encoded dot or slash"
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in path):
        return "has a control character"
    if len(path.encode()) > MAX_BYTES or len(parts) > MAX_DEPTH:
        return f"is longer than {MAX_BYTES} bytes or deeper than {MAX_DEPTH} folders"
    return None
