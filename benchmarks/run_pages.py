"""The tables and plots of `docs/benchmarks/`, made of the figures that run_all.py keeps.

A page is written by hand but for what stands between two marks, such as `<!-- recall -->` and
`<!-- /recall -->`: that is written anew. Plots are SVG without any background, in colours that
can be read on white and on black.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import peer_recall
import peer_store
import peer_windows
from ratios import Figure
from run_figures import Benchmark

TEXT, OURS, PEER = "#7d8590", "#3b82f6", "#a8a29e"
PACKAGES = (
    *("ctxplug", "langchain", "langchain-core", "langgraph", "langgraph-checkpoint-sqlite"),
    *("llama-index-core", "chromadb", "mem0ai", "rank-bm25", "wordllama"),
)
PAGE_OF = {  # where the page is not named as the benchmark is; "" where there is none
    **dict.fromkeys(("peer_windows", "peer_recall", "peer_store"), "side_by_side.md"),
    **dict.fromkeys(("code_outline", "pii_false_positives"), ""),
    "access_cost": "../access.md",
    "retention_known": "retention.md",
}


def versions() -> dict[str, str]:
    """Return the versions of what was compared, as far as it is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_pages(folder: Path, benchmarks: Sequence[Benchmark]) -> None:
    """Write tables into index.md and side_by_side.md of `folder`, and the plots beside them."""
    kept = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    fill(folder / "index.md", {"figures": summary(kept["full"], benchmarks)})
    file = folder / "side_by_side.json"
    if not file.is_file():
        return
    beside = json.loads(file.read_text(encoding="utf-8"))
    named = ", ".join(
        f"{name} {version}" for name, version in kept["versions"].get("full", {}).items()
    )
    tables = {"versions": f"{named}."}
    for name, data in beside.items():
        tables |= TABLES[name](data)
    fill(folder / "side_by_side.md", tables)
    plot(folder, beside)


def fill(page: Path, tables: Mapping[str, str]) -> None:
    """Put each table between its marks; a table without marks is an error."""
    if not page.is_file():
        return
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not marks.search(text):
            raise ValueError(f"{page.name} has no place <!-- {name} --> for a table; write one.")
        text = marks.sub(lambda m, table=table: f"{m[1]}\n{table}\n\n{m[2]}", text)
    page.write_text(text, encoding="utf-8")


def summary(kept: Mapping[str, Any], benchmarks: Sequence[Benchmark]) -> str:
    """Return one row for each benchmark: what it asks, and its figures of the last run."""
    lines = ["| benchmark | figures |", "|---|---|"]
    for benchmark in benchmarks:
        figures = kept.get(benchmark.name)
        page = PAGE_OF.get(benchmark.name, f"{benchmark.name}.md")
        asks = (
            f"[{benchmark.asks}]({page})" if page else f"{benchmark.asks} (`{benchmark.name}.py`)"
        )
        said = "; ".join(f"{n}: {_shown(Figure.from_dict(f))}" for n, f in (figures or {}).items())
        lines.append(f"| {asks} | {said or 'not in the last run'} |")
    return "\n".join(lines)


def _shown(figure: Figure) -> str:
    return f"{figure.value:.1%}" if figure.kind == "share" else f"{figure.value:.2f}"


# -- tables --------------------------------------------------------------------------------


def _windows(data: Mapping[str, Any]) -> dict[str, str]:
    parts = []
    for name, part in data.items():
        if name != "kept for later":
            head = f"**{name}**: {part['messages']:,} messages, budget {part['budget']:,} tokens"
            parts.append(f"{head} ({part['counter']}).\n\n{peer_windows.table(part)}")
    tables = {"windows": "\n\n".join(parts)}
    if "kept for later" in data:
        tables["kept"] = peer_windows.kept_table(data["kept for later"])
    return tables


def _recall(data: Mapping[str, Any]) -> dict[str, str]:
    parts = []
    for name, part in data.items():
        head = f"**{name}**: {part['items']:,} items, {part['questions']:,} questions"
        parts.append(f"{head}, vectors of `{part['embedder']}`.\n\n{peer_recall.table(part)}")
    return {"recall": "\n\n".join(parts)}


def _store(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "store": peer_store.table(data["stores"]),
        "imports": peer_store.import_table(data["imports"]),
    }


TABLES = {"peer_windows": _windows, "peer_recall": _recall, "peer_store": _store}


# -- plots ---------------------------------------------------------------------------------


def plot(folder: Path, beside: Mapping[str, Any]) -> None:
    """Draw what is found, what sessions cost, and what keeping takes."""
    if "peer_recall" in beside:
        panels = {
            f"{name}: evidence in the first ten": {
                r["store"]: 100 * r["share"] for r in part["rows"]
            }
            for name, part in beside["peer_recall"].items()
        }
        bars(folder / "side_by_side_recall.svg", panels, "percent")
    if "peer_windows" in beside:
        sessions = {n: p for n, p in beside["peer_windows"].items() if n != "kept for later"}
        panels = {
            name.partition(",")[0]: {r["sender"]: r["cost"] for r in p["rows"] if r["cost"]}
            for name, p in sessions.items()
        }
        bars(folder / "side_by_side_cost.svg", panels, "cost, trim_messages = 1", best_low=True)
    if "peer_store" in beside:
        data = beside["peer_store"]
        panels = {
            "processor time of an add, ms": {
                r["store"]: r["add_cpu_ms"] for r in data["stores"]["rows"]
            },
            "memory held, MB": {r["store"]: r["held_mb"] for r in data["stores"]["rows"]},
        }
        bars(folder / "side_by_side_store.svg", panels, "", best_low=True)


def bars(
    file: Path, panels: Mapping[str, Mapping[str, float]], unit: str, best_low: bool = False
) -> None:
    """Draw one panel of horizontal bars for each mapping, the best one on top."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    style = {
        **{key: TEXT for key in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color")},
        "axes.edgecolor": TEXT,
        "font.size": 9,
        "svg.hashsalt": "ctxplug",  # so that the same figures give the same file
    }
    with pyplot.rc_context(style):
        rows = max(map(len, panels.values()))
        size = (9, len(panels) * (0.7 + 0.24 * rows))
        figure, axes = pyplot.subplots(len(panels), 1, figsize=size, squeeze=False)
        for axis, (title, values) in zip(axes[:, 0], panels.items(), strict=True):
            ordered = sorted(values.items(), key=lambda pair: pair[1], reverse=best_low)
            names = [name for name, _ in ordered]
            colours = [OURS if name.startswith("ctxplug") else PEER for name in names]
            drawn = axis.barh(names, [value for _, value in ordered], color=colours)
            axis.bar_label(drawn, fmt="%.3g", padding=3, color=TEXT)
            axis.set_title(title, loc="left", fontsize=10)
            axis.set_xlabel(unit)
            axis.spines[["top", "right"]].set_visible(False)
        figure.tight_layout()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
        pyplot.close(figure)
