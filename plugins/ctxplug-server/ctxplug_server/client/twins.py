"""Twins: the sync and the async form of a verb, both made of what builds its call."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from ctxplug_server.client.calls import Call
from ctxplug_server.client.link import Link

P = ParamSpec("P")
T = TypeVar("T")


class Linked(Protocol):
    """What has verbs: a remote memory, and its rooms."""

    link: Link


S = TypeVar("S", bound=Linked)


def twins(
    build: Callable[Concatenate[S, P], Call[T]],
) -> tuple[Callable[Concatenate[S, P], T], Callable[Concatenate[S, P], Coroutine[Any, Any, T]]]:
    """Return the verb that sends what `build` gives, and its a-twin.

    The signature and the docstring are those of `build`, whose name is the verb's after "_".
    """
    name = build.__name__.removeprefix("_")

    @wraps(build)
    def sync_verb(self: S, /, *args: P.args, **options: P.kwargs) -> T:
        self.link.check_open()
        return self.link.send(build(self, *args, **options))

    @wraps(build)
    async def async_verb(self: S, /, *args: P.args, **options: P.kwargs) -> T:
        self.link.check_open()
        return await self.link.asend(build(self, *args, **options))

    sync_verb.__name__, async_verb.__name__ = name, f"a{name}"
    place = build.__qualname__.rpartition(".")[0]
    sync_verb.__qualname__, async_verb.__qualname__ = f"{place}.{name}", f"{place}.a{name}"
    async_verb.__doc__ = f"Async twin of `{name}`."
    return sync_verb, async_verb
