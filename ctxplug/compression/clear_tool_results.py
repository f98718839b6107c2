"""The strategy "clear-tool-results": a result gives way to the facts that later steps use.

Structure is flattened, keys are written once a table, long prose is reduced to its
identifiers, numbers, dates and names, and what the call itself says is not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ctxplug import codec
from ctxplug.compression.cutting import cut
from ctxplug.compression.facts import facts
from ctxplug.compression.json_values import Number, Value, leaves
from ctxplug.compression.outline import outline
from ctxplug.compression.result_values import found_value, see
from ctxplug.compression.strategy import CompressionTools, Unit
from ctxplug.compression.tool_results import oldest_first, replace_results
from ctxplug.messages import ImagePart, OpaquePart, TextPart, ToolResultPart
from ctxplug.tokens import TokenCounter

LIMIT_TOKENS = 1_000
SHORT = 48  # characters of a leaf that is kept as it is
LONG_WORD = 200  # characters of a leaf without white space that is kept, such as a URL
ERROR_HEAD = 300  # characters of an error that are kept as they are
OPAQUE_TOKENS = 200
STUBS = frozenset({"clear-tool-results", "dedupe"})
_NOTHING = frozenset("no none n/a null nil - false 0 无 否 暂无".split()) | {""}  # noqa: SIM905


class ClearToolResults:
    """Replace the content of tool results by stubs with their facts, oldest first.

    `limit_tokens` is the most that one stub takes. Ids, names and `is_error` stay. An
    image or an opaque part gives way to a note. A result too small to gain is left.
    """

    name = "clear-tool-results"

    def __init__(self, limit_tokens: int = LIMIT_TOKENS) -> None:
        self.limit_tokens = limit_tokens

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> tuple[Unit, ...]:
        """Clear the results of `units`, oldest first, until they take `target` tokens."""
        return oldest_first(units, target, lambda unit: self._cleared(unit, tools))

    def _cleared(self, unit: Unit, tools: CompressionTools) -> Unit:
        if unit.form in STUBS:
            return unit
        calls = {c.id: c.arguments for item in unit.items for c in item.message.tool_calls}
        note = see(tools.ref(unit))

        def clear(result: ToolResultPart) -> ToolResultPart | None:
            known = calls.get(result.call_id, {})
            return _cleared(result, known, self.limit_tokens, tools.counter, note)

        return replace_results(unit, self.name, clear, tools.counter)


def _cleared(
    result: ToolResultPart,
    known: Mapping[str, Any],
    limit: int,
    counter: TokenCounter,
    note: str,
) -> ToolResultPart:
    lines: list[str] = []
    extra: dict[str, Any] = {}
    for part in result.content:
        if isinstance(part, TextPart):
            lines.append(stub(part.text, known, limit, counter, error=result.is_error))
            extra.update(part.extra)
        elif isinstance(part, ImagePart):
            lines.append(f"[image left out{_link(part.url)}]")
            extra.update(part.extra)
        else:
            lines.append(_opaque(part, counter))
    text = "\n".join([*filter(None, lines), note])
    return replace(result, content=(TextPart(text, extra),))


def stub(
    text: str,
    known: Mapping[str, Any],
    limit_tokens: int,
    counter: TokenCounter,
    *,
    error: bool = False,
) -> str:
    """Return the facts of a result's `text` in at most `limit_tokens`.

    `known` are the arguments of its call: a key with the same value is not repeated.
    An error keeps its beginning. Deterministic; any text is accepted.
    """
    found = found_value(text)
    if found is None:
        kept = text if len(text) <= (ERROR_HEAD if error else SHORT) else facts(text)
        if error and kept != text:
            kept = f"{text[:ERROR_HEAD]}\n{facts(text[ERROR_HEAD:])}"
        return cut(kept, limit_tokens, counter)
    before, value = found
    lines = [facts(before)]
    reduced = reduce(without(value, known))
    if reduced is not None:
        lines.append(outline(reduced))
    kept = "\n".join(filter(None, lines))
    if counter.count_text(kept) > limit_tokens:
        lines[1:] = [outline(_identifying(reduced))]
        kept = "\n".join(filter(None, lines))
    return cut(kept, limit_tokens, counter)


def without(value: Value, known: Mapping[str, Any]) -> Value:
    """Return `value` without the entries that the call's arguments say already.

    Only at the top, and in a list of objects where every one of them says the same.
    """
    scalars = {k: v for k, v in known.items() if isinstance(v, str | int | float)}
    said = {(k, str(v)) for k, v in scalars.items() if not isinstance(v, bool)}
    if isinstance(value, dict):
        return {k: v for k, v in value.items() if (k, _as_text(v)) not in said}
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        rows: list[dict[str, Value]] = value  # type: ignore[assignment]
        common = {k for k, v in said if all(k in r and _as_text(r[k]) == v for r in rows)}
        return [{k: v for k, v in row.items() if k not in common} for row in rows]
    return value


def reduce(value: Value) -> Value:
    """Return `value` with prose reduced to its facts and without what says "nothing".

    None if nothing is left.
    """
    if isinstance(value, dict):
        pairs = ((key, reduce(_unsaid(key, item))) for key, item in value.items())
        return {key: item for key, item in pairs if item is not None} or None
    if isinstance(value, list):
        return [item for item in map(reduce, value) if item is not None] or None
    if value is False or (isinstance(value, Number) and not value.text.strip("-0.")):
        return None
    if isinstance(value, str):
        text = value.strip()
        if text.casefold() in _NOTHING:
            return None
        whole = len(text) <= SHORT or (len(text) <= LONG_WORD and not re.search(r"\s", text))
        return text if whole else facts(text) or None
    return value


def _unsaid(key: str, value: Value) -> Value:
    """Return an object without the texts that its own key holds, such as its id."""
    if not isinstance(value, dict):
        return value
    return {k: v for k, v in value.items() if not (isinstance(v, str) and v and v in key)}


def _identifying(value: Value) -> Value:
    """Return `value` without flags, numbers of few digits and words that recur."""
    often: dict[str, int] = {}
    for _, leaf in leaves(value):
        if isinstance(leaf, str):
            often[leaf] = often.get(leaf, 0) + 1
    recurring = {text for text, n in often.items() if n > 2 and text.isalpha()}
    return _kept(value, recurring)


def _kept(value: Value, recurring: set[str]) -> Value:
    if isinstance(value, dict):
        pairs = ((key, _kept(item, recurring)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not None} or None
    if isinstance(value, list):
        return [i for i in (_kept(item, recurring) for item in value) if i is not None] or None
    if isinstance(value, Number):
        return value if sum(map(str.isdigit, value.text)) > 3 else None
    return value if isinstance(value, str) and value not in recurring else None


def _as_text(value: Value) -> str | None:
    if isinstance(value, Number):
        return value.text
    return value if isinstance(value, str) else None


def _link(url: str | None) -> str:
    """Return an address to show: one that holds the image itself is left out with it."""
    return f": {url}" if url and url.startswith("http") and len(url) <= LONG_WORD else ""


def _opaque(part: OpaquePart, counter: TokenCounter) -> str:
    kind = part.data.get("type")
    name = f"{part.provider} {kind}" if isinstance(kind, str) else part.provider
    rest = {key: value for key, value in part.data.items() if key != "type"}
    data = codec.encode(rest).decode("utf-8", "replace")
    return f"[{name[:60]} left out] {stub(data, {}, OPAQUE_TOKENS, counter)}".rstrip()
