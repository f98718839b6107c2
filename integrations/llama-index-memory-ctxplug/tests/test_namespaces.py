"""The packages below `llama_index`, which share it with LlamaIndex's own distributions."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import ctxplug_llamaindex
import llama_index.core
import pytest

SHARED = Path(ctxplug_llamaindex.__file__).parents[1] / "llama_index"


@pytest.mark.parametrize(
    ("package", "names"),
    [
        ("llama_index.memory.ctxplug", ["CtxplugMemory", "CtxplugMemoryBlock"]),
        ("llama_index.storage.chat_store.ctxplug", ["CtxplugAsyncChatStore", "CtxplugChatStore"]),
    ],
)
def test_they_give_the_names_of_the_package(package: str, names: list[str]) -> None:
    module = import_module(package)
    assert sorted(module.__all__) == names
    for name in names:
        assert getattr(module, name) is getattr(ctxplug_llamaindex, name)
        assert getattr(module, name).__module__.startswith("ctxplug_llamaindex.")


def test_what_others_share_has_no_init_of_ours() -> None:
    for ours in ("memory/ctxplug", "storage/chat_store/ctxplug"):
        assert (SHARED / ours / "__init__.py").exists()
    for shared in (".", "memory", "storage", "storage/chat_store"):
        assert not (SHARED / shared / "__init__.py").exists(), shared


@pytest.mark.parametrize("first", ["llama_index.core", "llama_index.storage.chat_store.ctxplug"])
def test_they_are_found_beside_the_core_in_either_order(first: str) -> None:
    code = (
        f"import {first}, llama_index, llama_index.core\n"
        "from llama_index.storage.chat_store.ctxplug import CtxplugChatStore\n"
        "print(llama_index.__file__, llama_index.core.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["None", str(llama_index.core.__file__)]
