"""From a function's signature to its schema, and to what validates its arguments."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from ctxplug.errors import InvalidToolError
from ctxplug.tools.arguments import misfit, to_path
from ctxplug.tools.docstrings import read_docstring
from ctxplug.tools.json_schemas import validator

_KEY = re.compile(r"[a-zA-Z0-9_.-]{1,64}\Z")


@dataclass(frozen=True)
class ReadFunction:
    """What a function says of itself: the fields of a Tool."""

    name: str
    description: str
    schema: Mapping[str, Any]
    validate: Callable[[bytes], dict[str, Any]]
    source: str


def read_function(function: Callable[..., Any], name: str | None = None) -> ReadFunction:
    """Read a plain annotated function, sync or async; `name` instead of its own.

    Raises InvalidToolError for a parameter that a model cannot give.
    """
    if not callable(function) or inspect.isclass(function):
        raise InvalidToolError(
            f"A tool is a plain annotated function, not {function!r:.80}.", tool=name or ""
        )
    inner = _inner(function)
    name = str(name or getattr(inner, "__name__", type(function).__name__))
    description, said = read_docstring(inner)
    fields = _fields(function, inner, name, said)
    model = _model(name, fields)
    schema = _schema(model, name)
    validate = _validator(model, name, fields, schema)
    source = f"{inner.__module__}.{inner.__qualname__}"
    return ReadFunction(name, description, schema, validate, source)


def _inner(function: Any) -> Any:
    """Return what carries the docstring and annotations: a partial's function, a __call__."""
    while isinstance(function, functools.partial):
        function = function.func
    if not (inspect.isroutine(function) or inspect.isfunction(function)):
        return type(function).__call__ if not hasattr(function, "__wrapped__") else function
    return function


def _fields(
    function: Any, inner: Any, name: str, said: Mapping[str, str]
) -> dict[str, tuple[str, Any, Any]]:
    """Return, for each parameter, its key in the schema, its type and its default."""
    from pydantic import Field
    from pydantic.fields import FieldInfo

    try:
        hints = get_type_hints(inner, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
    except Exception as exc:  # a name in an annotation that there is not, a builtin
        raise InvalidToolError(
            f"The annotations of the tool {name!r} cannot be read: {exc}. Define the types that"
            " they name at the top of its module.",
            tool=name,
        ) from exc
    fields: dict[str, tuple[str, Any, Any]] = {}
    fixed = function.keywords if isinstance(function, functools.partial) else {}
    for parameter in parameters:
        if parameter.name in fixed:  # what the caller has fixed is not the model's to choose
            continue
        _check_parameter(parameter, hints, name)
        info, metadata = parameter.default, []
        kind = hints[parameter.name]
        if get_origin(kind) is Annotated:
            kind, *metadata = get_args(kind)
        text = next((one for one in metadata if isinstance(one, str)), None)
        given = [one for one in (*metadata, info) if isinstance(one, FieldInfo)]
        described = any(one.description for one in given)
        key = next((one.alias for one in given if one.alias), parameter.name)
        if not isinstance(info, FieldInfo):
            info = Field(default=... if info is parameter.empty else info)
        extra = [one for one in metadata if not isinstance(one, str)]
        description = None if described else text or said.get(parameter.name)
        own = Field(alias=key, description=description) if description else Field(alias=key)
        _check_key(key, name, {other for other, _, _ in fields.values()})
        fields[parameter.name] = (key, _annotated(kind, [*extra, own]), info)
    return fields


def _annotated(kind: Any, metadata: list[Any]) -> Any:
    for one in metadata:
        kind = Annotated[kind, one]
    return kind


def _check_parameter(parameter: inspect.Parameter, hints: Mapping[str, Any], tool: str) -> None:
    fault = ""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        fault = "takes any number of values; name each of them"
    elif parameter.kind is parameter.POSITIONAL_ONLY:
        fault = "can only be given by position; models give arguments by name"
    elif parameter.name not in hints:
        fault = f"has no annotation, so nothing can be validated; write {parameter.name}: str"
    if fault:
        raise InvalidToolError(
            f"The parameter {parameter.name!r} of the tool {tool!r} {fault}.", tool=tool
        )


def _check_key(key: str, tool: str, taken: set[str]) -> None:
    if key in taken:
        raise InvalidToolError(
            f"Two parameters of the tool {tool!r} are named {key!r}; give one another alias.",
            tool=tool,
        )
    if not _KEY.match(key):
        raise InvalidToolError(
            f"The parameter {key!r:.80} of the tool {tool!r} has a name that models do not accept:"
            " 1 to 64 of the letters a-z and A-Z, digits, _, . and -. Keep it in Python and"
            " annotate it with pydantic's Field(alias='...').",
            tool=tool,
        )


def _model(name: str, fields: Mapping[str, tuple[str, Any, Any]]) -> Any:
    """Return a pydantic model of the arguments; its fields are numbered, so none clashes."""
    from pydantic import ConfigDict, create_model

    numbered = {f"p{n}": (kind, default) for n, (_, kind, default) in enumerate(fields.values())}
    try:
        return create_model(
            name,
            __config__=ConfigDict(extra="forbid", strict=True),
            **numbered,  # type: ignore
        )
    except Exception as exc:  # pydantic has no common error for types that it cannot validate
        raise _unfit(name, exc) from exc


def _schema(model: Any, name: str) -> dict[str, Any]:
    from pydantic.json_schema import GenerateJsonSchema

    class Schema(GenerateJsonSchema):
        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

        def field_title_should_be_set(self, schema: Any) -> bool:
            """Leave titles out: they cost tokens and say what the name says."""
            return False

    try:
        schema: dict[str, Any] = model.model_json_schema(schema_generator=Schema)
    except Exception as exc:
        raise _unfit(name, exc) from exc
    schema.pop("title", None)
    schema.pop("description", None)
    for inner in schema.get("$defs", {}).values():
        inner.pop("title", None)
        if inner.get("type") == "object" and "properties" in inner:
            inner.setdefault("additionalProperties", False)
    schema.setdefault("properties", {})
    schema["additionalProperties"] = False
    return schema


def _validator(
    model: Any,
    name: str,
    fields: Mapping[str, tuple[str, Any, Any]],
    schema: Mapping[str, Any],
) -> Callable[[bytes], dict[str, Any]]:
    from pydantic import ValidationError

    inner = schema.get("$defs", {}).values()
    is_open = any("properties" in one and one.get("additionalProperties") for one in inner)
    check_extra = validator(name, schema) if is_open else None  # pydantic closes all or none

    def validate(data: bytes) -> dict[str, Any]:
        if check_extra:
            check_extra(data)
        try:
            extra = None if check_extra else "forbid"
            made = model.model_validate_json(data, strict=True, extra=extra)
        except ValidationError as exc:
            found = exc.errors(include_url=False, include_context=False, include_input=False)
            faults = [(to_path(one["loc"]), str(one["msg"])) for one in found]
            raise misfit(name, faults) from None
        return {key: getattr(made, f"p{n}") for n, key in enumerate(fields)}

    return validate


def _unfit(name: str, exc: Exception) -> InvalidToolError:
    reason = str(exc).partition("\n")[0]
    return InvalidToolError(
        f"The annotations of the tool {name!r} cannot be made into a schema: {reason}", tool=name
    )
