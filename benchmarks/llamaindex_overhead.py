"""What memory costs a LlamaIndex agent per turn, beside LlamaIndex's own, without any model.

    python benchmarks/llamaindex_overhead.py [--sizes N,N,N] [--turns N] [--budget TOKENS]
        [--repeat N] [--patience SECONDS] [--json]

It needs llama-index-core and llama-index-memory-ctxplug. A memory holds N messages of about a
hundred tokens, a third of them Chinese; a turn is what a chat engine does: put the user's
message, get what goes to the model, put the answer, by the async verbs. Each memory has the
same token limit and the same tokenizer (cl100k_base), whose calls and characters are counted:
they are the same on every machine.

- ctxplug: CtxplugMemory in memory, as the others are, and on an SQLite file, every put durable;
  recall is off, for the others have none; and in memory as it comes, with recall once a turn;
- ChatMemoryBuffer, which agents make by default;
- ChatSummaryMemoryBuffer, with a model that answers at once: its calls are counted beside;
- Memory, which chat engines make by default.

A cell that has not finished its first turn within `--patience` is given up, and says so. The
rounds are repeated, all memories in turn, and the medians are over the turns of all rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from ctxplug_llamaindex import CtxplugMemory
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms import MockLLM
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer, ChatSummaryMemoryBuffer, Memory
from llama_index.core.utils import get_tokenizer

from ctxplug.tokens.counter import MessageCounter

SIZES = (100, 1_000, 10_000)
WORDS = [
    *("parcel", "harbour", "ticket", "price", "window", "meeting", "doctor", "garden", "report"),
    *("invoice", "train", "letter", "camera", "bridge", "dinner", "contract", "battery"),
    *("festival", "museum", "recipe", "passport", "holiday", "printer", "Lisbon"),
]
CHINESE = [
    *("包裹", "港口", "里斯本", "车票", "价格", "窗户", "会议", "医生", "花园", "报告"),
    *("发票", "火车", "信件", "相机", "大桥", "晚饭", "合同", "电池", "节日", "博物馆"),
    *("菜谱", "护照", "假期", "打印机"),
]
OURS, OURS_FILE = "ctxplug", "ctxplug, SQLite file"
RECALLING = "ctxplug, with recall"
BUFFER, SUMMARY, STOCK = "ChatMemoryBuffer", "ChatSummaryMemoryBuffer", "Memory"
MEMORIES = (OURS, OURS_FILE, RECALLING, BUFFER, SUMMARY, STOCK)


class OutOfPatience(Exception):
    """A turn takes longer than anyone waits for."""


class Tokenizer:
    """LlamaIndex's default tokenizer, with its calls and characters counted."""

    def __init__(self) -> None:
        self._encode = get_tokenizer()
        self.calls = self.characters = 0
        self.deadline = float("inf")

    def __call__(self, text: str) -> list[Any]:
        if perf_counter() > self.deadline:
            raise OutOfPatience
        self.calls += 1
        self.characters += len(text)
        return self._encode(text)


@dataclass
class Row:
    """One memory at one size; nothing is measured where the first turn did not finish."""

    messages: int
    memory: str
    turns_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    tokenizer_calls: list[int] = field(default_factory=list)
    characters: list[int] = field(default_factory=list)
    model_calls: list[int] = field(default_factory=list)
    given_up: float | None = None


def message(n: int) -> ChatMessage:
    """Return the nth message: users and the assistant take turns; each third is Chinese."""
    chance = Random(n)
    if n % 3 == 0:
        text = f"第{n}条：" + "，".join("的".join(chance.choices(CHINESE, k=2)) for _ in range(12))
    else:
        text = f"Number {n}: the " + " of the ".join(chance.choices(WORDS, k=34))
    return ChatMessage(role="assistant" if n % 2 else "user", content=text + ".")


@dataclass(frozen=True)
class Subject:
    """A memory to be measured, and what is counted of its work."""

    memory: BaseMemory
    tokenizer: Tokenizer
    model_calls: Callable[[], int] = lambda: 0
    close: Callable[[], Any] = lambda: None


def subject(name: str, budget: int, folder: Path) -> Subject:
    """Return an empty memory of the kind that is named."""
    tokenizer = Tokenizer()
    if name in (OURS, OURS_FILE, RECALLING):
        ours = CtxplugMemory(
            folder / "memory.db" if name == OURS_FILE else "memory:",
            namespace="acme",
            budget=budget,
            counter=MessageCounter("cl100k_base", lambda text: len(tokenizer(text))),
            recall=name == RECALLING,
        )
        return Subject(ours, tokenizer, close=ours.memory.close)
    if name == BUFFER:
        buffer = ChatMemoryBuffer.from_defaults(token_limit=budget, tokenizer_fn=tokenizer)
        return Subject(buffer, tokenizer)
    if name == SUMMARY:
        calls: list[Any] = []
        model = MockLLM(max_tokens=128)
        summary = ChatSummaryMemoryBuffer.from_defaults(
            token_limit=budget, tokenizer_fn=tokenizer, llm=_counted(model, calls)
        )
        return Subject(summary, tokenizer, lambda: len(calls))
    stock = Memory.from_defaults(token_limit=budget, tokenizer_fn=tokenizer)
    return Subject(stock, tokenizer)


def _counted(model: MockLLM, calls: list[Any]) -> MockLLM:
    chat = model.chat

    def counting(*args: Any, **options: Any) -> Any:
        calls.append(None)
        return chat(*args, **options)

    object.__setattr__(model, "chat", counting)
    return model


async def measure(row: Row, turns: int, budget: int, patience: float) -> None:
    """Fill a memory, take a first turn and `turns` more, and add what they took to `row`."""
    with tempfile.TemporaryDirectory() as folder:
        one = subject(row.memory, budget, Path(folder))
        await one.memory.aput_messages([message(n) for n in range(row.messages)])
        one.tokenizer.deadline = perf_counter() + patience
        try:
            row.first_ms.append(await _turn(one.memory, row.messages))
            for turn in range(1, turns + 1):
                calls, characters = one.tokenizer.calls, one.tokenizer.characters
                asked = one.model_calls()
                row.turns_ms.append(await _turn(one.memory, row.messages + 2 * turn))
                row.tokenizer_calls.append(one.tokenizer.calls - calls)
                row.characters.append(one.tokenizer.characters - characters)
                row.model_calls.append(one.model_calls() - asked)
        except OutOfPatience:
            row.given_up = patience
        one.close()


async def _turn(memory: BaseMemory, n: int) -> float:
    question, answer = message(n - n % 2), message(n - n % 2 + 1)
    start = perf_counter()
    await memory.aput(question)
    await memory.aget()
    await memory.aput(answer)
    return (perf_counter() - start) * 1_000


async def run(
    sizes: Sequence[int], turns: int, budget: int, repeat: int, patience: float
) -> list[Row]:
    """Measure all of them at all sizes, `repeat` times."""
    rows = [Row(size, name) for size in sizes for name in MEMORIES]
    for _ in range(repeat):
        for row in rows:
            if row.given_up is None:
                await measure(row, turns, budget, patience)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table, with how many times slower than ours each is."""
    lines = [
        "| messages | memory | median ms a turn | x ctxplug | first turn | tokenizer calls a turn"
        " | characters tokenized | model calls |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        if not r.turns_ms:
            waited = f"not finished in {r.given_up:,.0f} s"
            lines.append(f"| {r.messages:,} | {r.memory} | {waited} | | | | | |")
            continue
        ours = next(o for o in rows if o.messages == r.messages and o.memory == OURS)
        times = median(r.turns_ms) / median(ours.turns_ms) if ours.turns_ms else float("nan")
        took = f"{median(r.turns_ms):,.2f} | {times:.1f} | {median(r.first_ms):,.1f}"
        work = f"{median(r.tokenizer_calls):,.0f} | {median(r.characters):,.0f}"
        model = f"{sum(r.model_calls) / len(r.model_calls):.1f}"
        lines.append(f"| {r.messages:,} | {r.memory} | {took} | {work} | {model} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--budget", type=int, default=8_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--patience", type=float, default=60)
    parser.add_argument("--json", action="store_true")
    options: Any = parser.parse_args()
    warnings.simplefilter("ignore")  # two of the stock memories are deprecated, and say so
    sizes = [int(n) for n in options.sizes.split(",")]
    rows = asyncio.run(run(sizes, options.turns, options.budget, options.repeat, options.patience))
    print(json.dumps([asdict(row) for row in rows]) if options.json else table(rows))


if __name__ == "__main__":
    main()
