"""A value in few words, to be read and not to be read back.

As table form, but without the keys of what says itself what it is (an identifier, a name,
a date, a code) below the top of the value, and with short tables on one line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ctxplug.compression import table_form
from ctxplug.compression.json_values import Value

FEW_ROWS = 4  # a table of fewer rows says its keys in the first row instead of a header
# A digit, a capitalised word, or a code of at most three capitals; `ACTIVE` is a state, not a name.
_SAYS_ITSELF = re.compile(r"[0-9]|\b[A-Z\u00c0-\u00de]['’.]?[^\W\d_A-Z]|\b[A-Z]{1,3}\b")


def outline(value: Value) -> str:
    """Return `value` in few words; every leaf is there, numbers and words with their keys."""
    if isinstance(value, dict) and not _is_table(value):
        return ",".join(f"{table_form.key_text(k)}:{_inner(v)}" for k, v in value.items())
    return _inner(value)


def _inner(value: Value) -> str:
    if isinstance(value, dict):
        if not _is_table(value):
            return f"{{{_fields(value, frozenset())}}}"
        if len(value) < FEW_ROWS:
            return f"{{{_rows(value)}}}"  # type: ignore[arg-type]
    elif isinstance(value, list):
        if not value or not all(isinstance(item, dict) and item for item in value):
            if not any(isinstance(item, list) for item in value):
                return f"[{','.join(map(_inner, value))}]"
        elif len(value) < FEW_ROWS:
            return f"[{_rows(value)}]"  # type: ignore[arg-type]
    return table_form.write(value, exact=False)


def _is_table(value: dict[str, Value]) -> bool:
    return table_form.alike(list(value.values()))


def _rows(rows: list[dict[str, Value]] | dict[str, dict[str, Value]]) -> str:
    """Return rows on one line: first what each has, then the rest of each.

    A key that an earlier row said is not said again.
    """
    pairs = list(rows.items()) if isinstance(rows, dict) else [("", row) for row in rows]
    first = pairs[0][1]
    each = {k: v for k, v in first.items() if all(row.get(k) == v for _, row in pairs)}
    each = each if len(pairs) > 1 else {}
    shown, said = [f"each {_fields(each, frozenset())}"] if each else [], frozenset[str]()
    alike = len({tuple(row) for _, row in pairs}) == 1
    for key, row in pairs:
        start = f"{table_form.key_text(key)}:" if key else ""
        own = {k: v for k, v in row.items() if k not in each}
        shown.append(start + _fields(own, said))
        said = frozenset(row) if alike else said
    return ";".join(shown)


def _fields(fields: Mapping[str, Value], said: frozenset[str]) -> str:
    shown = []
    for key, item in fields.items():
        named = key not in said and not (isinstance(item, str) and _SAYS_ITSELF.search(item))
        shown.append(f"{table_form.key_text(key)}:{_inner(item)}" if named else _inner(item))
    return ",".join(shown)
