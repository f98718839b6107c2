"""What context middleware costs per model call, beside LangChain's own, without any model.

    python benchmarks/langchain_overhead.py [--sizes N,N,N] [--calls N] [--budget TOKENS] [--json]

It needs langchain and langchain-ctxplug. The state of an agent holds N messages, a third of
them Chinese, with tool calls; before each of `--calls` further model calls a call and its
result join it. What is timed is the middleware's own work for a call, all in one process; the
model takes 5 ms, which is not counted, and so does the tool after it:

- ctxplug: log what is new (durably, in an SQLite file) and make the window; the usage is
  recorded while the tool runs;
- trim_messages to the same budget, counting approximately;
- SummarizationMiddleware that is not due (its model is never called);
- ContextEditingMiddleware with ClearToolUsesEdit at the budget.

The first call of a run finds a state that a checkpointer has read: other objects, all of which
ctxplug compares with its log. That is shown beside what LangGraph's serializer takes to read
the same state.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

from langchain.agents.middleware import (
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    SummarizationMiddleware,
)
from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    ToolMessage,
    trim_messages,
)
from langchain_core.messages.utils import count_tokens_approximately
from langchain_ctxplug import CtxplugMiddleware
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

SIZES = (100, 1_000, 10_000)
WORDS = "please check whether the parcel of the third of May is still in the harbour of Lisbon "
CHINESE = "请查一下里斯本港口的包裹还在不在，价格是多少，女儿对花生过敏。"
THINKING = 0.005  # seconds of the model, and of the tool
MODEL = FakeListChatModel(responses=["ok"])
USAGE = {"input_tokens": 12_000, "output_tokens": 80, "total_tokens": 12_080}


@dataclass(frozen=True)
class Row:
    """Milliseconds of one middleware's own work per model call, at one size of the state."""

    messages: int
    middleware: str
    median_ms: float
    worst_ms: float
    first_ms: float


def step(n: int) -> list[AnyMessage]:
    """Return the three messages of one step; the first of ten is a user's."""
    call = {"name": "look_up", "args": {"number": n}, "id": f"call_{n}", "type": "tool_call"}
    said = AIMessage("", tool_calls=[call], id=f"a{n}")
    result = ToolMessage((WORDS if n % 3 else CHINESE) * 4, tool_call_id=f"call_{n}", id=f"t{n}")
    if n % 10:
        return [said, result]
    return [HumanMessage(f"{n}: {WORDS}", id=f"h{n}"), said, result]


def state_of(size: int) -> tuple[list[AnyMessage], int]:
    """Return about `size` messages, and the number of the next step."""
    messages: list[AnyMessage] = []
    n = 0
    while len(messages) < size:
        messages += step(n)
        n += 1
    return messages, n


class Clock:
    """The time of what runs between `start` and `stop`, without the model's."""

    def __init__(self, answer: ModelResponse[Any]) -> None:
        self.answer = answer
        self.thought = 0.0

    def think(self, request: ModelRequest[Any]) -> ModelResponse[Any]:
        """Answer as a model, in its time."""
        start = perf_counter()
        sleep(THINKING)
        self.thought += perf_counter() - start
        return self.answer


CLOCK = Clock(ModelResponse(result=[AIMessage("ok", usage_metadata=USAGE)]))  # type: ignore[typeddict-item]


def ours(folder: Path, budget: int) -> Callable[[list[AnyMessage]], None]:
    """Return ctxplug's work for one call."""
    middleware = CtxplugMiddleware(folder / "memory.db", namespace="acme", budget=budget)

    def work(messages: list[AnyMessage]) -> None:
        request = ModelRequest(model=MODEL, messages=messages, state={"messages": messages})
        middleware.wrap_model_call(request, CLOCK.think)

    return work


def trimming(budget: int) -> Callable[[list[AnyMessage]], None]:
    """Return trim_messages' work for one call."""

    def work(messages: list[AnyMessage]) -> None:
        trim_messages(messages, max_tokens=budget, token_counter=count_tokens_approximately)

    return work


def summarizing() -> Callable[[list[AnyMessage]], None]:
    """Return the work of a SummarizationMiddleware that never finds itself due."""
    middleware = SummarizationMiddleware(MODEL, trigger=("tokens", 10**9))

    def work(messages: list[AnyMessage]) -> None:
        middleware.before_model({"messages": messages}, None)  # type: ignore[arg-type]

    return work


def editing(budget: int) -> Callable[[list[AnyMessage]], None]:
    """Return ContextEditingMiddleware's work for one call."""
    middleware = ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=budget)])

    def work(messages: list[AnyMessage]) -> None:
        request = ModelRequest(model=MODEL, messages=messages, state={"messages": messages})
        middleware.wrap_model_call(request, CLOCK.think)

    return work


def measure(name: str, size: int, calls: int, work: Callable[[list[AnyMessage]], None]) -> Row:
    """Return the times of `calls` model calls after a first one on a state of `size` messages."""
    messages, n = state_of(size)
    times = []
    for _ in range(calls + 1):
        given = list(messages)  # a request has a list of its own
        start, CLOCK.thought = perf_counter(), 0.0
        work(given)
        times.append((perf_counter() - start - CLOCK.thought) * 1_000)
        sleep(THINKING)
        messages += step(n)
        n += 1
    first, rest = times[0], times[1:]
    return Row(size, name, median(rest), max(rest), first)


def measure_read(size: int, calls: int, budget: int) -> list[Row]:
    """Return the times of first calls of a run, and of reading the state that they are given."""
    serializer = JsonPlusSerializer()
    messages, n = state_of(size)
    with tempfile.TemporaryDirectory() as folder:
        work = ours(Path(folder), budget)
        work(list(messages))
        reads, times = [], []
        for _ in range(calls):
            messages += step(n)
            n += 1
            kept = serializer.dumps_typed(messages)
            start = perf_counter()
            given = serializer.loads_typed(kept)
            reads.append((perf_counter() - start) * 1_000)
            start, CLOCK.thought = perf_counter(), 0.0
            work(given)
            times.append((perf_counter() - start - CLOCK.thought) * 1_000)
            sleep(THINKING)
    ours_row = Row(size, "ctxplug, first call of a run", median(times), max(times), times[0])
    return [ours_row, Row(size, "LangGraph reads that state", median(reads), max(reads), reads[0])]


def run(sizes: Sequence[int], calls: int, budget: int) -> list[Row]:
    """Measure all of them at all sizes."""
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure("ctxplug", size, calls, ours(Path(folder), budget)))
        rows.append(measure("trim_messages", size, calls, trimming(budget)))
        rows.append(measure("SummarizationMiddleware", size, calls, summarizing()))
        rows.append(measure("ContextEditingMiddleware", size, calls, editing(budget)))
        rows += measure_read(size, max(3, calls // 4), budget)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| messages in the state | middleware | median ms a call | worst | first call |",
        "|---:|---|---:|---:|---:|",
    ]
    for r in rows:
        times = f"{r.median_ms:.2f} | {r.worst_ms:.1f} | {r.first_ms:.1f}"
        lines.append(f"| {r.messages:,} | {r.middleware} | {times} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--calls", type=int, default=30)
    parser.add_argument("--budget", type=int, default=30_000)
    parser.add_argument("--json", action="store_true")
    options: Any = parser.parse_args()
    rows = run([int(n) for n in options.sizes.split(",")], options.calls, options.budget)
    print(json.dumps([asdict(row) for row in rows]) if options.json else table(rows))


if __name__ == "__main__":
    main()
