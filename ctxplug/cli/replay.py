"""Replay a transcript: what each model call would have been sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen, stores
from ctxplug.errors import InvalidNamespaceError
from ctxplug.replay import ReplaySummary, TurnReport, replay, summarize
from ctxplug.scope import Namespace, to_namespace
from ctxplug.storage import Stream
from ctxplug.transcripts import Conversation, read_transcript

COLUMNS = ["#turn", "#tokens in", "#sent", "#kept", "#compressed", "#left out", "#ms", "window"]


class Provider(StrEnum):
    """Whose rules a window is checked against."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("replay")(replay_)


def replay_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSONL, JSON or LoCoMo.")],
    budget: options.Budget = 4_000,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Default: replay/ and the file's name.")
    ] = None,
    store: Annotated[
        str, typer.Option("--store", help="Where to keep what is replayed; a path or spec.")
    ] = "memory:",
    model: options.Model = None,
    provider: Annotated[
        list[Provider] | None,
        typer.Option("--provider", help="Whose rules to check; repeatable. Default: all."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Replay only the first conversations.")
    ] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="One line for each conversation, not each turn.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Feed a transcript through a memory, turn by turn, and show what would be sent.

    Before each message of the assistant the window is computed as for a model call, and
    checked against the providers' rules.

    Example: ctxplug replay chats.jsonl --budget 4000 --summary
    """
    labels = to_namespace(namespace) if namespace is not None else _default_namespace(file)
    job = _Job(file, labels, store, budget, model, tuple(map(str, provider or Provider)), limit)
    results = list(_replayed(job, None if json or summary else screen.out()))
    if json:
        screen.print_json(_data(job, results))
    else:
        _print_totals(screen.out(), job, results, summary)


@dataclass(frozen=True)
class _Job:
    """What is replayed, where to and how."""

    file: str
    namespace: Namespace
    store: str
    budget: int
    model: str | None
    providers: tuple[str, ...]
    limit: int | None

    def conversations(self) -> Iterator[Conversation]:
        return islice(read_transcript(self.file), self.limit)


@dataclass(frozen=True)
class _Result:
    conversation: Conversation
    turns: list[TurnReport]
    counter: str


def _replayed(job: _Job, console: Console | None) -> Iterator[_Result]:
    """Yield each conversation's turns, and print them to `console` as they come."""
    # Read to the end first: a bad line must not leave half a file in the store.
    total = sum(1 for _ in job.conversations())
    with stores.opened(job.store, mode="create") as backend, screen.progress() as bar:
        for conversation in job.conversations():
            stores.refuse_existing(backend, Stream(job.namespace, conversation.name))
        for conversation in bar.track(job.conversations(), total, description="Replaying"):
            with AgentMemory.open(
                backend,
                namespace=job.namespace,
                session=conversation.name,
                budget=job.budget,
                model=job.model,
            ) as memory:
                turns = list(replay(conversation, memory, providers=job.providers))
            if console is not None:
                print_turns(console, conversation, turns)
            yield _Result(conversation, turns, memory.counter.name)


def print_turns(console: Console, conversation: Conversation, turns: Sequence[TurnReport]) -> None:
    """Print a table of the turns of one conversation."""
    title = f"{screen.visible(conversation.name)}: {len(conversation.messages)} messages"
    rows = [
        (
            turn.turn,
            turn.tokens_in,
            *(_sent(turn) if turn.tokens_sent else ["-"] * 4),
            f"{turn.seconds * 1000:.1f}",
            verdict(turn),
        )
        for turn in turns
    ]
    console.print(screen.table(title, COLUMNS, rows))
    console.print()


def _sent(turn: TurnReport) -> list[int]:
    return [turn.tokens_sent, turn.kept, turn.compressed, turn.left_out]


def verdict(turn: TurnReport) -> str:
    """Return, in rich markup, whether the window of a turn is good, or why it is not."""
    if turn.outcome == "valid":
        return "[green]valid[/]"
    if turn.outcome == "over budget":
        return f"[yellow]over budget: this turn needs {turn.needed:,} tokens[/]"
    if turn.outcome == "no user yet":
        return "[dim]the assistant spoke first: no call to make[/]"
    return f"[bold red]invalid: {screen.safe('; '.join(turn.reasons))}[/]"


def _print_totals(
    console: Console, job: _Job, results: Sequence[_Result], by_conversation: bool
) -> None:
    whole = summarize([turn for result in results for turn in result.turns])
    listed = results if by_conversation or len(results) > 1 else []
    rows = [
        _summary_row(screen.safe(result.conversation.name), summarize(result.turns))
        for result in listed
    ]
    rows.append(_summary_row(f"[bold]all {len(results)}[/]", whole))
    columns = ["conversation", "#turns", "#valid", "#over budget", "#invalid", "#tokens in"]
    columns += ["#sent", "#less", "#p50 ms", "#p95 ms"]
    console.print(screen.table("Summary", columns, rows))
    console.print(
        f"\nBudget {job.budget:,} tokens a call, counted with {screen.safe(results[0].counter)};"
        f" windows checked against the rules of {', '.join(job.providers)}."
    )
    for line in _notes(whole):
        console.print(line)


def _summary_row(name: str, s: ReplaySummary) -> tuple[object, ...]:
    times = (f"{s.p50_ms:.1f}", f"{s.p95_ms:.1f}")
    counts = (s.turns, s.valid, s.over_budget, s.invalid, s.tokens_in, s.tokens_sent)
    return name, *counts, f"{s.reduction:.0%}", *times


def _notes(whole: ReplaySummary) -> list[str]:
    notes = []
    if whole.over_budget:
        notes.append(
            f"[yellow]{whole.over_budget:,} turns are over budget[/]: system prompt, pinned and"
            " current turn alone need more. Nothing is sent then, and BudgetError has the numbers."
        )
    if whole.no_user_yet:
        notes.append(f"In {whole.no_user_yet:,} turns the assistant spoke before any user.")
    if whole.invalid:
        notes.append(f"[bold red]{whole.invalid:,} windows break a provider's rule.[/]")
    return notes


def _data(job: _Job, results: Sequence[_Result]) -> dict[str, Any]:
    return {
        "budget": job.budget,
        "counter": results[0].counter,
        "providers": list(job.providers),
        "conversations": [
            {
                "name": result.conversation.name,
                "messages": len(result.conversation.messages),
                "turns": [asdict(turn) for turn in result.turns],
                "summary": summarize(result.turns).to_dict(),
            }
            for result in results
        ],
        "total": summarize([turn for result in results for turn in result.turns]).to_dict(),
    }


def _default_namespace(file: str) -> tuple[str, ...]:
    try:
        return to_namespace(("replay", Path(file).stem))
    except InvalidNamespaceError:  # the file's name is no label
        return ("replay",)
