"""The plugin offers its embedders by name, and importing it loads none of their libraries."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import ctxplug_embeddings
import pytest

from ctxplug.errors import InvalidValueError, PluginError
from ctxplug.plugins import Plugins
from ctxplug.registry import Registry

NAMES = ["openai", "sentence-transformers", "voyage", "wordllama"]


def test_the_entry_point_offers_the_embedders() -> None:
    [point] = entry_points(group="ctxplug", name="embeddings")
    assert point.load() is ctxplug_embeddings
    plugins = Plugins(environ={"CTXPLUG_PLUGINS": "embeddings", "CTXPLUG_STRICT": "1"})
    assert set(NAMES) <= set(Registry(plugins).names("embedder"))


def test_importing_the_plugin_imports_no_library() -> None:
    code = "import sys, ctxplug_embeddings; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "wordllama", "openai", "voyageai", "torch", "langchain_core", "llama_index"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize(
    "spec",
    [
        "wordllama:300",
        "wordllama:x",
        "openai:",
        "voyage:",
        "openai:m?x=1",
        "openai:m?dimensions=few",
        "sentence-transformers:",
        "sentence-transformers:m?x=1",
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_with_a_right_one(spec: str) -> None:
    plugins = Plugins(load_entry_points=False)
    plugins.register(ctxplug_embeddings, "embeddings")
    with pytest.raises(InvalidValueError, match=spec.partition(":")[0]):
        Registry(plugins).resolve("embedder", spec)


def test_a_missing_library_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    plugins = Plugins(load_entry_points=False)
    plugins.register(ctxplug_embeddings, "embeddings")
    with pytest.raises(PluginError, match="pip install sentence-transformers"):
        Registry(plugins).resolve("embedder", "sentence-transformers:some-model")
