"""The prompts of a comparison, beside it: every message once, however many calls sent it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ctxplug import codec
from ctxplug.messages import Logged, Message
from ctxplug.tracing.rerun import Rerun
from ctxplug.tracing.sent import Sent


def write_prompts(rerun: Rerun) -> dict[str, Any]:
    """Return what each call was sent and would be sent, as JSON data."""
    table: dict[bytes, int] = {}
    messages: list[Any] = []

    def place(message: Message) -> int:
        told = message.to_dict()
        found = table.setdefault(codec.canonical(told), len(messages))
        if found == len(messages):
            messages.append(told)
        return found

    def prompt(sent: Sent) -> dict[str, Any]:
        return {
            "front": sent.front,
            "tools": [dict(tool) for tool in sent.tools],
            "prompt": [[one.version, one.tokens, place(one.message)] for one in sent.prompt],
        }

    calls = [[prompt(call.before), prompt(call.after)] for call in rerun.calls]
    return {"messages": messages, "calls": calls}


def read_prompts(rerun: Rerun, data: Mapping[str, Any]) -> Rerun:
    """Return `rerun` with the prompts that `write_prompts` wrote."""
    messages = [Message.from_dict(told) for told in data["messages"]]

    def whole(sent: Sent, told: Mapping[str, Any]) -> Sent:
        prompt = tuple(Logged(version, messages[at], n) for version, n, at in told["prompt"])
        return replace(sent, front=told["front"], tools=_tools(told["tools"]), prompt=prompt)

    calls = tuple(
        replace(call, before=whole(call.before, before), after=whole(call.after, after))
        for call, (before, after) in zip(rerun.calls, data["calls"], strict=True)
    )
    return replace(rerun, calls=calls)


def _tools(tools: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return tuple(tools)
