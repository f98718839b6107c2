"""Schemas of tools, both ways: from a signature to pydantic, from JSON schema to a signature."""

from __future__ import annotations

import copy
import functools
import inspect
import keyword
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from llama_index.core.workflow import Context
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from ctxplug.errors import InvalidValueError

EMPTY = inspect.Parameter.empty
_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": NoneType,
}
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_ARGS = re.compile(r"^Args:\s*$", re.MULTILINE)
_SECTION = re.compile(r"^\S[^\n]*:\s*$", re.MULTILINE)
_ARGUMENT = re.compile(r"^\s+\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


# -- from a function ---------------------------------------------------------------------


def split_docstring(doc: str) -> tuple[str, dict[str, str]]:
    """Return what a docstring says of the function, and what its `Args:` say of each argument."""
    head = _ARGS.search(doc)
    if not head:
        return doc.strip(), {}
    after = doc[head.end() :]
    end = _SECTION.search(after)
    rest = after[end.start() :] if end else ""
    said: dict[str, str] = {}
    name = ""
    for line in (after[: end.start()] if end else after).splitlines():
        match = _ARGUMENT.match(line)
        if match:
            name = match[1]
            said[name] = match[2].strip()
        elif name and line.strip():
            said[name] = f"{said[name]} {line.strip()}".strip()
    return "\n\n".join(part for part in (doc[: head.start()].strip(), rest.strip()) if part), said


def schema_model(
    function: Callable[..., Any], name: str, said: Mapping[str, str]
) -> type[BaseModel]:
    """Return the pydantic model of a function's arguments; of its `schema` where it has one."""
    schema = getattr(function, "schema", None)
    if isinstance(schema, dict):
        return _given_schema(schema, name)
    fields: dict[str, Any] = {}
    for place, parameter in enumerate(_parameters(function, name)):
        hint, text = _described(parameter, said)
        default = ... if parameter.default is EMPTY else parameter.default
        if isinstance(default, FieldInfo):
            info: Any = default
        elif isinstance(default, list | dict | set):
            info = Field(default_factory=functools.partial(copy.deepcopy, default))
        else:
            info = Field(default)
        if text and not info.description:
            info = FieldInfo.merge_field_infos(info, description=text)
        safe = parameter.name
        if safe.startswith("_") or hasattr(BaseModel, safe):  # a name that pydantic has taken
            names = dict.fromkeys(("alias", "validation_alias", "serialization_alias"), safe)
            safe, info = f"argument_{place}", FieldInfo.merge_field_infos(info, **names)
        fields[safe] = (hint, info)
    config = ConfigDict(arbitrary_types_allowed=True, protected_namespaces=())
    made: type[BaseModel] = create_model(name, __config__=config, **fields)
    return made


def _parameters(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    """Return what a model gives a function, its annotations resolved."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError as exc:
        raise InvalidValueError(
            f"The tool {name!r} has an annotation that cannot be resolved: {exc}. Import what it"
            " names where the function is defined.",
            path=name,
        ) from exc
    found = [one for one in signature.parameters.values() if one.kind not in _VARIADIC]
    for one in found:
        if one.annotation is Context or get_origin(one.annotation) is Context:
            raise InvalidValueError(
                f"The tool {name!r} takes {one.name!r} from a LlamaIndex run already; make it one"
                " with FunctionTool.from_defaults.",
                path=one.name,
            )
    return found


def _described(parameter: inspect.Parameter, said: Mapping[str, str]) -> tuple[Any, str]:
    """Return the type of a parameter, and what is said of it."""
    hint = Any if parameter.annotation is EMPTY else parameter.annotation
    text = said.get(parameter.name, "")
    if get_origin(hint) is Annotated:
        texts = [one for one in get_args(hint)[1:] if isinstance(one, str)]
        text = texts[0] if texts else text
    return hint, text


def _given_schema(schema: dict[str, Any], name: str) -> type[BaseModel]:
    """Return a model whose JSON schema is this one, and which takes anything."""

    class Given(BaseModel):
        model_config = ConfigDict(extra="allow")

        @classmethod
        def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
            return copy.deepcopy(schema)

    Given.__name__ = Given.__qualname__ = name
    return Given


# -- to a function -----------------------------------------------------------------------


def as_parameters(
    schema: Mapping[str, Any], model: type[BaseModel] | None
) -> dict[str, inspect.Parameter]:
    """Return the parameters by what the schema names them, those without a default first."""
    required = set(schema.get("required", ()))
    found: dict[str, inspect.Parameter] = {}
    for name, said in schema.get("properties", {}).items():
        default: Any = EMPTY if name in required else copy.deepcopy(said.get("default"))
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        hint = _hint(name, said, model)
        found[name] = inspect.Parameter(_identifier(name), kind, default=default, annotation=hint)
    in_order = sorted(found.items(), key=lambda item: item[1].default is not EMPTY)
    return dict(in_order)


def arguments_of(
    signature: inspect.Signature,
    taken: Mapping[str, inspect.Parameter],
    args: Sequence[Any],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what was given, by the names of the schema; raise TypeError for what does not fit."""
    ours = {name: parameter.name for name, parameter in taken.items()}
    bound = signature.bind(*args, **{ours.get(name, name): value for name, value in given.items()})
    theirs = {own: name for name, own in ours.items()}
    return {theirs[own]: value for own, value in bound.arguments.items()}


def with_arguments(
    description: str, schema: Mapping[str, Any], taken: Mapping[str, inspect.Parameter]
) -> str:
    """Return a docstring: the description, and what the schema says of each argument."""
    said = {
        parameter.name: schema["properties"][name].get("description")
        for name, parameter in taken.items()
    }
    lines = [f"    {name}: {' '.join(text.split())}" for name, text in said.items() if text]
    if not lines or "Args:" in description:
        return description
    return "\n".join([description.rstrip(), "", "Args:", *lines])


def _identifier(name: str) -> str:
    """Return `name` as Python can take it, such as "from_" for "from"."""
    made = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    made = f"_{made}" if made[:1].isdigit() or not made else made
    return f"{made}_" if keyword.iskeyword(made) else made


def _hint(name: str, said: Mapping[str, Any], model: type[BaseModel] | None) -> Any:
    """Return the annotation of an argument, with its description where it has one."""
    field = getattr(model, "model_fields", {}).get(name)
    hint = _type(said) if field is None else field.annotation
    text = said.get("description")
    return Annotated[hint, text] if isinstance(text, str) and text else hint


def _type(said: Mapping[str, Any]) -> Any:
    """Return the Python type that a JSON schema describes; Any where there is none."""
    if said.get("enum"):
        return Literal[tuple(said["enum"])]
    for key in ("anyOf", "oneOf"):
        if said.get(key):
            return functools.reduce(operator.or_, [_type(one) for one in said[key]])
    kind = said.get("type")
    if isinstance(kind, list):
        return functools.reduce(operator.or_, [_type({**said, "type": one}) for one in kind])
    if kind == "array":
        return list[_type(said.get("items") or {})]  # type: ignore[misc]
    if kind == "object":
        return dict[str, Any]
    return _TYPES.get(str(kind), Any)
