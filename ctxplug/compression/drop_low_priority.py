"""The strategy "drop-low-priority": leave out what matters least, and say so.

Units of priority low go first, then the lowest score, then the oldest. Priority high, and
what other strategies made of many units, never goes. One unit stands for all that was left
out, where the first of it stood, with the references by which it is found again.
"""

from __future__ import annotations

from collections.abc import Sequence

from ctxplug.compression.block import one_line
from ctxplug.compression.strategy import CompressionTools, Unit, merged, total

MOST_RANGES = 12  # references that are written out; the others lie inside the whole range


class DropLowPriority:
    """Leave out whole units until the target is met."""

    name = "drop-low-priority"

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> tuple[Unit, ...]:
        """Return `units` without the least important; see the law (strategy.py)."""
        if total(units) <= target:
            return tuple(units)
        before = {i for i, unit in enumerate(units) if unit.form == self.name}
        order = sorted(
            (i for i, unit in enumerate(units) if i not in before and _may_go(unit)),
            key=lambda i: (units[i].priority != "low", units[i].score, i),
        )
        best = tuple(units)
        gone, count, step = set(before), 0, 1
        excess = total(units) - target
        while count < len(order):
            while count < len(order) and (excess > 0 or step):
                gone.add(order[count])
                excess -= units[order[count]].tokens
                count, step = count + 1, 0
            result = _without(units, gone, tools)
            if total(result) < total(best):
                best = result
            if total(result) <= target:
                break
            excess, step = total(result) - target, 1
        return best


def _may_go(unit: Unit) -> bool:
    merger = len(unit.versions) > 1 and bool(unit.sources) and len(unit.items) == 1
    return unit.priority != "high" and not merger


def _without(units: Sequence[Unit], gone: set[int], tools: CompressionTools) -> tuple[Unit, ...]:
    dropped = [units[i] for i in sorted(gone)]
    whole = merged(dropped, DropLowPriority.name, "", tools.counter)
    name, counter = DropLowPriority.name, tools.counter
    ranges = [tools.ref(merged(run, name, "", counter)) for run in _runs(units, gone)]
    ref = tools.ref(whole)
    listed = ", ".join(ranges[:MOST_RANGES])
    if len(ranges) > MOST_RANGES:
        listed += f" and {len(ranges) - MOST_RANGES} more between"
    text = f"[{len(whole.versions)} less important messages were left out here: {listed}"
    text += "]" if ranges == [ref] else f"; all within {ref}]"
    note = merged(dropped, DropLowPriority.name, one_line(text), tools.counter)
    first = min(gone)
    kept = (i for i in range(len(units)) if i == first or i not in gone)
    return tuple(note if i == first else units[i] for i in kept)


def _runs(units: Sequence[Unit], gone: set[int]) -> list[list[Unit]]:
    """Return the units that go, neighbours together."""
    runs: list[list[Unit]] = []
    last = -2
    for i in sorted(gone):
        if i == last + 1:
            runs[-1].append(units[i])
        else:
            runs.append([units[i]])
        last = i
    return runs
