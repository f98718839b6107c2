"""From the bytes of a file to JSON values, each with the line that it begins on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from ctxplug import codec
from ctxplug.errors import InvalidValueError, TranscriptError

_BOM = b"\xef\xbb\xbf"
_SQLITE = b"SQLite format 3\0"
_BETWEEN = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class Line:
    """One JSON value and the line that it begins on, counted from 1."""

    number: int
    value: Any


def read_values(path: str) -> Iterator[Line]:
    """Yield the values of a JSONL file, or those of a file that is one JSON list or object.

    A file of which the first line is a whole JSON value and not the only one is JSONL.
    Raises TranscriptError.
    """
    with _opened(path) as file:
        lines = _filled(file)
        first, second = next(lines, None), next(lines, None)
        if first is None:
            return
        if second is not None and _is_json(first[1]):
            for number, data in chain([first, second], lines):
                yield Line(number, decode(data, path, number))
            return
    try:
        yield from _elements(_whole(path))
    except InvalidValueError as exc:
        if second is not None and first[1].strip() not in (b"[", b"{") and _is_json(second[1]):
            decode(first[1], path, first[0])  # JSONL, of which the first line is broken
        raise _not_json(exc, path, 0) from exc


def read_lines(path: str) -> Iterator[Line]:
    """Yield the values of a JSONL file, skipping blank lines. Raises TranscriptError."""
    with _opened(path) as file:
        for number, data in _filled(file):
            yield Line(number, decode(data, path, number))


def decode(data: bytes, path: str, line: int) -> Any:
    """Return the JSON value of one line, or raise TranscriptError with its column."""
    try:
        return codec.decode(data)
    except InvalidValueError as exc:
        raise _not_json(exc, path, line) from exc


def fault(path: str, line: int, reason: str) -> TranscriptError:
    """Return the error for `line` of `path`; 0 stands for the file as a whole."""
    where = f"{path!r}, line {line}" if line else repr(path)
    return TranscriptError(f"{where}: {reason.rstrip('.')}.", path=path, line=line)


def _opened(path: str) -> BinaryIO:
    try:
        file = open(path, "rb")  # noqa: SIM115 - whoever asked closes it
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise TranscriptError(f"{path!r} cannot be read: {reason}.", path=path) from exc
    if file.peek(len(_SQLITE)).startswith(_SQLITE):
        file.close()
        raise fault(path, 0, "this is a store, not text; `ctxplug export` writes one as JSONL")
    return file


def _filled(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(file, 1):
        data = line.removeprefix(_BOM) if number == 1 else line
        if data.strip():
            yield number, data.rstrip(b"\r\n")


def _is_json(data: bytes) -> bool:
    try:
        return isinstance(codec.decode(data), dict | list)
    except InvalidValueError:
        return False


def _whole(path: str) -> str:
    data = Path(path).read_bytes().removeprefix(_BOM)
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise fault(path, line, _not_utf8(exc, data)) from exc


def _elements(text: str) -> Iterator[Line]:
    """Yield the value of `text`, or the elements of the list that it is."""
    value = codec.decode(text)
    start = len(text) - len(text.lstrip())
    if not isinstance(value, list):
        yield Line(text.count("\n", 0, start) + 1, value)
        return
    decoder = json.JSONDecoder()
    position, line, counted = start + 1, 1, 0
    for element in value:
        match = _BETWEEN.match(text, position)
        position = match.end() if match else position
        line, counted = line + text.count("\n", counted, position), position
        yield Line(line, element)
        position = decoder.raw_decode(text, position)[1]


def _not_json(exc: InvalidValueError, path: str, line: int) -> TranscriptError:
    cause = exc.__cause__
    if isinstance(cause, json.JSONDecodeError):
        line = line or cause.lineno
        return fault(path, line, f"this is not JSON: {cause.msg} at column {cause.colno}")
    if isinstance(cause, UnicodeDecodeError):
        return fault(path, line, _not_utf8(cause, cause.object))
    return fault(path, line, f"this is not JSON that can be read: {cause}")


def _not_utf8(exc: UnicodeDecodeError, data: bytes) -> str:
    column = exc.start - (data.rfind(b"\n", 0, exc.start) + 1) + 1
    found = f"byte {data[exc.start]:#04x} at column {column}"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "this is UTF-16; save the file as UTF-8"
    return f"this is not UTF-8 text ({found}); save the file as UTF-8"
