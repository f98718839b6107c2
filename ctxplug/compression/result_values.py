"""Find the structured value in a tool result's text, as it came or as it was shaped."""

from __future__ import annotations

from ctxplug.compression import table_reading
from ctxplug.compression.json_values import Value, parse, parse_loosely

SEE = "[see "  # how the last line of a changed result begins
LEADING = 300  # characters that may stand before the value


def see(ref: str) -> str:
    """Return the last line of a changed result: where its original is."""
    return f"{SEE}{ref}]"


def without_note(text: str) -> str:
    """Return a text without the last line that says where its original is."""
    body, _, last = text.rpartition("\n")
    return body if last.startswith(SEE) and last.endswith("]") else text


def exact_value(text: str) -> Value:
    """Return the list or object that `text` is: JSON, table form or JSON lines.

    Raises ValueError if it is none.
    """
    text = without_note(text.strip())
    for read in (parse, table_reading.read):
        try:
            value = read(text)
        except ValueError:
            continue
        if isinstance(value, dict | list):
            return value
    rows: list[Value] = [parse(line) for line in text.splitlines() if line.strip()]
    if len(rows) < 2 or not all(isinstance(row, dict) for row in rows):
        raise ValueError("not a list or an object")
    return rows


def found_value(text: str) -> tuple[str, Value] | None:
    """Return the value in `text` and the words before it; None if there is none.

    The value may also be cut off, or a Python literal.
    """
    try:
        return "", exact_value(text)
    except ValueError:
        text = without_note(text.strip())
    starts = [i for i in (text.find("{", 0, LEADING), text.find("[", 0, LEADING)) if i >= 0]
    for start in sorted(starts):
        try:
            return text[:start], parse_loosely(text[start:])
        except ValueError:
            continue
    return None
