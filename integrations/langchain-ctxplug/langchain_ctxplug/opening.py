"""From what a user gives, a memory or where one is kept, to an AgentMemory."""

from __future__ import annotations

import os
from typing import Any

from ctxplug import AgentMemory
from ctxplug.errors import InvalidValueError
from ctxplug.memory_like import is_memory
from ctxplug.storage import Backend


def memory_of(
    target: AgentMemory | str | os.PathLike[str] | Backend, **options: Any
) -> AgentMemory:
    """Return `target` if it is a memory, else open it with the keywords of AgentMemory.open.

    Raises InvalidValueError for keywords beside a memory, which was opened with its own, and
    what AgentMemory.open raises.
    """
    if not is_memory(target):
        return AgentMemory.open(target, **options)
    if options:
        raise InvalidValueError(
            f"{target!r} is open already, so {', '.join(sorted(options))} cannot be set here; give"
            " them to AgentMemory.open, or give a path in place of the memory.",
            path=min(options),
        )
    return target
