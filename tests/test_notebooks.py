"""The notebooks in examples/ are tidy and run; the runner sees when one shows what is not so."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import notebooks
import pytest

ROOT = notebooks.EXAMPLES.parent
ALL = sorted(notebooks.EXAMPLES.glob("*.ipynb"))
CELL = """\
import asyncio
await asyncio.sleep(0)
print("看大熊猫")
6 * 7"""


def notebook(*sources: str, tags: list[str] | None = None) -> dict[str, Any]:
    metadata = {"tags": tags} if tags else {}
    cells = [{"cell_type": "code", "source": one, "metadata": metadata} for one in sources]
    return notebooks.tidy({"cells": cells})


def stored(made: dict[str, Any], path: Path) -> dict[str, Any]:
    path.write_text(notebooks.written(made), encoding="utf-8")
    notebooks.refresh(path)
    return notebooks.read(path)


# -- all notebooks ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_is_tidy(path: Path) -> None:
    assert notebooks.faults(path) == []


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_begins_with_what_the_reader_gets_and_ends_with_where_to_go(path: Path) -> None:
    cells = notebooks.read(path)["cells"]
    assert 8 <= len(cells) <= 24
    first, last = "".join(cells[0]["source"]), "".join(cells[-1]["source"])
    assert first.startswith("# ") and "pip install" in first
    assert cells[-1]["cell_type"] == "markdown" and "](../docs/" in last
    assert re.search(r"[\u4e00-\u9fff]", json.dumps(cells, ensure_ascii=False))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_what_a_notebook_links_to_is_there(path: Path) -> None:
    for cell in notebooks.read(path)["cells"]:
        if cell["cell_type"] == "markdown":
            for target in re.findall(r"\]\((?!https?:)([^)#]+)", "".join(cell["source"])):
                assert (path.parent / target).exists(), target


def test_every_notebook_is_run_by_a_test() -> None:
    """A test module named for notebooks names each that it runs, as the runner takes it."""
    modules = [*ROOT.glob("tests/test_*.py"), *ROOT.glob("*/*/tests/test_*.py")]
    texts = [path.read_text(encoding="utf-8") for path in modules]
    running = "".join(text for text in texts if "notebooks.check(" in text)
    assert ALL and not [path.name for path in ALL if f'"{path.name}"' not in running]
    assert (notebooks.EXAMPLES / "README.md").is_file()


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_is_in_the_table(path: Path) -> None:
    text = (notebooks.EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert f"[`{path.name}`]({path.name})" in text


def test_what_the_page_of_the_examples_links_to_is_there() -> None:
    text = (notebooks.EXAMPLES / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert {path.name for path in ALL} <= {*targets}
    assert not [target for target in targets if not (notebooks.EXAMPLES / target).exists()]


def test_one_memory_serves_two_frameworks() -> None:
    pytest.importorskip("langchain_ctxplug")
    pytest.importorskip("ctxplug_llamaindex")
    pytest.importorskip("langchain.agents")
    notebooks.check("one_memory_two_frameworks.ipynb")


def test_what_a_policy_costs_and_keeps() -> None:
    pytest.importorskip("matplotlib")
    notebooks.check("cost_and_fidelity.ipynb")


@pytest.mark.slow
def test_a_plugin_is_written_tested_and_found() -> None:
    pytest.importorskip("hatchling")
    notebooks.check("write_a_plugin.ipynb")


# -- the runner ------------------------------------------------------------------------------


def test_a_refreshed_notebook_shows_what_it_prints(tmp_path: Path) -> None:
    path = tmp_path / "new.ipynb"
    [cell] = stored(notebook(CELL), path)["cells"]
    printed, result = cell["outputs"]
    assert printed["text"] == ["看大熊猫\n"] and result["data"] == {"text/plain": ["42"]}
    notebooks.check(path)
    assert notebooks.faults(path) == []


def test_a_wrong_output_is_found(tmp_path: Path) -> None:
    path = tmp_path / "wrong.ipynb"
    right = stored(notebook(CELL), path)
    for place, text in ((0, ["看小熊猫\n"]), (1, ["43"])):
        wrong = copy.deepcopy(right)
        output = wrong["cells"][0]["outputs"][place]
        (output if place == 0 else output["data"])["text" if place == 0 else "text/plain"] = text
        path.write_text(notebooks.written(wrong), encoding="utf-8")
        with pytest.raises(notebooks.NotebookError, match=re.escape(f"-{text[0].strip()}")):
            notebooks.check(path)


def test_an_output_that_is_missing_is_found(tmp_path: Path) -> None:
    path = tmp_path / "bare.ipynb"
    for tags in (None, [notebooks.VARIES]):
        path.write_text(notebooks.written(notebook(CELL, tags=tags)), encoding="utf-8")
        with pytest.raises(notebooks.NotebookError):
            notebooks.check(path)


def test_what_varies_only_has_to_be_there(tmp_path: Path) -> None:
    path = tmp_path / "varies.ipynb"
    stored(notebook("import os\nprint(os.urandom(8))", tags=[notebooks.VARIES]), path)
    notebooks.check(path)


def test_a_cell_that_fails_or_complains_is_named() -> None:
    for source in ("1 / 0", "import sys\nprint('?', file=sys.stderr)", "!exit 3"):
        with pytest.raises(notebooks.NotebookError, match="sums, cell 1"):
            notebooks.run(notebook("one = 1", source), "sums")


def test_a_warning_is_an_error() -> None:
    with pytest.raises(notebooks.NotebookError, match="old"):
        notebooks.run(notebook("import warnings\nwarnings.warn('old', DeprecationWarning)"))


def test_a_cell_runs_inside_an_event_loop_as_it_does_in_jupyter() -> None:
    asks = "import asyncio\nloop = asyncio.get_running_loop()"
    again = "print(loop is asyncio.get_running_loop())\nawait asyncio.sleep(0)"
    [[], [printed]] = notebooks.run(notebook(asks, again))
    assert printed["text"] == ["True\n"]


def test_a_run_has_a_folder_of_its_own_and_no_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for key in (*notebooks.KEYS, "CTXPLUG_PLUGINS"):
        monkeypatch.setenv(key, "secret")
    ask = "import os, tempfile\nopen('made.txt', 'w').close()\nos.chdir(tempfile.mkdtemp())\n"
    ask += "print('secret' in os.environ.values())\nprint(os.getcwd())"
    [[printed]] = notebooks.run(notebook(ask))
    secret, folder = "".join(printed["text"]).splitlines()
    assert secret == "False" and not Path(folder).exists()
    assert Path.cwd() == tmp_path and list(tmp_path.iterdir()) == []


def test_a_line_that_begins_with_a_mark_goes_to_the_shell() -> None:
    [[printed]] = notebooks.run(notebook("!echo 看大熊猫\n!echo done"))
    assert printed["text"] == ["看大熊猫\n", "done\n"]


def test_a_cell_that_is_a_file_is_written_as_it_stands() -> None:
    cell = "%%writefile panda.py\n!no = 'shell'\nsaid = '大熊猫\\n'"
    read = "from pathlib import Path\nPath('panda.py').read_text(encoding='utf-8')"
    [[first], [result], [second]] = notebooks.run(notebook(cell, read, cell))
    assert first["text"] == ["Writing panda.py\n"]
    assert second["text"] == ["Overwriting panda.py\n"]
    assert result["data"] == {"text/plain": [repr("!no = 'shell'\nsaid = '大熊猫\\n'\n")]}


def test_a_figure_is_stored_small_and_its_bytes_are_not_compared(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "plot.ipynb"
    draw = "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\naxes.plot([1, 2])\n"
    made = stored(notebook(draw + "plt.show()"), path)
    [shown] = made["cells"][0]["outputs"]
    assert 1_000 < len(shown["data"]["image/png"]) < 40_000
    shown["data"]["image/png"] = "AAAA\n"
    path.write_text(notebooks.written(made), encoding="utf-8")
    notebooks.check(path)
    made["cells"][0]["outputs"] = []
    path.write_text(notebooks.written(made), encoding="utf-8")
    with pytest.raises(notebooks.NotebookError, match="image/png"):
        notebooks.check(path)


def test_what_a_kernel_or_an_editor_put_there_is_found(tmp_path: Path) -> None:
    path = tmp_path / "edited.ipynb"
    made = stored(notebook("print(1)"), path)
    made["metadata"]["kernelspec"] = {"name": "mine"}
    path.write_text(notebooks.written(made), encoding="utf-8")
    assert notebooks.faults(path)
    notebooks.refresh(path)
    assert notebooks.faults(path) == []
