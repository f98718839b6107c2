"""What an agent's memory did, step by step: trace list, trace show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ctxplug import codec
from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen, stores, trace_analyze, trace_diff, trace_replay
from ctxplug.cli.listing_group import ListingGroup
from ctxplug.cli.trace_window import print_window, window_data
from ctxplug.errors import InvalidValueError, NotFoundError
from ctxplug.tracing.step import COMPACTION, RECALL, WINDOW, Step

COLUMNS = ["#call", "#step", "#began", "what", "#ms", "#tokens", "#cost $", "outcome"]
UNNAMED = (WINDOW, COMPACTION, RECALL)  # kinds whose name says nothing more
ID = 8  # digits of an id that are listed; any beginning that is no other's will do
CLASS = re.compile(r"\b[A-Z]\w*(?:Error|Exception)\b")  # how an error is named in short
KEYS = 160  # characters of one value that are shown unless everything is asked for


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    group = typer.Typer(
        cls=ListingGroup,
        name="trace",
        help="See what a memory did: list its steps, show one with the window that was sent,"
        " replay them, and compare windows and settings.\n\n[bold]ctxplug trace TARGET[/] lists."
        "\n\nExample: ctxplug trace agent.db -s trip --kind window",
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    group.command("list")(list_)
    group.command("show")(show)
    group.command("replay")(trace_replay.replay)
    group.command("diff")(trace_diff.diff)
    group.command("analyze")(trace_analyze.analyze)
    app.add_typer(group)


def list_(
    target: options.Target,
    namespace: options.Namespace = None,
    session: options.Session = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only such as window or tool.")] = None,
    trace: Annotated[
        str | None, typer.Option("--trace", help="Only of this trace, or turn.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what did not end well.")] = False,
    since: options.Since = None,
    until: options.Until = None,
    last: Annotated[
        int, typer.Option("--last", "-l", min=0, help="How many, the newest; 0: all.")
    ] = 50,
    json: options.Json = False,
) -> None:
    """List what was done in a conversation: windows, model calls, tools, recalls, errors.

    Example: ctxplug trace list agent.db -n acme/alice -s trip --kind tool --failed
    """
    with stores.memory_of(target, namespace, session) as memory:
        every = memory.trace.steps()
        chosen = memory.trace.steps(kind=kind, since=since, until=until)
    numbers = numbered(every)
    chosen = [s for s in chosen if trace is None or s.trace.startswith(trace)]
    chosen = [s for s in chosen if not (failed and s.ok)]
    found = chosen[-last:] if last else chosen
    if json:
        screen.print_json([step.to_dict() | {"call": numbers.get(step.id)} for step in found])
        return
    hint = "ctxplug trace show TARGET STEP shows one, by its id or the beginning of it."
    if not found:
        hint = "There are none: nothing was traced, or nothing is as asked for."
    elif len(chosen) > len(found):
        hint += f" {len(chosen) - len(found):,} earlier ones are not shown; --last 0 shows all."
    screen.out().print(_table(found, numbers, caption=f"[dim]{hint}[/]"))


def show(
    target: options.Target,
    step: Annotated[
        str | None, typer.Argument(metavar="[STEP]", help="Its id, or the beginning of it.")
    ] = None,
    namespace: options.Namespace = None,
    session: options.Session = None,
    call: Annotated[
        int | None,
        typer.Option("--call", "-c", help="The window of this call, counted from 1; -1: the last."),
    ] = None,
    full: options.Full = False,
    json: options.Json = False,
) -> None:
    """Show a step, and of a model call what exactly was sent.

    The window is made again from the log and compared with the hash that was recorded.

    Example: ctxplug trace show agent.db -s trip --call 214
    """
    if (step is None) == (call is None):
        raise InvalidValueError("Name a step, or a call with --call; one of them.", path="step")
    with stores.memory_of(target, namespace, session) as memory:
        steps = memory.trace.steps()
        found = chosen_step(memory, step, call)
        children = [one for one in steps if one.parent == found.id]
        window = memory.trace.window(found) if found.kind == WINDOW and found.ok else None
    if json:
        data = {"step": found.to_dict(), "children": [one.to_dict() for one in children]}
        screen.print_json(data | ({} if window is None else {"window": window_data(window)}))
        return
    console = screen.out()
    _print_step(console, found, children, full)
    if window is not None:
        print_window(console, window, full)


def chosen_step(memory: AgentMemory, step: str | None, call: int | None) -> Step:
    """Return the step of that id, or the window of that call; raise NotFoundError."""
    if call is None:
        replay = memory.trace.replay()
        return replay.steps[replay.place(step or "")]
    windows = memory.trace.steps(kind=WINDOW)
    place = call - 1 if call > 0 else call
    if call == 0 or not -len(windows) <= place < len(windows):
        raise NotFoundError(f"There is no call {call}: {len(windows)} were recorded, from 1 on.")
    return windows[place]


def numbered(steps: Sequence[Step]) -> dict[str, int]:
    """Return the number of each call by the id of its window's step."""
    windows = [step for step in steps if step.kind == WINDOW]
    return {step.id: number for number, step in enumerate(windows, 1)}


def nested(steps: Sequence[Step]) -> list[tuple[Step, int]]:
    """Return each step with how deep it stands in those that are listed."""
    depths: dict[str, int] = {}
    for step in steps:
        depths[step.id] = depths[step.parent] + 1 if step.parent in depths else 0
    return [(step, depths[step.id]) for step in steps]


def _table(
    steps: Sequence[Step], numbers: Mapping[str, int], *, title: str = "", caption: str = ""
) -> Table:
    """Return a table of steps; the day and the cost are left out where they say nothing."""
    format = "%H:%M:%S" if len({s.started_at.date() for s in steps}) < 2 else "%m-%d %H:%M:%S"
    shown = [name for name in COLUMNS if name != "#cost $" or any(s.cost for s in steps)]
    if not numbers:
        shown.remove("#call")
    rows = [
        [row(step, depth, format, numbers.get(step.id, ""))[COLUMNS.index(name)] for name in shown]
        for step, depth in nested(steps)
    ]
    return screen.table(title, shown, rows, caption=caption)


def row(step: Step, depth: int, format: str, number: object = "") -> tuple[object, ...]:
    """Return the cells of one line of a list."""
    named = step.name and step.kind not in UNNAMED and step.name != step.kind
    name = f" [dim]{screen.safe(screen.short(step.name, 40))}[/]" if named else ""
    return (
        number,
        step.id[:ID],
        step.started_at.strftime(format),
        screen.one_line(f"{'  ' * depth}{step.kind}{name}"),
        f"{step.duration * 1000:.1f}",
        "" if step.tokens is None else step.tokens,
        "" if step.cost is None else f"{step.cost:.4f}",
        screen.one_line(outcome(step, full=False)),
    )


def outcome(step: Step, *, full: bool = True) -> str:
    """Return, in rich markup, how a step ended; the class of an error, or all of it."""
    if step.ok:
        return "[green]ok[/]"
    error = step.error or ""
    if not full:
        named = CLASS.search(error)
        error = named[0] if named else error.partition(":")[0]
    told = screen.short(error, 400 if full else 40)
    return f"[red]{screen.safe(step.outcome)}[/] {screen.safe(told)}".rstrip()


def _print_step(console: Console, step: Step, children: Sequence[Step], full: bool) -> None:
    facts = {
        "kind": step.kind,
        "name": step.name,
        "outcome": outcome(step),
        "began": step.started_at.isoformat(),
        "took": f"{step.duration * 1000:.1f} ms",
        "tokens": step.tokens,
        "cost": None if step.cost is None else f"{step.cost:.6f} dollars",
        "trace": step.trace,
        "part of": step.parent,
        "agent": step.agent,
    }
    console.print(f"[bold]{step.id}[/] of {screen.safe(step.session)}")
    for name, value in facts.items():
        if value not in (None, ""):
            shown = str(value) if name == "outcome" else screen.safe(str(value))
            console.print(f"  [dim]{name}:[/] {shown}")
    for key, value in step.data.items():
        text = value if isinstance(value, str) else codec.encode(value).decode("utf-8", "replace")
        if isinstance(value, float) and not full:
            text = f"{value:.4g}"
        shown = screen.visible(text) if full else screen.short(text, KEYS)
        console.print(f"  [cyan]{screen.safe(key)}:[/] {screen.safe(shown)}")
    if children:
        console.print(_table(children, {}, title="What happened in it"))
