"""Windows as JSON and back: the same bytes for every provider, the same report.

A message that stands in several places of a window is written once, in `messages`; the report
names it by its place there. A window that is read back is equal to the one that was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ctxplug.compression import Unit
from ctxplug.context.compaction import Step
from ctxplug.context.gate import Gain
from ctxplug.context.sections import SectionFate
from ctxplug.context.units import Repair
from ctxplug.context.window import ContextWindow, WindowReport
from ctxplug.errors import InvalidValueError
from ctxplug.messages import Logged, Message

SIZES = (
    "session", "head", "budget", "limit", "counter", "estimated", "margin", "policy",
    "compactions", "base", "tight",
)  # fmt: skip


def write_window(window: ContextWindow, *, fates: bool = True) -> dict[str, Any]:
    """Return `window` as JSON data; `fates` can be computed from the rest, and left out."""
    places = {id(message): place for place, message in enumerate(window.messages)}

    def message(one: Message) -> Any:
        return places.get(id(one)) if id(one) in places else one.to_dict()

    def logged(one: Logged) -> Any:
        return [one.version, one.tokens, message(one.message)]

    report = window.report
    told = report.to_dict() if fates else _told(report)
    told |= {"base": report.base, "tight": report.tight}
    told["log"] = {
        "system": [logged(one) for one in report.system],
        "frozen": [
            {
                "form": unit.form,
                "sources": list(unit.sources),
                "score": unit.score,
                "items": [logged(one) for one in unit.items],
            }
            for unit in report.frozen
        ],
        "recent": [logged(one) for one in report.recent],
        "own": {name: message(one) for name, one in report.own.items()},
    }
    return {
        "messages": [one.to_dict() for one in window.messages],
        "tokens": window.tokens,
        "tools": [dict(tool) for tool in window.tools],
        "report": told,
    }


def read_window(data: Mapping[str, Any]) -> ContextWindow:
    """Return the window that `write_window` wrote; raise InvalidValueError for anything else."""
    try:
        messages = tuple(Message.from_dict(one) for one in data["messages"])
        return ContextWindow(
            messages, data["tokens"], _report(data["report"], messages), tuple(data["tools"])
        )
    except InvalidValueError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as exc:
        raise InvalidValueError(f"This is not a context window: {exc!r:.120}.") from exc


def _told(report: WindowReport) -> dict[str, Any]:
    """Return the report as its `to_dict` has it, without the fates."""
    bare = WindowReport(
        **{name: getattr(report, name) for name in SIZES},
        tokens=report.tokens,
        repairs=report.repairs,
        compaction=report.compaction,
        gain=report.gain,
        recalled=report.recalled,
        notes=report.notes,
        sections=report.sections,
    )
    told = bare.to_dict()
    del told["fates"]
    return told


def _report(data: Mapping[str, Any], messages: Sequence[Message]) -> WindowReport:
    log = data["log"]

    def message(one: Any) -> Message:
        return messages[one] if isinstance(one, int) else Message.from_dict(one)

    def logged(one: Sequence[Any]) -> Logged:
        version, tokens, said = one
        return Logged(version, message(said), tokens)

    return WindowReport(
        **{name: data[name] for name in SIZES},
        tokens=dict(data["tokens"]),
        repairs=tuple(Repair(one["version"], one["what"]) for one in data["repairs"]),
        compaction=tuple(
            Step(one["strategy"], one["before"], one["after"]) for one in data["compaction"]
        ),
        gain=None if data["gain"] is None else _gain(data["gain"]),
        recalled=tuple(data["recalled"]),
        notes=tuple(data["notes"]),
        system=tuple(map(logged, log["system"])),
        frozen=tuple(_unit(one, logged) for one in log["frozen"]),
        recent=tuple(map(logged, log["recent"])),
        sections=tuple(map(SectionFate.from_dict, data["sections"])),
        own={name: message(one) for name, one in log["own"].items()},
    )


def _unit(data: Mapping[str, Any], logged: Callable[[Any], Logged]) -> Unit:
    items = tuple(map(logged, data["items"]))
    return Unit(items, data["form"], tuple(data["sources"]), data["score"])


def _gain(data: Mapping[str, Any]) -> Gain:
    names = ("removed", "suffix", "calls", "warm", "gain", "forced")
    return Gain(**{name: data[name] for name in names})
