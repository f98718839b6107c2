"""docs/write-a-plugin.md, followed to the letter in an empty folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clean_environment import Environment, make_environment

PAGE = Path(__file__).parents[1] / "docs" / "write-a-plugin.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([\w/.-]+\.\w+)`[^`\n]*:\s*\Z")  # a file, at the end of what is before it
DOTS = re.compile(r"^(tests/\S+ )?\.+ +\[ *\d+%\]$")
PASSED = re.compile(r"(?:=+ )?(\d+ failed, )?\d+ passed in .*")

# What is typed here in place of what the page says: there is no network, and the venv has no pip.
WITHOUT_A_NETWORK = {
    "pip install -e . --group test": "INSTALL",
    "python -m build": "python -m build --no-isolation",
}


@dataclass(frozen=True)
class Step:
    """One block of the page: its language and text, the line it is on, the file it is for."""

    language: str
    text: str
    line: int
    file: str


def steps(page: str) -> Iterator[Step]:
    """Yield the blocks of a page in order."""
    end = 0
    for block in BLOCK.finditer(page):
        file = NAMED.search(page[end : block.start()])
        line = page.count("\n", 0, block.start()) + 1
        yield Step(block[1], block[2], line, file[1] if file else "")
        end = block.end()


class Reader:
    """Does what the page says, in one shell's worth of state: the folder that it is in."""

    def __init__(self, environment: Environment, folder: Path) -> None:
        self.environment = environment
        self.folder = folder
        self.printed = ""
        self.failed = False

    def do(self, step: Step) -> None:
        """Do one step, or compare what the last command printed."""
        where = f"{PAGE.name}:{step.line}"
        if step.language == "sh":
            assert not self.failed, f"{where}: the command before this failed:\n{self.printed}"
            for command in step.text.splitlines():
                self.type(command)
        elif step.language == "text":
            assert lines_of(step.text) == shown(self.printed, step.text), where
            self.failed = False  # the page has shown how
        elif step.language == "diff":
            change(self.folder / step.file, step.text)
        else:
            assert step.language == "python" and step.file, f"{where}: what is this block for?"
            (self.folder / step.file).write_text(step.text, encoding="utf-8")

    def type(self, command: str) -> None:
        """Run a line of the page in this folder."""
        if command.startswith("cd "):
            self.folder /= command.removeprefix("cd ")
            return
        typed = WITHOUT_A_NETWORK.get(command, command)
        if typed == "INSTALL":
            self.environment.install(self.folder)
            return
        done = self.environment.run(typed, self.folder)
        self.printed, self.failed = done.stdout, done.returncode != 0


def change(path: Path, diff: str) -> None:
    """Put the lines that a diff adds in place of those that it takes away."""
    lines = diff.splitlines()
    old = "".join(f"{line[1:]}\n" for line in lines if line[0] in " -")
    new = "".join(f"{line[1:]}\n" for line in lines if line[0] in " +")
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"the diff does not fit {path.name}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def lines_of(text: str) -> list[str]:
    """Return the lines as they are compared: as many tests as there are, in whatever time."""
    lines = (DOTS.sub(r"\1.", line) for line in text.splitlines())
    return [PASSED.sub(r"\1N passed", line).rstrip() for line in lines]


def shown(printed: str, expected: str) -> list[str]:
    """Return the lines `printed`, with `...` for those that the page leaves out at its `...`."""
    found, wanted = lines_of(printed.strip("\n")), lines_of(expected)
    result: list[str] = []
    for i, line in enumerate(wanted):
        if line != "...":
            result.append(found.pop(0) if found else "(nothing more)")
            continue
        result.append(line)
        after = wanted[i + 1] if i + 1 < len(wanted) else None
        while found and (after is None or found[0] != after):
            found.pop(0)
    return result + found


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    folder = tmp_path / "empty"
    folder.mkdir()
    return Reader(make_environment(tmp_path), folder)


def test_the_tutorial_leads_from_nothing_to_a_plugin_that_is_found_and_passes(
    reader: Reader,
) -> None:
    pytest.importorskip("build")
    before = reader.folder
    found = list(steps(PAGE.read_text(encoding="utf-8")))
    for step in found:
        reader.do(step)
    commands = [line for step in found if step.language == "sh" for line in step.text.splitlines()]
    for needed in ("ctxplug new-plugin", "pip install", "pytest", "ctxplug plugins"):
        assert any(line.startswith(needed) for line in commands), f"the page has no {needed}"
    (made,) = before.iterdir()
    assert sorted(path.suffix for path in (made / "dist").iterdir()) == [".gz", ".whl"]


def test_the_reader_of_these_tests_notices_what_is_not_as_the_page_says(reader: Reader) -> None:
    (reader.folder / "a.txt").write_text("one\ntwo\nthree\nfour\n")
    for right in ("one\ntwo\nthree\nfour\n", "...\nthree\n...\n", "one\n...\n"):
        for step in (Step("sh", "cat a.txt\n", 1, ""), Step("text", right, 2, "")):
            reader.do(step)
    for wrong in ("one\ntwo\n", "one\ntwo\nthree\nfour\nfive\n", "...\nfive\n", "...\ntwo\n"):
        reader.do(Step("sh", "cat a.txt\n", 1, ""))
        with pytest.raises(AssertionError):
            reader.do(Step("text", wrong, 2, ""))
    with pytest.raises(AssertionError, match="does not fit"):
        reader.do(Step("diff", "-five\n+six\n", 3, "a.txt"))
    reader.do(Step("sh", "false\n", 4, ""))
    with pytest.raises(AssertionError, match="the command before this failed"):
        reader.do(Step("sh", "true\n", 5, ""))
