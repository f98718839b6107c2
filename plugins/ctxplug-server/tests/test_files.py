"""The viewer's files: typed, revalidated, and nothing beside them."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest
from ctxplug_server.app import VIEWER
from ctxplug_server.static import Files
from starlette.requests import Request


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/words/zh.js", "text/javascript; charset=utf-8"),
    ],
)
def test_files_have_their_types_and_are_kept_until_they_change(
    one_server: Any, path: str, kind: str
) -> None:
    answer = httpx.get(one_server.url + path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert answer.headers["cache-control"] == "no-cache"
    again = httpx.get(one_server.url + path, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    other = httpx.get(one_server.url + path, headers={"if-none-match": '"other"'})
    assert other.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../app.py",
        "/%2e%2e/app.py",
        "/..%2fapp.py",
        "/words/../../app.py",
        "//etc/passwd",
        "/%2Fetc/passwd",
        "/..%2f..%2fREADME.md",
        "/%2e%2e/%2e%2e/README.md",
        "/vendor/../../../README.md",
        "/app.py",
        "/viewer/../../keys.py",
        "/.hidden.js",
        "/words",
        "/nothing.js",
        "/a%00.js",
        "/..%5c..%5capp.js",
        "/words/",
        "/C:/x.js",
    ],
)
def test_nothing_else_is_served(one_server: Any, path: str) -> None:
    port = int(one_server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.split()[1] in (b"404", b"400")


async def test_no_way_of_writing_a_name_makes_it_keep_more() -> None:
    files = Files(VIEWER)
    for name in ("style/base.css", "style//base.css", "style/./base.css", "style///base.css"):
        request = Request({"type": "http", "headers": [], "path_params": {"path": name}})
        assert (await files.answer(request)).status_code == 200
    assert len(files._read) == 1


def test_without_a_viewer_there_is_no_page(serve: Any) -> None:
    server = serve(viewer=False)
    assert httpx.get(f"{server.url}/").status_code == 404
    assert httpx.get(f"{server.url}/health").status_code == 200
