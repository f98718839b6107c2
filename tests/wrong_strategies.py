"""Compression strategies that each break one rule, and the tests of the suite that say so."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kit_runner import laws

from ctxplug.compression import CompressionTools, Unit, merged, total
from ctxplug.messages import Logged, TextPart, ThinkingPart
from ctxplug.testing import CompressionStrategySuite


class Right:
    """Leaves out the oldest units one by one, with a reference to each."""

    name = "left-out"

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> Sequence[Unit]:
        found, left = [], total(units)
        for unit in units:
            if left > target:
                short = self.short(unit, tools)
                if short.tokens < unit.tokens:
                    left -= unit.tokens - short.tokens
                    unit = short
            found.append(unit)
        return found

    def short(self, unit: Unit, tools: CompressionTools) -> Unit:
        return merged((unit,), self.name, self.said(unit, tools), tools.counter)

    def said(self, unit: Unit, tools: CompressionTools) -> str:
        return f"(left out: {tools.ref(unit)})"


class IsVerbatim(Right):
    name = "verbatim"


class NeedsUnits(Right):
    def compress(self, units: Any, target: int, tools: Any) -> Any:
        return super().compress([units[0], *units[1:]], target, tools)


class GivesMessages(Right):
    def compress(self, units: Any, target: int, tools: Any) -> Any:
        found = super().compress(units, target, tools)
        return [u.items[0].message if u.form == self.name and target else u for u in found]


class NeverTheSame(Right):
    calls = 0

    def said(self, unit: Unit, tools: CompressionTools) -> str:
        self.calls += threading.current_thread() is threading.main_thread()
        return f"(left out {self.calls % 7}: {tools.ref(unit)})"


class Scribbles(Right):
    def said(self, unit: Unit, tools: CompressionTools) -> str:
        unit.items[0].message.metadata["seen"] = True  # type: ignore[index]
        return super().said(unit, tools)


class LosesResults(Right):
    """Keeps the call, and not what came back."""

    def short(self, unit: Unit, tools: CompressionTools) -> Unit:
        first = unit.items[0]
        if not first.message.tool_calls:
            return super().short(unit, tools)
        parts = [TextPart(f"(cut: {tools.ref(unit)})"), *first.message.tool_calls]
        message = replace(first.message, content=tuple(parts))
        item = Logged(first.version, message, tools.counter.count(message))
        return Unit((item,), self.name, unit.versions, unit.score)


class KeepsThinking(Right):
    def short(self, unit: Unit, tools: CompressionTools) -> Unit:
        message = unit.items[0].message
        if len(unit.items) > 1 or not any(isinstance(p, ThinkingPart) for p in message.content):
            return super().short(unit, tools)
        parts = [p for p in message.content if isinstance(p, ThinkingPart)]
        said = TextPart(self.said(unit, tools))
        return unit.changed(self.name, [replace(message, content=(*parts, said))], tools.counter)


class Explains(Right):
    """Writes so much about what it leaves out that little is won, or nothing."""

    def compress(self, units: Any, target: int, tools: Any) -> Any:
        left = total(units)
        return [u if left <= target else self.short(u, tools) for u in units]

    def said(self, unit: Unit, tools: CompressionTools) -> str:
        return (
            f"(left out: {tools.ref(unit)})"
            + " What stood here was left out for want of room." * 20
        )


class ClaimsNoTokens(Right):
    def short(self, unit: Unit, tools: CompressionTools) -> Unit:
        made = super().short(unit, tools)
        return replace(made, items=tuple(Logged(i.version, i.message, 1) for i in made.items))


class NeverStops(Right):
    def compress(self, units: Any, target: int, tools: Any) -> Any:
        return super().compress(units, 0, tools)


class DropsTheOldest(Right):
    """As docs/plugins.md would have it in three lines."""

    def compress(self, units: Any, target: int, tools: Any) -> Any:
        kept, used = [], 0
        for unit in reversed(units):
            used += unit.tokens
            if used > target:
                break
            kept.append(unit)
        return kept[::-1]


class BestFirst(Right):
    def compress(self, units: Any, target: int, tools: Any) -> Any:
        found = super().compress(units, target, tools)
        return found if total(units) <= target else found[::-1]


class SaysNotWhatItIs(Right):
    def short(self, unit: Unit, tools: CompressionTools) -> Unit:
        return replace(super().short(unit, tools), form="digest")


class SaysNotWhereItIs(Right):
    def said(self, unit: Unit, tools: CompressionTools) -> str:
        return "(left out)"


class FailsAtSurrogates(Right):
    def said(self, unit: Unit, tools: CompressionTools) -> str:
        for item in unit.items:
            item.message.text.encode()
        return super().said(unit, tools)


class FailsAtLength(Right):
    def said(self, unit: Unit, tools: CompressionTools) -> str:
        if any(len(item.message.text) > 40_000 for item in unit.items):
            raise ValueError("too long")
        return super().said(unit, tools)


class LearnsFromAll(Right):
    """What it once left out anywhere it says in other words."""

    def __init__(self) -> None:
        self.known: dict[int, str] = {}

    def said(self, unit: Unit, tools: CompressionTools) -> str:
        text = unit.items[0].message.text[:9]
        if threading.current_thread() is not threading.main_thread():
            return super().said(unit, tools)
        before, self.known[unit.versions[0]] = self.known.get(unit.versions[0], text), text
        return ("" if before == text else "again ") + super().said(unit, tools)


class KnowsThemByVersion(Right):
    """Versions count from 1 in every session."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, ...], str] = {}

    def said(self, unit: Unit, tools: CompressionTools) -> str:
        text = unit.items[0].message.text
        if text.startswith("ZEBRA"):
            self.known[unit.versions] = text[:10]
        return self.known.get(unit.versions, "") + super().said(unit, tools)


class SharesABuffer(Right):
    target = 0

    def compress(self, units: Any, target: int, tools: Any) -> Any:
        self.target = target
        if threading.current_thread() is not threading.main_thread():
            threading.Event().wait(0.002)  # as one that waits for a lock, or for a file
        return super().compress(units, self.target, tools)


RIGHT = Right
OMNIBUS = {  # every rule at once
    "test_the_law_holds_for_agent_histories",
    "test_the_law_holds_for_large_and_odd_results",
    "test_any_text_is_survived",
    "test_a_long_line_is_survived",
}
_LAW_HOLDS = {name for name in OMNIBUS if "law_holds" in name}
WRONG: list[tuple[Any, set[str]]] = [
    (IsVerbatim, {"test_it_is_a_strategy_with_a_name"}),
    (NeedsUnits, {"test_no_units_give_no_units"}),
    (
        GivesMessages,
        set(laws(CompressionStrategySuite))
        - OMNIBUS
        - {
            "test_it_is_a_strategy_with_a_name",
            "test_no_units_give_no_units",
            "test_nothing_is_changed_where_the_target_is_met",
            "test_nothing_that_is_passed_in_is_changed",
        },
    ),
    (
        NeverTheSame,
        {
            "test_the_same_arguments_give_the_same",
            "test_nothing_is_kept_of_another_conversation",
            "test_it_gives_the_same_from_several_threads",
        },
    ),
    (Scribbles, {"test_nothing_that_is_passed_in_is_changed"}),
    (LosesResults, {"test_calls_and_their_results_stay_together"}),
    (KeepsThinking, {"test_thinking_is_not_edited"}),
    (Explains, {"test_it_never_grows"}),
    (ClaimsNoTokens, {"test_tokens_are_counted_and_not_claimed"}),
    (NeverStops, {"test_nothing_is_changed_where_the_target_is_met"}),
    (DropsTheOldest, {"test_no_version_disappears"}),
    (BestFirst, {"test_order_is_kept"}),
    (SaysNotWhatItIs, {"test_a_changed_unit_says_what_it_is"}),
    (SaysNotWhereItIs, {"test_a_changed_unit_says_what_it_is", *_LAW_HOLDS}),
    (FailsAtSurrogates, {"test_any_text_is_survived"}),
    (FailsAtLength, {"test_a_long_line_is_survived"}),
    (
        LearnsFromAll,
        {
            "test_nothing_is_kept_of_another_conversation",
            "test_the_same_arguments_give_the_same",
        },
    ),
    (KnowsThemByVersion, {"test_no_other_conversation_is_told_of"}),
    (SharesABuffer, {"test_it_gives_the_same_from_several_threads"}),
]
