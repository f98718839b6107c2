"""What the Messages API refuses, as (status, error type, message)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ctxplug.context.validity import check_anthropic
from ctxplug.testing.model_thinking import thinking_faults

Refusal = tuple[int, str, str]

MAX_BODY = 32 * 1024 * 1024
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
# From 4.7 on sampling parameters and a thinking budget are gone, from 4.6 on prefill is.
_VERSION = re.compile(r"claude-[a-z]+-(\d)(?:-(\d)(?!\d))?")


def refusal(body: Any, *, counting: bool = False, binds: bool = True) -> Refusal | None:
    """Return why the API refuses `body`, or None.

    `counting` is for count_tokens, which wants no max_tokens; with `binds` thinking is
    refused where the messages before it have changed.
    """
    text = next(_faults(body, counting, binds), None)
    return (400, "invalid_request_error", text) if text else None


def drops_unbound(body: Mapping[str, Any]) -> bool:
    """Whether the request asks for unbound thinking to be dropped rather than refused."""
    thinking = body.get("thinking")
    binding = thinking.get("block_binding") if isinstance(thinking, Mapping) else None
    return isinstance(binding, Mapping) and (
        binding.get("prefix_mismatch_behavior") == "drop_block"
    )


def _faults(body: Any, counting: bool, binds: bool) -> Iterator[str]:
    if not isinstance(body, Mapping):
        yield "the body is a JSON object"
        return
    yield from _shape_faults(body, counting)
    model = str(body["model"])
    yield from _parameter_faults(body, _version(model))
    yield from _tool_faults(body.get("tools") or [])
    prefill = _version(model) < (4, 6) or _resumes(body["messages"])
    for fault in check_anthropic(body, allow_prefill=prefill):
        yield f"{fault.path}: {fault.text} ({fault.rule})"
    for path, text, prefix_only in thinking_faults(body["messages"]):
        if not prefix_only or (binds and not drops_unbound(body)):
            yield f"{path}: {text}"


def _shape_faults(body: Mapping[str, Any], counting: bool) -> Iterator[str]:
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield "model: Field required"
    tokens = body.get("max_tokens")
    if not counting and (not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1):
        yield "max_tokens: Input should be a whole number from 1 on"
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(m, Mapping) for m in messages):
        yield "messages: Input should be a list of objects"
    if not isinstance(body.get("system", ""), str | list):
        yield "system: Input should be a string or a list of text blocks"


def _parameter_faults(body: Mapping[str, Any], version: tuple[int, int]) -> Iterator[str]:
    if version >= (4, 7):
        for name in ("temperature", "top_p", "top_k"):
            if body.get(name) not in (None, 1, 1.0):
                yield f"{name}: is not supported by this model"
    thinking = body.get("thinking")
    kind = thinking.get("type") if isinstance(thinking, Mapping) else None
    if kind == "enabled" and version >= (4, 7):
        yield "thinking.type: 'enabled' is not supported by this model; use 'adaptive'"
    if kind == "enabled" and isinstance(thinking, Mapping):
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int) or not 1024 <= budget < body.get("max_tokens", budget + 1):
            yield "thinking.budget_tokens: at least 1024 and less than max_tokens"


def _tool_faults(tools: Any) -> Iterator[str]:
    names: set[str] = set()
    for i, tool in enumerate(tools):
        name = tool.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield f"tools.{i}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        if name in names:
            yield "tools: Tool names must be unique."
        names.add(str(name))
        schema = tool.get("input_schema")
        custom = tool.get("type") in (None, "custom")
        if custom and (not isinstance(schema, Mapping) or schema.get("type") != "object"):
            yield f"tools.{i}.input_schema: the type is 'object'"


def _resumes(messages: list[Mapping[str, Any]]) -> bool:
    """Whether a final assistant message goes on with a turn that paused in a server tool."""
    content = messages[-1].get("content") if messages else None
    last = content[-1] if isinstance(content, list) and content else {}
    kind = str(last.get("type")) if isinstance(last, Mapping) else ""
    return kind == "server_tool_use" or (kind.endswith("_tool_result") and kind != "tool_result")


def _version(model: str) -> tuple[int, int]:
    found = _VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)
