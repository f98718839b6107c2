"""The arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Target: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="TARGET", help="A store's path, or a spec such as sqlite:///agent.db."),
]
Namespace: TypeAlias = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Whose, such as acme/alice. Default: the only one."),
]
Session: TypeAlias = Annotated[
    str | None, typer.Option("--session", "-s", help="Which conversation. Default: the only one.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Budget: TypeAlias = Annotated[
    int, typer.Option("--budget", "-b", min=1, help="Tokens that one model call may take.")
]
Model: TypeAlias = Annotated[
    str | None, typer.Option("--model", "-m", help="The model, which picks the token counter.")
]
Full: TypeAlias = Annotated[bool, typer.Option("--full", help="Cut nothing.")]
Limit: TypeAlias = Annotated[int, typer.Option("--k", "-k", min=1, help="How many at most.")]
Kinds: TypeAlias = Annotated[
    list[str] | None, typer.Option("--kind", help="Only this kind, such as preference; repeatable.")
]
Tags: TypeAlias = Annotated[
    list[str] | None, typer.Option("--tag", help="Only with this tag; all of them if repeated.")
]
Since: TypeAlias = Annotated[
    str | None, typer.Option("--since", help="From this time on, such as 2026-05-01.")
]
Until: TypeAlias = Annotated[str | None, typer.Option("--until", help="Before this time.")]
AsOf: TypeAlias = Annotated[
    str | None, typer.Option("--as-of", help="What held at this time, such as 2026-05-01.")
]
Embedder: TypeAlias = Annotated[
    str | None, typer.Option("--embedder", "-e", help="By meaning too, such as wordllama.")
]
OneSession: TypeAlias = Annotated[
    str | None, typer.Option("--session", "-s", help="Only what was said or made in this one.")
]
