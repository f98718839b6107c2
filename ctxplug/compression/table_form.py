"""JSON in a shorter notation: keys once per list of like objects, no needless quotes.

::

    {user:mia,rides:[#2{id,fare{net,tax},city=里斯本}
    r_1,10,0.60
    r_2,12.50,"0,75"],note:"17"}

`#2{...}` is a table of two objects: its columns, a column that is the same in every row
with its value, then a row a line. An empty cell is a key that the row lacks; `^1` is the
first row again. An object whose values are alike is a table too, its rows begin with
`key:`, and a column `id=#` has that key as its value. A list of lists of like objects is
one table, with `/n` before each n rows.
Strings are quoted only where they could be taken for something else.

`write` and `read` are inverses: `read(write(value)) == value`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from ctxplug.compression.json_values import NUMBER, Value, bare, quoted

Object: TypeAlias = dict[str, Value]
_UNFIT = r",{}\[\]\"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_BARE_VALUE = re.compile(rf"(?![\s]|[#/^][0-9])[^{_UNFIT}]+(?<!\s)")
_BARE_KEY = re.compile(rf"(?![\s]|[#/^][0-9])[^{_UNFIT}:=]+(?<!\s)")
_LITERALS = {"true", "false", "null", "#"}


@dataclass(frozen=True)
class Column:
    """A key of a table.

    It may be a group of `inner` columns, have one `constant` value in all rows (in a list
    of one), or be `keyed`: its value is the row's own key.
    """

    key: str
    inner: tuple[Column, ...] = ()
    constant: tuple[Value, ...] = ()
    keyed: bool = False


def write(value: Value, exact: bool = True) -> str:
    """Return `value` in table form; not `exact`: strings that look like numbers lose quotes."""
    if isinstance(value, str):
        return _string(value, exact)
    if isinstance(value, list):
        return f"[{_items(value, exact)}]"
    if isinstance(value, dict):
        return "{" + _entries(value, exact) + "}"
    return bare(value)


def _items(items: list[Value], exact: bool) -> str:
    if alike(items):
        return _table([(None, item) for item in _objects(items)], [], exact)
    if len(items) > 1 and all(isinstance(item, list) and item for item in items):
        rows = list(chain.from_iterable(items))  # type: ignore[arg-type]
        if alike(rows):
            sizes = [len(item) for item in items]  # type: ignore[arg-type]
            return _table([(None, row) for row in _objects(rows)], sizes, exact)
    return ",".join(write(item, exact) for item in items)


def _entries(entries: Object, exact: bool) -> str:
    if alike(list(entries.values())):
        return _table(list(entries.items()), [], exact)  # type: ignore[arg-type]
    return ",".join(f"{key_text(key)}:{write(item, exact)}" for key, item in entries.items())


def _objects(rows: Sequence[Value]) -> list[Object]:
    return [row for row in rows if isinstance(row, dict)]


def alike(rows: Sequence[Value]) -> bool:
    """Return whether `rows` are two or more objects that share most of their keys."""
    if len(rows) < 2 or not all(isinstance(row, dict) and row for row in rows):
        return False
    keys = set(chain.from_iterable(rows))  # type: ignore[arg-type]
    filled = sum(len(row) for row in rows if isinstance(row, dict))
    return filled * 2 > len(keys) * len(rows)


def _table(rows: Sequence[tuple[str | None, Object]], sizes: Sequence[int], exact: bool) -> str:
    columns = [_keyed(c, rows) for c in columns_of([row for _, row in rows], complete=True)]
    lines = [f"#{len(rows)}{{{_header(columns, exact)}}}"]
    starts = dict(zip(_running(sizes), sizes, strict=True))
    seen: dict[str, int] = {}
    for i, (key, row) in enumerate(rows):
        if i in starts:
            lines.append(f"/{starts[i]}")
        cells = ",".join(_cells(row, columns, exact))
        first = seen.setdefault(cells, i + 1)
        again = f"^{first}"
        start = "" if key is None else f"{key_text(key)}:"
        lines.append(start + (again if first <= i and len(again) < len(cells) else cells))
    return "\n".join(lines)


def _running(sizes: Sequence[int]) -> Iterator[int]:
    start = 0
    for size in sizes:
        yield start
        start += size


def columns_of(rows: Sequence[Object], complete: bool) -> tuple[Column, ...]:
    """Return the columns of `rows`, in the order in which their keys first occur.

    `complete` says that no row of the table lacks them, so that a column may be constant.
    """
    columns = []
    for key in dict.fromkeys(chain.from_iterable(rows)):
        values = [row[key] for row in rows if key in row]
        whole = complete and len(values) == len(rows)
        if all(isinstance(value, dict) and value for value in values):
            columns.append(Column(key, inner=columns_of(values, whole)))  # type: ignore[arg-type]
        elif whole and all(value == values[0] for value in values):
            columns.append(Column(key, constant=(values[0],)))
        else:
            columns.append(Column(key))
    return tuple(columns)


def _keyed(column: Column, rows: Sequence[tuple[str | None, Object]]) -> Column:
    if all(key is not None and row.get(column.key) == key for key, row in rows):
        return Column(column.key, keyed=True)
    return column


def _header(columns: Sequence[Column], exact: bool) -> str:
    fields = []
    for column in columns:
        field = key_text(column.key)
        if column.inner:
            field += f"{{{_header(column.inner, exact)}}}"
        elif column.keyed:
            field += "=#"
        elif column.constant:
            value = column.constant[0]
            marked = isinstance(value, str) and value.startswith("#")  # `=#` is a keyed column
            field += f"={quoted(str(value)) if marked else write(value, exact)}"
        fields.append(field)
    return ",".join(fields)


def _cells(row: Mapping[str, Value], columns: Sequence[Column], exact: bool) -> Iterator[str]:
    for column in columns:
        if column.inner:
            inner = row.get(column.key)
            yield from _cells(inner if isinstance(inner, dict) else {}, column.inner, exact)
        elif not column.constant and not column.keyed:
            yield write(row[column.key], exact) if column.key in row else ""


def _string(text: str, exact: bool) -> str:
    plain = _BARE_VALUE.fullmatch(text) and text not in _LITERALS
    return text if plain and not (exact and NUMBER.fullmatch(text)) else quoted(text)


def key_text(key: str) -> str:
    """Return a key, quoted if it must be."""
    return key if _BARE_KEY.fullmatch(key) else quoted(key)
