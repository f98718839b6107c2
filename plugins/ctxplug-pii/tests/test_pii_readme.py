"""The README's snippet runs and prints what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from snippets import run_snippets

README = Path(__file__).parents[1] / "README.md"


def test_the_snippet_prints_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_snippets(README) == 1
