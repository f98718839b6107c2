"""Compare policies on a transcript: what each would have cost, and what it would have kept."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from ctxplug.cli import options, screen
from ctxplug.comparison import POLICIES, Comparison, compare
from ctxplug.comparison.picture import COLUMNS, to_html, write_png
from ctxplug.context.policy import PRESETS
from ctxplug.errors import TranscriptError
from ctxplug.plugins import installed
from ctxplug.registry import Registry
from ctxplug.tokens.default import default_counter
from ctxplug.transcripts import read_transcript

LEGEND = """\
cost: plain input tokens; from cache: the share of input that costs a tenth.
word for word: messages that are sent unchanged.
facts: numbers, dates and identifiers of the past that are in what is sent.
values lost: arguments of later tool calls whose only source was gone.
--json and --html show more."""


# Nothing is asked of memory here, so "question" would show nothing of its own.
OURS = tuple(name for name in PRESETS if name != "question")


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("compare")(compare_)


def compare_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSONL, JSON or LoCoMo.")],
    budget: options.Budget = 8_000,
    policies: Annotated[
        list[str] | None,
        typer.Option("--policy", "--policies", help="One policy; repeatable. Default: all."),
    ] = None,
    model: options.Model = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page to this file.")] = None,
    png: Annotated[
        Path | None, typer.Option("--png", help='Write a picture; needs the extra "plots".')
    ] = None,
    json: options.Json = False,
) -> None:
    """Replay a transcript under several policies, ours and the usual ones.

    All conversations of the file are taken as one session. Cost is in plain input tokens at
    Anthropic's cache prices: 0.1 for a token read from the cache, 1.25 for one written to it.

    Example: ctxplug compare chats.jsonl --budget 8000 --policy balanced --policy "sliding window"
    """
    messages = list(chain.from_iterable(c.messages for c in read_transcript(file)))
    calls = sum(message.role == "assistant" for message in messages)
    if not calls:
        raise TranscriptError(
            f"{file!r} holds no assistant message, so there is no model call to compare.",
            path=file,
        )
    names = policies or [*OURS, *POLICIES]
    counter = default_counter(model, Registry(installed()))
    with screen.progress() as bar:
        task = bar.add_task("comparing", total=calls * len(names))
        result = compare(
            messages,
            budget=budget,
            counter=counter,
            policies=names,
            progress=lambda done: bar.advance(task, done),
        )
    title = f"{Path(file).name}: policies side by side"
    if html is not None:
        html.write_text(to_html(result, PRESETS, title=title), encoding="utf-8")
    if png is not None:
        write_png(result, PRESETS, png)
    if json:
        screen.print_json(result.to_dict())
    else:
        _print(title, result)


def _print(title: str, result: Comparison) -> None:
    shown = [column for column in COLUMNS if column[0] not in ("calls", "tokens", "represented")]
    headings = [name if i == 0 else f"#{name}" for i, (name, _) in enumerate(shown)]
    rows = [[cell(row) for _, cell in shown] for row in result.rows]
    screen.out().print(screen.table(title, headings, rows))
    screen.out().print(
        f"\n{result.messages:,} messages as one session, {result.budget:,} tokens a call, counted"
        f" with {result.counter}."
    )
    screen.out().print(LEGEND)
