"""The README's snippets run and print what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_snippets_print_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = README.read_text(encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "snippets"}
    expected = "".join(re.findall(r"```\n\n```text\n(.*?)```", text, re.DOTALL))
    printed = io.StringIO()
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        with contextlib.redirect_stdout(printed):
            exec(compile(code, README.name, "exec"), namespace)
    assert printed.getvalue() == expected
