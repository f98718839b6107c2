"""Out of a store and into one: export, import."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, BinaryIO

import typer

from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen, stores
from ctxplug.errors import CannotOpenError, CtxplugError, InvalidValueError
from ctxplug.exchange import ImportReceipt, examine_export, export_lines, import_export
from ctxplug.plugins import installed
from ctxplug.scope import to_namespace
from ctxplug.storage import Backend, Stream
from ctxplug.transcripts import is_export, read_transcript


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("export")(export)
    app.command("import")(import_)


def export(
    target: options.Target,
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="A new file; - is stdout.")] = "-",
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Only this one. Default: all.")
    ] = None,
    traces: Annotated[
        bool, typer.Option("--traces", help="The steps of sessions too, for replay elsewhere.")
    ] = False,
) -> None:
    """Write a store as JSONL: every log entry and every memory, without losing a byte.

    Example: ctxplug export agent.db agent.jsonl --namespace acme/alice
    """
    with stores.opened(target) as backend:
        chosen = backend.namespaces()
        if namespace is not None:
            chosen = [stores.choose_namespace(backend, namespace)]
        lines = export_lines(backend, chosen, traces=traces)
        if file == "-":
            write_lines(lines, sys.stdout.buffer)
            return
        count = write_new(lines, file)
    screen.out().print(f"Wrote {count:,} lines to {screen.safe(file)}.")


def import_(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A store's path or spec; made if it is new.")
    ],
    file: Annotated[str, typer.Argument(metavar="FILE", help="An export, or a transcript.")],
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Whose memory a transcript becomes part of."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Read an export back, or a transcript as new sessions; a bad file changes nothing.

    Example: ctxplug import copy.db agent.jsonl
    """
    lossless = is_export(file)
    if lossless and namespace is not None:
        raise InvalidValueError(
            f"{file!r} is an export, which has its own namespaces; leave --namespace out."
        )
    if lossless:  # before a new store is made for it
        examine_export(file)
    else:
        _check_transcript(file, namespace)
    with stores.opened(target, mode="create") as backend:
        if lossless:
            done = import_export(file, backend, installed())
        else:
            done = _import_transcript(file, backend, namespace or "")
    if json:
        screen.print_json(asdict(done))
        return
    already = f" {done.present:,} were there already." if done.present else ""
    screen.out().print(
        f"Imported {done.sessions:,} sessions with {done.entries:,} entries and"
        f" {done.records:,} memories into {screen.safe(target)}.{already}"
    )


def _check_transcript(file: str, namespace: str | None) -> None:
    """Read the file to its end, so that a bad line is found before anything is stored."""
    for _ in read_transcript(file):
        pass
    if namespace is None:
        raise CtxplugError(f"{file!r} is a transcript; say whose memory it is with --namespace.")
    to_namespace(namespace)


def _import_transcript(file: str, backend: Backend, namespace: str) -> ImportReceipt:
    labels = to_namespace(namespace)
    for conversation in read_transcript(file):
        stores.refuse_existing(backend, Stream(labels, conversation.name))
    sessions = entries = 0
    for conversation in read_transcript(file):
        with AgentMemory.open(backend, namespace=labels, session=conversation.name) as memory:
            entries += len(memory.extend(conversation.messages))
        sessions += 1
    return ImportReceipt(sessions, entries, records=0, present=0)


def write_new(lines: Iterable[bytes], path: str) -> int:
    """Write beside `path` and give the file its name whole; refuse one that exists."""
    if os.path.exists(path):
        raise CannotOpenError(
            f"{path!r} exists already; an export never overwrites. Choose another name.",
            target=path,
        )
    draft = f"{path}.{secrets.token_hex(8)}.new"
    try:
        private = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)  # as a store is
        with open(private, "wb") as file:
            count = write_lines(lines, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as exc:
        raise CannotOpenError(
            f"{path!r} cannot be written: {exc.strerror or exc}.", target=path
        ) from exc
    finally:
        with suppress(FileNotFoundError):
            os.unlink(draft)
    return count


def write_lines(lines: Iterable[bytes], file: BinaryIO) -> int:
    """Write `lines` and return how many there were."""
    count = 0
    for line in lines:
        file.write(line)
        count += 1
    return count
