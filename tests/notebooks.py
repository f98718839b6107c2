"""Runs the notebooks of examples/ without a kernel: do they print what they show?

    python tests/notebooks.py examples/NAME.ipynb ...             compare
    python tests/notebooks.py --refresh examples/NAME.ipynb ...   run, and store the outputs anew

A notebook runs as Jupyter runs it: its cells share one module, each inside a running event loop
(so `await` works and `asyncio.run` does not), lines that begin with `!` go to a shell, and a cell
that begins with `%%writefile NAME` is a file. It runs in a folder that is removed afterwards,
without the keys of model providers, and a warning is an error. Needs nothing but the standard
library, and matplotlib where a notebook draws.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import base64
import contextlib
import difflib
import inspect
import io
import json
import linecache
import os
import re
import subprocess
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

EXAMPLES = Path(__file__).parents[1] / "examples"
KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY")
VARIES = "varies"  # the tag of a cell whose output is another one each time
METADATA = {"language_info": {"name": "python"}}
FORMAT = {"nbformat": 4, "nbformat_minor": 5}
DPI, UNSIGNED = 80, {"Software": None}

Cell = dict[str, Any]
Output = dict[str, Any]


class NotebookError(AssertionError):
    """A notebook fails, or prints something else than it shows."""


# -- reading and writing -------------------------------------------------------------------


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def written(notebook: dict[str, Any]) -> str:
    """Return a notebook as the text of its file: the one form that all of ours have."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def tidy(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook with the fields that matter: nothing of a kernel, counts or an editor."""
    cells, ids = [], set()
    for cell in notebook["cells"]:
        source = lines_of("".join(cell["source"]).strip("\n"))
        tags = cell.get("metadata", {}).get("tags")
        id = str(cell.get("id") or sha256("".join(source).encode()).hexdigest()[:8])
        while id in ids:
            id += "x"
        ids.add(id)
        kind = cell["cell_type"]
        new: Cell = {"cell_type": kind, "id": id, "metadata": {"tags": tags} if tags else {}}
        if kind == "code":
            new = {**new, "execution_count": None, "outputs": cell.get("outputs", [])}
        cells.append({**dict(sorted(new.items())), "source": source})
    return {"cells": cells, "metadata": METADATA, **FORMAT}


def lines_of(text: str) -> list[str]:
    """Return text as nbformat keeps it: lines with their ends."""
    return text.splitlines(keepends=True)


# -- running -------------------------------------------------------------------------------


class Recorder:
    """What a cell puts out, in order, as nbformat has it."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []

    def printed(self, text: str) -> None:
        if text:
            shown = {"name": "stdout", "output_type": "stream", "text": lines_of(text)}
            self.outputs.append(shown)

    def result(self, value: object) -> None:
        data = {"text/plain": lines_of(repr(value))}
        shown = {"data": data, "execution_count": None, "metadata": {}}
        self.outputs.append({**shown, "output_type": "execute_result"})

    def figures(self) -> None:
        """Take the figures that are open, as Jupyter does at the end of a cell."""
        if "matplotlib.pyplot" not in sys.modules:
            return
        plt = sys.modules["matplotlib.pyplot"]
        for number in plt.get_fignums():
            file = io.BytesIO()
            plt.figure(number).savefig(file, dpi=DPI, bbox_inches="tight", metadata=UNSIGNED)
            data = {"image/png": base64.b64encode(file.getvalue()).decode() + "\n"}
            data["text/plain"] = ["<Figure>"]
            self.outputs.append({"data": data, "metadata": {}, "output_type": "display_data"})
        plt.close("all")


def shell(command: str) -> None:
    """Run a line that began with `!`; print what it prints."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    plain = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command,
        shell=True,
        env={**os.environ, **plain, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    print(*(line.rstrip() for line in done.stdout.splitlines()), sep="\n")
    if done.returncode:
        raise NotebookError(f"`{command}` ended with {done.returncode}:\n{done.stdout}")


def write(name: str, text: str) -> None:
    """Do what a cell that begins with `%%writefile NAME` does."""
    print("Overwriting" if Path(name).exists() else "Writing", name)
    Path(name).write_text(text, encoding="utf-8")


def compiled(source: str, name: str) -> types.CodeType:
    """Return a cell's code; what its last expression gives is bound to `_`."""
    if file := re.match(r"%%writefile (\S+)\n", source):
        text = source[file.end() :].rstrip("\n") + "\n"
        source = f"_write({file[1]!r}, {text!r})"
    shown = re.sub(r"^!(.*)$", lambda line: f"_shell({line[1]!r})", source, flags=re.MULTILINE)
    tree = ast.parse(shown)
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr) and not source.rstrip().endswith(";"):
        target = ast.copy_location(ast.Name("_", ast.Store()), last)
        tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)
    lines = source.splitlines(keepends=True)
    linecache.cache[name] = len(source), None, lines, name  # for tracebacks and inspect
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(tree, name, "exec", flags=flags, dont_inherit=True)


async def _executed(code: types.CodeType, names: dict[str, Any]) -> None:
    """Run a cell where an event loop runs, whether it awaits or not: so does Jupyter."""
    waiting = eval(code, names)
    if inspect.isawaitable(waiting):
        await waiting


def run(notebook: dict[str, Any], name: str = "notebook") -> list[list[Output]]:
    """Run a notebook's code cells; return the outputs of each.

    Raises NotebookError if a cell fails.
    """
    module = types.ModuleType(re.sub(r"\W", "_", f"notebook_{name}"))
    names = vars(module)
    names["_shell"] = shell
    names["_write"] = write
    outputs = []
    sys.modules[module.__name__] = module  # for libraries that look up where a class is from
    try:
        with _apart(), asyncio.Runner() as runner:
            for number, cell in enumerate(notebook["cells"]):
                if cell["cell_type"] == "code":
                    outputs.append(_ran(cell, f"{name}, cell {number}", names, runner))
    finally:
        del sys.modules[module.__name__]
    return outputs


def _ran(cell: Cell, name: str, names: dict[str, Any], runner: asyncio.Runner) -> list[Output]:
    recorder = Recorder()
    names.pop("_", None)
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            runner.run(_executed(compiled("".join(cell["source"]), name), names))
    except Exception as error:
        raise NotebookError(f"{name} fails: {type(error).__name__}: {error}") from error
    if err.getvalue():
        raise NotebookError(f"{name} prints to stderr:\n{err.getvalue()}")
    recorder.printed(out.getvalue())
    if names.get("_") is not None:
        recorder.result(names["_"])
    recorder.figures()
    return recorder.outputs


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Keep a run to a folder of its own, without keys and display, warnings as errors."""
    before = os.getcwd(), tempfile.tempdir
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        patch.dict(os.environ, {"MPLBACKEND": "Agg"}),
        warnings.catch_warnings(),
    ):
        for key in list(os.environ):
            if key in KEYS or key.startswith("CTXPLUG_"):
                del os.environ[key]
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
        os.chdir(folder)
        tempfile.tempdir = folder
        try:
            yield
        finally:
            os.chdir(before[0])
            tempfile.tempdir = before[1]


# -- comparing -----------------------------------------------------------------------------


def told(output: Output) -> str:
    """Return what is compared of an output: its text, and that there is a picture."""
    if output["output_type"] == "stream":
        return "".join(output["text"]).rstrip()
    kinds = sorted(output["data"])
    text = "" if "image/png" in kinds else "".join(output["data"].get("text/plain", ""))
    return f"[{output['output_type']}: {', '.join(kinds)}]\n{text}".rstrip()


def differences(notebook: dict[str, Any], outputs: list[list[Output]]) -> list[str]:
    """Return, cell by cell, where the stored outputs are others than `outputs`."""
    found = []
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell, new in zip(cells, outputs, strict=True):
        stored = cell["outputs"]
        if VARIES in cell["metadata"].get("tags", ()):
            if bool(stored) != bool(new):
                found.append(f"cell {cell['id']!r}: one has output and the other has none")
            continue
        was, now = ("\n".join(map(told, some)).splitlines() for some in (stored, new))
        if was != now:
            lines = difflib.unified_diff(was, now, "stored", "printed", lineterm="")
            found.append("\n".join([f"cell {cell['id']!r}:", *lines]))
    return found


def faults(path: Path) -> list[str]:
    """Return what keeps a notebook's file from being one of ours, apart from its outputs."""
    notebook = read(path)
    found = []
    if written(tidy(notebook)) != path.read_text(encoding="utf-8"):
        found.append("it holds what a kernel or an editor put there")
    ids = [cell.get("id", "") for cell in notebook["cells"]]
    if len({*ids}) < len(ids) or not all(re.fullmatch(r"[\w-]{1,64}", id) for id in ids):
        found.append("its cells have no ids of their own")
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if output["output_type"] == "error" or output.get("name") == "stderr":
                found.append(f"cell {cell['id']!r} shows an error")
            if len(json.dumps(output)) > 120_000:
                found.append(f"cell {cell['id']!r} shows more than 120,000 characters")
    return found


def check(path: Path | str) -> None:
    """Run a notebook, and raise NotebookError unless it prints what it shows.

    `path` may be the name of one in examples/.
    """
    path = EXAMPLES / path
    notebook = read(path)
    found = differences(notebook, run(notebook, path.stem))
    if found:
        again = f"python tests/notebooks.py --refresh examples/{path.name}"
        raise NotebookError(f"{path.name} prints something else:\n" + "\n".join([*found, again]))


def refresh(path: Path) -> None:
    """Run a notebook and write it anew, with its outputs."""
    notebook = tidy(read(path))
    outputs = iter(run(notebook, path.stem))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = next(outputs)
    path.write_text(written(notebook), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--refresh", action="store_true", help="store the outputs anew")
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
    arguments = parser.parse_args()
    for path in arguments.notebooks:
        (refresh if arguments.refresh else check)(path.resolve())
        print(f"{path}: {'stored' if arguments.refresh else 'as it shows'}")


if __name__ == "__main__":
    main()
