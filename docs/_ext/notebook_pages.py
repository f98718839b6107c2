"""Notebooks as pages: nbformat's JSON into Markdown, with the outputs that are stored in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def as_markdown(notebook: str) -> str:
    """Return a notebook as MyST Markdown: text as it is, code, and the outputs of each cell."""
    data = json.loads(notebook)
    parts: list[str] = []
    for cell in data["cells"]:
        source = _joined(cell["source"]).strip("\n")
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code" and source.strip():
            parts += _code(source)
            parts += _outputs(cell.get("outputs", []))
    return "\n\n".join(parts) + "\n"


def _code(source: str) -> Iterator[str]:
    """Yield a cell's Python, and apart from it its lines for the shell, without their `!`."""
    for is_shell, lines in groupby(source.splitlines(), key=lambda line: line.startswith("!")):
        text = "\n".join(line.removeprefix("!") for line in lines).strip("\n")
        if text:
            yield _fenced(text, "sh" if is_shell else "python")


def _outputs(outputs: list[dict[str, Any]]) -> Iterator[str]:
    for output in outputs:
        if output["output_type"] == "stream":
            yield _fenced(_joined(output["text"]), "text")
        elif output["output_type"] == "error":
            yield _fenced("\n".join(output["traceback"]), "text")
        else:
            yield from _shown(output["data"])


def _shown(data: dict[str, Any]) -> Iterator[str]:
    """Yield the best form of one output that a page can hold: a picture, else text."""
    text = _joined(data.get("text/plain", "")).strip()
    if "image/svg+xml" in data:
        yield f'<div class="plot">\n{_joined(data["image/svg+xml"]).strip()}\n</div>'
    elif "image/png" in data:
        picture = "".join(_joined(data["image/png"]).split())
        yield f'<img class="plot" alt="The plot made above" src="data:image/png;base64,{picture}">'
    elif "text/markdown" in data:
        yield _joined(data["text/markdown"])
    elif text:
        yield _fenced(text, "text")


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _fenced(text: str, language: str) -> str:
    text = _COLOURS.sub("", text).rstrip("\n")
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


class NotebookParser(MystParser):
    """Parse a notebook as the Markdown page that it amounts to."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Parse `inputstring`, the JSON of a notebook, into `document`."""
        super().parse(as_markdown(inputstring), document)
