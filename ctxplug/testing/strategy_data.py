"""Conversations that compression strategies are tested with, and what they are given beside."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import strategies as st

from ctxplug.compression import CompressionTools, Unit
from ctxplug.context.units import group
from ctxplug.messages import (
    Logged,
    Message,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from ctxplug.testing.histories import FEATURES, START
from ctxplug.tokens.estimate import estimate

COUNTER = estimate()
QUICK = FEATURES - {"huge", "system", "pinned"}  # size has a test of its own
ROWS = [{"id": f"r_{i}", "客户": "王芳", "total": i * 7, "ok": True} for i in range(12)]
LOG = "10:00:01 started job 7\n" + "10:00:02 waiting\n" * 20 + "10:00:03 ERROR 磁盘已满\n"
PROSE = "Ms. Ann Lee paid $1,250.00 for invoice 4711 on 2024-05-15, and was content with it. "
CHINESE = "王芳经理在五月十五日支付了发票 4711 的 1,250.00 元，并且对服务非常满意。"
RESULTS = (
    *(json.dumps(ROWS), json.dumps(ROWS, ensure_ascii=False)[:300], str(ROWS), LOG),
    *(json.dumps({"rows": ROWS, "note": PROSE * 4}), PROSE * 6, CHINESE * 8, PROSE * 6 + "!"),
)
CODE = """import math

RATE = 0.19  # of each invoice 发票


class Invoice:
    \"\"\"What is to be paid.\"\"\"

    def __init__(self, number: int, total: float) -> None:
        if total < 0:
            raise ValueError(f"invoice {number} has a total of {total}")
        self.number = number
        self.total = total

    def tax(self) -> float:
        \"\"\"Return the tax.\"\"\"
        rounded = math.floor(self.total * RATE * 100)
        return rounded / 100
"""
ODD_TEXTS = (
    *("", " ", "\n" * 60, "\0" * 90, "\ud800" * 70, "测试\ud83d" * 40, "\u202e\u2028\x85" * 40),
    *("[" * 3_000, '{"a":' * 3_000, '[{"a":1},' * 300, '{"a": NaN, "a": 1}', '"' * 99, "'{" * 99),
    *("1" * 9_000, "9" * 5_000 + ",", '3 x "a"\n' * 50, "^1\n#2{a}\n/2", "[#9{a}\n1\n2", "e\u0301"),
    *('[{"": {"": ""}}, {"": {"": ""}}]' * 9, "a,b:c{d}e[f]" * 40, "  x\t" * 99, "<|endoftext|>"),
)


def tools_for_tests() -> CompressionTools:
    """Return tools that estimate tokens and refer to the log of a session "trip"."""
    return CompressionTools(COUNTER, ref)


def ref(unit: Unit) -> str:
    """Return the reference of a unit, such as "trip@12" or "trip@3-40"."""
    first, last = unit.versions[0], unit.versions[-1]
    return f"trip@{first}" if first == last else f"trip@{first}-{last}"


def units_of(messages: Sequence[Message]) -> tuple[Unit, ...]:
    """Return the units of a history, as a strategy gets them; system messages are left out."""
    logged = [Logged(i + 1, m, COUNTER.count(m)) for i, m in enumerate(messages)]
    spoken = [item for item in logged if item.message.role != "system"]
    return group(spoken, opening=False).units


def called(*results: str | ToolResultPart, say: str = "", start: int = 0) -> list[Message]:
    """Return an assistant's message that calls once for each of `results`, and the results."""
    calls = [ToolCallPart(f"c{start}_{i}", "look_up", {"n": i}) for i in range(len(results))]
    text = [TextPart(say)] if say else []
    messages = [Message("assistant", (*text, *calls), created_at=START, id=f"a{start}")]
    for call, result in zip(calls, results, strict=True):
        if isinstance(result, str):
            result = ToolResultPart(call.id, (TextPart(result),), name=call.name)
        part = ToolResultPart(call.id, result.content, result.is_error, call.name, result.extra)
        messages.append(Message("tool", part, created_at=START, id=f"t{call.id}"))
    return messages


@st.composite
def working_histories(draw: st.DrawFn) -> list[Message]:
    """Draw a history with results worth compressing among those that are not."""
    messages = [Message("user", "Look it up. 查一下。", created_at=START, id="u")]
    texts = st.sampled_from(RESULTS) | st.sampled_from(ODD_TEXTS) | st.text(max_size=300)
    for results in draw(st.lists(st.lists(texts, min_size=1, max_size=3), max_size=6)):
        messages += called(
            *results, say=draw(st.sampled_from(("", PROSE * 5))), start=len(messages)
        )
    return messages


def conversations(opening: str = "") -> dict[str, tuple[Unit, ...]]:
    """Return conversations worth compressing by name, the same each time for an `opening`."""
    thinking = ThinkingPart("Which one? " * 40, signature="signature==")
    told = f"{opening}{PROSE} {CHINESE} Order"
    talk = [_said(n, f"{told} {n}.", role) for n, role in enumerate(_ROLES * 12)]
    thought = [
        Message(m.role, (thinking, *m.content), id=m.id, created_at=START)
        if m.role == "assistant"
        else m
        for m in talk
    ]
    worked = [Message("user", "Look it up. 查一下。", id="u", created_at=START)]
    for results in (RESULTS[:3], RESULTS[3:5], RESULTS[5:], (CODE * 4, f"```python\n{CODE}```\n")):
        worked += called(*results, say=PROSE, start=len(worked))
    found = {"talk": talk, "thinking": thought, "tool results": worked}
    return {name: units_of(messages) for name, messages in found.items()}


_ROLES = ("user", "assistant")


def _said(number: int, text: str, role: str) -> Message:
    return Message(role, text, id=f"s{number}", created_at=START)
