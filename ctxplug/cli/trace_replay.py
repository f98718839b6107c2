"""Step through what was recorded: trace replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

from ctxplug.cli import options, screen, stores
from ctxplug.cli.talk import printed
from ctxplug.cli.trace_window import print_window
from ctxplug.errors import InvalidValueError, NotFoundError
from ctxplug.inspector.outline import line_of
from ctxplug.tracing.replay import Replay
from ctxplug.tracing.step import WINDOW, Step

HELP = """\
n next step, b back, c on to the next breakpoint, r back to the one before, g STEP go there,
m messages as they stood, w the window that was sent, s the step, q quit"""


def _windows(replay: Replay) -> Iterator[Step]:
    return (s for s in replay.steps[: replay.index + 1] if s.kind == WINDOW)


WATCHES: Mapping[str, Callable[[Replay], Any]] = {
    "messages": lambda replay: len(replay.log()),
    "tokens": lambda replay: next((s.tokens for s in reversed([*_windows(replay)])), None),
    "compactions": lambda replay: sum(
        step.kind == "compaction" for step in replay.steps[: replay.index + 1]
    ),
    "cost": lambda replay: sum(s.cost or 0.0 for s in replay.steps[: replay.index + 1]),
    "errors": lambda replay: sum(not s.ok for s in replay.steps[: replay.index + 1]),
}


class Watch(StrEnum):
    """What can be watched from the command line."""

    MESSAGES = "messages"
    TOKENS = "tokens"
    COMPACTIONS = "compactions"
    COST = "cost"
    ERRORS = "errors"


def replay(
    target: options.Target,
    namespace: options.Namespace = None,
    session: options.Session = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Stop at such as window.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Stop at this tool or model.")] = None,
    error: Annotated[bool, typer.Option("--error", help="Stop at what did not end well.")] = False,
    tokens_over: Annotated[
        int | None, typer.Option("--tokens-over", min=0, help="Stop at more tokens than these.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Stop where this is said, in any case or width.")
    ] = None,
    watch: Annotated[
        list[Watch] | None, typer.Option("--watch", help="Show this value; repeatable.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Begin at this step.")] = None,
    back: Annotated[bool, typer.Option("--back", help="Go backwards, from the end.")] = False,
    ask: Annotated[bool, typer.Option("--ask", "-i", help="Ask what to do at each stop.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make every window again and compare its hash.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Go through a conversation's steps, and stop where you say.

    All conditions must hold; without any, every step is a stop. --verify ends with exit code 1
    if a window is not what was recorded.

    Example: ctxplug trace replay agent.db -s trip --kind tool --error --watch tokens
    """
    if verify:
        _verify(target, namespace, session, json)
        return
    if ask and json:
        raise InvalidValueError("Give --ask or --json, not both.", path="json")
    breaks = error or any(value is not None for value in (kind, name, tokens_over, text))
    with stores.memory_of(target, namespace, session) as memory:
        cursor = memory.trace.replay()
        for one in watch or ():
            cursor.watch(one.value, WATCHES[one.value])
        if breaks:
            cursor.break_on(
                kind, name=name, error=error or None, tokens_over=tokens_over, text=text
            )
        if start is not None or back:
            cursor.seek(len(cursor) - 1 if start is None else start)
        if ask:
            _Session(cursor, screen.out(), full=False).talk(breaks)
        else:
            _print_stops(cursor, _stops(cursor, breaks, back, start is not None), json)


def _stops(cursor: Replay, breaks: bool, back: bool, begun: bool) -> Iterator[Step]:
    """Yield the steps to stop at, moving the cursor."""
    if (begun or back) and cursor.current is not None:
        here = cursor.current
        if not breaks or cursor.holds():
            yield here
    if breaks:
        move = cursor.run_back if back else cursor.run
    else:
        move = cursor.back if back else cursor.step
    while (step := move()) is not None:
        yield step


def _print_stops(cursor: Replay, stops: Iterator[Step], json: bool) -> None:
    found: list[dict[str, Any]] = []
    console = screen.out()
    count = 0
    for step in stops:
        count += 1
        if json:
            changes = {c.name: [c.before, c.after] for c in cursor.changes}
            place = {"index": cursor.index, "version": cursor.version}
            found.append(
                step.to_dict() | place | {"values": dict(cursor.values), "changes": changes}
            )
        else:
            print_stop(console, cursor, step)
    if json:
        screen.print_json(found)
    else:
        told = screen.counted(count, "stop")
        console.print(f"[dim]{told} in {screen.counted(len(cursor), 'step')}.[/]")


def print_stop(console: Console, cursor: Replay, step: Step) -> None:
    """Print where the cursor stands: the step, what was said since, what is watched."""
    sign = "[green]ok[/]" if step.ok else f"[red]{screen.safe(step.outcome)}[/]"
    tokens = "" if step.tokens is None else f", {step.tokens:,} tokens"
    within = " / ".join(one.name or one.kind for one in cursor.parents)
    above = f" [dim]in {screen.safe(within)}[/]" if within else ""
    console.print(
        f"[dim]{cursor.index:>5}[/] {step.id[:8]} [bold]{step.kind}[/] {screen.safe(step.name)}"
        f" {sign} [dim]{step.duration * 1000:.1f} ms{tokens}[/]{above}"
    )
    if step.error:
        console.print(f"      [red]{screen.safe(screen.short(step.error, 160))}[/]")
    for message in cursor.news():
        console.print(
            f"      [cyan]{message.role}:[/] {screen.safe(screen.short(line_of(message), 100))}"
        )
    for change in cursor.changes:
        told = f"{change.before!r} -> {change.after!r}"
        console.print(f"      [yellow]{screen.safe(change.name)}[/]: {screen.safe(told)}")


class _Session:
    """A talk about a replay: one letter a line."""

    def __init__(self, cursor: Replay, console: Console, *, full: bool) -> None:
        self._cursor, self._console, self._full = cursor, console, full

    def talk(self, breaks: bool) -> None:
        """Go on until there is no more to read, or q."""
        self._console.print(f"[dim]{HELP}[/]")
        self._stop(self._cursor.run() if breaks else self._cursor.step())
        while True:
            try:
                line = input("> ").strip()
            except EOFError:
                return
            if line == "q":
                return
            self._do(line)

    def _do(self, line: str) -> None:
        letter, _, rest = line.partition(" ")
        cursor = self._cursor
        moves = {"n": cursor.step, "": cursor.step, "b": cursor.back}
        moves |= {"c": cursor.run, "r": cursor.run_back}
        if letter in moves:
            self._stop(moves[letter]())
        elif letter == "g":
            with suppress(ValueError):
                rest = int(rest) if len(rest) < 6 else rest  # type: ignore[assignment]
            self._tell(lambda: self._stop(cursor.seek(rest)))
        elif letter == "m":
            for one in cursor.log():
                self._console.print(printed(one.message, one.version, full=self._full))
        elif letter == "w":
            self._tell(self._window)
        elif letter == "s" and cursor.current is not None:
            screen.print_json(cursor.current.to_dict())
        else:
            self._console.print(f"[dim]{HELP}[/]")

    def _tell(self, do: Callable[[], None]) -> None:
        try:
            do()
        except (NotFoundError, InvalidValueError) as exc:
            self._console.print(f"[red]{screen.safe(str(exc))}[/]")

    def _window(self) -> None:
        print_window(self._console, self._cursor.window(), self._full)

    def _stop(self, step: Step | None) -> None:
        if step is None:
            self._console.print("[dim]There is no further stop.[/]")
        else:
            print_stop(self._console, self._cursor, step)


def _verify(target: str, namespace: str | None, session: str | None, json: bool) -> None:
    """Make every window of a session again; exit with 1 if one is not what was recorded."""
    with stores.memory_of(target, namespace, session) as memory:
        steps = [s for s in memory.trace.steps(kind=WINDOW) if "hash" in s.data]
        with screen.progress() as bar:
            checked = [
                (step, memory.trace.window(step))
                for step in bar.track(steps, description="making windows again")
            ]
    wrong = [(step, window) for step, window in checked if not window.exact]
    if json:
        bad = [
            {"step": s.id, "hash": w.hash, "expected": w.expected, "notes": list(w.notes)}
            for s, w in wrong
        ]
        screen.print_json({"windows": len(checked), "exact": len(checked) - len(bad), "not": bad})
    else:
        for step, window in wrong:
            notes = "; ".join(window.notes) or "its hash is another one"
            screen.out().print(f"[red]{step.id}[/]: {screen.safe(notes)}")
        screen.out().print(f"{len(checked) - len(wrong)} of {len(checked)} windows are exact.")
    if wrong:
        raise typer.Exit(1)
