"""docs/remote-memory.md prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "remote-memory.md"


def test_every_snippet_prints_what_the_page_says(server: Any) -> None:
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?", text, re.DOTALL)
    assert len(found) == text.count("```python") == 7
    names = {"__name__": "page", "url": server.url}
    for code, expected in found:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, PAGE.name, "exec", dont_inherit=True), names)
        assert printed.getvalue() == expected
