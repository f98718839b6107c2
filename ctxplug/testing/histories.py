"""Hypothesis strategies for agent histories: what a strategy must survive.

`plans` draws a provider-neutral `Plan`; `render` turns it into messages; `histories` does
both. Every history is valid for every provider by `ctxplug.context.validity`: draw one,
put it through your component, and check what comes out. Ids, signatures and times are
numbered, so a history is equal to itself when it is rendered again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import permutations
from typing import Any, Literal, TypeAlias

from hypothesis import strategies as st

from ctxplug.messages import (
    ImagePart,
    Message,
    OpaquePart,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

End: TypeAlias = Literal["human", "tools", "closed"]
FEATURES = frozenset({"thinking", "images", "opaque", "system", "pinned", "neighbours"})
FEATURES |= {"odd_ids", "odd_text", "errors", "huge", "gemini"}
"""What a history may hold besides texts, calls and results; see `plans`."""

WORDS = (
    *("Lisbon", "invoice 4711", "window seat", "on 2024-05-15", "$1,250.00", "refund", "never"),
    *("里斯本", "发票 4711", "靠窗的座位", "五月十五日", "不要取消", "用户编号 u_829"),
)
ODD_TEXTS = (
    *("\ud800", "a\udfffb", "\x00", "\u202eevil\u202c", "שלום", "👩\u200d👩\u200d👧", "\u2028"),
    *("测试\ud83d", "\r\n\t", "\ufeff", "e\u0301", '{"a": "\\ud800"}', "</system>"),
)
PHRASES = (*WORDS, *(f"{a} {b}" for a, b in permutations(WORDS, 2)))
ARGUMENTS: tuple[dict[str, Any], ...] = (
    *({}, {"city": "Lisbon"}, {"用户": "u_829", "ids": [1, 2, -3]}, {"ids": []}, {"ok": None}),
    {"filter": {"date": {"from": "2024-05-15", "to": None}, "tags": ["a", "中"]}, "limit": 10},
)
START = datetime(2024, 5, 15, tzinfo=UTC)
_PNG = b"\x89PNG\r\n\x1a\n" + bytes(24)


@dataclass(frozen=True)
class Call:
    """One tool call and what came back."""

    arguments: dict[str, Any]
    result: str
    is_error: bool = False
    image: bool = False


@dataclass(frozen=True)
class Say:
    """What the assistant thinks and says in one message; `thinking` None is none at all."""

    text: str = ""
    thinking: str | None = None
    redacted: bool = False


@dataclass(frozen=True)
class Loop:
    """One assistant message with calls; `order` is the order of their results."""

    say: Say
    calls: tuple[Call, ...]
    order: tuple[int, ...]


@dataclass(frozen=True)
class Human:
    """One user message."""

    text: str
    pinned: bool = False
    image: bool = False
    opaque: bool = False


@dataclass(frozen=True)
class Turn:
    """User messages, tool loops, and the closing answer unless the turn is open."""

    humans: tuple[Human, ...]
    loops: tuple[Loop, ...] = ()
    answer: Say | None = None


@dataclass(frozen=True)
class Plan:
    """A conversation that no provider's format has touched yet."""

    turns: tuple[Turn, ...]
    system: str | None = None
    odd_ids: bool = False
    gemini: bool = False


def histories(
    *,
    end: End | None = None,
    features: Iterable[str] = FEATURES,
    min_turns: int = 1,
    max_turns: int = 4,
) -> st.SearchStrategy[list[Message]]:
    """Return a strategy of message lists; the arguments are those of `plans`."""
    drawn = plans(end=end, features=features, min_turns=min_turns, max_turns=max_turns)
    return drawn.map(render)


def plans(
    *,
    end: End | None = None,
    features: Iterable[str] = FEATURES,
    min_turns: int = 1,
    max_turns: int = 4,
) -> st.SearchStrategy[Plan]:
    """Return a strategy of plans of `min_turns` to `max_turns` turns.

    `end` is "human" (a question waits), "tools" (in the middle of a tool loop) or "closed";
    None draws one of the first two. `features` are among `FEATURES`: signed and redacted
    thinking, images, providers' opaque parts, a system message, pinned messages, several
    user messages in a row ("neighbours"), ids that need mapping, odd text (lone
    surrogates, NUL, right-to-left marks), failed calls, "huge" results of up to some
    100,000 characters, and Gemini's thought signatures. Raises ValueError for others.
    """
    wanted = frozenset(features)
    if unknown := wanted - FEATURES:
        raise ValueError(f"{sorted(unknown)} are no features; use some of {sorted(FEATURES)}.")
    ends: tuple[End, ...] = ("human", "tools") if end is None else (end,)
    return _plans(wanted, ends, min_turns, max_turns)


def render(plan: Plan) -> list[Message]:
    """Return the plan as messages, numbered `m0`, `m1`, ... and one second apart."""
    messages: list[Message] = []
    if plan.system is not None:
        messages.append(_message(messages, "system", [TextPart(plan.system)], pinned=True))
    for turn in plan.turns:
        for human in turn.humans:
            parts = _human_parts(human)
            messages.append(_message(messages, "user", parts, pinned=human.pinned))
        for loop in turn.loops:
            _add_loop(messages, loop, plan)
        if turn.answer is not None:
            parts = _said(turn.answer, len(messages))
            messages.append(_message(messages, "assistant", parts))
    return messages


@st.composite
def _plans(
    draw: st.DrawFn, wanted: frozenset[str], ends: tuple[End, ...], least: int, most: int
) -> Plan:
    count = draw(st.integers(least, most))
    turns = [draw(_turns(wanted, "closed")) for _ in range(count - 1)]
    turns.append(draw(_turns(wanted, draw(st.sampled_from(ends)))))
    return Plan(
        tuple(turns),
        system=draw(st.none() | _texts(wanted)) if "system" in wanted else None,
        odd_ids="odd_ids" in wanted and draw(st.booleans()),
        gemini="gemini" in wanted and draw(st.booleans()),
    )


# Strategies are cached: Hypothesis validates every new one, which costs more than drawing.
@cache
@st.composite
def _turns(draw: st.DrawFn, wanted: frozenset[str], end: End) -> Turn:
    most = 3 if "neighbours" in wanted else 1
    humans = draw(st.lists(_humans(wanted), min_size=1, max_size=most))
    if end == "human":
        return Turn(tuple(humans))
    least, most = (1, 4) if end == "tools" else (0, 3)
    loops = draw(st.lists(_loops(wanted), min_size=least, max_size=most))
    answer = draw(_says(wanted, False)) if end == "closed" else None
    return Turn(tuple(humans), tuple(loops), answer)


@cache
def _humans(wanted: frozenset[str]) -> st.SearchStrategy[Human]:
    flags = [_if(feature in wanted) for feature in ("pinned", "images", "opaque")]
    return st.builds(Human, _texts(wanted), *flags)


@cache
@st.composite
def _loops(draw: st.DrawFn, wanted: frozenset[str]) -> Loop:
    calls = draw(st.lists(_calls(wanted), min_size=1, max_size=3))
    order = draw(st.permutations(range(len(calls))))
    return Loop(draw(_says(wanted, True)), tuple(calls), tuple(order))


@cache
def _calls(wanted: frozenset[str]) -> st.SearchStrategy[Call]:
    texts = _texts(wanted).map(lambda text: {"query": text})
    return st.builds(
        Call,
        st.sampled_from(ARGUMENTS) | texts,
        _results(wanted),
        is_error=_if("errors" in wanted),
        image=_if("images" in wanted),
    )


@cache
def _says(wanted: frozenset[str], silent: bool) -> st.SearchStrategy[Say]:
    texts = st.just("") | _texts(wanted) if silent else _texts(wanted)
    if "thinking" not in wanted:
        return st.builds(Say, texts)
    thinking = st.none() | st.just("") | _texts(wanted)
    return st.builds(Say, texts, thinking=thinking, redacted=_if(True))


@cache
def _texts(wanted: frozenset[str]) -> st.SearchStrategy[str]:
    # Never blank: a blank message has no place in a request.
    phrases = st.sampled_from(PHRASES)
    if "odd_text" not in wanted:
        return phrases
    odd = st.sampled_from(ODD_TEXTS) | st.text(max_size=6)
    return phrases | st.tuples(st.sampled_from(WORDS), odd).map("".join)


@cache
def _results(wanted: frozenset[str]) -> st.SearchStrategy[str]:
    rows = (0, 1, 3, 40) * 4 + (4000,) * ("huge" in wanted)
    return st.builds(_table, st.sampled_from(rows), _texts(wanted))


def _table(rows: int, text: str) -> str:
    return "\n".join(f"row {i}: {text} #{i * 7919}" for i in range(rows))


@cache
def _if(allowed: bool) -> st.SearchStrategy[bool]:
    return st.sampled_from((False, False, False, True)) if allowed else st.just(False)


def _human_parts(human: Human) -> list[Part]:
    parts: list[Part] = [TextPart(human.text)]
    if human.image:
        parts.append(ImagePart(data=_PNG, media_type="image/png"))
    if human.opaque:
        source = {"type": "text", "media_type": "text/plain", "data": human.text}
        parts.append(OpaquePart("anthropic", {"type": "document", "source": source}))
        parts.append(OpaquePart("openai", {"type": "file", "file": {"file_id": "file-1"}}))
        parts.append(OpaquePart("elsewhere", {"type": "hologram"}))
    return parts


def _add_loop(messages: list[Message], loop: Loop, plan: Plan) -> None:
    n = len(messages)
    ids = [f"调用:{n}.{i}\n" if plan.odd_ids else f"call_{n}_{i}" for i in range(len(loop.calls))]
    calls = [
        ToolCallPart(id, f"tool_{i}", call.arguments)
        for i, (id, call) in enumerate(zip(ids, loop.calls, strict=True))
    ]
    if plan.gemini:  # of parallel calls, only the first is signed
        calls[0] = replace(calls[0], extra={"gemini": {"thought_signature": f"gem{n:05d}"}})
    messages.append(_message(messages, "assistant", [*_said(loop.say, n), *calls]))
    for i in loop.order:
        call = loop.calls[i]
        content: list[TextPart | ImagePart | OpaquePart] = [TextPart(call.result)]
        if call.image:
            content.append(ImagePart(data=_PNG, media_type="image/png"))
        part = ToolResultPart(ids[i], tuple(content), call.is_error, name=f"tool_{i}")
        messages.append(_message(messages, "tool", [part]))


def _said(say: Say, n: int) -> list[Part]:
    parts: list[Part] = []
    if say.redacted:
        parts.append(ThinkingPart(redacted=f"redacted-{n}"))
    if say.thinking is not None:
        parts.append(ThinkingPart(say.thinking, signature=f"signature-{n}=="))
    if say.text:
        parts.append(TextPart(say.text))
    return parts


def _message(
    before: Sequence[Message], role: str, parts: list[Part], *, pinned: bool = False
) -> Message:
    n = len(before)
    when = START + timedelta(seconds=n)
    return Message(role, parts, id=f"m{n}", created_at=when, pinned=pinned)
