"""docs/server.md runs, prints what it says, and tells the limits that hold."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
from ctxplug_server import ServerSettings

PAGE = Path(__file__).parents[3] / "docs" / "server.md"
TEXT = PAGE.read_text(encoding="utf-8")


async def test_the_snippets_run_and_print_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    found = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", TEXT, re.DOTALL)
    assert len(found) == 3
    for code, expected in found:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, PAGE.name, "exec", dont_inherit=True), names)
        assert printed.getvalue() == expected
        if "say" in names and "said" not in names:
            names["said"] = await names["say"]("I moved to Lisbon.")
    assert names["said"] == (201, 1)
    await names["client"].aclose()
    names["app"].state.ctxplug.close()


def test_the_limits_that_the_page_tells_are_those_that_hold() -> None:
    settings = ServerSettings()
    assert settings.max_body == 8 * 2**20 and "8 MiB" in TEXT
    assert settings.max_target == 16 * 2**10 and "16 KiB" in TEXT
    assert settings.rate == "6000/minute" and "6,000 in a minute" in TEXT
    assert settings.failures == "30/minute" and "30 in a minute" in TEXT
    assert f"within {settings.queue_seconds:g} s, of {settings.concurrent} at once" in TEXT
    assert settings.share * 2 == settings.concurrent
    assert f"{settings.streams} live connections, {settings.streams_per_key} of one key" in TEXT
    assert f"{settings.idempotency_hours:g} hours" in TEXT
    assert f"up to {settings.shutdown_seconds:g} s" in TEXT
    assert f"127.0.0.1:{settings.port}" in TEXT


def test_every_field_that_the_page_names_exists() -> None:
    fields = set(ServerSettings.__dataclass_fields__)
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", TEXT)) - {"create_app"}
    assert named <= fields
