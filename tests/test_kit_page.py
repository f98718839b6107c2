"""docs/testing.md is a test file: what it shows passes, and what it says of a failure is said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kit_runner import broken

import ctxplug.testing as kit
from ctxplug.tokens import MessageCounter

PAGE = Path(__file__).parents[1] / "docs" / "testing.md"


def blocks() -> list[str]:
    """Return the python blocks down to the fakes."""
    text = PAGE.read_text(encoding="utf-8").partition("\n## Fakes")[0]
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "which",
    ["Characters or NoCardNumbers or AskedFor", pytest.param("Test", marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_the_examples_pass_their_suites(tmp_path: Path, which: str) -> None:
    if which == "Test":
        pytest.importorskip("numpy")  # of the embedder among them
    (tmp_path / "test_page.py").write_text("\n".join(blocks()), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    command += ["-k", which, "-o", "markers=slow: slow", "-m", "not slow", "--tb=short"]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=alone)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"\b\d{2,3} passed, .*\b1 xfailed", done.stdout)


def test_the_failure_is_the_one_that_it_shows() -> None:
    def wrong() -> MessageCounter:
        return MessageCounter("characters", len, estimated=True, margin=0.0)

    fixtures = {"counter": wrong}
    [failure] = broken(kit.TokenCounterSuite, fixtures, fixtures).values()
    said = str(failure).partition("\n")[0]
    assert f"\n{said}\n" in PAGE.read_text(encoding="utf-8")


def test_every_name_of_the_kit_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in kit.__all__ if f"`{name}`" not in text] == []
