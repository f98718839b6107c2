"""The README's snippets run and print what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from snippets import run_snippets

README = Path(__file__).parents[1] / "README.md"


def test_the_snippets_print_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CTXPLUG_MODELS", raising=False)
    monkeypatch.delenv("CTXPLUG_PRICES", raising=False)
    assert run_snippets(README) == 2
