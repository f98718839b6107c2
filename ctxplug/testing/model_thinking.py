"""Signatures that bind thinking to its text and to the conversation before it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ctxplug import codec
from ctxplug.context.validity.anthropic_turns import merged

_KEY = b"ctxplug.testing"  # one for all servers: a second process continues a conversation
_NONCE, _DIGEST = 8, 32


def sign(text: str, before: Iterable[Mapping[str, Any]]) -> str:
    """Return the signature of thinking that was made behind the messages `before`."""
    start = secrets.token_bytes(_NONCE) + _digests(list(before))[-1]
    return base64.b64encode(start + _mac(start, text)).decode()


def thinking_faults(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, bool]]:
    """Return (path, what is wrong, only the prefix is) of thinking that was not left as it was."""
    digests = iter(_digests(messages))
    at = next(digests)
    found: list[tuple[str, str, bool]] = []
    for turn in merged(messages):
        allowed = {at}
        for path, block in turn.blocks:
            text = _text(block)
            if text is not None:
                found += _fault(path, str(block.get("type")), text, allowed)
            at = next(digests)
            allowed.add(at)
    return found


def without(messages: Sequence[Mapping[str, Any]], paths: Iterable[str]) -> list[dict[str, Any]]:
    """Return the messages without the blocks at `paths`."""
    gone = set(paths)
    kept = []
    for i, message in enumerate(messages):
        content = message.get("content")
        if isinstance(content, list):
            names = (f"messages[{i}].content[{j}]" for j in range(len(content)))
            content = [b for name, b in zip(names, content, strict=True) if name not in gone]
        kept.append({**message, "content": content})
    return kept


def bare(data: Any) -> Any:
    """Return wire data without cache marks and without fields that are None."""
    if isinstance(data, Mapping):
        return {k: bare(v) for k, v in data.items() if k != "cache_control" and v is not None}
    return [bare(item) for item in data] if isinstance(data, list) else data


def _fault(
    path: str, kind: str, text: tuple[str, str], allowed: set[bytes]
) -> list[tuple[str, str, bool]]:
    thought, signature = text
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    start, mac = raw[: _NONCE + _DIGEST], raw[_NONCE + _DIGEST :]
    if not hmac.compare_digest(mac, _mac(start, thought)):
        return [(path, f"Invalid `signature` in `{kind}` block", False)]
    if start[_NONCE:] not in allowed:
        return [(path, "the messages before this thinking block have changed since", True)]
    return []


def _text(block: Mapping[str, Any]) -> tuple[str, str] | None:
    if block.get("type") == "thinking":
        return str(block.get("thinking")), str(block.get("signature"))
    if block.get("type") == "redacted_thinking":
        return "", str(block.get("data"))
    return None


def _mac(start: bytes, text: str) -> bytes:
    return hmac.digest(_KEY, start + text.encode("utf-8", "surrogatepass"), "sha256")


def _digests(messages: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Return a digest of all blocks before each block, and of them all."""
    running = hashlib.sha256()
    found = [running.digest()]
    for turn in merged(messages):
        for _, block in turn.blocks:
            running.update(codec.canonical([turn.role, bare(block)]))
            found.append(running.digest())
    return found
