"""What model calls have cost: usage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from ctxplug.cli import options, screen, stores
from ctxplug.scope import Scope, namespace_key
from ctxplug.tokens.ledger import UsageLedger
from ctxplug.tokens.usage_report import By, UsageLine, UsageReport

BAR = 24  # characters of the longest bar
_EIGHTHS = " ▏▎▍▌▋▊▉"


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("usage")(usage)


def usage(
    target: options.Target,
    namespace: options.Namespace = None,
    days: Annotated[
        int, typer.Option("--days", "-d", min=1, max=36_600, help="How many UTC days, with today.")
    ] = 7,
    by: Annotated[By, typer.Option("--by", help="What to add up by.")] = "day",
    json: options.Json = False,
) -> None:
    """Show the tokens and the cost of the model calls that were recorded.

    Prices are those of a dated table; CTXPLUG_PRICES names a file that is laid over it.

    Example: ctxplug usage agent.db --days 30 --by model
    """
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        report = UsageLedger(backend, Scope(chosen, "report")).report(days)
    if json:
        screen.print_json(report.to_dict())
        return
    _print(report, by)


def _print(report: UsageReport, by: By) -> None:
    console = screen.out()
    name = screen.safe(namespace_key(report.namespace))
    if not report.total.calls:
        console.print(
            f"No model call of {name} was recorded from {report.since} to {report.until}."
            " An agent records one with memory.record_usage(response.usage)."
        )
        return
    lines = report.by(by)
    most = max(line.tokens for line in lines.values())
    rows = [_row(screen.safe(key), line, most) for key, line in lines.items()]
    if len(lines) > 1:
        rows.append(_row("[bold]all[/]", report.total, 0))
    columns = [by, "#calls", "#input", "#cached", "#output", "#cost", ""]
    title = f"Usage of {namespace_key(report.namespace)}, {report.since} to {report.until}"
    console.print(screen.table(title, columns, rows))
    console.print(f"\n[dim]Prices in US dollars as of {screen.safe(report.prices_as_of)}.[/]")
    unpriced = _unpriced(report.by_model)
    if unpriced:
        console.print(
            f"[yellow]The price of {unpriced} is unknown[/], which is not zero: give it in the file"
            " that CTXPLUG_PRICES names."
        )


def _row(name: str, line: UsageLine, most: int) -> tuple[object, ...]:
    used = line.usage
    cached = f"{line.cache_hit_share:.0%}"
    counts = (line.calls, used.total_input, cached, used.output_tokens)
    return name, *counts, _cost(line), f"[cyan]{bar(line.tokens, most)}[/]"


def _cost(line: UsageLine) -> str:
    if line.cost is not None:
        return f"${line.cost:,.4f}"
    if line.priced_cost:
        return f"${line.priced_cost:,.4f} + unknown"
    return "unknown"


def _unpriced(by_model: Mapping[str, UsageLine]) -> str:
    names = [name for name, line in by_model.items() if line.unpriced_calls]
    return ", ".join(screen.safe(name) for name in names)


def bar(value: int, most: int) -> str:
    """Return a bar of at most 24 characters for `value` out of `most`, in eighths of one."""
    if most <= 0 or value <= 0:
        return ""
    eighths = max(1, round(8 * BAR * value / most))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
