"""What a session needs of the memory that it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ctxplug.messages import Message
from ctxplug.sessions.policy import SessionPolicy
from ctxplug.storage import Op

Add: TypeAlias = Callable[[Sequence[Message], Sequence[Op]], list[Message]]


@dataclass(frozen=True, slots=True)
class SessionHost:
    """A memory as its session sees it.

    `add(messages, ops)` stores messages behind operations, in one write with them, and
    `write(*ops)` operations alone; `redact` returns JSON as it may be stored, `tell(kind,
    **data)` tells the observers, `check_open` raises ClosedError once the memory is closed;
    `beside(session=...)` is a memory on another session, and `forget_read` forgets what was
    read of the log, which was erased.
    """

    add: Add
    write: Callable[..., list[int]]
    redact: Callable[[Any], Any]
    tell: Callable[..., None]
    check_open: Callable[[], None]
    beside: Callable[..., Any]
    forget_read: Callable[[], None]
    policy: SessionPolicy
    agent: str | None = None
