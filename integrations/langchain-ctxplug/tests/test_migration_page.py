"""The snippets of docs/langchain-migration.md run, in order, and print what the page says."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from pathlib import Path

import pytest
from langchain_core._api import LangChainDeprecationWarning

PAGE = Path(__file__).parents[3] / "docs" / "langchain-migration.md"


def test_every_snippet_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", text, re.DOTALL)
    assert len(found) == text.count("```python") == 4
    names = {"__name__": "page"}
    for code, expected in found:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore",
                message=".*RunnableWithMessageHistory",
                category=LangChainDeprecationWarning,
            )
            exec(compile(code, PAGE.name, "exec"), names)
        assert printed.getvalue() == expected
    for name in ("histories", "by_user", "store"):
        names[name].close()  # type: ignore[attr-defined]


def test_every_class_that_the_page_names_is_there() -> None:
    import langchain_ctxplug

    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:Ctxplug|ctxplug_)(?!embeddings)\w+", text))
    assert named <= set(dir(langchain_ctxplug))
