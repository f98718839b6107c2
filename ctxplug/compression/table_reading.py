"""Read table form back: the check that nothing was lost, and the way to shorten it further."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ctxplug.compression.json_values import MAX_DEPTH, NUMBER, Number, Value
from ctxplug.compression.table_form import Column, Object

_VALUE = re.compile(r"[^,{}\[\]\n]*")
_KEY = re.compile(r"[^,{}\[\]\n:=]*")
_COUNT = re.compile(r"([#/^])([1-9][0-9]{0,8})")
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}
_decode = json.JSONDecoder(strict=False).raw_decode


def read(text: str) -> Value:
    """Return the value that `table_form.write` wrote as `text`.

    Raises ValueError where it is not table form.
    """
    reader = _Reader(text)
    value = reader.value()
    if reader.at != len(text):
        raise ValueError(f"not table form: something follows the value at {reader.at}")
    return value


class _Reader:
    """A position in a text, and a method for each rule of the notation."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.cells = 0  # read of the present row

    def value(self) -> Value:
        char = self.text[self.at : self.at + 1]
        if char == '"':
            return self._quoted()
        if char not in ("{", "["):
            return self._bare()
        self.depth += 1
        if self.depth > 2 * MAX_DEPTH:
            raise ValueError("not table form: nested too deeply")
        self.at += 1
        value = self._object() if char == "{" else self._list()
        self._expect("}" if char == "{" else "]")
        self.depth -= 1
        return value

    def _object(self) -> Value:
        if self._marked("#"):
            _, entries = self._table(keyed=True)
            return dict(entries)
        found: dict[str, Value] = {}
        while self._peek() != "}":
            key = self._key()
            self._expect(":")
            found[key] = self.value()
            if not self._skip(","):
                break
        return found

    def _list(self) -> Value:
        if self._marked("#"):
            sizes, entries = self._table(keyed=False)
            rows: list[Value] = [row for _, row in entries]
            if not sizes:
                return rows
            found: list[Value] = []
            for size in sizes:
                found.append(rows[:size])
                rows = rows[size:]
            return found
        items: list[Value] = []
        while self._peek() != "]":
            items.append(self.value())
            if not self._skip(","):
                break
        return items

    def _table(self, keyed: bool) -> tuple[list[int], list[tuple[str, Object]]]:
        count = self._count("#")
        columns = self._header()
        sizes: list[int] = []
        rows: list[tuple[str, Object]] = []
        while len(rows) < count:
            self._expect("\n")
            if self._marked("/"):
                sizes.append(self._count("/"))
                continue
            key = ""
            if keyed:
                key = self._key()
                self._expect(":")
            if self._marked("^"):
                again = self._count("^")
                if again > len(rows):
                    raise ValueError("not table form: a row is repeated before it is said")
                rows.append((key, rows[again - 1][1]))
            else:
                rows.append((key, self._row(columns)))
        if keyed:
            rows = [(key, _with_key(row, key, columns)) for key, row in rows]
        return sizes, rows

    def _header(self) -> tuple[Column, ...]:
        self._expect("{")
        columns = []
        while True:
            key = self._key()
            if self._peek() == "{":
                columns.append(Column(key, inner=self._header()))
            elif self.text.startswith("=#", self.at):
                self.at += 2
                columns.append(Column(key, keyed=True))
            elif self._skip("="):
                columns.append(Column(key, constant=(self.value(),)))
            else:
                columns.append(Column(key))
            if not self._skip(","):
                break
        self._expect("}")
        return tuple(columns)

    def _row(self, columns: Sequence[Column]) -> Object:
        self.cells = 0
        return self._fields(columns)

    def _fields(self, columns: Sequence[Column]) -> Object:
        row: Object = {}
        for column in columns:
            if column.keyed:
                continue  # the table knows the key
            if column.constant:
                row[column.key] = column.constant[0]
            elif column.inner:
                inner = self._fields(column.inner)
                if inner:
                    row[column.key] = inner
            else:
                if self.cells:
                    self._expect(",")
                if self._peek() not in (",", "\n", "]", "}", ""):
                    row[column.key] = self.value()
                self.cells = 1  # also after a table inside the cell
        return row

    def _bare(self) -> Value:
        match = _VALUE.match(self.text, self.at)
        word = match[0] if match else ""
        if not word:
            raise ValueError(f"not table form: no value at {self.at}")
        self.at += len(word)
        if word in _WORDS:
            return _WORDS[word]
        return Number(word) if NUMBER.fullmatch(word) else word

    def _key(self) -> str:
        if self._peek() == '"':
            return self._quoted()
        match = _KEY.match(self.text, self.at)
        key = match[0] if match else ""
        if not key:
            raise ValueError(f"not table form: no key at {self.at}")
        self.at += len(key)
        return key

    def _quoted(self) -> str:
        value, self.at = _decode(self.text, self.at)
        return str(value)

    def _count(self, mark: str) -> int:
        match = _COUNT.match(self.text, self.at)
        if match is None or match[1] != mark:
            raise ValueError(f"not table form: no {mark}n at {self.at}")
        self.at = match.end()
        return int(match[2])

    def _marked(self, mark: str) -> bool:
        match = _COUNT.match(self.text, self.at)
        return match is not None and match[1] == mark

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _skip(self, char: str) -> bool:
        found = self._peek() == char
        self.at += found
        return found

    def _expect(self, char: str) -> None:
        if not self._skip(char):
            raise ValueError(f"not table form: no {char!r} at {self.at}")


def _with_key(row: Object, key: str, columns: Sequence[Column]) -> Object:
    return row | {column.key: key for column in columns if column.keyed}
