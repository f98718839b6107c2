"""Anthropic rules about single blocks: text, thinking and cache marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ctxplug.context.validity.anthropic_turns import Turn, blocks_of
from ctxplug.context.validity.fault import Fault

Block = Mapping[str, Any]
THINKING = {"thinking": "signature", "redacted_thinking": "data"}


def block_faults(turns: list[Turn], system: Any) -> Iterator[Fault]:
    """Yield what is wrong with single blocks, of the turns and the system prompt."""
    for path, block in blocks_of(system, "system"):
        yield from _text_faults(path, block)
    for turn in turns:
        for path, block in turn.blocks:
            yield from _text_faults(path, block)
            yield from _thinking_faults(path, block, turn.role)
            yield from _mark_faults(path, block)
            if block.get("type") == "tool_result":
                for inner_path, inner in blocks_of(block.get("content"), f"{path}.content"):
                    yield from _text_faults(inner_path, inner)


def marks(data: Any, path: str) -> list[str]:
    """Return the paths of all that has `cache_control`, nested blocks included."""
    if isinstance(data, Mapping):
        own = [path] if data.get("cache_control") else []
        return own + marks(data.get("content"), f"{path}.content")
    if isinstance(data, list | tuple):
        return [found for j, item in enumerate(data) for found in marks(item, f"{path}[{j}]")]
    return []


def _text_faults(path: str, block: Block) -> Iterator[Fault]:
    if block.get("type") != "text":
        return
    text = block.get("text")
    if not isinstance(text, str) or not text:
        yield Fault("A07", path, "a text block is empty")
        if block.get("cache_control"):
            yield Fault("A10", path, "an empty text block has cache_control")
    elif not text.strip():
        yield Fault("A08", path, f"a text block is blank: {text[:20]!r}")


def _thinking_faults(path: str, block: Block, role: Any) -> Iterator[Fault]:
    kind = block.get("type")
    if kind not in THINKING:
        return
    if role != "assistant":
        yield Fault("A11", path, f"a {kind} block is in a {role} turn")
    needed = THINKING[kind]
    if not isinstance(block.get(needed), str) or not block[needed]:
        yield Fault("A13", path, f"a {kind} block has no {needed}")
    if kind == "thinking" and not isinstance(block.get("thinking"), str):
        yield Fault("A13", path, "a thinking block has no thinking text")


def _mark_faults(path: str, block: Block) -> Iterator[Fault]:
    kind = str(block.get("type"))
    if kind in THINKING and block.get("cache_control"):
        yield Fault("A10", path, f"a {kind} block has cache_control")
    executes = "code_execution" in kind or (
        kind == "server_tool_use" and "code_execution" in str(block.get("name"))
    )
    if executes and block.get("cache_control"):
        yield Fault("A12", path, f"a {kind} block has cache_control")
    if kind == "tool_result":
        for inner in marks(block.get("content"), f"{path}.content"):
            yield Fault("A12", inner, "a block inside a tool_result has cache_control")
