"""The README's snippets run, one after the other, and print what it says."""

from __future__ import annotations

from pathlib import Path

import ctxplug_llamaindex
import pytest
from snippets import run_snippets

README = Path(__file__).parents[1] / "README.md"


# LlamaIndex's agents use what pydantic, and its own workflows, have deprecated.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.filterwarnings("ignore:is_running called from within a step")
def test_the_snippets_print_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_snippets(README) >= 7


def test_every_public_name_is_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    missing = [name for name in ctxplug_llamaindex.__all__ if f"`{name}" not in text]
    assert set(missing) <= {"memory_of"}
