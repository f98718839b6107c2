"""`ctxplug keys`: make, list and revoke the keys of a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeAlias

import typer

from ctxplug.cli import options, screen
from ctxplug.errors import InvalidValueError
from ctxplug_server.configuration import configured
from ctxplug_server.keys import EVERYWHERE, RIGHTS, Key, Keys
from ctxplug_server.serving import keys_path

__all__ = ["commands"]

File: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--keys", metavar="FILE", help="Default: that of the settings, or TARGET.keys.json."
    ),
]
Name: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="What it is for, such as planner.")
]
Whose: TypeAlias = Annotated[
    str, typer.Option("--namespace", "-n", help='Whose memory, such as acme/alice; "*" for all.')
]
Rights: TypeAlias = Annotated[
    str, typer.Option("--rights", "-r", help=f"{', '.join(RIGHTS)}: each has those before it.")
]
Subtree: TypeAlias = Annotated[bool, typer.Option("--subtree", help="The namespaces below it too.")]
Agent: TypeAlias = Annotated[
    str | None, typer.Option("--agent", help="Who acts with it. Default: as a request says.")
]
Days: TypeAlias = Annotated[
    float | None, typer.Option("--days", help="For how many days it is good. Default: for ever.")
]
Which: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="KEY...", help="Ids or names, as `list` shows them.")
]

MOST_DAYS = 36_500

group = typer.Typer(
    help="Keys for `ctxplug serve`: each opens one namespace, with rights of its own. Their secrets"
    " are kept nowhere.\n\nExample: ctxplug keys make agent.db planner --namespace acme/alice",
    no_args_is_help=True,
    add_completion=False,
)


def commands() -> typer.Typer:
    """Return the group of commands."""
    return group


@group.command("make")
def make(
    target: options.Target,
    name: Name,
    namespace: Whose,
    rights: Rights = "write",
    subtree: Subtree = False,
    agent: Agent = None,
    days: Days = None,
    keys: File = None,
    json: options.Json = False,
) -> None:
    """Make a key, and print it this once: only its hash is kept.

    Example: ctxplug keys make agent.db planner -n acme/alice --rights write --days 90
    """
    if days is not None and not 0 < days <= MOST_DAYS:
        raise InvalidValueError(
            f"--days is above zero and at most {MOST_DAYS:,}, not {days:g}.", path="days"
        )
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    key, secret = _keys(target, keys).make(
        name, namespace, rights=rights, subtree=subtree, agent=agent, expires_at=expires
    )
    if json:
        screen.print_json({**key.to_dict(), "key": secret})
        return
    typer.echo(secret)
    screen.err().print(
        f"This is the key {screen.safe(name)} ({key.rights} in {_whose(key)}). It is shown this"
        " once; send it as `Authorization: Bearer KEY`.",
    )


@group.command("list")
def list_(target: options.Target, keys: File = None, json: options.Json = False) -> None:
    """List the keys: what they open, and whether they still do.

    Example: ctxplug keys list agent.db
    """
    found = _keys(target, keys).listed()
    if json:
        screen.print_json([key.to_dict() for key in found])
    elif found:
        columns = ["id", "name", "namespace", "rights", "agent", "made", "state"]
        screen.out().print(screen.table("", columns, [_row(key) for key in found]))
    else:
        screen.out().print("There are no keys: `ctxplug keys make` makes one.")


@group.command("revoke")
def revoke(
    target: options.Target, which: Which, keys: File = None, json: options.Json = False
) -> None:
    """Revoke keys; a running server refuses them from then on.

    Example: ctxplug keys revoke agent.db planner
    """
    revoked = _keys(target, keys).revoke(*which)
    if json:
        screen.print_json([key.to_dict() for key in revoked])
    else:
        names = ", ".join(f"{screen.safe(key.name)} ({key.id})" for key in revoked)
        screen.out().print(f"Revoked {names}.")


def _keys(target: str, file: str | None) -> Keys:
    path = file or configured().server.keys or keys_path(target)  # where the server looks
    if path is None:
        raise InvalidValueError(
            f"{target!r} is no file that keys could lie beside; name one with --keys FILE.",
            path="keys",
        )
    return Keys(path)


def _whose(key: Key) -> str:
    if key.namespace == EVERYWHERE:
        return "every namespace"
    return screen.safe(key.namespace) + ("/..." if key.subtree else "")


def _row(key: Key) -> list[str]:
    state = "live" if key.is_live(datetime.now(UTC)) else "expired"
    if key.revoked_at is not None:
        state = f"revoked {screen.when(key.revoked_at)}"
    elif key.expires_at is not None:
        state += f" until {screen.when(key.expires_at)}" if state == "live" else ""
    agent = screen.safe(key.agent) if key.agent else "any"
    made = screen.when(key.created_at)
    return [key.id, screen.safe(key.name), _whose(key), key.rights, agent, made, state]
