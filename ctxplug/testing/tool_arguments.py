"""Example arguments for a tool, made from its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXTS = {
    "date": "2024-05-15",
    "date-time": "2024-05-15T08:40:00Z",
    "time": "08:40:00Z",
    "duration": "P1D",
    "email": "ann@example.org",
    "uri": "https://example.org/a",
    "uuid": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "ipv4": "192.0.2.1",
}


def examples_of(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return arguments that fit `schema`: what is required alone, and everything in Chinese.

    What only a `pattern` or another keyword says is not looked at, so they may not fit.
    """
    least = _object(schema, schema, "Lisbon", every=False)
    most = _object(schema, schema, "里斯本", every=True)
    return [least] if least == most else [least, most]


def with_text(value: Any, text: str) -> Any:
    """Return JSON with every text in it replaced by `text`; keys stay."""
    if isinstance(value, str):
        return text
    if isinstance(value, Mapping):
        return {key: with_text(item, text) for key, item in value.items()}
    return [with_text(item, text) for item in value] if isinstance(value, list) else value


def _object(
    schema: Mapping[str, Any], root: Mapping[str, Any], word: str, *, every: bool
) -> dict[str, Any]:
    wanted = schema.get("properties", {})
    required = schema.get("required", ())
    return {
        key: _value(inner, root, word, every)
        for key, inner in wanted.items()
        if every or key in required
    }


def _value(schema: Any, root: Mapping[str, Any], word: str, every: bool) -> Any:
    if not isinstance(schema, Mapping):
        return word
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return _value(root.get("$defs", {}).get(name, {}), root, word, every)
    for key in ("enum", "examples"):
        if schema.get(key):
            return schema[key][0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    choices = [one for key in ("anyOf", "oneOf", "allOf") for one in schema.get(key, ())]
    for choice in choices:
        if choice.get("type") != "null":
            return _value(choice, root, word, every)
    return _of_type(schema, root, word, every)


def _of_type(schema: Mapping[str, Any], root: Mapping[str, Any], word: str, every: bool) -> Any:
    kinds = schema.get("type", "string")
    kind = next((k for k in kinds if k != "null"), "null") if isinstance(kinds, list) else kinds
    if kind == "object":
        return _object(schema, root, word, every=every)
    if kind == "array":
        inner = schema.get("items", {"type": "string"})
        return [_value(inner, root, word, every) for _ in range(schema.get("minItems", 1))]
    if kind in ("integer", "number"):
        return _number(schema)
    if kind == "boolean":
        return every
    return None if kind == "null" else _text(schema, word)


def _number(schema: Mapping[str, Any]) -> Any:
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    least = schema.get("minimum", 1 if above is None else above + 1)
    most = schema.get("maximum", least if below is None else below - 1)
    return min(max(least, 1), most) if most >= least else least


def _text(schema: Mapping[str, Any], word: str) -> str:
    text: str = _TEXTS.get(schema.get("format", ""), word)
    text += "." * (schema.get("minLength", 0) - len(text))
    most: int = schema.get("maxLength", len(text))
    return text[:most]
