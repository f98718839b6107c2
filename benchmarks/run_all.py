"""Every benchmark of this folder in one run: `python benchmarks/run_all.py`.

    python benchmarks/run_all.py [--small] [--only NAME...] [--check] [--json] [--data DIR]
                                 [--pages FOLDER]

Each benchmark runs once, in a process of its own, with a line of progress. Then its figures are
compared with the last committed ones, `docs/benchmarks/figures.json`: what got better or worse,
and by how much. A figure is always a share or a ratio, and `ratios.py` says how much one may
differ. Without `--check` the figures, the tables and the plots in `docs/benchmarks/` are
written anew; benchmarks that did not run keep theirs.

    --small   few synthetic data and the installed peers only, in less than a minute of processor
              time; its figures are kept apart, and no page is written
    --check   write nothing, and exit with 1 if a figure regressed or a benchmark failed; one whose
              times regressed runs a second time, and the better of both counts
    --only    these benchmarks; `--only list` lists them

A benchmark whose data or packages are not here is skipped, with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from ratios import Change, Figure, compare
from recorded_data import ROOT, data_folder
from run_figures import BENCHMARKS, Benchmark, Figures
from run_pages import versions, write_pages

HERE = Path(__file__).parent
PAGES = ROOT / "docs" / "benchmarks"
SIDE_BY_SIDE = ("peer_windows", "peer_recall", "peer_store")
VARYING = ("time", "disk", "size")
NOT_HERE = ("skipped", "There is no", "No module named", "ModuleNotFoundError", "needs ")


@dataclass(frozen=True)
class Result:
    """What one benchmark gave: its JSON and figures, or why there are none."""

    name: str
    seconds: float
    data: Any = None
    figures: Figures = field(default_factory=dict)
    skipped: str = ""
    failed: str = ""


def run_one(benchmark: Benchmark, small: bool, data: Path | None) -> Result:
    """Run a benchmark in a process of its own."""
    if benchmark.data and data is None:
        return Result(benchmark.name, 0.0, skipped="no recorded data; set CTXPLUG_DATA")
    arguments = benchmark.small if small else benchmark.full
    command = [sys.executable, str(HERE / f"{benchmark.name}.py"), *(arguments or ()), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    if data is not None:
        environment["CTXPLUG_DATA"] = str(data)
    began = perf_counter()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=folder, env=environment, errors="replace"
        )
    return read_one(benchmark, done.stdout, done.stderr, perf_counter() - began)


def read_one(benchmark: Benchmark, printed: str, said: str, seconds: float) -> Result:
    """Return the result that a benchmark printed; some exit with 1 where a goal is missed."""
    why = (said.strip().splitlines() or ["it printed nothing"])[-1]
    try:
        data = json.loads(printed)
    except ValueError:
        absent = any(word.lower() in why.lower() for word in NOT_HERE)
        return Result(benchmark.name, seconds, **{"skipped" if absent else "failed": why})
    if isinstance(data, dict) and "skipped" in data:
        return Result(benchmark.name, seconds, skipped=str(data["skipped"]))
    try:
        return Result(benchmark.name, seconds, data, benchmark.figures(data))
    except (LookupError, ZeroDivisionError, TypeError) as error:
        return Result(benchmark.name, seconds, data, failed=f"its figures: {error!r}")


def run_all(
    names: Sequence[str], small: bool, data: Path | None, done: Callable[[Result], None]
) -> list[Result]:
    """Run the named benchmarks, or all, one after another; tell `done` of each."""
    chosen = [b for b in BENCHMARKS if (not names or b.name in names)]
    chosen = [b for b in chosen if not small or b.small is not None]
    results = []
    for n, benchmark in enumerate(chosen, 1):
        _say(f"[{n:2}/{len(chosen)}] {benchmark.name}: {benchmark.asks} ...")
        result = run_one(benchmark, small, data)
        results.append(result)
        done(result)
        if result.skipped:
            _say(f"        skipped: {result.skipped}")
        elif result.failed:
            _say(f"        FAILED: {result.failed}")
        else:
            _say(f"        {result.seconds:.0f} s, {len(result.figures)} figures")
    return results


def changes(results: Sequence[Result], kept: Mapping[str, Any]) -> dict[str, list[Change]]:
    """Return what became of the figures of each benchmark that ran."""
    found = {}
    for result in results:
        if result.data is not None:
            before = kept.get(result.name, {})
            old = {name: Figure.from_dict(data) for name, data in before.items()}
            found[result.name] = compare(old, result.figures)
    return found


def kept_figures(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the committed figures: by size of the run, then by benchmark and figure."""
    file = folder / "figures.json"
    read = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {"full": {}, "small": {}, "versions": {}, **read}


def keep(folder: Path, results: Sequence[Result], small: bool) -> None:
    """Write the figures of what ran, and the comparisons' own data, beside those kept before."""
    kept = kept_figures(folder)
    size = "small" if small else "full"
    for result in results:
        if result.figures:
            figures = {name: figure.to_dict() for name, figure in result.figures.items()}
            kept[size][result.name] = figures
    if any(result.name in SIDE_BY_SIDE and result.figures for result in results):
        kept["versions"][size] = versions()
    _write(folder / "figures.json", kept)
    ran = {r.name: r.data for r in results if r.name in SIDE_BY_SIDE and r.figures}
    if small or not ran:
        return
    file = folder / "side_by_side.json"
    beside = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    _write(file, _rounded(beside | ran))


def _rounded(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_rounded(value) for value in data]
    return round(data, 4) if isinstance(data, float) else data


def _write(file: Path, data: Any) -> None:
    text = json.dumps(data, indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def report(found: Mapping[str, Sequence[Change]]) -> list[str]:
    """Return the lines that say what changed."""
    lines = []
    for name, some in found.items():
        lines += [f"{name}: {change}" for change in some if change.verdict != "same"]
    total = sum(map(len, found.values()))
    return [*lines, f"{total} figures, {total - len(lines)} of them as before."]


def main(argv: Sequence[str] | None = None) -> int:
    """Run, compare, write; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="synthetic data, under a minute")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="or: --only list")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 on a regression")
    parser.add_argument("--json", action="store_true", help="print figures and changes as JSON")
    parser.add_argument("--data", help="the folder of recorded data; else CTXPLUG_DATA")
    parser.add_argument("--pages", type=Path, default=PAGES, help="where pages and figures are")
    options = parser.parse_args(argv)
    names = [benchmark.name for benchmark in BENCHMARKS]
    if options.only == ["list"]:
        print("\n".join(f"{b.name:20} {b.asks}" for b in BENCHMARKS))
        return 0
    unknown = sorted(set(options.only) - set(names))
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; choose from {', '.join(names)}")
    size = "small" if options.small else "full"
    before = kept_figures(options.pages).get(size, {})

    def done(result: Result) -> None:
        if not options.check:  # at once: who stops a long run keeps what is done
            keep(options.pages, [result], options.small)

    data = data_folder(options.data)
    results = run_all(options.only, options.small, data, done)
    found = changes(results, before)
    if not options.check and not options.small:
        write_pages(options.pages, BENCHMARKS)
    elif options.check and (slow := _slower(found)):
        again = run_all(slow, options.small, data, done)
        results = [better(r, [a for a in again if a.name == r.name]) for r in results]
        found = changes(results, before)
    lines = report(found)
    if options.json:
        print(json.dumps(_as_json(results, found), indent=1, ensure_ascii=False))
    else:
        print("\n".join(lines))
    return exit_code(results, found) if options.check else 0


def _slower(found: Mapping[str, Sequence[Change]]) -> list[str]:
    """Return the benchmarks with a regression that a busy neighbour may have made."""
    return [
        name
        for name, some in found.items()
        if any(c.verdict == "regression" and c.now and c.now.kind in VARYING for c in some)
    ]


def better(result: Result, again: Sequence[Result]) -> Result:
    """Return a result with the better value of each figure that varies, of two runs."""
    figures = dict(result.figures)
    for other in again:
        for name, figure in other.figures.items():
            if figure.kind in VARYING and name in figures:
                choose = min if figure.lower else max
                figures[name] = choose(figures[name], figure, key=lambda f: f.value)
    return replace(result, figures=figures)


def exit_code(results: Sequence[Result], found: Mapping[str, Sequence[Change]]) -> int:
    """Return 1 if a benchmark failed, or a figure regressed or is gone."""
    bad = any(
        change.verdict in ("regression", "gone") for some in found.values() for change in some
    )
    return int(bad or any(result.failed for result in results))


def _as_json(results: Sequence[Result], found: Mapping[str, Sequence[Change]]) -> Any:
    return {
        result.name: {
            "seconds": round(result.seconds, 1),
            "skipped": result.skipped,
            "failed": result.failed,
            "figures": {name: figure.to_dict() for name, figure in result.figures.items()},
            "changes": [str(c) for c in found.get(result.name, ()) if c.verdict != "same"],
        }
        for result in results
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
