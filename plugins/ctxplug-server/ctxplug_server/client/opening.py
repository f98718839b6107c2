"""What `RemoteMemory.open` takes, and what it refuses because it is the server's to say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ctxplug.errors import InvalidValueError, UnsupportedError
from ctxplug.scope import Namespace, Scope, check_label, new_id, to_session

# Keywords of AgentMemory.open, and where a server is told of them.
OF_SERVER: Mapping[str, str] = {
    "counter": "the server's counter goes by the model; give model=",
    "embedder": "start the server with the embedder",
    "capture": "memories are made by remember",
    "memory_policy": "memories live by the server's policy",
    "maintain_every": "call maintain, or let the server's owner do so",
    "tool_policy": "tools run by the server's rules",
    "session_policy": "sessions age by the server's policy",
    "trace": "the server keeps the steps of all calls",
    "audit": "the server audits by its own policy",
    "limits": "spending is limited by the server",
    "prices": "the server has the prices",
    "plugins": "those of the server are at work",
}


def refuse_options(options: Mapping[str, Any]) -> None:
    """Raise UnsupportedError for what AgentMemory.open takes, TypeError for what is unknown."""
    for name, value in options.items():
        if name not in OF_SERVER:
            raise TypeError(f"RemoteMemory.open() got an unexpected keyword argument {name!r}")
        if value is not None:
            raise UnsupportedError(
                f"A remote memory is opened without {name}=: {OF_SERVER[name]}.", capability=name
            )


def to_scope(namespace: Namespace, session: str | None, agent: str | None) -> Scope:
    """Return who acts where; a session that is left out is a new one."""
    return Scope(
        namespace,
        new_id() if session is None else to_session(session),
        None if agent is None else check_label(agent, "agent"),
    )


def to_timeout(seconds: float) -> float:
    """Return `seconds`, or raise InvalidValueError unless it is a time above zero."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not 0 < seconds < math.inf:
        raise InvalidValueError(
            f"timeout is a number of seconds above zero, not {seconds!r}.", path="timeout"
        )
    return float(seconds)
