"""Tools that come with a JSON Schema instead of a signature: checked, closed, validated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ctxplug import codec
from ctxplug.errors import InvalidToolError, InvalidValueError
from ctxplug.tools.arguments import misfit, to_path

_COMBINED = ("$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas")


def closed(name: str, schema: Any) -> dict[str, Any]:
    """Return `schema` as one that names all arguments, unless it says otherwise itself."""
    try:
        copy = codec.plain(schema or {}, "schema")
    except InvalidValueError as exc:
        raise InvalidToolError(f"The schema of the tool {name!r}: {exc}", tool=name) from exc
    if not isinstance(copy, dict):
        raise InvalidToolError(
            f"The schema of the tool {name!r} is a JSON Schema of an object, not a"
            f" {type(schema).__name__}.",
            tool=name,
        )
    copy.pop("$schema", None) if copy.get("$schema") is None else None
    copy.setdefault("type", "object")
    copy.setdefault("properties", {})
    if not any(key in copy for key in _COMBINED):
        copy.setdefault("additionalProperties", False)
    return copy


def validator(name: str, schema: Mapping[str, Any]) -> Callable[[bytes], dict[str, Any]]:
    """Return what validates arguments against `schema` and fills in its defaults.

    Raises InvalidToolError if it is no JSON Schema, or refers to what is not in it: nothing
    is ever fetched.
    """
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
    from jsonschema.exceptions import SchemaError, best_match  # type: ignore[import-untyped]
    from jsonschema.validators import validator_for  # type: ignore[import-untyped]
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
    from referencing.exceptions import Unresolvable

    _refuse_remote(name, schema)
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as exc:
        raise InvalidToolError(
            f"The schema of the tool {name!r} is no JSON Schema at {to_path(exc.path)!r}:"
            f" {exc.message:.200}.",
            tool=name,
        ) from None
    checks = kind(_sealed(schema), registry=REGISTRY)

    def validate(data: bytes) -> dict[str, Any]:
        arguments: dict[str, Any] = codec.decode(data)
        try:
            errors = [best_match([error]) or error for error in checks.iter_errors(arguments)]
        except (Unresolvable, RecursionError) as exc:
            raise misfit(name, [("", "their schema refers to nothing")]) from exc
        if errors:
            raise misfit(name, sorted((_path(one), _short(one)) for one in errors))
        _fill(arguments, schema)
        return arguments

    return validate


def _sealed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that refuses what no branch of it names, where it does not say."""
    if "additionalProperties" in schema or "unevaluatedProperties" in schema:
        return dict(schema)
    return {**schema, "unevaluatedProperties": False}


def _refuse_remote(name: str, schema: Mapping[str, Any]) -> None:
    for key, ref in _items(schema):
        if key not in ("$ref", "$dynamicRef") or isinstance(ref, Mapping):
            continue
        if not isinstance(ref, str) or not ref.startswith("#"):
            fault = "outside of itself, and nothing is fetched"
        elif ref.startswith("#/") and not _leads(schema, ref):
            fault = "where it has nothing"
        else:
            continue
        raise InvalidToolError(
            f"The schema of the tool {name!r} refers to {ref!r:.100}, {fault}; put it under $defs"
            " and refer to '#/$defs/...'.",
            tool=name,
        )


def _items(schema: Any) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of a schema, on all its levels."""
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            yield key, value
            yield from _items(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _items(value)


def _leads(schema: Any, ref: str) -> bool:
    """Say whether a reference within the schema leads somewhere."""
    for step in unquote(ref).split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, list) and key.isdecimal() and int(key) < len(schema):
            schema = schema[int(key)]
        elif isinstance(schema, Mapping) and key in schema:
            schema = schema[key]
        else:
            return False
    return True


def _path(error: Any) -> str:
    """Return the field that is wrong: the one that is too much or missing, too."""
    path = list(error.absolute_path)
    if error.validator == "required" and isinstance(error.instance, dict):
        missing = [key for key in error.validator_value if key not in error.instance]
        path += missing[:1]
    elif error.validator in ("additionalProperties", "unevaluatedProperties"):
        held = [value for key, value in _items(error.schema) if key == "properties"]
        known = {key for value in held if isinstance(value, Mapping) for key in value}
        path += [key for key in error.instance if key not in known][:1]
    return to_path(path)


def _short(error: Any) -> str:
    """Return what is wrong without the value, which may be long or secret."""
    wanted = error.validator_value
    words = {
        "type": f"a value of type {wanted} is wanted",
        "required": "it is missing",
        "additionalProperties": "there is no such argument",
        "unevaluatedProperties": "there is no such argument",
        "enum": f"one of {wanted} is wanted",
        "const": f"{wanted!r} is wanted",
    }
    return f"{words.get(error.validator, f'{error.validator} {wanted} does not hold'):.200}"


def _fill(arguments: dict[str, Any], schema: Mapping[str, Any]) -> None:
    """Put the defaults of a schema where nothing was given."""
    properties = schema.get("properties")
    for key, inner in (properties or {}).items():
        if not isinstance(inner, Mapping):
            continue
        if key not in arguments and "default" in inner:
            arguments[key] = codec.plain(inner["default"])
        if isinstance(arguments.get(key), dict):
            _fill(arguments[key], inner)
