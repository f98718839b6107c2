"""The snippets of docs/langchain-migration.md run, in order, and print what the page says."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from langchain_core._api import LangChainDeprecationWarning
from snippets import run_snippets

PAGE = Path(__file__).parents[3] / "docs" / "langchain-migration.md"


def test_every_snippet_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore",
            message=".*RunnableWithMessageHistory",
            category=LangChainDeprecationWarning,
        )
        assert run_snippets(PAGE, names) == 4
    for name in ("histories", "by_user", "store"):
        names[name].close()


def test_every_class_that_the_page_names_is_there() -> None:
    import langchain_ctxplug

    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:Ctxplug|ctxplug_)(?!embeddings)\w+", text))
    assert named <= set(dir(langchain_ctxplug))
