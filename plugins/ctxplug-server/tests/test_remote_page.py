"""docs/remote-memory.md prints what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snippets import run_snippets

PAGE = Path(__file__).parents[3] / "docs" / "remote-memory.md"


def test_every_snippet_prints_what_the_page_says(server: Any) -> None:
    assert run_snippets(PAGE, {"url": server.url}) == 6
