"""The notebooks on LlamaIndex run, and print what they show."""

from __future__ import annotations

import gc
import warnings

import notebooks
import pytest

pytest.importorskip("llama_index.core.llms.mock")


@pytest.mark.parametrize("name", ["llamaindex_agent.ipynb", "llamaindex_chat_engine.ipynb"])
def test_a_notebook_prints_what_it_shows(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # LlamaIndex's own Memory closes nothing
        notebooks.check(name)
        gc.collect()
