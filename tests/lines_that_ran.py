"""A pytest plugin that counts which lines of ctxplug/ ran, in every process of a run.

`dev.py test` and `dev.py cov` load it with `-p lines_that_ran`; each process writes its count into
the folder that CTXPLUG_LINES names, and slipcover merges them. Nothing of ctxplug may be imported
before it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import slipcover

_SOURCE = [str(Path(__file__).parents[1] / "ctxplug")]
_files = slipcover.FileMatcher(sources=_SOURCE)
_lines = slipcover.Slipcover(source=_SOURCE)

# What tests start is not to find this folder; xdist gives its workers the path by itself.
_path = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
if others := [place for place in _path if place and Path(place) != Path(__file__).parent]:
    os.environ["PYTHONPATH"] = os.pathsep.join(others)

slipcover.wrap_pytest(_lines, _files)  # what pytest loads by itself, as it does ctxplug.testing
slipcover.ImportManager(_lines, _files).__enter__()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Write the count of this process."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    counted = Path(os.environ["CTXPLUG_LINES"]) / f"{worker}.json"
    counted.write_text(json.dumps(_lines.get_coverage()), encoding="utf-8")
