"""The memories of this process, by a name that JSON can hold."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ctxplug import AgentMemory
from ctxplug.errors import ClosedError
from ctxplug.scope import new_id

_OF_BESIDE = ("agent", "budget", "namespace", "policy", "session")


@dataclass
class _Kin:
    """Memories that were opened together: one, and those beside it."""

    name: str = field(default_factory=new_id)
    members: weakref.WeakSet[AgentMemory] = field(default_factory=weakref.WeakSet)


_lock = threading.Lock()
_by_opening: dict[tuple[int, int], _Kin] = {}  # their store and what they were opened with


def live_name(memory: AgentMemory) -> str:
    """Return the name under which `live_memory` finds what is like `memory`."""
    key = id(memory.backend), id(memory.opened_with)
    with _lock:
        for old in [key for key, kin in _by_opening.items() if not kin.members]:
            del _by_opening[old]
        kin = _by_opening.setdefault(key, _Kin())
        kin.members.add(memory)
        return kin.name


def live_memory(name: str, options: Mapping[str, Any]) -> AgentMemory | None:
    """Return a memory beside those of that name that are open; None if there are none.

    Of the keywords of AgentMemory.open, those that may differ from theirs are taken.
    """
    with _lock:
        found = (kin for kin in _by_opening.values() if kin.name == name)
        members = [memory for kin in found for memory in kin.members]
    chosen = {key: options[key] for key in _OF_BESIDE if key in options}
    members.sort(key=lambda one: one.scope.session != chosen.get("session"))
    for memory in members:
        try:
            return memory.beside(**chosen)
        except ClosedError:
            continue
    return None


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
