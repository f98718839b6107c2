"""Tool: one thing an agent can do, with the schema that a model sees."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeAlias

from ctxplug import codec
from ctxplug.errors import InvalidToolError, InvalidValueError
from ctxplug.tools.arguments import check_size

Validate: TypeAlias = Callable[[bytes], dict[str, Any]]
Isolation: TypeAlias = Literal["thread", "process"]

MAX_DESCRIPTION = 16_384  # characters
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")


@dataclass(frozen=True)
class Tool:
    """A function with a name, a description and a JSON Schema of its arguments.

    `function`, sync or async, is called as `function(**tool.validated(arguments))`.
    `version` is recorded with every run. Only what is `idempotent` is ever tried again
    after a failure; what has no `side_effects` is allowed without a rule. `timeout` is in
    seconds, the policy's where it is None; a sync function with isolation "process" runs
    in a process that is killed when its time is up. `source` says where the tool is from.
    Make one with `Tool.of` or `Tool.from_schema`.

    The law of `function`: it answers every call whose arguments fit, with what a model can
    read; it changes none of them, and keeps nothing of one user's call for another's; it is
    called from any thread, or ends where it is cancelled if it is async.
    """

    name: str
    description: str
    function: Callable[..., Any]
    schema: Mapping[str, Any]
    version: str = "1"
    idempotent: bool = False
    side_effects: bool = True
    timeout: float | None = None
    isolation: Isolation = "thread"
    source: str = "the application"
    validate: Validate | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.match(self.name):
            raise InvalidToolError(
                f"{self.name!r:.100} cannot be the name of a tool: models accept 1 to 64 of the"
                " letters a-z and A-Z, digits, _ and -. Give one with name=.",
                tool=str(self.name),
            )
        self._check_texts()
        if self.isolation not in ("thread", "process"):
            raise self._invalid(f'isolation is "thread" or "process", not {self.isolation!r}')
        if self.timeout is not None and not _is_seconds(self.timeout):
            raise self._invalid(f"timeout is seconds above zero, or None, not {self.timeout!r}")
        try:
            schema = codec.plain(self.schema, "schema")
        except InvalidValueError as exc:
            raise self._invalid(f"its schema is not JSON: {exc}") from exc
        if not isinstance(schema, dict) or schema.get("type", "object") != "object":
            raise self._invalid("its schema describes an object: the arguments by name")
        object.__setattr__(self, "schema", schema)
        if self.validate is None:
            from ctxplug.tools.json_schemas import validator

            object.__setattr__(self, "validate", validator(self.name, schema))

    @classmethod
    def of(cls, function: Callable[..., Any], **overrides: Any) -> Tool:
        """Return the tool that a plain annotated function is.

        Its name, parameters and docstring are what the model sees; a parameter is described
        by the docstring or by `Annotated[str, "..."]`. `overrides` are fields of Tool.
        Raises InvalidToolError for a parameter that no model could give.
        """
        from ctxplug.tools.signatures import read_function

        name = overrides.pop("name", None)
        read = read_function(function, name)
        fields: dict[str, Any] = {
            "name": read.name,
            "description": read.description,
            "schema": read.schema,
            "validate": read.validate,
            "source": read.source,
        }
        if "schema" in overrides:
            del fields["validate"]
        return _made(cls, {"function": function} | fields | overrides)

    @classmethod
    def from_schema(
        cls,
        name: str,
        description: str,
        schema: Mapping[str, Any],
        call: Callable[..., Any],
        **overrides: Any,
    ) -> Tool:
        """Return a tool whose arguments a JSON Schema describes, such as one of an MCP server.

        `schema` is MCP's `inputSchema`, Anthropic's `input_schema` or OpenAI's `parameters`;
        `call` gets the arguments as keywords. Arguments that it does not name are refused
        unless it says `additionalProperties` itself. Raises InvalidToolError if it is none.
        """
        from ctxplug.tools.json_schemas import closed

        fields = {
            "name": name,
            "description": description or "",
            "function": call,
            "schema": closed(name, schema),
        }
        return _made(cls, fields | overrides)

    def validated(self, arguments: Mapping[str, Any] | str) -> dict[str, Any]:
        """Return `arguments`, a mapping or JSON text, as the function is to be called.

        Types are strict ("3" is no number), what the tool does not name is refused, defaults
        are filled in. Raises ToolArgumentsError naming each field that does not fit.
        """
        assert self.validate is not None
        return self.validate(check_size(self.name, arguments))

    def to_anthropic(self) -> dict[str, Any]:
        """Return the tool as Anthropic's Messages API takes it."""
        schema = codec.plain(self.schema)
        return {"name": self.name, "description": self.description, "input_schema": schema}

    def to_openai(self) -> dict[str, Any]:
        """Return the tool as OpenAI's Chat Completions API takes it."""
        schema = codec.plain(self.schema)
        function = {"name": self.name, "description": self.description, "parameters": schema}
        return {"type": "function", "function": function}

    def as_function(self) -> Callable[..., Any]:
        """Return the tool as a plain function, for what takes those: it validates, then calls.

        It has the tool's name and description, the JSON Schema as `schema`, and is async where
        the tool is.
        """

        def call(**arguments: Any) -> Any:
            return self.function(**self.validated(arguments))

        async def acall(**arguments: Any) -> Any:
            return await self.function(**self.validated(arguments))

        called = getattr(type(self.function), "__call__")  # noqa: B004, B009  # of an object
        is_async = any(map(inspect.iscoroutinefunction, (self.function, called)))
        function: Any = acall if is_async else call
        function.__name__ = function.__qualname__ = self.name
        function.__doc__ = self.description
        function.schema = codec.plain(self.schema)
        return function  # type: ignore[no-any-return]

    def evolve(self, **changes: Any) -> Tool:
        """Return the tool with some fields changed; a new `schema` is checked anew."""
        if "schema" in changes:
            changes.setdefault("validate", None)
        return _made(partial(replace, self), changes)

    def _check_texts(self) -> None:
        for name in ("description", "version", "source"):
            if not isinstance(getattr(self, name), str):
                raise self._invalid(f"its {name} is text, not {getattr(self, name)!r:.60}")
        if len(self.description) > MAX_DESCRIPTION:
            raise self._invalid(
                f"its description has {len(self.description)} characters, more than"
                f" {MAX_DESCRIPTION}; every request carries it"
            )
        if not self.version:
            raise self._invalid("its version is empty")
        if not callable(self.function):
            raise self._invalid(f"its function cannot be called: {self.function!r:.60}")

    def _invalid(self, what: str) -> InvalidToolError:
        return InvalidToolError(f"The tool {self.name!r} cannot be: {what}.", tool=self.name)


def _made(make: Callable[..., Tool], fields: Mapping[str, Any]) -> Tool:
    try:
        return make(**fields)
    except TypeError as exc:
        raise InvalidToolError(
            f"A tool has no such field, or not of this kind: {exc}.",
            tool=str(fields.get("name", "")),
        ) from exc


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9
