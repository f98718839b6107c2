"""Calls: a column for each model call of a session, for charts and the slider."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ctxplug.inspector.outline import Call, Outline
from ctxplug.inspector.past import PastWindows
from ctxplug.tracing.step import MODEL, WINDOW, Step
from ctxplug_server.viewing.held import Held
from ctxplug_server.viewing.telling import when

__all__ = ["calls", "columns"]

PARTS = {"request": "system"}  # what counts with another part
SECONDS = 1.0  # for which windows of calls that were not traced are made, in all


def calls(held: Held, start: int, limit: int) -> dict[str, Any]:
    """Return the columns of calls, from the `start`-th on, counted from 0."""
    found: Sequence[Mapping[str, Any]] = held.kept("columns", lambda: columns(held))
    return {"total": len(found), "start": start, "items": list(found[start : start + limit])}


def columns(held: Held) -> list[dict[str, Any]]:
    """Return a column for each call: what is known of it without making its window."""
    windows, outline = held.windows(), held.outline
    sent, models = by_call(held.steps, outline)
    until = time.monotonic() + SECONDS
    found = []
    for number in range(1, outline.turns + 1):
        call, steps = outline.call(number), sent.get(number, ())
        tokens = _tokens(number, bool(steps) or time.monotonic() < until, windows)
        found.append(_column(call, steps, models.get(number, ()), tokens, outline))
    return found


def by_call(
    steps: Sequence[Step], outline: Outline
) -> tuple[dict[int, list[Step]], dict[int, list[Step]]]:
    """Return the windows and the model calls of each call; a model is called for what was sent."""
    sent: dict[int, list[Step]] = {}
    models: dict[int, list[Step]] = {}
    number = 0
    for step in steps:
        if step.kind == WINDOW:
            head = step.data.get("head")
            number = outline.call_behind(head) if isinstance(head, int) else number
            sent.setdefault(number, []).append(step)
        elif step.kind == MODEL and number:
            models.setdefault(number, []).append(step)
    return sent, models


def _column(
    call: Call,
    sent: Sequence[Step],
    models: Sequence[Step],
    tokens: int | None,
    outline: Outline,
) -> dict[str, Any]:
    good = [step for step in sent if "hash" in step.data]
    window = (good or sent)[-1] if sent else None
    failed = window.error or window.outcome if window and "hash" not in window.data else None
    ended = models[-1] if models else None
    usage = [step.data["usage"] for step in models if isinstance(step.data.get("usage"), dict)]
    costs = [step.cost for step in models if step.cost is not None]
    answer = outline.said(call.answer) if call.answer else None
    return {
        "number": call.number,
        "head": call.head,
        "answer": call.answer,
        "at": when(window.started_at if window else call.at),
        "recorded": window is not None,
        "tokens": tokens,
        "parts": _parts(window) if window and not failed else None,
        "budget": window.data.get("budget") if window else None,
        "compactions": window.data.get("compactions") if window else None,
        "input": _sum(usage, "input", "cache_read", "cache_write"),
        "output": _sum(usage, "output") if usage else answer.tokens if answer else None,
        "cached": _sum(usage, "cache_read"),
        "cost": sum(costs) if costs else None,
        "model": ended.name if ended else None,
        "duration": sum(step.duration for step in models) if models else None,
        "tries": len(models),
        "error": failed or (ended.error or ended.outcome if ended and not ended.ok else None),
    }


def _tokens(number: int, there_is_time: bool, windows: PastWindows) -> int | None:
    if not there_is_time or not windows.quick(number):
        return None
    return windows.tokens(number) or None


def _parts(window: Step) -> dict[str, int] | None:
    told = window.data.get("tokens")
    if not isinstance(told, Mapping):
        return None
    parts: dict[str, int] = {}
    for name, tokens in told.items():
        part = PARTS.get(str(name), str(name))
        parts[part] = parts.get(part, 0) + tokens
    return {part: tokens for part, tokens in parts.items() if tokens}


def _sum(usages: Sequence[Mapping[str, Any]], *names: str) -> int | None:
    if not usages:
        return None
    return sum(int(usage.get(name) or 0) for usage in usages for name in names)
