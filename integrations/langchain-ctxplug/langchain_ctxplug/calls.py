"""Tool calls: in `tool_calls`, in content blocks or in both, and what is kept of how they stood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctxplug.messages import ToolCallPart
from langchain_ctxplug.json_data import from_json, to_json

KEY = "langchain"
CALL_BLOCKS = {"tool_use": "id", "tool_call": "id", "function_call": "call_id"}


def how_of(part: Any) -> dict[str, Any]:
    """Return how LangChain wrote `part`: its form and other fields, if it came from there."""
    how = part.extra.get(KEY)
    return how if isinstance(how, dict) else {}


def fields_of(name: str, block: Mapping[str, Any], *taken: str) -> dict[str, Any]:
    """Return the fields of `block` that are not `taken`, as JSON under `name`, if any."""
    rest = {key: value for key, value in block.items() if key not in taken}
    return {name: to_json(rest)} if rest else {}


def read_call(
    block: Mapping[str, Any] | None,
    call: Mapping[str, Any] | None,
    *,
    index: int | None,
    fallback_id: str,
) -> ToolCallPart:
    """Return the part of a tool call that stands in content, in `tool_calls`, or in both.

    `index` is its place in `tool_calls` where that is not its place among the parts.
    """
    how: dict[str, Any] = {}
    arguments: Any = {}
    raw: str | None = None
    if call is not None:
        name, id, arguments = call["name"], call.get("id"), call["args"]
        how |= fields_of("call", call, "name", "args", "id", "type")
        how |= {} if index is None else {"index": index}
        how |= {} if "type" in call else {"untyped": True}
    if block is not None:
        kind = str(block["type"])
        given = {"tool_use": "input", "tool_call": "args", "function_call": "arguments"}[kind]
        value = block.get(given)
        how["form"] = kind
        taken = ["type", "name", CALL_BLOCKS[kind]]
        if call is None:
            how["unlisted"] = True
            name, id = block.get("name"), block.get(CALL_BLOCKS[kind])
            arguments = value if isinstance(value, dict) else {}
        if isinstance(value, str):
            raw = value
            taken.append(given)
        elif given in block and to_json(value) == to_json(arguments):
            taken.append(given)
        elif given not in block:
            how["no_input"] = True
        how |= fields_of("rest", block, *taken)
        how |= {} if block.get("name") == name else {"block_name": to_json(block.get("name"))}
    if not isinstance(id, str):
        how["id"], id = to_json(id), fallback_id
    if not isinstance(name, str):
        how["name"], name = to_json(name), "unknown"
    arguments = to_json(arguments)
    if raw is not None and how.get("form") != "function_call":
        how["raw"] = True  # an input that is text: Anthropic's, while it was streamed
    return ToolCallPart(id, name, arguments, raw, {KEY: how} if how else {})


def write_call(part: ToolCallPart) -> dict[str, Any]:
    """Return the content block of a call that stood in content."""
    how = how_of(part)
    kind = how.get("form", "tool_use")
    block = {"type": kind, "name": from_json(how.get("block_name", call_name(part)))}
    block[CALL_BLOCKS[kind]] = call_id(part)
    given = {"tool_use": "input", "tool_call": "args", "function_call": "arguments"}[kind]
    rest = from_json(how.get("rest", {}))
    if given not in rest and not how.get("no_input"):
        raw = part.raw_arguments
        block[given] = from_json(dict(part.arguments)) if raw is None else raw
    return {**block, **rest}


def call_id(part: ToolCallPart) -> Any:
    """Return the id that LangChain gave the call, which may be none."""
    how = how_of(part)
    return from_json(how["id"]) if "id" in how else part.id


def call_name(part: ToolCallPart) -> Any:
    """Return the name that LangChain gave the call, which may be none where it is invalid."""
    how = how_of(part)
    return from_json(how["name"]) if "name" in how else part.name


def unread_call(call: Mapping[str, Any], part: ToolCallPart, index: int) -> ToolCallPart:
    """Return `part` as the call, at `index` of those whose arguments could not be read.

    Their text is kept as the raw arguments.
    """
    fields = {key: to_json(value) for key, value in call.items() if key != "type"}
    how = {**how_of(part), "invalid": {"index": index, "fields": fields}}
    id, name, raw = (fields.get(key) for key in ("id", "name", "args"))
    for key, known in (("id", part.id), ("name", part.name)):
        if isinstance(fields.get(key), str) and fields[key] and "form" not in how:
            known = fields.pop(key)
        elif fields.get(key) == known:
            del fields[key]
        id, name = (known, name) if key == "id" else (id, known)
    if isinstance(raw, str) and part.raw_arguments in (None, raw):
        del fields["args"]
    raw = raw if part.raw_arguments is None else part.raw_arguments
    return ToolCallPart(str(id), str(name), part.arguments, raw or "", {KEY: how})
