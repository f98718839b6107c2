"""Talk to Claude, with tools and a memory that outlives the process.

    python examples/claude_chat.py                  a short talk, streamed
    python examples/claude_chat.py --store chat.db  kept in a file: run it twice
    python examples/claude_chat.py --ask "..."      one message of your own

With ANTHROPIC_API_KEY set it asks the real API; without it, a server on this machine that
speaks the same API from a script. It says which. Needs `ctxplug-anthropic`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import anthropic
from ctxplug_anthropic import MemoryChat

from ctxplug.testing.model_server import ModelServer, Reply, ServedRequest

MODEL = "claude-sonnet-4-6"
SYSTEM = "You are a travel companion. Answer in two sentences, in the language you are asked in."
TALK = [
    "Hello! I am allergic to peanuts, and I always travel by train.",
    "How many days are there until the 24th of December, and how is the weather in Bergen?",
    "我对什么过敏?",
]


def weather(city: str) -> str:
    """Say the weather of a city, as a made-up station reports it."""
    return f"{city}: 7 degrees, rain from the west."


def days_until(day: int, month: int) -> int:
    """Count the days until the next such day of a month."""
    today = date.today()
    this_year = date(today.year, month, day)
    if this_year < today:
        this_year = date(today.year + 1, month, day)
    return (this_year - today).days


def scripted(request: ServedRequest) -> Reply:
    """Answer in place of the model, from what the request holds."""
    last = request.messages[-1]["content"]
    if any(block["type"] == "tool_result" for block in last):
        return Reply.text("I looked both up for you. Take a raincoat, and book the train early.")
    said = last[0]["text"]
    if "weather in Bergen" in said:
        calls = ("days_until", {"day": 24, "month": 12}), ("weather", {"city": "Bergen"})
        return Reply.tool_use(*calls, text="Let me look that up.")
    if "过敏" in said:
        knows = "peanut" in str(request.body["messages"])
        return Reply.text("你对花生过敏。" if knows else "你还没有告诉我。")
    return Reply.text("Noted: no peanuts, and always by train. Where shall we go?")


@contextmanager
def connected() -> Iterator[anthropic.Anthropic]:
    """Connect to the real API if there is a key for it, else to a server of our own."""
    if os.environ.get("ANTHROPIC_API_KEY"):
        print("Asking the real Anthropic API, with the key of ANTHROPIC_API_KEY.\n")
        with anthropic.Anthropic() as client:
            yield client
        return
    print("Asking a scripted server on this machine; set ANTHROPIC_API_KEY for the real API.\n")
    with (
        ModelServer(scripted) as server,
        anthropic.Anthropic(api_key="none", base_url=server.url) as client,
    ):
        yield client


def show(chat: MemoryChat, text: str) -> None:
    """Hold one turn and show it as it comes."""
    print(f"you:    {text}\nclaude: ", end="")
    with chat.create_message("traveller", "trip", text, stream=True) as stream:
        for event in stream:
            show_event(event)
    reply = stream.reply
    usage = reply.usage
    cost = "unknown" if reply.cost is None else f"${reply.cost:.5f}"
    print(
        f"\n        [{reply.stop_reason}; {reply.calls} calls; {usage.total_input} tokens in,"
        f" {usage.cache_read_tokens} of them cached, {usage.output_tokens} out; {cost}]\n"
    )


def show_event(event: Any) -> None:
    """Show what happens within a turn."""
    if event.kind == "text":
        print(event.text, end="", flush=True)
    elif event.kind == "tool_call":
        names = ", ".join(call.name for call in event.message.tool_calls)
        print(f"\n        (calls {names})\n        ", end="")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", default="memory:", help="a file to keep the memory in")
    parser.add_argument("--ask", help="one message in place of the talk")
    parser.add_argument("--model", default=MODEL)
    given = parser.parse_args()
    with (
        connected() as client,
        MemoryChat(
            given.store,
            client,
            model=given.model,
            tools=[weather, days_until],
            system=SYSTEM,
            auto=True,
            max_tokens=500,
        ) as chat,
    ):
        for text in [given.ask] if given.ask else TALK:
            show(chat, text)
        print("Remembered:")
        for record in chat.memory("traveller", "trip").memories():
            print(f"  {record.content}")
        print(f"Spent: {chat.statistics('traveller').usage.total} tokens")


if __name__ == "__main__":
    main()
