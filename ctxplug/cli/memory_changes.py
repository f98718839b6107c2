"""Change memories from the command line: edit, pin, promote, forget."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, TypeAlias

import typer

from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen, stores
from ctxplug.cli.memory_page import as_json
from ctxplug.errors import CtxplugError, InvalidValueError, NotFoundError
from ctxplug.memories.tiers import PINNED
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace, namespace_key
from ctxplug.storage import Backend, Where

SHORT = 8  # characters of an id that are shown, where they tell it from the others
LISTED = 5
MESSAGE = "message"

Id: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="The memory's id, or how it begins.")
]
Ids: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="ID...", help="Ids of memories, or how they begin.")
]


def register(group: typer.Typer) -> None:
    """Add these commands to `group`."""
    group.command("edit")(edit)
    group.command("pin")(pin)
    group.command("promote")(promote)
    group.command("forget")(forget)


def edit(
    target: options.Target,
    id: Id,
    namespace: options.Namespace = None,
    content: Annotated[
        str | None, typer.Option("--content", "-c", help="What it says from now on.")
    ] = None,
    importance: Annotated[
        float | None, typer.Option("--importance", "-i", help="From 0.0 to 1.0.")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Its kind.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--add-tag", help="A tag more; repeatable.")
    ] = None,
    untag: Annotated[
        list[str] | None, typer.Option("--remove-tag", help="A tag less; repeatable.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Change what a memory says, its importance, kind or tags; plugins judge it anew.

    Example: ctxplug memories edit agent.db 3f2a --importance 0.9 --add-tag travel
    """
    given = {"content": content, "importance": importance, "kind": kind}
    changes: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
    if not changes and not tag and not untag:
        raise InvalidValueError(
            "Say what to change: --content, --importance, --kind, --add-tag or --remove-tag."
        )

    def change(memory: AgentMemory, old: MemoryRecord) -> MemoryRecord:
        if tag or untag:
            kept = [one for one in old.tags if one not in (untag or ())]
            changes["tags"] = [*kept, *(tag or ())]
        return memory.update(old.id, **changes)

    _change(target, namespace, id, change, json, "Changed")


def pin(
    target: options.Target,
    id: Id,
    namespace: options.Namespace = None,
    off: Annotated[bool, typer.Option("--off", help="Unpin it.")] = False,
    json: options.Json = False,
) -> None:
    """Pin a memory: when room is short it goes last.

    Example: ctxplug memories pin agent.db 3f2a
    """

    def change(memory: AgentMemory, old: MemoryRecord) -> MemoryRecord:
        kept = {key: value for key, value in old.metadata.items() if key != PINNED}
        return memory.update(old.id, metadata=kept if off else {**kept, PINNED: True})

    _change(target, namespace, id, change, json, "Unpinned" if off else "Pinned")


def promote(
    target: options.Target,
    id: Id,
    namespace: options.Namespace = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="TIER", help="medium or long. Default: the next.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Move a memory up a tier, where it is kept longer.

    Example: ctxplug memories promote agent.db 3f2a --to long
    """

    def change(memory: AgentMemory, old: MemoryRecord) -> MemoryRecord:
        return memory.promote(old.id, to)  # type: ignore[arg-type]

    _change(target, namespace, id, change, json, "Promoted")


def forget(
    target: options.Target,
    ids: Ids,
    namespace: options.Namespace = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: options.Json = False,
) -> None:
    """Remove memories for good; asks first.

    Example: ctxplug memories forget agent.db 3f2a --yes
    """
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        records = list({r.id: r for r in (find(backend, chosen, id) for id in ids)}.values())
        if not yes:
            _ask(records)
        memory = AgentMemory.open(backend, namespace=chosen)
        for record in records:
            memory.forget(record.id)
    if json:
        screen.print_json({"forgotten": [record.id for record in records]})
        return
    for record in records:
        screen.out().print(f"Forgot {_named(record)}")


def find(backend: Backend, namespace: Namespace, given: str) -> MemoryRecord:
    """Return the memory whose id is `given`, or the only one whose id begins so."""
    record = backend.get(namespace, given)
    if record is not None and record.kind != MESSAGE:
        return record
    records = backend.find(Where(namespace, not_kinds=[MESSAGE]))
    found = [one for one in records if given and one.id.startswith(given)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(one.id for one in found[:LISTED])
        raise CtxplugError(
            f"{len(found)} memories begin with {given!r}: {ids}. Say more of the id."
        )
    raise NotFoundError(
        f"There is no memory {given!r} in {namespace_key(namespace)!r};"
        " `ctxplug memories TARGET` lists the ids."
    )


def short_ids(ids: Sequence[str]) -> dict[str, str]:
    """Return for each id the beginning that tells it from the others, of at least SHORT."""
    ordered = sorted(ids)
    short = {}
    for before, id, after in zip(["", *ordered], ordered, [*ordered[1:], ""], strict=False):
        length = max(_common(before, id), _common(id, after)) + 1
        short[id] = id[: max(SHORT, length)]
    return short


def _common(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _change(
    target: str,
    namespace: str | None,
    id: str,
    change: Callable[[AgentMemory, MemoryRecord], MemoryRecord],
    json: bool,
    verb: str,
) -> None:
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        old = find(backend, chosen, id)
        record = change(AgentMemory.open(backend, namespace=chosen), old)
    if json:
        screen.print_json(as_json(record))
    else:
        screen.out().print(f"{verb} {_named(record)}")


def _ask(records: Iterable[MemoryRecord]) -> None:
    for record in records:
        screen.err().print(_named(record))
    if not sys.stdin.isatty():
        raise CtxplugError("Nobody is there to confirm; --yes forgets without asking.")
    typer.confirm("Forget for good?", abort=True, err=True)


def _named(record: MemoryRecord) -> str:
    marks = [record.kind, record.tier, f"importance {record.importance:.2f}"]
    marks += ["pinned"] if record.metadata.get(PINNED) is True else []
    marks += [f"tags {', '.join(record.tags)}"] if record.tags else []
    said = screen.safe(screen.short(record.content, 60))
    return f"{screen.safe(record.id[:SHORT])} ({screen.safe(', '.join(marks))}): {said}"
