"""The whole plugin API. Implement any of these and mark them with `ctxplug.hookimpl`.

A `register_*` hook is called once, when components are first needed, with a callback
`register(name, target)`: `target` is a factory, or `"package.module:factory"`, which is
imported at first use. Users name the component `"name"` or `"name:argument"`; a factory
that takes a parameter gets the argument. docs/plugins.md has a heading for each hook.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import pluggy

from ctxplug.events import Event
from ctxplug.records import MemoryRecord
from ctxplug.scope import Scope

hookspec = pluggy.HookspecMarker("ctxplug")
hookimpl = pluggy.HookimplMarker("ctxplug")

Target: TypeAlias = Callable[..., Any] | str


class Register(Protocol):
    """The callback that a `register_*` hook is given."""

    def __call__(self, name: str, target: Target) -> None:
        """Offer `target` under `name`; a name that is taken raises ComponentConflictError."""


@hookspec
def register_token_counters(register: Register) -> None:
    """Offer token counters (law: ctxplug.tokens.TokenCounter)."""


@hookspec
def register_compression_strategies(register: Register) -> None:
    """Offer compression strategies (law: ctxplug.compression.CompressionStrategy)."""


@hookspec
def register_importance_scorers(register: Register) -> None:
    """Offer importance scorers (law: ctxplug.scoring.ImportanceScorer)."""


@hookspec
def register_memory_backends(register: Register) -> None:
    """Offer memory backends by URL scheme (law: ctxplug.storage.Backend)."""


@hookspec
def register_tools(register: Register) -> None:
    """Offer tools: each target returns a plain annotated function."""


@hookspec
def register_embedders(register: Register) -> None:
    """Offer embedders (law: ctxplug.recall.Embedder)."""


@hookspec
def register_summarizers(register: Register) -> None:
    """Offer summarizers (law: ctxplug.compression.Summarizer)."""


@hookspec
def register_commands(register: Register) -> None:
    """Offer commands of `ctxplug`: each target returns an annotated function, or a typer.Typer."""


@hookspec
def on_event(event: Event) -> None:
    """Observe what happens. Failures are logged; nothing can be changed from here."""


@hookspec
def judge_memory(record: MemoryRecord, scope: Scope) -> MemoryRecord | bool | None:
    """Judge what is to be remembered: True or None allow, False refuses, a record replaces."""


@hookspec
def redact(text: str, scope: Scope) -> str | None:
    """Return `text` without what must not be stored; None leaves it as it is."""


@hookspec
def classify(record: MemoryRecord, scope: Scope) -> Any:
    """Say how sensitive what is audited is: a class of ctxplug.audit.LEVELS, or it and tags."""


@hookspec
def judge_audit(entry: Any, scope: Scope) -> bool | str | list[str] | None:
    """Judge what is about to be done and audited: texts are alerts, False refuses it."""
