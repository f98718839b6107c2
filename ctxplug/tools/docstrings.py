"""What a docstring says of a function, and of each of its parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

_SECTION = re.compile(r"(\w[\w ]*|参数|参数说明|返回|返回值|异常|抛出)\s*[:：]\s*\Z")
_NUMPY_LINE = re.compile(r"\s*-{3,}\s*\Z")
_ENTRY = re.compile(r"(\*{0,2}\w+)\s*(?:[\(（][^()（）]*[\)）])?\s*[:：]\s*(.*)\Z")
_NUMPY_ENTRY = re.compile(r"(\w+(?:\s*,\s*\w+)*)\s*(?::.*)?\Z")
_FIELD = re.compile(r"\s*:(param|type|returns?|rtype|raises?)\b([^:]*):\s*(.*)\Z")
_PARAMETERS = {"args", "arguments", "parameters", "params", "参数", "参数说明"}
_RAISES = {"raises", "raise", "异常", "抛出"}


def read_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Return the description of `function` without its parameters, and those by name.

    Reads the styles of Google, NumPy and Sphinx, with headings in English or Chinese.
    """
    lines = (inspect.getdoc(function) or "").splitlines()
    kept: list[str] = []
    found: dict[str, str] = {}
    at = 0
    while at < len(lines):
        heading, after = _heading(lines, at)
        if heading in _PARAMETERS or heading in _RAISES:
            end = _end(lines, after)
            if heading in _PARAMETERS:
                found |= _entries(lines[after:end], numpy=after == at + 2)
            at = end
        elif field := _FIELD.match(lines[at]):
            at, text = _continued(lines, at, field[3])
            words = field[2].split()
            if field[1] == "param" and words:
                found[words[-1].lstrip("*")] = text
            elif field[1].startswith("return"):
                kept.append(f"Returns: {text}")
        else:
            kept.append(lines[at])
            at += 1
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip(), found


def _heading(lines: list[str], at: int) -> tuple[str, int]:
    """Return the heading of the section that begins here, and the line after it."""
    text = lines[at].strip()
    if lines[at][:1].isspace() or not text:
        return "", at
    if at + 1 < len(lines) and _NUMPY_LINE.match(lines[at + 1]):
        return text.lower(), at + 2
    match = _SECTION.match(text)
    return (match[1].lower(), at + 1) if match else ("", at)


def _end(lines: list[str], at: int) -> int:
    """Return the line where the section whose content begins at `at` is over."""
    numpy = at >= 1 and _NUMPY_LINE.match(lines[at - 1])
    while at < len(lines):
        if _heading(lines, at)[0] or (numpy and not lines[at].strip()):
            return at
        if not numpy and lines[at].strip() and not lines[at][:1].isspace():
            return at
        at += 1
    return at


def _entries(lines: list[str], *, numpy: bool) -> dict[str, str]:
    """Return what each entry of a section of parameters says."""
    found: dict[str, str] = {}
    names: list[str] = []
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    least = min(indents, default=0)
    for line in lines:
        entry = None
        if line.strip() and len(line) - len(line.lstrip()) == least:
            entry = (_NUMPY_ENTRY if numpy else _ENTRY).match(line.strip())
        if entry:
            names = [name.strip().lstrip("*") for name in entry[1].split(",")]
            text = "" if numpy else entry[2]
        else:
            text = line.strip()
        for name in names:
            found[name] = f"{found.get(name, '')} {text}".strip()
    return {name: text for name, text in found.items() if text}


def _continued(lines: list[str], at: int, text: str) -> tuple[int, str]:
    """Return the line after a Sphinx field, and its text with the lines that go on with it."""
    at += 1
    while at < len(lines) and lines[at].strip() and not _FIELD.match(lines[at]):
        if not lines[at][:1].isspace():
            break
        text = f"{text} {lines[at].strip()}"
        at += 1
    return at, text.strip()
