"""The pages of docs/ about LlamaIndex: their snippets run, and print what the page says."""

from __future__ import annotations

from pathlib import Path

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
    assert run_snippets(DOCS / page) >= 2
