"""Where the recorded data of the benchmarks are, and what their tokens are counted by.

The data are no part of this repository: `locomo-dev`, `madial-zh-dev` and `tau-bench-dev`.
"""

from __future__ import annotations

import os
from pathlib import Path

from ctxplug.errors import PluginError
from ctxplug.tokens import TokenCounter
from ctxplug.tokens.estimate import estimate
from ctxplug.tokens.tiktoken_counter import tiktoken_counter

ROOT = Path(__file__).resolve().parents[1]


def data_folder(given: str | Path | None = None) -> Path | None:
    """Return `given`, CTXPLUG_DATA or ../shared/data beside the checkout; None if absent."""
    folder = Path(given or os.environ.get("CTXPLUG_DATA") or ROOT.parent / "shared" / "data")
    return folder if folder.is_dir() else None


def agent_runs(given: str | Path | None = None) -> Path | None:
    """Return the transcript file of an agent's runs, or None where it is absent."""
    folder = data_folder(given)
    file = folder and folder / "tau-bench-dev" / "airline.jsonl"
    return file if file and file.is_file() else None


def default_counter(encoding: str = "o200k_base") -> TokenCounter:
    """Return tiktoken's counter, or the estimate where the encoding is not on this machine."""
    try:
        return tiktoken_counter(encoding)
    except PluginError:
        return estimate(encoding.removesuffix("_base"))
