"""docs/rest.md prints what it says, and lists every operation with the right that it takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from snippets import run_snippets

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "rest.md"
RIGHTS = Path(__file__).with_name("test_rights.py")


def test_every_snippet_prints_what_the_page_says(server: Any) -> None:
    names: dict[str, Any] = {}
    here = "http://127.0.0.1:8732"
    assert run_snippets(PAGE, names, change=lambda code: code.replace(here, server.url)) == 2
    names["client"].close()


def test_the_page_lists_every_operation_with_its_right(server: Any) -> None:
    with server.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    rights: dict[str, Any] = {}
    exec(compile(RIGHTS.read_text(encoding="utf-8"), RIGHTS.name, "exec"), rights)
    of = {id: right for right in ("READ", "WRITE", "ADMIN", "STORE") for id in rights[right]}
    expected = {
        (method.upper(), path, of[told["operationId"]].lower())
        for path, item in paths.items()
        for method, told in item.items()
        if told["operationId"] in of
    }
    rows = re.findall(
        r"^\| (GET|POST|PATCH|DELETE) \| `(\S+)` \| (\w+) \|",
        PAGE.read_text(encoding="utf-8"),
        re.M,
    )
    assert {tuple(row) for row in rows} == expected
    assert len(rows) == len(of)
