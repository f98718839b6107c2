"""The README's snippets run, one after the other, and print what it says."""

from __future__ import annotations

from pathlib import Path

import langchain_ctxplug
import pytest
from snippets import run_snippets

README = Path(__file__).parents[1] / "README.md"


def test_the_snippets_print_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_snippets(README) >= 5


def test_every_public_name_is_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    missing = [n for n in langchain_ctxplug.__all__ if f"`{n}" not in text]
    assert set(missing) <= {"from_message", "memory_of"}
