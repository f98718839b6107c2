"""Pictures of a comparison: an SVG, a page that holds it, and a PNG."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path

from ctxplug.comparison.compare import Comparison, Row
from ctxplug.errors import UnsupportedError

WIDTH, LABEL, BAR, GAP = 860, 150, 22, 12
OURS, THEIRS = "#2f6f8f", "#b9c3c9"
STYLE = """
:root { color-scheme: light dark; --text: #1b2327; --page: #fff; --rule: #d5dce0; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6ebee; --page: #14191c; --rule: #394349; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; }
th:first-child, td:first-child { text-align: left; }
svg { width: 100%; height: auto; }
svg text { fill: var(--text); font: 14px system-ui, sans-serif; }
.wide { overflow-x: auto; }
"""

Measure = tuple[str, Callable[[Row], float], Callable[[Row], str]]
MEASURES: tuple[Measure, ...] = (
    ("effective input cost, plain tokens", lambda r: r.cost, lambda r: f"{r.cost:,.0f}"),
    ("read from the cache", lambda r: r.hit_share, lambda r: f"{r.hit_share:.0%}"),
    (
        "facts still in what is sent",
        lambda r: r.facts or 0.0,
        lambda r: "none" if r.facts is None else f"{r.facts:.0%}",
    ),
)


def to_svg(result: Comparison, ours: Iterable[str]) -> str:
    """Return bars for cost, cache and facts, policy by policy; `ours` are coloured."""
    mine, parts, y = set(ours), [], 0
    for title, value, label in MEASURES:
        most = max((value(row) for row in result.rows), default=0) or 1
        parts.append(f'<text x="0" y="{y + 16}" font-weight="bold">{escape(title)}</text>')
        y += 28
        for row in result.rows:
            length = max(2.0, value(row) / most * (WIDTH - LABEL - 110))
            colour = OURS if row.policy in mine else THEIRS
            middle = y + BAR - 6
            parts.append(
                f'<text x="0" y="{middle}">{escape(row.policy)}</text>'
                f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" rx="3"'
                f' fill="{colour}"/>'
                f'<text x="{LABEL + length + 8:.1f}" y="{middle}">{escape(label(row))}</text>'
            )
            y += BAR + GAP
        y += GAP
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img"'
        f' aria-label="Policies side by side">\n{body}\n</svg>'
    )


def to_html(result: Comparison, ours: Iterable[str], *, title: str) -> str:
    """Return one self-contained page with the bars and all figures."""
    head = "".join(f"<th>{name}</th>" for name, _ in COLUMNS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell(row))}</td>" for _, cell in COLUMNS) + "</tr>"
        for row in result.rows
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1><p>{result.messages:,} messages, a budget of"
        f" {result.budget:,} tokens a call, counted with {escape(result.counter)}. A cached token"
        f" costs 0.1, a token written to the cache 1.25 of a plain one.</p>"
        f"{to_svg(result, ours)}<div class=wide><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div></body></html>\n"
    )


COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("policy", lambda r: r.policy),
    ("calls", lambda r: f"{r.calls:,}"),
    ("tokens", lambda r: f"{r.tokens:,}"),
    ("cost", lambda r: f"{r.cost:,.0f}"),
    ("from cache", lambda r: f"{r.hit_share:.1%}"),
    ("word for word", lambda r: f"{r.words:.0%}"),
    ("represented", lambda r: f"{r.covered:.0%}"),
    ("facts", lambda r: "none" if r.facts is None else f"{r.facts:.0%}"),
    ("values lost", lambda r: f"{r.lost} of {r.needed}" if r.needed else "none needed"),
)


def write_png(result: Comparison, ours: Iterable[str], path: Path) -> None:
    """Draw the bars into a PNG; needs the extra `ctxplug[plots]`, else UnsupportedError."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise UnsupportedError(
            "A PNG needs matplotlib: pip install 'ctxplug[plots]'. --html needs nothing.",
            capability="png",
        ) from exc
    mine, names = set(ours), [row.policy for row in result.rows]
    figure = Figure(figsize=(10, 1.2 + 0.9 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    for i, (title, value, label) in enumerate(MEASURES):
        axes = figure.add_subplot(len(MEASURES), 1, i + 1)
        colours = [OURS if name in mine else THEIRS for name in names]
        bars = axes.barh(names, [value(row) for row in result.rows], color=colours)
        axes.bar_label(bars, [label(row) for row in result.rows], padding=4)
        axes.invert_yaxis()
        axes.set_title(title, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.15)
    figure.savefig(path, dpi=130)
