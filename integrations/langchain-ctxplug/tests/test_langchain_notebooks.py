"""The notebooks on LangChain run, and print what they show."""

from __future__ import annotations

import notebooks
import pytest


@pytest.mark.parametrize(
    "name",
    ["langchain_agent.ipynb", "langchain_migration.ipynb", "langgraph_store.ipynb"],
)
def test_a_notebook_prints_what_it_shows(name: str) -> None:
    notebooks.check(name)
