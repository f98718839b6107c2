"""`ctxplug serve`: a store over HTTP, with its viewer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from ctxplug.cli import options, screen
from ctxplug.errors import CannotOpenError, InvalidValueError

if TYPE_CHECKING:
    from ctxplug_server.configuration import ServeConfiguration
    from ctxplug_server.logs import LogSettings
    from ctxplug_server.running import Running

__all__ = ["command", "serve"]

Text: TypeAlias = str | None
Target: TypeAlias = Annotated[
    Text,
    typer.Argument(metavar="TARGET", help="A store's path or spec. Default: CTXPLUG_STORE."),
]
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
ReadOnly: TypeAlias = Annotated[
    bool, typer.Option("--read-only/--read-write", help="Write nothing.")
]
Rate: TypeAlias = Annotated[
    str, typer.Option("--rate", help='How often one key may call; "none" for no limit.')
]
Concurrent: TypeAlias = Annotated[
    int, typer.Option("--concurrent", min=1, help="How many requests are at work at once.")
]
Viewer: TypeAlias = Annotated[bool, typer.Option("--viewer/--no-viewer", help="The page at /.")]
Open: TypeAlias = Annotated[bool, typer.Option("--open", help="Open the viewer in a browser.")]
Verbose: TypeAlias = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell more in the log: its level info.")
]
LogFormat: TypeAlias = Annotated[
    str, typer.Option("--log-format", help="text on stderr, or json on stdout.")
]
LogRequests: TypeAlias = Annotated[
    bool, typer.Option("--log-requests/--no-log-requests", help="A line for each request.")
]
File: TypeAlias = Annotated[
    Text, typer.Option("--config", metavar="FILE", help="Settings. Default: ctxplug.toml, if any.")
]
Show: TypeAlias = Annotated[
    bool, typer.Option("--show-config", help="Show each setting and where it is from; no more.")
]
# The parameters of `serve` that are settings, by the name of the setting.
_SAID = {
    "store": ("target", "TARGET"),
    "budget": ("budget", "--budget"),
    "model": ("model", "--model"),
    "policy": ("policy", "--policy"),
    "counter": ("counter", "--counter"),
    "embedder": ("embedder", "--embedder"),
    "server.host": ("host", "--host"),
    "server.port": ("port", "--port"),
    "server.keys": ("keys", "--keys"),
    "server.hosts": ("host_name", "--host-name"),
    "server.origins": ("origin", "--origin"),
    "server.read_only": ("read_only", "--read-only"),
    "server.rate": ("rate", "--rate"),
    "server.concurrent": ("concurrent", "--concurrent"),
    "server.viewer": ("viewer", "--viewer"),
    "log.format": ("log_format", "--log-format"),
    "log.requests": ("log_requests", "--log-requests"),
}


def command() -> Callable[..., None]:
    """Return the command."""
    return serve


def serve(
    context: typer.Context,
    target: Target = None,
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
    log_format: LogFormat = "text",
    log_requests: LogRequests = False,
    verbose: Verbose = False,
    config: File = None,
    show_config: Show = False,
    json: options.Json = False,
) -> None:
    """Serve a store over HTTP: REST and live updates under /v1, the viewer at /.

    On this machine alone it needs no key. As soon as a key was made with `ctxplug keys make`,
    every request takes one; to listen elsewhere than on loopback, there must be one.
    Ctrl+C or SIGTERM ends it: what is at work is finished, and nothing is lost.

    What is not said here comes from CTXPLUG_* variables, else from ctxplug.toml.

    Example: ctxplug serve agent.db --open
    """
    from ctxplug_server.configuration import configured
    from ctxplug_server.logs import begin

    found = configured(_said(context, verbose), file=config)
    if show_config:
        _show(found, as_json=json)
        return
    if found.target is None:
        raise InvalidValueError(
            "Say which store to serve, as in `ctxplug serve agent.db`, or set CTXPLUG_STORE.",
            path="store",
        )
    begin(found.log)
    _run(found.target, found.server, found.log, open_browser=open)


def _said(context: typer.Context, verbose: bool) -> dict[str, tuple[str, Any]]:
    """Return what the command line says, and not what it leaves to its defaults."""
    said: dict[str, tuple[str, Any]] = {"log.level": ("--verbose", "info")} if verbose else {}
    for name, (parameter, spelled) in _SAID.items():
        source = context.get_parameter_source(parameter)
        if source is not None and source.name == "COMMANDLINE":
            value = context.params[parameter]
            if name == "server.rate" and value == "none":
                value = None
            said[name] = (spelled, tuple(value) if isinstance(value, list) else value)
    return said


def _show(found: ServeConfiguration, *, as_json: bool) -> None:
    from ctxplug_server.configuration import SETTINGS

    given = [found.read.given[setting.name] for setting in SETTINGS]
    if as_json:
        settings = {
            one.setting.name: {"value": one.text, "source": one.source, "where": one.where}
            for one in given
        }
        screen.print_json({"file": found.read.file, "settings": settings})
        return
    rows = [
        (
            one.setting.name,
            screen.safe(one.text),
            "[dim]default[/]" if one.source == "default" else screen.safe(one.where),
        )
        for one in given
    ]
    console = screen.out()
    console.print(screen.table("", ["setting", "value", "from"], rows))
    file = found.read.file
    where = "There is no file." if file is None else f"The file is {screen.safe(file)}."
    console.print(f"[dim]The variable of server.port is CTXPLUG_SERVER_PORT. {where}[/]")


def _run(target: str, settings: Any, log: LogSettings, *, open_browser: bool) -> None:
    from ctxplug.storage.shared import path_of
    from ctxplug_server.running import Running
    from ctxplug_server.serving import Serving

    path = path_of(target)
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
    running.when_ready(lambda: _tell(running, target, log, open_browser))
    running.run()
    if serving.stuck:
        screen.warn("A request did not end in time; the process ends without it.")
        sys.stderr.flush()
        os._exit(1)
    if log.format == "json":
        _log("ended", "The server ended; nothing is lost.")


def _tell(running: Running, target: str, log: LogSettings, open_browser: bool) -> None:
    """Say where it listens, and who may call."""
    guarded = running.serving.keys.required or running.serving.settings.exposed
    who = "with a key" if guarded else "without a key, from this machine alone"
    if log.format == "json":
        _log("started", f"Serving at {running.url} ({who}).", url=running.url, keys=guarded)
    else:
        out = screen.out()
        told = f"Serving {screen.safe(target)} at {running.url} ({who}). Ctrl+C ends it."
        out.print(told, soft_wrap=True)
        out.file.flush()
    if open_browser:
        import webbrowser

        webbrowser.open(running.url)


def _log(event: str, message: str, **fields: Any) -> None:
    from ctxplug_server.logs import fields_of, log

    log.info(message, extra=fields_of(event, **fields))
