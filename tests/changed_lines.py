"""The programs of README.md that show a change: the one before, and the one after its diff."""

from __future__ import annotations

import contextlib
import difflib
import io
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def before_and_after(framework: str) -> tuple[str, str]:
    """Return the program before the change, and the one that the diff below it makes of it."""
    text = README.read_text(encoding="utf-8")
    (before,) = re.findall(rf"^```python {framework}\n(.*?)^```$", text, re.M | re.S)
    (diff,) = re.findall(rf"^```diff {framework}\n(.*?)^```$", text, re.M | re.S)
    return before, applied(before, diff)


def applied(program: str, diff: str) -> str:
    """Return `program` with the hunks of `diff`; each must fit at exactly one place."""
    for hunk in re.split(r"^@@\n", diff, flags=re.M):
        lines = hunk.splitlines(keepends=True)
        old = "".join(line[1:] for line in lines if line[0] in " -")
        new = "".join(line[1:] for line in lines if line[0] in " +")
        assert program.count(old) == 1, f"this hunk does not fit:\n{hunk}"
        program = program.replace(old, new)
    return program


def changed_lines(before: str, after: str) -> int:
    """Return how many lines a reader has to write or to replace."""
    pairs = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    return sum(
        max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in pairs.get_opcodes() if tag != "equal"
    )


def printed(program: str) -> str:
    """Run `program`, and return what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, "README.md", "exec", dont_inherit=True), {"__name__": "readme"})
    return out.getvalue().strip()
