"""A running server on a real port, its client and its keys."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from ctxplug_server import ServerSettings
from ctxplug_server.client import RemoteMemory
from ctxplug_server.keys import Keys
from ctxplug_server.running import Running
from ctxplug_server.serving import Serving

from ctxplug import AgentMemory
from ctxplug.scope import new_id

NAMESPACE = "acme/alice"


@dataclass
class Server:
    """A server in a thread of this process."""

    url: str
    store: Path
    serving: Serving
    keys: Keys
    running: Running

    def client(self, key: str | None = None, **options: Any) -> httpx.Client:
        """Return a client of it, with a key if given; close it."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        headers |= options.pop("headers", {})
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, **options)

    def stop(self) -> None:
        """End it gracefully, as a signal would; may be called twice."""
        self.running.stop()


Serve = Callable[..., Server]


def started(path: Any, **settings: Any) -> Server:
    """Return a server that has begun to listen."""
    serving = Serving(path, ServerSettings(**{"port": 0, **settings}))
    running = Running(serving)
    running.thread = threading.Thread(target=running.run, daemon=True)
    running.thread.start()
    return Server(running.wait_until_ready(), path, serving, serving.keys, running)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers: `serve(rate="2/minute")`, or `serve(store=..., ...)` on a store of its own."""
    servers: list[Server] = []

    def start(*, store: Any = None, **settings: Any) -> Server:
        servers.append(started(tmp_path / "agent.db" if store is None else store, **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that change nothing of it: no keys, and no limits."""
    server = started(tmp_path_factory.mktemp("server") / "agent.db")
    yield server
    server.stop()


@dataclass
class Process:
    """`ctxplug serve` in a process of its own."""

    url: str
    line: str
    popen: subprocess.Popen[str]

    def end(self, sign: int = signal.SIGTERM) -> int:
        """Send it a signal, and return its exit code."""
        self.popen.send_signal(sign)
        return self.popen.wait(60)


@pytest.fixture
def serve_process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start processes: `serve_process("--rate", "none")` on agent.db, or `store=...`."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str, store: Path | None = None) -> Process:
        path = store or tmp_path / "agent.db"
        program = Path(sys.executable).with_name("ctxplug")
        command = [str(program), "serve", str(path), "--port", "0", *options]
        popen = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(popen)
        assert popen.stdout is not None
        line = popen.stdout.readline()
        found = re.search(r"http://\S+:\d+", line)
        assert found, line + popen.stdout.read()
        return Process(found[0], line, popen)

    yield start
    for popen in started:
        if popen.poll() is None:
            popen.kill()
            popen.wait()
        if popen.stdout is not None:
            popen.stdout.close()


@pytest.fixture
def server(serve: Serve) -> Server:
    """A server on a new store, without keys: the local user owns all."""
    return serve()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of `server` that asks for the namespace acme/alice."""
    with server.client(params={"namespace": NAMESPACE}) as client:
        yield client


@pytest.fixture
def own_client(one_server: Server) -> Iterator[httpx.Client]:
    """A client that asks for a namespace of its own, on the server of all tests."""
    with one_server.client(params={"namespace": f"acme/{new_id()}"}) as client:
        yield client


@pytest.fixture
def keys(server: Server) -> Keys:
    """The keys of `server`; the first that is made makes keys a must."""
    return server.keys


# -- memories in this process and by way of a server, for what holds for both ----------------

SORTS = ("local", "remote")
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A store that this process has open and that a server serves, and its address."""
    path = tmp_path_factory.mktemp("store") / "agent.db"
    running = Running(Serving(path, ServerSettings(port=0)))
    running.thread = threading.Thread(target=running.run, daemon=True)
    running.thread.start()
    yield path, running.wait_until_ready()
    running.stop()


@pytest.fixture
def own_namespace() -> str:
    """A namespace that no other test has."""
    return f"acme/{uuid.uuid4().hex}"


@contextmanager
def _opening(sort: str, stored: tuple[Path, str], namespace: str) -> Iterator[Open]:
    """Give what opens memories of one sort, and close them all."""
    opened: list[Any] = []

    def open(**options: Any) -> Any:
        options = {"namespace": namespace, **options}
        local = sort == "local"
        made: Any = AgentMemory.open if local else RemoteMemory.open
        opened.append(made(stored[0] if local else stored[1], **options))
        return opened[-1]

    try:
        yield open
    finally:
        for memory in reversed(opened):
            memory.close()


@pytest.fixture(params=SORTS)
def open_memory(
    request: pytest.FixtureRequest, stored: tuple[Path, str], own_namespace: str
) -> Iterator[Open]:
    """Open memories: `open_memory(session="trip")`, local ones and then remote ones."""
    with _opening(request.param, stored, own_namespace) as opening:
        yield opening


@pytest.fixture
def memory(open_memory: Open) -> Any:
    """A memory of the session "trip", a local one and then a remote one."""
    return open_memory(session="trip")


@pytest.fixture
def both(stored: tuple[Path, str], own_namespace: str) -> Iterator[tuple[Any, Any]]:
    """A local and a remote memory of one session, with a small budget."""
    with (
        _opening("local", stored, own_namespace) as here,
        _opening("remote", stored, own_namespace) as there,
    ):
        yield here(session="trip", budget=600), there(session="trip", budget=600)


# -- the viewer in a browser -----------------------------------------------------------------

CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Headless Chromium; where there is none, the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if path is None:
        pytest.skip("there is no Chromium to open the viewer with")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=list(CHROMIUM))
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open pages: `open_page(url, locale="zh-CN")`; none may complain, as `page.troubles` tells."""
    pages: list[Any] = []

    def open(url: str, **options: Any) -> Any:
        options = {"locale": "en-US", "viewport": {"width": 1280, "height": 900}, **options}
        page = chromium.new_context(**options).new_page()
        page.troubles = []
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("console", lambda m: m.type == "error" and page.troubles.append(m.text))
        pages.append(page)
        page.goto(url)
        return page

    yield open
    troubles = [trouble for page in pages for trouble in page.troubles]
    for page in pages:
        page.context.close()
    assert troubles == []
