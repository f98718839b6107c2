"""A message as the server-sent events of the Messages API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ctxplug import codec

PIECE = 24  # characters of a delta
Event = dict[str, Any]


def events_of(message: Mapping[str, Any]) -> Iterator[Event]:
    """Yield the events that make up `message`."""
    usage = message.get("usage")
    opening = dict(message) | {"content": [], "stop_reason": None, "stop_details": None}
    if usage is not None:
        opening["usage"] = {**usage, "output_tokens": 1}
    yield {"type": "message_start", "message": opening}
    yield {"type": "ping"}
    for i, block in enumerate(message["content"]):
        start, deltas = _block(block)
        yield {"type": "content_block_start", "index": i, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": i, "delta": delta}
        yield {"type": "content_block_stop", "index": i}
    delta = {key: message.get(key) for key in ("stop_reason", "stop_sequence", "stop_details")}
    end: Event = {"type": "message_delta", "delta": delta}
    if usage is not None:
        end["usage"] = {"output_tokens": usage["output_tokens"]}
    yield end
    yield {"type": "message_stop"}


def error_event(kind: str, message: str) -> Event:
    """Return the event of an error that happens after the 200 was sent."""
    return {"type": "error", "error": {"type": kind, "message": message}}


def encoded(event: Event) -> bytes:
    """Return the bytes of one event."""
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), codec.encode(event))


def _block(block: Mapping[str, Any]) -> tuple[Event, list[Event]]:
    kind = block["type"]
    if kind == "text":
        texts = _pieces(block["text"])
        return {**block, "text": ""}, [{"type": "text_delta", "text": text} for text in texts]
    if kind in ("tool_use", "server_tool_use"):
        texts = _pieces(codec.encode(block["input"]).decode("utf-8", "surrogatepass"))
        deltas: list[Event] = [{"type": "input_json_delta", "partial_json": t} for t in texts]
        return {**block, "input": {}}, deltas
    if kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": t} for t in _pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {**block, "thinking": "", "signature": ""}, deltas
    return dict(block), []


def _pieces(text: str) -> list[str]:
    return [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
