"""Look at a store in the terminal: what the model saw at a turn, and why."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from ctxplug.cli import options, stores
from ctxplug.context.policy import PRESETS
from ctxplug.errors import CtxplugError, UnsupportedError
from ctxplug.plugins import installed
from ctxplug.registry import Registry

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.inspector.reading import Reading


class Language(StrEnum):
    """What the interface speaks."""

    EN = "en"
    ZH = "zh"


Budget: TypeAlias = Annotated[
    int | None, typer.Option("--budget", "-b", min=1, help="What this budget would have sent.")
]
Policy: TypeAlias = Annotated[
    str | None, typer.Option("--policy", help="What this policy would have sent.")
]
Lang: TypeAlias = Annotated[
    Language | None, typer.Option("--lang", help="Default: that of the environment.")
]
Light: TypeAlias = Annotated[
    bool | None, typer.Option("--light/--dark", help="Default: as the terminal is.")
]


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("inspect")(inspect)


def inspect(
    target: options.Target,
    namespace: options.Namespace = None,
    session: options.Session = None,
    budget: Budget = None,
    policy: Policy = None,
    model: options.Model = None,
    embedder: options.Embedder = None,
    lang: Lang = None,
    light: Light = None,
) -> None:
    """Look at sessions, windows, steps and memories in the terminal; nothing is written.

    Needs textual, which the extra "inspect" brings. Press ? for the keys.

    Example: ctxplug inspect agent.db -n acme/alice -s trip
    """
    _require(policy)
    from ctxplug.inspector.app import Inspector
    from ctxplug.inspector.words import language

    with _reading(target, namespace, session, model, embedder) as reading:
        Inspector(
            reading,
            target=target,
            session=session,
            language=lang.value if lang else language(),
            dark=_is_dark() if light is None else not light,
            budget=budget,
            policy=policy,
        ).run()


@contextmanager
def _reading(
    target: str, namespace: str | None, session: str | None, model: str | None, embedder: str | None
) -> Iterator[Reading]:
    """Lend what reads the store; raise unless the namespace and session are there."""
    from ctxplug.inspector.reading import Reading

    registry = Registry(installed())
    with stores.opened(target, mode="dry") as backend:
        only = None
        if namespace is not None or session is not None:
            only = [stores.choose_namespace(backend, namespace)]
        if only and session is not None:
            stores.choose_session(backend, only[0], session)
        found: Any = registry.resolve("embedder", embedder) if embedder else None
        yield Reading(backend, registry, model=model, embedder=found, only=only)


def _require(policy: str | None) -> None:
    """Raise unless the inspector can run here."""
    if find_spec("textual") is None:
        raise UnsupportedError(
            "The inspector needs textual. Install it with: pip install 'ctxplug[inspect]'",
            capability="inspect",
        )
    if policy is not None and policy not in PRESETS:
        raise CtxplugError(f"There is no policy {policy!r}; choose {', '.join(PRESETS)}.")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):  # textual draws on stderr
        raise CtxplugError(
            "The inspector needs a terminal. `ctxplug show`, `context` and `trace` print the same."
        )


def _is_dark() -> bool:
    """Return whether the terminal says that it is dark; if it says nothing, it is."""
    back = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    return not (back.isdecimal() and int(back) in (7, 15))
