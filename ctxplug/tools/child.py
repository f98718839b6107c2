"""What a tool gives back, as plain data; and the process that one tool call may have to itself.

Run as a script it reads a call as one line of JSON from stdin, runs the function and writes
what came of it as one line to what was its stdout. It needs the standard library alone, so
that it starts fast; whatever the function needs it imports itself. When stdin ends, its
parent is gone, and it goes too, with all that it started.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import math
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

MOST_CHARACTERS = 64 * 1024 * 1024  # of one result; an endless generator is stopped there
MAX_DEPTH = 60
STOPPED = "\n[stopped here: a result takes at most 67,108,864 characters]"
_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


def read_result(value: Any) -> dict[str, Any]:
    """Return `content` (dicts of text and image parts) and `is_error` of what a tool returned.

    Text stays text, bytes become text, an image or base64, an iterator is read to its end,
    everything else becomes JSON; what JSON cannot hold is written as `str` gives it.
    """
    if _ours(value) == "tool_result":
        return {"content": _parts(value.content), "is_error": bool(value.is_error)}
    return {"content": _parts(value), "is_error": False}


def safe_error(exc: BaseException) -> dict[str, Any]:
    """Return the class of an exception, and its text if the tool meant it for the model."""
    family = {f"{c.__module__}.{c.__qualname__}" for c in type(exc).__mro__}
    meant = "ctxplug.errors.ToolError" in family
    return {"error": type(exc).__name__[:80], "text": str(exc)[:2_000] if meant else None}


def _parts(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, str):
        return [_text(str(value))]
    if isinstance(value, bytes | bytearray | memoryview):
        return [_of_bytes(bytes(value))]
    if isinstance(value, Iterator):
        value = _read_out(value)
        return _parts(value)
    if isinstance(value, list | tuple) and value and all(_ours(item) for item in value):
        return [part for item in value for part in _parts(item)]
    if _ours(value) == "text":
        return [_text(value.text)]
    if _ours(value) == "image":
        if value.url is not None:
            return [{"type": "image", "url": value.url}]
        return [_image(value.data, value.media_type)]
    return [_text(json.dumps(to_json(value), ensure_ascii=False))]


def _ours(value: Any) -> str:
    """Return the type of a ctxplug part, or nothing."""
    kind = type(value)
    if kind.__module__ == "ctxplug.messages" and kind.__name__.endswith("Part"):
        return str(kind.type)
    return ""


def _text(text: str) -> dict[str, Any]:
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS] + STOPPED
    return {"type": "text", "text": text}


def _of_bytes(data: bytes) -> dict[str, Any]:
    for magic, media_type in _IMAGES:
        if data.startswith(magic):
            return _image(data, media_type)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _image(data, "image/webp")
    try:
        return _text(data.decode())
    except UnicodeDecodeError:
        return _text(f"[{len(data)} bytes, in base64]\n{base64.b64encode(data).decode()}")


def _image(data: bytes, media_type: str | None) -> dict[str, Any]:
    part = {"type": "image", "data": base64.b64encode(data).decode()}
    return {**part, "media_type": media_type} if media_type else part


def _read_out(items: Iterator[Any]) -> Any:
    """Return what an iterator gives: pieces of text as one text, other items as a list."""
    found, size = [], 0
    for item in items:
        found.append(item)
        size += len(item) if isinstance(item, str | bytes) else 64
        if size > MOST_CHARACTERS:
            break
    return joined(found)


def joined(found: list[Any]) -> Any:
    """Return pieces of text as one text, of bytes as bytes, anything else as it is."""
    if found and all(isinstance(item, str) for item in found):
        return "".join(found)
    if found and all(isinstance(item, bytes) for item in found):
        return b"".join(found)
    return found


def to_json(value: Any, depth: int = 0) -> Any:
    """Return `value` in JSON types: objects by their fields, what is unknown as text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, enum.Enum):
        return to_json(value.value, depth + 1)
    if isinstance(value, int):
        return int(value) if value.bit_length() < 4_096 else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if depth >= MAX_DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {_key(key): to_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((to_json(item, depth + 1) for item in value), key=repr)
    if isinstance(value, list | tuple):
        return [to_json(item, depth + 1) for item in value]
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    return _of_object(value, depth)


def _of_object(value: Any, depth: int) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: to_json(getattr(value, f.name), depth + 1) for f in fields}
    for name in ("model_dump", "tolist", "isoformat"):  # pydantic; arrays; dates and times
        method = getattr(value, name, None)
        if callable(method) and not isinstance(value, type):
            return to_json(method(mode="json") if name == "model_dump" else method(), depth + 1)
    return str(value)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    plain = to_json(key, MAX_DEPTH)
    return plain if isinstance(plain, str) else json.dumps(plain)


async def read_async(items: AsyncIterator[Any]) -> Any:
    """Return what an async iterator gives, as `read_result` takes it."""
    found, size = [], 0
    async for item in items:
        found.append(item)
        size += len(item) if isinstance(item, str | bytes) else 64
        if size > MOST_CHARACTERS:
            break
    return joined(found)


# -- the process -------------------------------------------------------------------------


def _function(call: dict[str, Any]) -> Any:
    """Import the function that a call names, as the parent has it."""
    import importlib
    import runpy

    if call["module"] == "__main__":
        found: Any = runpy.run_path(call["file"], run_name="__ctxplug_main__")
        first, *rest = call["name"].split(".")
        found = found[first]
    else:
        found = importlib.import_module(call["module"])
        rest = call["name"].split(".")
    for name in rest:
        found = getattr(found, name)
    return found if callable(found) else found.function  # a name may stand for a Tool


def _arguments(call: dict[str, Any], function: Any) -> dict[str, Any]:
    """Return the arguments; those that are no JSON for the function are validated again."""
    if call["converted"]:
        return dict(call["arguments"])
    from ctxplug.tools.tool import Tool

    return Tool.of(function, name="tool").validated(call["arguments"])


def _outcome(call: dict[str, Any]) -> dict[str, Any]:
    import asyncio
    import inspect

    try:
        function = _function(call)
        value = function(**_arguments(call, function))
        if inspect.isawaitable(value):
            awaited = value

            async def wait() -> Any:
                got = await awaited
                return await read_async(got) if isinstance(got, AsyncIterator) else got

            value = asyncio.run(wait())
        elif isinstance(value, AsyncIterator):
            value = asyncio.run(read_async(value))
        return read_result(value)
    except BaseException as exc:  # SystemExit too: whatever ends a tool is its answer
        return safe_error(exc)


def _leave_with_parent() -> None:
    import signal

    sys.stdin.buffer.read()
    if hasattr(os, "killpg"):
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Run the one call that stdin brings."""
    import threading

    call = json.loads(sys.stdin.buffer.readline())
    answer = os.fdopen(os.dup(1), "wb")  # not inherited; what the tool prints goes to stderr
    os.dup2(2, 1)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    sys.path[:] = call["path"]
    line = json.dumps(_outcome(call))
    answer.write(line.encode() + b"\n")
    answer.flush()
    os._exit(0)  # what a tool left running does not hold the process


if __name__ == "__main__":
    main()
