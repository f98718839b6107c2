"""Compare two windows, or a session's calls under other settings: trace diff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console

from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen, stores
from ctxplug.errors import InvalidValueError
from ctxplug.tracing.difference import Difference, Moved
from ctxplug.tracing.rerun import Rerun, Total

SHOWN = 12  # messages of one kind that are listed unless everything is asked for


def diff(
    target: options.Target,
    before: Annotated[
        str | None, typer.Argument(metavar="[STEP]", help="A window: its id, or the beginning.")
    ] = None,
    after: Annotated[
        str | None, typer.Argument(metavar="[STEP]", help="The window to set beside it.")
    ] = None,
    namespace: options.Namespace = None,
    session: options.Session = None,
    policy: Annotated[
        str | None, typer.Option("--policy", "-p", help="Make all calls again by this policy.")
    ] = None,
    budget: Annotated[
        int | None, typer.Option("--budget", "-b", min=1, help="Or with so many tokens a call.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Or for this model: its counter, its prices."),
    ] = None,
    full: options.Full = False,
    json: options.Json = False,
) -> None:
    """Set two windows side by side, or all calls of a conversation beside other settings.

    Shows tokens, cost with the prompt cache, and which messages came in and went out. No model
    is called and nothing is written.

    Example: ctxplug trace diff agent.db -s trip --policy aggressive --budget 16000
    """
    settings = {"policy": policy, "budget": budget, "model": model}
    named = [step for step in (before, after) if step is not None]
    if any(value is not None for value in settings.values()) == bool(named):
        raise InvalidValueError(
            "Give two steps to compare, or at least one of --policy, --budget and --model.",
            path="step",
        )
    if len(named) == 1:
        raise InvalidValueError("Two windows are compared; give two steps.", path="step")
    with stores.memory_of(target, namespace, session) as memory:
        result = _compared(memory, named) if named else _again(memory, settings)
    if json:
        screen.print_json(result.to_dict())
    elif isinstance(result, Rerun):
        _print_rerun(screen.out(), result, full)
    else:
        print_difference(screen.out(), result, full)


def _compared(memory: AgentMemory, named: Sequence[str]) -> Rerun | Difference:
    replay = memory.trace.replay()
    first, second = (replay.steps[replay.place(one)] for one in named)
    return memory.trace.compare(first, second)


def _again(memory: AgentMemory, settings: Mapping[str, Any]) -> Rerun | Difference:
    calls = len(memory.trace.steps(kind="window"))
    with screen.progress() as bar:
        task = bar.add_task("making calls again", total=calls)
        return memory.trace.rerun(**settings, progress=lambda done: bar.advance(task, done))


def print_difference(console: Console, one: Difference, full: bool) -> None:
    """Print what of two windows is another."""
    if one.same:
        console.print(f"The same: {one.after.tokens:,} tokens.")
        return
    for name, side in (("before", one.before), ("after", one.after)):
        if side.error is not None:
            needed = "" if side.needed is None else f", {side.needed:,} tokens were needed"
            console.print(f"[yellow]{name}: no window ({screen.safe(side.error)}{needed})[/]")
    console.print(
        f"[bold]{one.before.tokens:,} -> {one.after.tokens:,} tokens[/] ({one.tokens:+,}),"
        f" of which the first {one.shared:,} are the same"
    )
    for name, count in one.parts.items():
        console.print(f"  [dim]{screen.safe(name)}:[/] {count:+,}")
    _print_moved(console, "came in", "green", one.entered, full)
    _print_moved(console, "went out", "red", one.left, full)
    _print_moved(console, "is otherwise", "yellow", one.changed, full)
    for title, ids in (("recalled now", one.recalled_in), ("no more", one.recalled_out)):
        if ids:
            console.print(f"[dim]{title}:[/] {screen.safe(', '.join(ids))}")


def _print_moved(
    console: Console, title: str, colour: str, moved: Sequence[Moved], full: bool
) -> None:
    shown = moved if full else moved[:SHOWN]
    for one in shown:
        forms = f"{one.before or 'absent'} -> {one.after or 'absent'}"
        console.print(f"[{colour}]{title}[/] @{one.version} {one.role}: {screen.safe(forms)}")
    if len(moved) > len(shown):
        console.print(f"[dim]{title}: {len(moved) - len(shown)} more; --full shows all.[/]")


def _print_rerun(console: Console, again: Rerun, full: bool) -> None:
    settings = ", ".join(f"{name} {value}" for name, value in again.settings.items())
    rows = [_sums("as it was", again.before), _sums(screen.safe(settings), again.after)]
    columns = ["settings", "#calls", "#tokens", "#from cache", "#plain tokens", "#cost $"]
    columns += ["#compactions", "#without a window"]
    title = f"{screen.visible(again.session)}: the calls once more"
    console.print(screen.table(title, columns, rows))
    other = [(n, call) for n, call in enumerate(again.calls, 1) if not call.same]
    console.print(
        f"\n{len(other)} of {len(again.calls)} calls would have been sent otherwise."
        " plain tokens: what the input costs in tokens of plain input, with the prompt cache."
    )
    shown = other if full else other[:SHOWN]
    columns = ["#call", "#step", "#before", "#after", "#in", "#out", "#otherwise", "#recalled"]
    lines = [_line(number, call) for number, call in shown]
    if lines:
        console.print(screen.table("", columns, lines))
    if len(other) > len(shown):
        console.print(f"[dim]{len(other) - len(shown)} more; --full shows all.[/]")
    for note in again.notes:
        console.print(f"[yellow]{screen.safe(note)}[/]")


def _sums(name: str, total: Total) -> tuple[object, ...]:
    dollars = total.cost.dollars
    return (
        name,
        total.calls,
        total.tokens,
        f"{total.hit_share:.0%}",
        round(total.cost.plain),
        "unknown" if dollars is None else f"{dollars:.4f}",
        total.compactions,
        total.failed,
    )


def _line(number: int, call: Difference) -> tuple[object, ...]:
    sides = (side.tokens if side.error is None else "none" for side in (call.before, call.after))
    recalled = f"+{len(call.recalled_in)} -{len(call.recalled_out)}"
    return (
        number,
        (call.step or "")[:8],
        *sides,
        len(call.entered),
        len(call.left),
        len(call.changed),
        recalled,
    )
