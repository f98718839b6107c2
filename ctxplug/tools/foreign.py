"""Tools of other frameworks as plain annotated functions: what every adapter needs for it."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import keyword
import operator
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from types import NoneType
from typing import Annotated, Any, Literal

from ctxplug.hookspecs import Register, hookimpl

EMPTY = inspect.Parameter.empty
_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": NoneType,
}


class FunctionsPlugin:
    """A plugin that registers functions as tools, each under its own name."""

    def __init__(self, functions: Iterable[Callable[..., Any]]) -> None:
        self._functions = {function.__name__: function for function in functions}

    @hookimpl
    def register_tools(self, register: Register) -> None:
        """Offer the functions."""
        for name, function in self._functions.items():
            register(name, lambda function=function: function)


def waited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end, on a thread of its own where a loop is running here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1, thread_name_prefix="ctxplug-tool") as pool:
        return pool.submit(copy_context().run, asyncio.run, coroutine).result()


def plain_function(
    name: str,
    description: str,
    schema: Mapping[str, Any],
    *,
    call: Callable[[dict[str, Any]], Any],
    acall: Callable[[dict[str, Any]], Awaitable[Any]] | None = None,
    model: type[Any] | None = None,
) -> Callable[..., Any]:
    """Return a function with the signature, annotations and docstring that `schema` describes.

    It calls `call` with the arguments under the names of the schema; with `acall` it is async
    and awaits that instead. `model` is the pydantic model of the arguments, where there is
    one: its annotations say more than the schema. The function has the schema as `schema`.
    """
    taken = _parameters(schema, model)
    signature = inspect.Signature(list(taken.values()), return_annotation=str)

    def plain(*args: Any, **given: Any) -> Any:
        return call(_arguments(signature, taken, args, given))

    async def aplain(*args: Any, **given: Any) -> Any:
        assert acall is not None  # or the other one is returned
        return await acall(_arguments(signature, taken, args, given))

    function: Any = plain if acall is None else aplain
    function.__name__ = function.__qualname__ = name
    function.__doc__ = _docstring(description, schema, taken)
    function.__signature__ = signature
    hints = {parameter.name: parameter.annotation for parameter in taken.values()}
    function.__annotations__ = {**hints, "return": str}
    function.schema = schema
    return function  # type: ignore[no-any-return]


def _parameters(schema: Mapping[str, Any], model: type[Any] | None) -> dict[str, inspect.Parameter]:
    """Return the parameters by their names in the schema, those without a default first."""
    required = set(schema.get("required", ()))
    found: dict[str, inspect.Parameter] = {}
    for name, said in schema.get("properties", {}).items():
        default: Any = EMPTY if name in required else copy.deepcopy(said.get("default"))
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        hint = _hint(name, said, model)
        found[name] = inspect.Parameter(_identifier(name), kind, default=default, annotation=hint)
    return dict(sorted(found.items(), key=lambda item: item[1].default is not EMPTY))


def _arguments(
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


def _docstring(
    description: str, schema: Mapping[str, Any], taken: Mapping[str, inspect.Parameter]
) -> str:
    """Return the description, and what the schema says of each argument."""
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


def _hint(name: str, said: Mapping[str, Any], model: type[Any] | None) -> Any:
    """Return the annotation of an argument, with its description where it has one."""
    field = getattr(model, "model_fields", {}).get(name)
    hint = None if field is None else field.annotation
    hint = _type(said) if hint is None else hint
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
