"""The README's snippets run, one after the other, and print what it says."""

from __future__ import annotations

import contextlib
import io
import re
from itertools import zip_longest
from pathlib import Path

import ctxplug_llamaindex
import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


# LlamaIndex's agents use what pydantic, and its own workflows, have deprecated.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.filterwarnings("ignore:is_running called from within a step")
def test_the_snippets_print_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = README.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    namespace: dict[str, object] = {"__name__": "snippets"}
    checked = 0
    for block, after in zip_longest(blocks, blocks[1:]):
        if block[1] != "python":
            continue
        line = text.count("\n", 0, block.start()) + 1
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = compile("\n" * line + block[2], README.name, "exec", dont_inherit=True)
            exec(code, namespace)
        assert after is not None and after[1] == "text", f"line {line} prints nothing"
        assert printed.getvalue().rstrip() == after[2].rstrip(), f"line {line}"
        checked += 1
    assert checked >= 7


def test_every_public_name_is_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    missing = [name for name in ctxplug_llamaindex.__all__ if f"`{name}" not in text]
    assert set(missing) <= {"memory_of"}
