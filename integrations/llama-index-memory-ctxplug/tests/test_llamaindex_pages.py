"""The pages of docs/ about LlamaIndex: their snippets run, and print what the page says."""

from __future__ import annotations

import gc
import re
import warnings
from pathlib import Path

import ctxplug_llamaindex
import llama_index.core.memory
import llama_index.core.storage.chat_store
import pytest
from snippets import run_snippets

DOCS = Path(__file__).parents[3] / "docs"
PAGES = sorted(path.name for path in DOCS.glob("llamaindex-*.md"))

pytestmark = [  # LlamaIndex's own
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step"),
]


@pytest.mark.parametrize("page", PAGES)
def test_the_snippets_print_what_the_page_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # LlamaIndex's own Memory closes nothing
        assert run_snippets(DOCS / page, names) >= 2
        names.clear()
        gc.collect()  # so that it is said here, and not in a later test


@pytest.mark.parametrize("page", PAGES)
def test_every_class_that_the_page_names_is_there(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    named = set(re.findall(r"\bCtxplug\w+", text))
    assert named <= set(dir(ctxplug_llamaindex))


STOCK = (llama_index.core.memory, llama_index.core.storage.chat_store)


def test_the_migration_page_names_each_stock_memory_and_store() -> None:
    text = (DOCS / "llamaindex-migration.md").read_text(encoding="utf-8")
    offered = {name for module in STOCK for name in module.__all__ if name[0].isupper()}
    abstract = {"BaseMemory", "BaseMemoryBlock", "BaseChatStore", "InsertMethod"}
    assert not [name for name in sorted(offered - abstract) if f"`{name}" not in text]
