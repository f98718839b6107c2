"""The schema of a tool from the signature and docstring of a function."""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

from llama_index.core.workflow import Context
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from ctxplug.errors import InvalidValueError

EMPTY = inspect.Parameter.empty
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_ARGS = re.compile(r"^Args:\s*$", re.MULTILINE)
_SECTION = re.compile(r"^\S[^\n]*:\s*$", re.MULTILINE)
_ARGUMENT = re.compile(r"^\s+\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


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
