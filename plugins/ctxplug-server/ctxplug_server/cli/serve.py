"""`ctxplug serve`: a store over HTTP, with its viewer."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from ctxplug.cli import options, screen
from ctxplug.errors import CannotOpenError

if TYPE_CHECKING:
    from ctxplug_server.running import Running

__all__ = ["command", "serve"]

Text: TypeAlias = str | None
Host: TypeAlias = Annotated[
    str, typer.Option("--host", help="Where to listen; elsewhere than here it takes a key.")
]
Port: TypeAlias = Annotated[
    int, typer.Option("--port", "-p", min=0, max=65_535, help="0: any that is free.")
]
KeysFile: TypeAlias = Annotated[
    Text, typer.Option("--keys", metavar="FILE", help="Default: TARGET.keys.json.")
]
HostNames: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--host-name", help="A name it is called by, as behind a proxy; repeatable."),
]
Origins: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--origin", help="A site whose pages may call it; repeatable."),
]
Policy: TypeAlias = Annotated[
    str, typer.Option("--policy", help="How windows are made, where a request does not say.")
]
Counter: TypeAlias = Annotated[
    Text, typer.Option("--counter", help="What counts tokens. Default: by the model.")
]
ReadOnly: TypeAlias = Annotated[bool, typer.Option("--read-only", help="Write nothing.")]
Rate: TypeAlias = Annotated[
    str, typer.Option("--rate", help='How often one key may call; "none" for no limit.')
]
Concurrent: TypeAlias = Annotated[
    int, typer.Option("--concurrent", min=1, help="How many requests are at work at once.")
]
Viewer: TypeAlias = Annotated[bool, typer.Option("--viewer/--no-viewer", help="The page at /.")]
Open: TypeAlias = Annotated[bool, typer.Option("--open", help="Open the viewer in a browser.")]
Verbose: TypeAlias = Annotated[bool, typer.Option("--verbose", "-v", help="Tell more on stderr.")]


def command() -> Callable[..., None]:
    """Return the command."""
    return serve


def serve(
    target: options.Target,
    host: Host = "127.0.0.1",
    port: Port = 8732,
    keys: KeysFile = None,
    host_name: HostNames = None,
    origin: Origins = None,
    budget: options.Budget = 8_000,
    model: options.Model = None,
    policy: Policy = "balanced",
    counter: Counter = None,
    embedder: options.Embedder = None,
    read_only: ReadOnly = False,
    rate: Rate = "6000/minute",
    concurrent: Concurrent = 32,
    viewer: Viewer = True,
    open: Open = False,
    verbose: Verbose = False,
) -> None:
    """Serve a store over HTTP: REST and live updates under /v1, the viewer at /.

    On this machine alone it needs no key. As soon as a key was made with `ctxplug keys make`,
    every request takes one; to listen elsewhere than on loopback, there must be one.
    Ctrl+C or SIGTERM ends it: what is at work is finished, and nothing is lost.

    Example: ctxplug serve agent.db --open
    """
    from ctxplug_server.settings import ServerSettings

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    settings = ServerSettings(
        host=host,
        port=port,
        keys=keys,
        hosts=tuple(host_name or ()),
        origins=tuple(origin or ()),
        budget=budget,
        model=model,
        policy=policy,
        counter=counter,
        embedder=embedder,
        read_only=read_only,
        rate=None if rate == "none" else rate,
        concurrent=concurrent,
        viewer=viewer,
    )
    _run(target, settings, open_browser=open)


def _run(target: str, settings: Any, *, open_browser: bool) -> None:
    from ctxplug_server.running import Running
    from ctxplug_server.serving import Serving, file_of

    path = file_of(target)
    if settings.read_only and path is not None and not os.path.exists(path):
        raise CannotOpenError(
            f"There is no store at {path!r}, and reading does not create one. Check the path.",
            target=target,
        )
    serving = Serving(target, settings)
    try:
        running = Running(serving)
        serving.warm_up()
    except BaseException:
        serving.close()
        raise
    running.when_ready(lambda: _tell(running, target, open_browser))
    running.run()
    if serving.stuck:
        screen.warn("A request did not end in time; the process ends without it.")
        sys.stderr.flush()
        os._exit(1)


def _tell(running: Running, target: str, open_browser: bool) -> None:
    """Say where it listens, and who may call."""
    guarded = running.serving.keys.required or running.serving.settings.exposed
    who = "with a key" if guarded else "without a key, from this machine alone"
    out = screen.out()
    told = f"Serving {screen.safe(target)} at {running.url} ({who}). Ctrl+C ends it."
    out.print(told, soft_wrap=True)
    out.file.flush()
    if open_browser:
        import webbrowser

        webbrowser.open(running.url)
