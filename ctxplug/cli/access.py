"""Access rules: list, grant, deny and revoke them, as the owner of a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TypeAlias

import typer

from ctxplug.access import VERBS, AccessRule
from ctxplug.access.verbs import Access
from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen, stores
from ctxplug.cli.stores import Mode

Agent: TypeAlias = Annotated[
    str, typer.Argument(metavar="AGENT", help="Which agents: a name, or a glob such as 'hr-*'.")
]
Verbs: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="VERB...", help=f"What: {', '.join(VERBS)}.")
]
Sessions: TypeAlias = Annotated[
    str, typer.Option("--session", "-s", help="Which sessions: a name, or a glob. Default: all.")
]
Kinds: TypeAlias = Annotated[
    list[str] | None, typer.Option("--kind", help="Only memories of this kind; repeatable.")
]
Tags: TypeAlias = Annotated[
    list[str] | None, typer.Option("--tag", help="Only memories with this tag; repeatable.")
]

group = typer.Typer(
    help="Which agents may read, write and share which sessions. What is granted to one is"
    " closed to others.\n\nExample: ctxplug access grant agent.db hr-bot read --session 'hr-*'",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.add_typer(group, name="access")


@group.command("list")
def list_(
    target: options.Target, namespace: options.Namespace = None, json: options.Json = False
) -> None:
    """List the rules in force, with the ids that revoke them.

    Example: ctxplug access list agent.db -n acme
    """
    with _access(target, namespace, "dry") as access:
        found = access.rules()
    if json:
        screen.print_json([rule.to_dict() for rule in found])
    elif found:
        columns = ["id", "action", "agents", "verbs", "of", "by", "made"]
        screen.out().print(screen.table("", columns, [_row(rule) for rule in found]))
    else:
        screen.out().print("There are no rules: every agent may do everything.")


@group.command("grant")
def grant(
    target: options.Target,
    agent: Agent,
    verbs: Verbs,
    namespace: options.Namespace = None,
    session: Sessions = "*",
    kinds: Kinds = None,
    tags: Tags = None,
    json: options.Json = False,
) -> None:
    """Allow agents to read, write or share sessions, which closes them to other agents.

    Example: ctxplug access grant agent.db hr-bot read write --session 'hr-*'
    """
    with _access(target, namespace) as access:
        rule = access.grant(agent, verbs, session=session, kinds=kinds, tags=tags)
    _tell(rule, json)


@group.command("deny")
def deny(
    target: options.Target,
    agent: Agent,
    verbs: Verbs,
    namespace: options.Namespace = None,
    session: Sessions = "*",
    kinds: Kinds = None,
    tags: Tags = None,
    json: options.Json = False,
) -> None:
    """Deny agents to read, write or share sessions, whatever else is granted.

    Example: ctxplug access deny agent.db 'intern-*' write share
    """
    with _access(target, namespace) as access:
        rule = access.deny(agent, verbs, session=session, kinds=kinds, tags=tags)
    _tell(rule, json)


@group.command("revoke")
def revoke(
    target: options.Target,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As `list` shows them.")],
    namespace: options.Namespace = None,
    json: options.Json = False,
) -> None:
    """Take rules back, and what agents handed on by force of them.

    Example: ctxplug access revoke agent.db 7c9e6679f3d14e6f
    """
    with _access(target, namespace) as access:
        known = [rule.id for rule in access.rules()]
        chosen = [_whole(id, known) for id in ids]
        count = access.revoke(*chosen)
    if json:
        screen.print_json({"revoked": chosen})
    else:
        screen.out().print(f"Revoked {count} rule{'s' * (count != 1)}.")


@contextmanager
def _access(target: str, namespace: str | None, mode: Mode = "read") -> Iterator[Access]:
    with stores.opened(target, mode=mode) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        # Not closed, as it does not own the store; without an agent it is the owner's.
        yield AgentMemory.open(backend, namespace=chosen, counter="estimate").access


def _whole(id: str, known: list[str]) -> str:
    """Return the one of `known` that begins with `id`, or `id` if that is not clear."""
    found = [one for one in known if one.startswith(id)]
    return found[0] if id and len(found) == 1 else id


def _tell(rule: AccessRule, json: bool) -> None:
    if json:
        screen.print_json(rule.to_dict())
    else:
        screen.out().print(f"{screen.safe(rule.id)}: {screen.safe(str(rule))}.")


def _row(rule: AccessRule) -> list[str]:
    of = [f"sessions {rule.session}" if rule.session != "*" else "everything"]
    of += [f"kind {kind}" for kind in rule.kinds or ()]
    of += [f"tag {tag}" for tag in rule.tags or ()]
    made = "" if rule.created_at is None else screen.when(rule.created_at)
    cells = [rule.id[:12], rule.action, rule.agent, ", ".join(rule.verbs), ", ".join(of)]
    return [screen.safe(cell) for cell in (*cells, rule.by or "owner", made)]
