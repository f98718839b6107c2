"""Setting: one name with its type, default and meaning, and how a value becomes one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from ctxplug.errors import InvalidValueError

__all__ = ["NONE", "PREFIX", "Setting"]

PREFIX = "CTXPLUG_"
NONE = "none"  # how a text says that an optional setting has no value
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_SERVICE = re.compile(r"(?:tcp|udp)://")  # what Kubernetes says of a service of that name
_SECRETS = re.compile(
    r"(?<=://)([^/\s:@]*):[^/\s@]+(?=@)|(?<=[?&])(\w*(?:key|token|secret|password|pwd)\w*)=[^&\s]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: `name` is its place in the file, such as "server.port"; `type` an annotation.

    `reaches` says of a value that it lets others in, sends what is said elsewhere, or loads what
    may be code: no file that merely lies in the current folder may say it.
    """

    name: str
    type: Any
    default: Any
    meaning: str
    reaches: Callable[[Any], bool] | None = None

    @property
    def group(self) -> str:
        """The table of the file that it stands in; "" for the top."""
        return self.name.rpartition(".")[0]

    @property
    def variable(self) -> str:
        """The environment variable of it."""
        return PREFIX + self.name.replace(".", "_").upper()

    @property
    def optional(self) -> bool:
        """Whether it may have no value."""
        return type(None) in get_args(self.type)

    def converted(self, value: Any, where: str) -> Any:
        """Return `value`, of a file or a variable, in the setting's type.

        Raises InvalidValueError that names `where` it stands, the value and what to do.
        """
        from pydantic import TypeAdapter, ValidationError

        if self.optional and isinstance(value, str) and value.lower() == NONE:
            return None
        if self._is_list and isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        try:
            return TypeAdapter(self.type).validate_python(value)
        except ValidationError as exc:
            raise self._refused(value, where) from exc

    def text(self, value: Any) -> str:
        """Return `value` as a variable would say it, and secrets in addresses as `***`."""
        if value is None:
            return NONE
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, tuple | list):
            return ",".join(_masked(str(part)) for part in value)
        return _masked(str(value))

    @property
    def kind(self) -> str:
        """What a value of it is, in words."""
        if self._is_list:
            return "a list of texts"
        plain = [one for one in get_args(self.type) or (self.type,) if one is not type(None)]
        return _WORDS[plain[0]] + (f', or "{NONE}"' if self.optional else "")

    @property
    def _is_list(self) -> bool:
        return get_origin(self.type) is tuple

    def _refused(self, value: Any, where: str) -> InvalidValueError:
        shown = _masked(repr(value))[:80]
        if isinstance(value, str) and _SERVICE.match(value):
            return InvalidValueError(
                f"{where} is {shown}, which Kubernetes sets for a service of that name. Set"
                " enableServiceLinks: false for the pod, or call the service something else.",
                path=self.name,
            )
        return InvalidValueError(
            f"{where} is {shown}, and {self.name} is {self.kind}. Change it, or take it out for the"
            f" default, {self.text(self.default)!r}.",
            path=self.name,
        )


def _masked(text: str) -> str:
    return _SECRETS.sub(lambda m: f"{m[1]}:***" if m[2] is None else f"{m[2]}=***", text)
