"""docs/monitoring.md prints what it says, and lists what there is."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
from ctxplug_server.live import TYPES
from ctxplug_server.monitoring.advice import KINDS

PAGE = Path(__file__).parents[3] / "docs" / "monitoring.md"


def test_every_snippet_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", text, re.DOTALL)
    assert len(found) == text.count("```python") == 3
    names: dict[str, object] = {"__name__": "page"}
    try:
        for code, expected in found:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, PAGE.name, "exec", dont_inherit=True), names)
            assert printed.getvalue() == expected
    finally:
        names["app"].state.ctxplug.close()  # type: ignore[attr-defined]


def test_the_page_lists_every_event_and_every_kind_of_advice() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in (*TYPES, *KINDS) if f"`{name}`" not in text] == []
