"""The pages of docs/ about LangChain: their snippets run, and print what the page says."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import langchain_classic.memory
import langchain_ctxplug
import pytest
from langchain.agents import middleware as stock_middleware
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
        message = ".*(RunnableWithMessageHistory|InMemoryChatMessageHistory)"
        warnings.filterwarnings("ignore", message=message, category=LangChainDeprecationWarning)
        assert run_snippets(DOCS / page, names) >= 2
    for value in list(names.values()):
        if type(value).__name__.startswith("Ctxplug") and hasattr(value, "close"):
            value.close()


@pytest.mark.parametrize("page", PAGES)
def test_every_class_that_the_page_names_is_there(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:Ctxplug|ctxplug_)(?!embeddings|llamaindex)\w+", text))
    assert named <= set(dir(langchain_ctxplug))


def test_the_migration_page_names_each_stock_memory_and_what_keeps_context_small() -> None:
    text = (DOCS / "langchain-migration.md").read_text(encoding="utf-8")
    memories = [name for name in langchain_classic.memory.__all__ if name.endswith("Memory")]
    hosted = {"MotorheadMemory", "ZepMemory"}  # services, whose memories stay there
    editing = ("Summariz", "ContextEdit", "ClearToolUses")
    for name in stock_middleware.__all__:
        memories += [name] if name.startswith(editing) else []
    assert not [name for name in memories if name not in hosted and f"`{name}" not in text]
