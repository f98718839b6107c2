"""Anthropic rules about tool calls and their results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ctxplug.context.validity.anthropic_turns import Turn, blocks_of
from ctxplug.context.validity.fault import Fault

# `\Z` by fullmatch: `$` would admit a trailing newline.
_ID = re.compile("[a-zA-Z0-9_-]+")
_NO_TURN = Turn(None, "messages")


def tool_faults(turns: list[Turn]) -> Iterator[Fault]:
    """Yield what is wrong with calls, results and their pairing."""
    seen: set[Any] = set()
    for i, turn in enumerate(turns):
        before = turns[i - 1] if i else _NO_TURN
        after = turns[i + 1] if i + 1 < len(turns) else None
        yield from _shape_faults(turn)
        for path, block in turn.of_type("tool_use"):
            if block.get("id") in seen:
                yield Fault("A16", path, f"the tool_use id {block.get('id')!r} is used twice")
            seen.add(block.get("id"))
        if turn.role == "assistant":
            yield from _answered(turn, after)
            yield from _order_of_calls(turn)
        if turn.role == "user":
            yield from _results(turn, before)


def _shape_faults(turn: Turn) -> Iterator[Fault]:
    for path, block in turn.of_type("tool_use"):
        yield from _id_faults(path, block.get("id"))
        if turn.role != "assistant":
            yield Fault("A14", path, f"a tool_use block is in a {turn.role} turn")
        if not isinstance(block.get("input"), Mapping):
            yield Fault("A17", path, "a tool_use input is not an object")
    for path, block in turn.of_type("tool_result"):
        yield from _id_faults(path, block.get("tool_use_id"))
        if turn.role != "user":
            yield Fault("A18", path, f"a tool_result block is in a {turn.role} turn")
        inner = blocks_of(block.get("content"), path)
        if block.get("is_error") and not (inner and all(b["type"] == "text" for _, b in inner)):
            yield Fault("A28", path, "a failed tool_result must hold text, and only text")


def _id_faults(path: str, id: Any) -> Iterator[Fault]:
    if not isinstance(id, str) or not _ID.fullmatch(id):
        yield Fault("A15", path, f"the tool id {id!r} does not match [a-zA-Z0-9_-]+")


def _answered(turn: Turn, after: Turn | None) -> Iterator[Fault]:
    results = after.of_type("tool_result") if after and after.role == "user" else []
    answers = {block.get("tool_use_id") for _, block in results}
    for path, block in turn.of_type("tool_use"):
        if block.get("id") not in answers:
            rule = "A20" if after is None else "A19"
            yield Fault(rule, path, f"the call {block.get('id')!r} has no result behind it")


def _order_of_calls(turn: Turn) -> Iterator[Fault]:
    called = False
    for path, block in turn.blocks:
        called = called or block.get("type") == "tool_use"
        if called and block.get("type") == "text":
            yield Fault("A27", path, "text stands after a tool_use")


def _results(turn: Turn, before: Turn) -> Iterator[Fault]:
    calls = before.of_type("tool_use") if before.role == "assistant" else []
    called = {block.get("id") for _, block in calls}
    answered: set[Any] = set()
    results = turn.of_type("tool_result")
    for path, block in results:
        id = block.get("tool_use_id")
        if id in answered:
            yield Fault("A21", path, f"the call {id!r} has a second result")
        elif id not in called:
            yield Fault("A22", path, f"no call {id!r} in the turn before")
        answered.add(id)
    yield from _places(turn)
    programmatic = any(_is_programmatic(block) for _, block in calls)
    if programmatic and len(results) < len(turn.blocks):
        yield Fault("A29", turn.path, "a programmatic call is answered beside other blocks")


def _places(turn: Turn) -> Iterator[Fault]:
    kinds = [block.get("type") == "tool_result" for _, block in turn.blocks]
    if kinds != sorted(kinds, reverse=True):
        path = turn.blocks[kinds.index(False)][0]
        yield Fault("A23", path, "another block stands before a tool_result")
    ends = [*turn.starts[1:], len(kinds)]
    holding = [any(kinds[a:b]) for a, b in zip(turn.starts, ends, strict=True)]
    if sum(holding) > 1:
        yield Fault("A30", turn.path, "results of one turn are split over messages")


def _is_programmatic(block: Mapping[str, Any]) -> bool:
    caller = block.get("caller")
    return isinstance(caller, Mapping) and caller.get("type", "direct") != "direct"
