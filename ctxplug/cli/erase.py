"""Erase all of a namespace, and verify later that it is still gone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ctxplug import codec
from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen, stores
from ctxplug.errors import CannotOpenError, CtxplugError
from ctxplug.scope import namespace_key
from ctxplug.storage import EraseReceipt


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("erase")(erase)


def erase(
    target: options.Target,
    namespace: options.Namespace = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    receipt: Annotated[
        str | None, typer.Option("--receipt", "-r", help="Keep the receipt in this new file.")
    ] = None,
    verify: Annotated[
        str | None,
        typer.Option("--verify", help="Erase nothing; check a receipt: is it all still gone?"),
    ] = None,
    json: options.Json = False,
) -> None:
    """Erase everything of a namespace for good, and get a receipt that can be verified.

    Example: ctxplug erase agent.db -n acme/alice --receipt alice.json
    """
    if verify is not None:
        _verify(target, verify, json)
        return
    if receipt is not None and os.path.exists(receipt):
        raise CannotOpenError(f"{receipt!r} exists already; choose another name.", target=receipt)
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        name = namespace_key(chosen)
        if not yes:
            _confirm(name)
        # Not closed, as it does not own the store.
        done = AgentMemory.open(backend, namespace=chosen).erase()
    _report(done, receipt, json)


def _confirm(name: str) -> None:
    question = f"Erase all sessions and memories of {screen.visible(name)!r}, for good?"
    try:
        confirmed = typer.confirm(question, err=True)
    except typer.Abort as exc:
        raise CtxplugError(
            "Nobody is there to confirm, so nothing was erased; --yes erases without asking."
        ) from exc
    if not confirmed:
        raise CtxplugError("Nothing was erased.")


def _report(done: EraseReceipt, receipt: str | None, json: bool) -> None:
    if receipt is not None:
        _keep(receipt, done)
    if json:
        screen.print_json(done.to_dict())
        return
    name = screen.safe(namespace_key(done.namespace))
    screen.out().print(
        f"Erased {name}: {done.entries:,} log entries, {done.records:,} records,"
        f" {done.vectors:,} vectors; {done.archived:,} of them were archived."
    )
    if receipt is not None:
        screen.out().print(f"The receipt is in {screen.safe(receipt)}.")


def _verify(target: str, file: str, json: bool) -> None:
    try:
        receipt = EraseReceipt.from_dict(codec.decode(Path(file).read_bytes()))
    except OSError as exc:
        reason = exc.strerror or exc
        raise CannotOpenError(f"{file!r} cannot be read: {reason}.", target=file) from exc
    with stores.opened(target, mode="dry") as backend:
        report = AgentMemory.open(backend, namespace=receipt.namespace).verify_erased(receipt)
    name = screen.safe(namespace_key(receipt.namespace))
    if json:
        screen.print_json(
            {
                "ok": report.ok,
                "returned": report.returned,
                "found": list(report.found),
                "looked_at": report.looked_at,
                "erased_at": report.erased_at.isoformat(),
            }
        )
    elif report.ok:
        when = screen.when(report.erased_at)
        screen.out().print(f"Nothing of {name} that was erased on {when} has come back.")
    else:
        out = screen.out()
        out.print(f"[bold red]{report.returned:,}[/] of what was erased from {name} is there:")
        for one in report.found:
            out.print(f"  {screen.safe(one)}")
    if not report.ok:
        raise typer.Exit(1)


def _keep(path: str, receipt: EraseReceipt) -> None:
    try:
        with open(path, "xb") as file:
            file.write(codec.encode(receipt.to_dict()) + b"\n")
    except OSError as exc:
        reason = exc.strerror or exc
        raise CannotOpenError(
            f"The namespace was erased, but {path!r} cannot be written: {reason}.", target=path
        ) from exc
