"""What becomes of sessions: list them, show, mark, go back, branch off, suspend, close."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shlex import quote
from typing import Annotated, TypeAlias

import typer

from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen, stores
from ctxplug.cli.session_page import details, list_sessions, text
from ctxplug.errors import InvalidValueError
from ctxplug.sessions.policy import SessionPolicy
from ctxplug.sessions.states import STATES

DAY = 86_400.0  # seconds

Reason: TypeAlias = Annotated[str | None, typer.Option("--reason", "-r", help="Why.")]
Place: TypeAlias = Annotated[
    str, typer.Argument(metavar="PLACE", help="A snapshot's name, or a version of the log.")
]
Wanted: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--state", help=f"Only those that are {', '.join(STATES)}; repeatable."),
]

group = typer.Typer(
    no_args_is_help=True,
    help="Show a session; mark where it stands, go back there, branch off; suspend or close it."
    "\n\nExample: ctxplug session show agent.db -s trip",
)


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("sessions")(sessions)
    app.add_typer(group, name="session")


def sessions(
    target: options.Target,
    namespace: options.Namespace = None,
    state: Wanted = None,
    json: options.Json = False,
) -> None:
    """List who has a memory in a store, and their conversations.

    What is idle goes by the default policy, of half an hour.

    Example: ctxplug sessions agent.db --state active --state idle
    """
    with stores.opened(target) as backend:
        chosen = backend.namespaces()
        if namespace is not None:
            chosen = [stores.choose_namespace(backend, namespace)]
        list_sessions(backend, chosen, json, state)


@group.command()
def show(
    target: options.Target,
    namespace: options.Namespace = None,
    session: options.Session = None,
    json: options.Json = False,
) -> None:
    """Show a session's state, times, metadata, snapshots and forks.

    Example: ctxplug session show agent.db -s trip
    """
    with stores.memory_of(target, namespace, session) as memory:
        info, marks = memory.session.info(), memory.session.snapshots()
        forks = [one.id for one in memory.sessions(parent=info.id)]
    if json:
        marked = [mark.to_dict() for mark in marks]
        screen.print_json({**info.to_dict(), "snapshots": marked, "forks": forks})
        return
    console = screen.out()
    console.print(screen.table("", ["", ""], details(info, forks)))
    if marks:
        rows = [
            (mark.version, screen.safe(mark.name), screen.when(mark.created_at), text(mark.note))
            for mark in marks
        ]
        console.print(screen.table("snapshots", ["#version", "name", "made", "note"], rows))


@group.command()
def snapshot(
    target: options.Target,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    namespace: options.Namespace = None,
    session: options.Session = None,
    note: Annotated[str | None, typer.Option("--note", help="What it is for.")] = None,
    json: options.Json = False,
) -> None:
    """Mark where a session stands, to go back there.

    Example: ctxplug session snapshot agent.db before-booking -s trip
    """
    with _opened(target, namespace, session) as memory:
        made = memory.session.snapshot(name, note)
    if json:
        screen.print_json(made.to_dict())
    else:
        screen.out().print(
            f"The snapshot {screen.safe(made.name)} is version {made.version}."
            f" Back to it: ctxplug session restore TARGET {screen.safe(quote(made.name))}"
        )


@group.command()
def restore(
    target: options.Target,
    place: Place,
    namespace: options.Namespace = None,
    session: options.Session = None,
    json: options.Json = False,
) -> None:
    """Go back to a snapshot or a version. Nothing is lost: what came later can be restored too.

    Example: ctxplug session restore agent.db before-booking -s trip
    """
    with _opened(target, namespace, session) as memory:
        head = memory.session.head
        version = memory.session.restore(_place(memory, place))
        info = memory.session.info()
    if json:
        screen.print_json({**info.to_dict(), "restored": version, "from": head})
        return
    screen.out().print(
        f"{screen.safe(info.id)} is as it was at version {version}:"
        f" {screen.counted(info.messages or 0, 'message')}."
        f" Back again: ctxplug session restore TARGET {head}"
    )


@group.command()
def fork(
    target: options.Target,
    new: Annotated[
        str | None,
        typer.Argument(metavar="[NEW]", help="What to call the fork."),
    ] = None,
    namespace: options.Namespace = None,
    session: options.Session = None,
    at: Annotated[
        str | None, typer.Option("--at", help="From this snapshot or version; else from its end.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Branch off: a new session with this one's past, which is shared and not copied.

    Example: ctxplug session fork agent.db what-if -s trip --at before-booking
    """
    with _opened(target, namespace, session) as memory:
        made = memory.session.fork(new, at=None if at is None else _place(memory, at))
        info = made.session.info()
    if json:
        screen.print_json(info.to_dict())
        return
    parent = f"{screen.safe(str(info.parent))} at version {info.forked_at}"
    screen.out().print(f"{screen.safe(info.id)} is a fork of {parent}.")


@group.command()
def suspend(
    target: options.Target,
    namespace: options.Namespace = None,
    session: options.Session = None,
    reason: Reason = None,
    json: options.Json = False,
) -> None:
    """Let nothing be added to a session until it is resumed."""
    _made(target, namespace, session, json, lambda memory: memory.session.suspend(reason))


@group.command()
def resume(
    target: options.Target,
    namespace: options.Namespace = None,
    session: options.Session = None,
    json: options.Json = False,
) -> None:
    """Go on with a session that is suspended, completed, failed or expired."""
    _made(target, namespace, session, json, lambda memory: memory.session.resume())


@group.command()
def complete(
    target: options.Target,
    namespace: options.Namespace = None,
    session: options.Session = None,
    json: options.Json = False,
) -> None:
    """Close a session: what it was for is done."""
    _made(target, namespace, session, json, lambda memory: memory.session.complete())


@group.command()
def fail(
    target: options.Target,
    namespace: options.Namespace = None,
    session: options.Session = None,
    reason: Reason = None,
    json: options.Json = False,
) -> None:
    """Close a session: what it was for failed."""
    _made(target, namespace, session, json, lambda memory: memory.session.fail(reason))


@group.command()
def retire(
    target: options.Target,
    days: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", help="Ended longer ago than so many.")
    ],
    namespace: options.Namespace = None,
    quiet: Annotated[
        float | None,
        typer.Option(
            "--expire-after", metavar="DAYS", help="Count as ended what was quiet so long."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Remove for good the sessions that ended long ago. Memories stay.

    Example: ctxplug session retire agent.db --older-than 90 --expire-after 7 --dry-run
    """
    policy = SessionPolicy(
        expire_after=None if quiet is None else _days("--expire-after", quiet),
        retain=_days("--older-than", days),
    )
    with stores.opened(target, mode="dry" if dry_run else "read") as backend:
        chosen = stores.choose_namespace(backend, namespace)
        with (
            AgentMemory.open(backend, namespace=chosen, session_policy=policy) as memory,
            screen.progress() as bar,
        ):
            task = bar.add_task("retiring")
            report = memory.retire(
                dry_run=dry_run,
                progress=lambda done, of: bar.update(task, completed=done, total=of),
            )
    if json:
        screen.print_json(report.to_dict())
    else:
        screen.out().print(screen.safe(str(report)))


# -- inside ------------------------------------------------------------------------------


@contextmanager
def _opened(target: str, namespace: str | None, session: str | None) -> Iterator[AgentMemory]:
    """Lend a memory on an existing session, to write to."""
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        name = stores.choose_session(backend, chosen, session)
        with AgentMemory.open(backend, namespace=chosen, session=name) as memory:
            yield memory


def _made(
    target: str,
    namespace: str | None,
    session: str | None,
    json: bool,
    act: Callable[[AgentMemory], None],
) -> None:
    with _opened(target, namespace, session) as memory:
        act(memory)
        info = memory.session.info()
    if json:
        screen.print_json(info.to_dict())
    else:
        screen.out().print(f"{screen.safe(info.id)} is {info.state}.")


def _place(memory: AgentMemory, given: str) -> str | int:
    """Return a snapshot's name, or a version where none has that name."""
    if given.isdecimal() and given not in {mark.name for mark in memory.session.snapshots()}:
        return int(given)
    return given


def _days(option: str, given: float) -> float:
    """Return days as seconds; raise InvalidValueError unless they are above zero."""
    if not given > 0:
        raise InvalidValueError(f"{option} takes days above zero, not {given:g}.", path=option)
    return given * DAY
