"""The strategy "shape-tool-results": first without loss, then to a limit.

Best used at birth, before a result is first sent: it then costs no cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from ctxplug.compression import table_form
from ctxplug.compression.cutting import cut
from ctxplug.compression.json_values import Value, parse, write
from ctxplug.compression.line_folding import fold, unfold
from ctxplug.compression.result_values import see
from ctxplug.compression.strategy import VERBATIM, CompressionTools, Unit
from ctxplug.compression.table_reading import read
from ctxplug.compression.tool_results import oldest_first, replace_texts
from ctxplug.tokens import TokenCounter

LIMIT_TOKENS = 2_000
TABLE_GAIN = 0.9  # JSON is plainer to read: table form must be this much shorter


class ShapeToolResults:
    """Write tool results shorter: minified or tabular JSON, repeated lines once, then a cap.

    `limit_tokens` is the most that one text of a result may take; what is beyond it is cut
    to head, tail and what stands out. Only verbatim units are changed.
    """

    name = "shape-tool-results"

    def __init__(self, limit_tokens: int = LIMIT_TOKENS) -> None:
        self.limit_tokens = limit_tokens

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> tuple[Unit, ...]:
        """Shape the results of `units`, oldest first, until they take `target` tokens."""
        return oldest_first(units, target, lambda unit: self._shaped(unit, tools))

    def _shaped(self, unit: Unit, tools: CompressionTools) -> Unit:
        if unit.form != VERBATIM:
            return unit
        ref = tools.ref(unit)
        return replace_texts(
            unit,
            self.name,
            lambda text: shape(text, self.limit_tokens, tools.counter, ref),
            tools.counter,
        )


def shape(text: str, limit_tokens: int, counter: TokenCounter, ref: str) -> str | None:
    """Return a tool result's `text` in fewer tokens, or None to leave it as it is.

    Lossless while that is enough: JSON minified or in table form (`table_form`), or
    repeated lines written once (`line_folding`), each only if it reads back to the same.
    What then takes more than `limit_tokens` is cut (`cutting`). The last line names
    `ref`, where the original is.
    """
    before = counter.count_text(text)
    note = f"\n{see(ref)}"
    shorter = _lossless(text, counter)
    room = max(limit_tokens - counter.count_text(note), 0)
    shaped = cut(shorter, room, counter) + note
    return shaped if counter.count_text(shaped) < before else None


def _lossless(text: str, counter: TokenCounter) -> str:
    try:
        value = parse(text)
    except ValueError:
        return _lines(text)
    if not isinstance(value, dict | list):
        return text
    plain, table = write(value), _table(value)
    if table and counter.count_text(table) < counter.count_text(plain) * TABLE_GAIN:
        return table
    return plain


def _table(value: Value) -> str:
    """Return table form, or "" should it not read back to the same value."""
    table = table_form.write(value)
    try:
        return table if read(table) == value else ""
    except ValueError:
        return ""


def _lines(text: str) -> str:
    """Return JSON lines as a table, other lines with repetitions folded."""
    try:
        values: list[Value] = [parse(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        folded = fold(text)
        return folded if unfold(folded) == text else text
    return _table(values) or text
