"""Rules O01 to O06 (chat completions) and R01 to R04 (Responses API)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ctxplug import codec
from ctxplug.context.validity.fault import Fault

_CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
_ANSWERS = frozenset(_CALLS.values())


def check_openai(request: Mapping[str, Any]) -> list[Fault]:
    """Return the rules that a chat completion request breaks; it has `messages`."""
    messages: Sequence[Mapping[str, Any]] = request.get("messages") or []
    if not messages:
        return [Fault("O01", "messages", "there is no message")]
    faults: list[Fault] = []
    called: set[Any] = set()
    open_ids: list[Any] = []
    for i, message in enumerate(messages):
        path = f"messages[{i}]"
        if message.get("role") == "tool":
            faults += _answer(path, message.get("tool_call_id"), called, open_ids)
            continue
        faults += _unanswered(path, open_ids)
        open_ids = [call.get("id") for call in message.get("tool_calls") or ()]
        called = set(open_ids)
        faults += _content_faults(path, message)
    return faults + list(_unanswered("messages", open_ids))


def check_openai_responses(
    items: Sequence[Mapping[str, Any]], *, before: Sequence[Mapping[str, Any]] | None = None
) -> list[Fault]:
    """Return the rules that the `input` items of a Responses request break.

    `before` are the items that `items` were made from: only they tell which call came
    with a reasoning item (R03).
    """
    faults: list[Fault] = []
    open_calls: dict[Any, str] = {}
    for i, item in enumerate(items):
        path, kind, id = f"items[{i}]", item.get("type"), item.get("call_id")
        if kind in _CALLS:
            open_calls[id] = path
        elif kind in _ANSWERS and open_calls.pop(id, None) is None:
            faults.append(Fault("R01", path, f"no call is open for the output of {id!r}"))
        elif kind == "reasoning" and not _is_followed(items, i):
            faults.append(Fault("R04", path, "a reasoning item has lost what followed it"))
    for id, path in open_calls.items():
        faults.append(Fault("R02", path, f"the call {id!r} has no output"))
    if before is not None:
        faults += _reasoning_faults(items, before)
    return faults


def _answer(path: str, id: Any, called: set[Any], open_ids: list[Any]) -> Iterator[Fault]:
    if not called:
        yield Fault("O03", path, "a tool message has no assistant message with calls before it")
    elif id not in open_ids:
        yield Fault("O04", path, f"the call {id!r} is not open")
    else:
        open_ids.remove(id)


def _unanswered(path: str, open_ids: list[Any]) -> Iterator[Fault]:
    for id in open_ids:
        yield Fault("O02", path, f"the call {id!r} has no tool message before this")


def _content_faults(path: str, message: Mapping[str, Any]) -> Iterator[Fault]:
    if "tool_calls" in message and message["tool_calls"] in ([], ()):
        yield Fault("O05", path, "tool_calls is an empty list")
    acts = any(message.get(key) for key in ("tool_calls", "function_call", "audio"))
    if message.get("content") is None and not acts and message.get("role") != "function":
        yield Fault("O06", path, "there is neither content nor a call")


def _is_followed(items: Sequence[Mapping[str, Any]], i: int) -> bool:
    for item in items[i + 1 :]:
        kind = item.get("type")
        if kind == "message" or (kind is None and "role" in item):
            return item.get("role") == "assistant"
        if kind != "reasoning":
            return kind not in _ANSWERS
    return False


def _reasoning_faults(
    items: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]
) -> Iterator[Fault]:
    needed = _reasoning_of_calls(before)
    found = _reasoning_of_calls(items)
    for i, item in enumerate(items):
        id = item.get("call_id")
        if item.get("type") in _CALLS and found[id] != needed.get(id, found[id]):
            yield Fault("R03", f"items[{i}]", f"the call {id!r} has lost its reasoning item")


def _reasoning_of_calls(items: Sequence[Mapping[str, Any]]) -> dict[Any, list[bytes]]:
    # Reasoning belongs to all that the model put out behind it, up to the next input.
    current: list[bytes] = []
    closed = True
    calls: dict[Any, list[bytes]] = {}
    for item in items:
        kind = item.get("type")
        is_input = kind in _ANSWERS or item.get("role", "assistant") != "assistant"
        if is_input or (kind == "reasoning" and closed):
            current = []
        closed = kind != "reasoning"
        if kind == "reasoning":
            current = [*current, codec.canonical(item)]
        elif kind in _CALLS:
            calls[item.get("call_id")] = current
    return calls
