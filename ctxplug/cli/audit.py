"""Who did what, and whether anybody changed the record of it: audit verify, list, report, ..."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from ctxplug import codec
from ctxplug.agent_memory import AgentMemory
from ctxplug.audit.chain import seal
from ctxplug.audit.checks import AuditReport
from ctxplug.audit.entry import CHAINS, AuditEntry
from ctxplug.audit.exports import anchor_of, export_lines, to_anchor, verify_export
from ctxplug.audit.summary import AuditSummary
from ctxplug.audit.verify import STORE, verify_namespace, verify_store
from ctxplug.cli import options, screen, stores
from ctxplug.cli.exchange import write_new
from ctxplug.errors import CannotOpenError, InvalidValueError
from ctxplug.scope import namespace_key

RANDOM = re.compile("[0-9a-f]{32}")  # an id whose beginning says enough
Since: TypeAlias = options.Since
Until: TypeAlias = options.Until


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    group = typer.Typer(
        name="audit",
        help="Who did what to a memory, and whether anybody changed the record of it.\n\n"
        "Example: ctxplug audit verify agent.db",
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    group.command("verify")(verify)
    group.command("list")(list_)
    group.command("report")(report)
    group.command("export")(export)
    group.command("anchor")(anchor)
    app.add_typer(group)


def verify(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A store, or the file of an audit export.")
    ],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Only this one. Default: the store.")
    ] = None,
    anchor: Annotated[
        str | None, typer.Option("--anchor", "-a", help="A file that `audit anchor` has made.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Say whether the audit log is what was written; the exit code is 1 if it is not.

    An anchor that was kept elsewhere also tells of a log cut at its end, or rewritten whole.

    Example: ctxplug audit verify agent.db --anchor anchor.json
    """
    known = None if anchor is None else to_anchor(codec.decode(_bytes(anchor)))
    found = _verified(target, namespace, known)
    if json:
        screen.print_json(found.to_dict())
    else:
        _print_verdict(target, found)
    if not found.ok:
        raise typer.Exit(1)


def list_(
    target: options.Target,
    namespace: options.Namespace = None,
    what: Annotated[
        list[str] | None, typer.Option("--what", "-w", help="Only this verb; repeatable.")
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Only what this one did.")] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="Only what touched this memory or session.")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: options.Limit = 50,
    json: options.Json = False,
) -> None:
    """List what was done, oldest first; the newest 50 unless told otherwise.

    Example: ctxplug audit list agent.db --what forget
    """
    with stores.opened(target, mode="dry") as backend:
        chosen = stores.choose_namespace(backend, namespace)
        found = AgentMemory.open(backend, namespace=chosen, audit=False).audit.entries(
            what or None, agent=agent, id=id, since=since, until=until, last=limit
        )
    if json:
        screen.print_json([entry.to_dict() for entry in found])
        return
    columns = ["#", "#when", "what", "agent", "session", "purpose", "touched"]
    rows = [_row(entry) for entry in found]
    title = f"Audit log of {namespace_key(chosen)}"
    told = screen.counted(len(rows), "entry", "entries") + (
        "; --json shows ids whole" if rows else ""
    )
    screen.out().print(screen.table(title, columns, rows, caption=f"[dim]{told}[/]"))


def report(
    target: options.Target,
    namespace: options.Namespace = None,
    since: Since = None,
    until: Until = None,
    json: options.Json = False,
) -> None:
    """Count what was done, by verb, agent, purpose and sensitivity, with alerts and denials.

    The log is verified too; the exit code is 1 if it is not what was written.

    Example: ctxplug audit report agent.db --since 2026-05-01
    """
    with stores.opened(target, mode="dry") as backend:
        chosen = stores.choose_namespace(backend, namespace)
        verdict = verify_namespace(backend, chosen)
        log = AgentMemory.open(backend, namespace=chosen, audit=False).audit
        summary = log.report(since=since, until=until)
    if json:
        screen.print_json({**summary.to_dict(), "verified": verdict.to_dict()})
    else:
        _print_summary(summary)
        _print_verdict(target, verdict)
    if not verdict.ok:
        raise typer.Exit(1)


def export(
    target: options.Target,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A new file.")],
    namespace: options.Namespace = None,
    json: options.Json = False,
) -> None:
    """Write the audit log of a namespace as JSONL that verifies by itself.

    Example: ctxplug audit export agent.db alice.jsonl -n acme/alice
    """
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        seal(backend, chosen)
        lines = write_new(export_lines(backend, chosen), file)
    if json:
        screen.print_json({"file": file, "namespace": list(chosen), "lines": lines})
        return
    screen.out().print(f"Wrote {lines:,} lines to {screen.safe(file)}.")


def anchor(
    target: options.Target,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="A new file. Default: print it.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Seal all audit logs of a store and tell the heads of its chains, to be kept elsewhere.

    Example: ctxplug audit anchor agent.db anchor.json
    """
    with stores.opened(target) as backend:
        for namespace in backend.namespaces():
            seal(backend, namespace)
        made = anchor_of(backend, STORE, [info.session for info in backend.sessions(CHAINS)])
    if file is not None:
        write_new([codec.canonical(made) + b"\n"], file)
    if file is None or json:
        screen.print_json(made)
        return
    heads = screen.counted(len(made["chains"]), "head")
    screen.out().print(f"Wrote {heads} of chains to {screen.safe(file)}.")


def _verified(target: str, namespace: str | None, known: Mapping[str, Any] | None) -> AuditReport:
    path = Path(target)
    if path.is_file() and _bytes(target, 1) == b"{":
        if namespace is not None:
            raise InvalidValueError(
                f"{target!r} is an export, and of one namespace; leave out --namespace.",
                path="namespace",
            )
        return verify_export(_bytes(target), known)
    with stores.opened(target, mode="dry") as backend:
        if namespace is None:
            return verify_store(backend, known)
        return verify_namespace(backend, stores.choose_namespace(backend, namespace), known)


def _bytes(path: str, count: int = -1) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(count)
    except OSError as exc:
        reason = exc.strerror or exc
        raise CannotOpenError(f"{path!r} cannot be read: {reason}.", target=path) from exc


def _row(entry: AuditEntry) -> tuple[object, ...]:
    ids = [id[:8] if RANDOM.fullmatch(id) else id for id in entry.ids[:3]]
    touched = ", ".join(ids) + (" …" if len(entry.ids) > 3 else "")
    what = entry.what if entry.outcome == "ok" else f"{entry.what} ({entry.outcome})"
    texts = (what, entry.agent or "", entry.session or "", entry.purpose or "", touched)
    return entry.seq, screen.when(entry.at), *map(screen.safe, texts)


def _print_verdict(target: str, found: AuditReport) -> None:
    console = screen.out()
    verdict = "[green]is what was written[/]" if found.ok else "[bold red]was changed[/]"
    erased = f", {found.erased:,} of erased namespaces" if found.erased else ""
    if found.ok and not found.chains and not found.unsealed:
        console.print(f"{screen.safe(target)} has no audit log: nothing was done that is audited.")
        return
    entries = screen.counted(found.sealed, "entry", "entries")
    console.print(
        f"The audit log of {screen.safe(target)} {verdict}: {entries} sealed in"
        f" {screen.counted(found.chains, 'chain')}{erased}, {found.unsealed:,} not sealed yet."
    )
    for problem in found.problems:
        console.print(f"  [red]{screen.safe(str(problem))}[/]")


def _print_summary(summary: AuditSummary) -> None:
    console = screen.out()
    name = screen.safe(namespace_key(summary.namespace))
    if summary.first is None or summary.last is None:
        console.print(f"Nothing that was done to {name} is in the audit log.")
        return
    times = f"{screen.when(summary.first)} to {screen.when(summary.last)}"
    console.print(
        f"[bold]{name}[/]: {screen.counted(summary.entries, 'entry', 'entries')}, {times} UTC.\n"
    )
    for title, counts in (
        ("verb", summary.by_verb),
        ("agent", summary.by_agent),
        ("purpose", summary.by_purpose),
        ("sensitivity", summary.by_sensitivity),
        ("compliance", summary.by_tag),
    ):
        if counts:
            rows = [(screen.safe(key), count) for key, count in counts.items()]
            console.print(screen.table("", [title, "#entries"], rows))
            console.print()
    for what, entries in (("alert", summary.alerts), ("denied", summary.denied)):
        for entry in entries:
            told = entry.data.get("text") or entry.what
            console.print(
                f"[yellow]{what}[/] {entry.seq}, {screen.when(entry.at)},"
                f" {screen.safe(entry.agent or 'the owner')}: {screen.safe(str(told))}"
            )
