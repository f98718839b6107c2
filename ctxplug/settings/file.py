"""The file of the settings: found, parsed, and known line by line."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctxplug.errors import CannotOpenError, InvalidValueError

__all__ = ["NAME", "VARIABLE", "SettingsFile", "find_file", "parse"]

NAME = "ctxplug.toml"
VARIABLE = "CTXPLUG_CONFIG"
_TABLE = re.compile(r"\s*\[\s*([\w.\" -]+?)\s*\]")
_KEY = re.compile(r"""\s*["']?([\w.-]+)["']?\s*=""")


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A parsed file; `values` are by name, such as "server.port"."""

    path: str
    values: Mapping[str, Any]
    tables: tuple[str, ...]
    text: str

    def where(self, name: str) -> str:
        """Return the file and line that a setting stands in, such as "ctxplug.toml:3"."""
        return f"{self.path}:{_lines(self.text).get(name) or _lines(self.text).get(name + '.', 1)}"


def find_file(environ: Mapping[str, str], folder: str | os.PathLike[str] = "") -> str | None:
    """Return the path of the file that is named, or lies in `folder`; None if there is none."""
    named = environ.get(VARIABLE)
    if named is not None:
        return named or None
    path = os.path.join(folder, NAME)
    return path if os.path.isfile(path) else None


def parse(path: str) -> SettingsFile:
    """Return what is in the file; raise CannotOpenError or InvalidValueError."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
        found = tomllib.loads(text)
        values = dict(_flat(found))
    except OSError as exc:
        raise CannotOpenError(
            f"The settings in {path!r} cannot be read: {exc.strerror or exc}. Check the path and"
            f" its permissions; {VARIABLE} names the file.",
            target=path,
        ) from exc
    except UnicodeDecodeError as exc:
        raise InvalidValueError(
            f"{path} is not UTF-8 at byte {exc.start}; save it as UTF-8.", path=path
        ) from exc
    except (ValueError, RecursionError) as exc:  # a number of 5,000 digits is no TOMLDecodeError
        raise InvalidValueError(
            f'{path} is no TOML: {exc}. A line is such as: store = "agent.db".', path=path
        ) from exc
    tables = tuple(name for name, value in found.items() if isinstance(value, dict))
    return SettingsFile(path, values, tables, text)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _lines(text: str) -> dict[str, int]:
    """Return the line of each setting, and of each table, whose name ends with a dot here."""
    found: dict[str, int] = {}
    prefix = ""
    for number, line in enumerate(text.splitlines(), 1):
        if table := _TABLE.match(line):
            prefix = table[1].replace('"', "") + "."
            found.setdefault(prefix, number)
        elif key := _KEY.match(line):
            found.setdefault(prefix + key[1], number)
    return found
