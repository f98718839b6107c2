"""The names by which OpenTelemetry knows what a step is; nothing of it is imported here.

Those that begin with `gen_ai.` are of the semantic conventions for generative AI (model
calls, tools, memory; in development, as of September 2026); ours begin with `ctxplug.`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from ctxplug import codec
from ctxplug.tokens.models import provider_of
from ctxplug.tracing.step import (
    COMPACTION,
    MODEL,
    OK,
    RECALL,
    REMEMBER,
    RETRY,
    SPAN,
    TOOL,
    WINDOW,
    Step,
)

Value: TypeAlias = "str | bool | int | float | list[str]"
PROVIDERS = {"anthropic": "anthropic", "openai": "openai", "gemini": "gcp.gen_ai"}
UNKNOWN = "unknown"
OPERATIONS = {
    MODEL: "chat",
    TOOL: "execute_tool",
    RECALL: "search_memory",
    "remember": "create_memory",
    "forget": "delete_memory",
}
# Of a window's and a compaction's data: sizes and versions, which say nothing of what was said.
PLAIN = {
    WINDOW: ("head", "base", "budget", "limit", "margin", "counter", "hash", "messages"),
    COMPACTION: ("number", "before", "after", "version"),
    RETRY: ("attempt",),
    TOOL: ("run", "attempts"),
}


def operation_of(step: Step) -> str | None:
    """Return `gen_ai.operation.name`, None for what the conventions do not know."""
    return OPERATIONS.get(step.name if step.kind == REMEMBER else step.kind)


def is_remote(step: Step) -> bool:
    """Say whether the step is a call to somebody else's service."""
    return step.kind == MODEL


def span_name(step: Step) -> str:
    """Return the span's name: the operation and what it is done with, as few as there are."""
    operation = operation_of(step)
    if step.kind in (RECALL, REMEMBER) and operation:
        return operation
    if step.kind == SPAN:
        return step.name or SPAN
    told = "" if step.kind == MODEL and step.name == UNKNOWN else step.name
    return f"{operation or step.kind} {told}".strip()


def attributes_of(step: Step, *, content: bool, store: str | None) -> dict[str, Value]:
    """Return the attributes of the step's span; with `content` also what anybody said."""
    found: dict[str, Value] = {
        "gen_ai.conversation.id": step.session,
        "ctxplug.step.kind": step.kind,
        "ctxplug.outcome": step.outcome,
    }
    if operation := operation_of(step):
        found["gen_ai.operation.name"] = operation
    if step.agent is not None:
        found["gen_ai.agent.name"] = step.agent
    if step.outcome != OK:
        found["error.type"] = error_type(step)
    if step.tokens is not None and step.kind != MODEL:
        found["ctxplug.tokens"] = step.tokens
    if step.cost is not None:
        found["ctxplug.cost.usd"] = step.cost
    found.update(_own(step, content))
    if store is not None and step.kind in (RECALL, REMEMBER):
        found["gen_ai.memory.store.id"] = store
    for key in PLAIN.get(step.kind, ()):
        if isinstance(step.data.get(key), str | bool | int | float):
            found[f"ctxplug.{step.kind}.{key}"] = step.data[key]
    return found


def error_type(step: Step) -> str:
    """Return the class of the error, or else the outcome: a name, never a message."""
    name = (step.error or "").partition(":")[0]
    return name if name.isidentifier() and name[0].isupper() else step.outcome


def _own(step: Step, content: bool) -> Iterator[tuple[str, Value]]:
    """Yield what is said of a step of this kind alone."""
    data = step.data
    if step.kind == MODEL:
        yield from _of_model(step)
    elif step.kind == TOOL:
        yield "gen_ai.tool.name", step.name
        yield "gen_ai.tool.type", "function"
        if call := data.get("call_id"):
            yield "gen_ai.tool.call.id", str(call)
        if content:
            for key in ("arguments", "result"):
                if data.get(key) is not None:
                    yield f"gen_ai.tool.call.{key}", _json(data[key])
    elif step.kind == RECALL:
        yield "gen_ai.memory.record.count", len(data.get("found", ()))
        if content and isinstance(data.get("query"), str):
            yield "gen_ai.memory.query.text", data["query"]
    elif step.kind == REMEMBER:
        yield "gen_ai.memory.record.count", 1
        if record := data.get("id"):
            yield "gen_ai.memory.record.id", str(record)
    elif step.kind == WINDOW:
        for part, tokens in data.get("tokens", {}).items():
            yield f"ctxplug.window.tokens.{part}", tokens
        if content and isinstance(data.get("query"), str):
            yield "ctxplug.window.query", data["query"]
    elif step.kind == SPAN:
        yield from _of_span(data, content)


def _of_model(step: Step) -> Iterator[tuple[str, Value]]:
    yield "gen_ai.provider.name", PROVIDERS.get(provider_of(step.name) or "", UNKNOWN)
    if step.name != UNKNOWN:
        yield "gen_ai.request.model", step.name
    usage = step.data.get("usage")
    if isinstance(usage, Mapping):
        read, written = usage.get("cache_read", 0), usage.get("cache_write", 0)
        yield "gen_ai.usage.input_tokens", usage.get("input", 0) + read + written
        yield "gen_ai.usage.output_tokens", usage.get("output", 0)
        yield "gen_ai.usage.cache_read.input_tokens", read
        yield "gen_ai.usage.cache_creation.input_tokens", written
    if reason := step.data.get("stop_reason"):
        yield "gen_ai.response.finish_reasons", [str(reason)]


def _of_span(data: Mapping[str, Any], content: bool) -> Iterator[tuple[str, Value]]:
    """Yield what an application says of its own span: numbers, and texts only with `content`."""
    for key, value in data.items():
        if isinstance(value, bool | int | float):
            yield f"ctxplug.data.{key}", value
        elif content and value is not None:
            yield f"ctxplug.data.{key}", value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else codec.encode(value).decode("utf-8", "replace")
