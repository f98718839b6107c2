"""The pages of docs/ about LangChain: their snippets run, and print what the page says."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from langchain_core._api import LangChainDeprecationWarning
from snippets import run_snippets

DOCS = Path(__file__).parents[3] / "docs"
PAGES = sorted(path.name for path in DOCS.glob("langchain-*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_the_snippets_print_what_the_page_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        message = ".*RunnableWithMessageHistory"
        warnings.filterwarnings("ignore", message=message, category=LangChainDeprecationWarning)
        assert run_snippets(DOCS / page, names) >= 2
    for value in list(names.values()):
        if type(value).__name__.startswith("Ctxplug") and hasattr(value, "close"):
            value.close()


@pytest.mark.parametrize("page", PAGES)
def test_every_class_that_the_page_names_is_there(page: str) -> None:
    import re

    import langchain_ctxplug

    text = (DOCS / page).read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:Ctxplug|ctxplug_)(?!embeddings|llamaindex)\w+", text))
    assert named <= set(dir(langchain_ctxplug))
