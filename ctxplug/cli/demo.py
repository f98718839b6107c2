"""The main job on a sample: two recorded conversations through a memory, explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding

from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen
from ctxplug.cli.replay import print_turns
from ctxplug.errors import BudgetError, CannotOpenError
from ctxplug.records import MemoryRecord
from ctxplug.replay import PROVIDERS, ReplaySummary, TurnReport, replay, summarize
from ctxplug.transcripts import Conversation, read_transcript

SAMPLE = "trip_planner.jsonl"
BUDGET = 1_200
QUESTIONS = {
    "lisbon": "What was the booking reference of our flight?",
    "chengdu": "我女儿对什么食物过敏？",
}

INTRO = """\
A travel agent planned two trips, one in English and one in Chinese, with many tool calls.
Both recordings are now replayed: before each answer of the agent, ctxplug makes the context
window that its model would have been sent, in at most {budget:,} tokens ({counter})."""

EXPLAINED = """\
[bold]What you see[/]
[bold]tokens in[/]   the whole history, as an agent without a memory would send it
[bold]sent[/]        the window that ctxplug made of it, never over the budget
[bold]kept[/]        messages in the window word for word: the system prompt, the newest turns, and
            every tool call together with its result
[bold]compressed[/]  messages that are in the window in a shorter form
[bold]left out[/]    messages that are not in the window at all
[bold]window[/]      valid: the request breaks none of the rules of {providers}
Nothing is lost: every message is in the log, word for word, and recall finds it again."""


@dataclass(frozen=True)
class _Answer:
    """The best of what was recalled for a question, and the tokens of the window with it."""

    question: str
    found: MemoryRecord | None
    tokens: int


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("demo")(demo)


def demo(
    budget: Annotated[
        int, typer.Option("--budget", "-b", min=1, help="Tokens that one model call may take.")
    ] = BUDGET,
    json: options.Json = False,
) -> None:
    """Show ctxplug at work on a sample conversation, in a memory that is gone afterwards.

    Example: ctxplug demo --budget 2000
    """
    console = screen.out()
    results: list[tuple[Conversation, list[TurnReport], _Answer]] = []
    for conversation in read_transcript(sample()):
        with AgentMemory.open(
            "memory:", namespace="demo/traveller", session=conversation.name, budget=budget
        ) as memory:
            if not json and not results:
                name = memory.counter.name
                console.print(INTRO.format(budget=budget, counter=name) + "\n", soft_wrap=True)
            turns = list(replay(conversation, memory))
            answer = _ask(memory, QUESTIONS[conversation.name])
        results.append((conversation, turns, answer))
        if not json:
            print_turns(console, conversation, turns)
    if json:
        screen.print_json([_data(*result) for result in results])
        return
    console.print(EXPLAINED.format(providers=" and ".join(PROVIDERS)), soft_wrap=True)
    for conversation, _, answer in results:
        _print_answer(console, conversation, answer)
    _print_result(console, summarize([turn for _, turns, _ in results for turn in turns]))


def sample() -> Path:
    """Return the path of the sample transcript: in the package, or in a checkout's examples."""
    package = Path(__file__).parent
    for folder in (package / "samples", package.parents[1] / "examples"):
        if (folder / SAMPLE).is_file():
            return folder / SAMPLE
    raise CannotOpenError(
        f"The sample {SAMPLE!r} is not in this installation; install ctxplug again, or replay a"
        " transcript of your own with ctxplug replay FILE.",
        target=SAMPLE,
    )


def _ask(memory: AgentMemory, question: str) -> _Answer:
    """Ask at the end of the conversation; what is recalled comes from outside the window."""
    memory.add("user", question)
    try:
        window = memory.context(question)
    except BudgetError as exc:
        return _Answer(question, None, exc.needed)
    found = {one.record.id: one.record for one in memory.recall(question, k=50)}
    recalled = [found[id] for id in window.report.recalled if id in found]
    return _Answer(question, recalled[0] if recalled else None, window.tokens)


def _print_answer(console: Console, conversation: Conversation, answer: _Answer) -> None:
    question = screen.safe(answer.question)
    console.print(f"\n[bold]Asked at the end of {conversation.name}:[/] {question}")
    record = answer.found
    if record is None:
        console.print("Nothing was recalled: all that fits is in the window, or it is too small.")
        return
    place = f"message {record.metadata['version']} of {len(conversation.messages)}"
    console.print(f"Found in memory, as the window no longer has it word for word: {place}:")
    text = f"[cyan]{screen.safe(screen.short(record.content, 220))}[/]"
    console.print(Padding(text, (0, 0, 0, 4), expand=False))
    console.print(
        f"It goes to the model with the question, as marked data: {answer.tokens:,} tokens in all."
    )


def _print_result(console: Console, whole: ReplaySummary) -> None:
    console.print(
        f"\n[bold]Result:[/] {whole.turns} model calls, {whole.tokens_in:,} tokens without ctxplug"
        f" and {whole.tokens_sent:,} with it: [bold]{whole.reduction:.0%} less[/]."
        f" {whole.valid} windows valid, {whole.invalid} invalid, {whole.over_budget} over budget."
        f" ctxplug took {whole.p50_ms:.1f} ms a turn (median)."
    )
    console.print(
        "\nNext: [bold]ctxplug replay FILE[/] with a transcript of your own,"
        " [bold]ctxplug --help[/], README.md."
    )


def _data(
    conversation: Conversation, turns: Sequence[TurnReport], answer: _Answer
) -> dict[str, Any]:
    return {
        "name": conversation.name,
        "turns": [asdict(turn) for turn in turns],
        "summary": summarize(turns).to_dict(),
        "question": answer.question,
        "found": answer.found.to_dict() if answer.found else None,
    }
