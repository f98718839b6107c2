"""From what a user gives to an AgentMemory, and from that to JSON that finds it again."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ctxplug import AgentMemory, codec
from ctxplug.context.policy import PRESETS, ContextPolicy, to_policy
from ctxplug.errors import CannotOpenError, InvalidValueError
from ctxplug.memory_like import is_memory
from ctxplug.registry import is_spec
from ctxplug.storage import Backend
from ctxplug.tokens.limits import UsageLimits
from ctxplug.tokens.prices import Prices
from ctxplug_llamaindex.live import live_memory, live_name

_OBJECTS = ("counter", "embedder")  # kept if they were given by name
_VALUES = ("capture", "maintain_every")
_NEVER = ("memory_policy", "plugins", "prices")


def memory_of(
    target: AgentMemory | str | os.PathLike[str] | Backend | None = "memory:", **options: Any
) -> AgentMemory:
    """Return `target` if it is a memory, else open it with the keywords of AgentMemory.open.

    What `spec_of` gives is taken too. The namespace may be left out where the store is new and
    in memory, and so nobody else's. Raises InvalidValueError where it is left out otherwise,
    and for keywords beside a memory, which was opened with its own, CannotOpenError for one
    that was in the memory of a process that is gone, and what AgentMemory.open raises.
    """
    if is_memory(target):
        if options:
            raise InvalidValueError(
                f"{target!r} is open already, so {', '.join(sorted(options))} cannot be set here;"
                " give them to AgentMemory.open or to the memory's `beside`, or give a path in"
                " place of the memory.",
                path=min(options),
            )
        return target
    live, lost = options.pop("live", None), options.pop("lost", ())
    options = _read(options)
    # What can be opened anew is: it shall not end with the memory that it was.
    memory = live_memory(live, options) if live and (target is None or lost) else None
    if memory is not None:
        return memory
    if target is None:
        raise CannotOpenError(
            f"The memory of the session {options.get('session')!r} was kept in a store that only"
            " its own process has, and it is no longer open here. Keep it in a file or a"
            " database to find it again: open it with a path in place of 'memory:'.",
            target="memory:",
        )
    if lost:
        warnings.warn(
            f"The memory of the session {options.get('session')!r} was opened with"
            f" {', '.join(lost)} that JSON cannot hold; it is open again with the defaults. Open"
            " it with AgentMemory.open and give them anew if they matter.",
            stacklevel=2,
        )
    return AgentMemory.open(target, **_in_a_namespace(target, options))


def spec_of(memory: AgentMemory) -> dict[str, Any]:
    """Return JSON that `memory_of` takes as keywords to find the memory again.

    A store that only this process has, or settings that are no JSON, are found in this
    process alone, and as long as the memory or one beside it is in use.
    """
    opened = memory.opened_with
    spec: dict[str, Any] = {
        "target": _target(memory),
        "live": live_name(memory),
        "namespace": list(memory.scope.namespace),
        "session": memory.scope.session,
        "budget": memory.budget,
    }
    spec |= {} if memory.scope.agent is None else {"agent": memory.scope.agent}
    spec |= {} if memory.model is None else {"model": memory.model}
    lost = [name for name in _NEVER if opened.get(name) is not None]
    policy = _policy(memory, opened.get("prices"))
    if policy is None:
        lost.append("policy")
    else:
        spec["policy"] = policy
    for name in _OBJECTS:
        value = opened.get(name)
        if isinstance(value, str):
            spec[name] = value
        elif value is not None:
            lost.append(name)
    for name in _VALUES:
        if opened.get(name) is not None:
            spec[name] = opened[name]
    if opened.get("limits") is not None:
        spec["limits"] = asdict(opened["limits"])
    return spec | ({"lost": sorted(lost)} if lost else {})


def _in_a_namespace(target: Any, options: dict[str, Any]) -> dict[str, Any]:
    if "namespace" in options:
        return options
    if isinstance(target, str) and target.partition(":")[0] == "memory":
        return {**options, "namespace": "default"}
    raise InvalidValueError(
        f"{target!r} may hold the memories of many; say whose this is with namespace=, such as"
        " 'acme/alice'.",
        path="namespace",
    )


def _read(options: Mapping[str, Any]) -> dict[str, Any]:
    read = dict(options)
    if isinstance(read.get("policy"), Mapping):
        fields = dict(read["policy"])
        for name in ("strategies", "keep_tools"):
            if name in fields:
                fields[name] = tuple(fields[name])
        read["policy"] = ContextPolicy(**fields)
    if isinstance(read.get("limits"), Mapping):
        read["limits"] = UsageLimits(**read["limits"])
    return read


def _policy(memory: AgentMemory, prices: Prices | None) -> str | dict[str, Any] | None:
    """Return the policy as a preset's name or its fields; None if it holds what is no JSON."""
    policy = memory.policy
    ratios = (prices or Prices()).ratios_of(memory.model)
    if policy.name in PRESETS and policy == to_policy(policy.name, ratios):
        return policy.name
    fields = {name: getattr(policy, name) for name in type(policy).__dataclass_fields__}
    try:
        plain: dict[str, Any] = codec.plain(fields)
    except InvalidValueError:
        return None
    return plain


def _target(memory: AgentMemory) -> str | None:
    """Return where the store is; None if it is in this process alone, or that is not known."""
    path = getattr(memory.backend, "path", None)
    target = memory.opened_with.get("target")
    if isinstance(target, str) and is_spec(target):
        return None if target.partition(":")[0] == "memory" else target
    return os.path.abspath(path) if isinstance(path, str) else None
