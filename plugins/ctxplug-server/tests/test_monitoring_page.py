"""docs/monitoring.md prints what it says, and lists what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ctxplug_server.live import TYPES
from ctxplug_server.monitoring.advice import KINDS
from snippets import run_snippets

PAGE = Path(__file__).parents[3] / "docs" / "monitoring.md"


def test_every_snippet_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    try:
        assert run_snippets(PAGE, names) == 3
    finally:
        names["app"].state.ctxplug.close()


def test_the_page_lists_every_event_and_every_kind_of_advice() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in (*TYPES, *KINDS) if f"`{name}`" not in text] == []
