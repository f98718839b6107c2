"""Which public names a page of the reference documents: read from the page, without Sphinx.

A page names modules in fenced blocks, a line for each::

    ```{public}
    ctxplug.storage
    ctxplug.storage.passing: PassingBackend
    ```

A module alone stands for the names of its `__all__`; names behind a colon for themselves, and
nothing behind it (`ctxplug.codec:`) for the docstring of the module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```\{public\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"(\w+(?:\.\w+)*)(?:(:)\s*(\w+(?:,\s*\w+)*)?)?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A module of a page and the names of it; None: those of its `__all__`."""

    module: str
    names: tuple[str, ...] | None


def wanted_in(block: str) -> list[Wanted]:
    """Return what the lines of one block name; a line that is none raises ValueError."""
    found = []
    for line in filter(None, map(str.strip, block.splitlines())):
        match = LINE.fullmatch(line)
        if match is None:
            raise ValueError(
                f"{line!r} is no line of a public block; write `module` or `module: Name, Name`."
            )
        names = tuple(re.split(r",\s*", match[3])) if match[3] else ()
        found.append(Wanted(match[1], names if match[2] else None))
    return found


def wanted_on(page: str) -> Iterator[Wanted]:
    """Yield what all blocks of a page name."""
    for block in BLOCK.finditer(page):
        yield from wanted_in(block[1])


def public_names(module: Path) -> list[str] | None:
    """Return the `__all__` of a module's file, None if it has none; nothing is imported."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]
    return None
