"""The Python blocks of a page: they run, in order, and print what the page says they print."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

# A block that names what it needs, such as ```python langchain, is run by that adapter's tests.
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Snippet(NamedTuple):
    """A block of Python, and the ```text block that follows it at once: what it prints."""

    line: int
    code: str
    expected: str | None


def snippets(page: Path) -> Iterator[Snippet]:
    """Yield the Python blocks of a page."""
    text = page.read_text(encoding="utf-8")
    blocks = list(_BLOCK.finditer(text))
    for block, after in zip_longest(blocks, blocks[1:]):
        if block[1] == "python":
            follows = after and after[1] == "text" and not text[block.end() : after.start()].strip()
            line = text.count("\n", 0, block.start()) + 1
            yield Snippet(line, block[2], after[2] if after and follows else None)


def run_snippets(
    page: Path, names: dict[str, Any] | None = None, *, change: Callable[[str], str] = str
) -> int:
    """Run a page's blocks in one namespace, as a reader's session would.

    `names` is that namespace, `change` is done to the code of each. Returns how many blocks
    say what they print; fails with the line of one that prints something else.
    """
    names = {} if names is None else names
    names.setdefault("__name__", f"snippets_of_{page.stem}")
    checked = 0
    for line, code, expected in snippets(page):
        printed = io.StringIO()
        where = f"{page.name}:{line}"
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + change(code), where, "exec", dont_inherit=True), names)
        if expected is not None:
            assert expected.rstrip() == printed.getvalue().rstrip(), where
            checked += 1
    return checked
