"""The memory of each session that a block is asked about: never that of another one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from ctxplug import AgentMemory
from ctxplug.errors import InvalidValueError
from ctxplug.memory_like import is_memory
from ctxplug.scope import Namespace, to_namespace
from ctxplug_llamaindex.keys import to_session
from ctxplug_llamaindex.opening import memory_of

KEPT_READY = 256  # memories of different sessions


class BySession:
    """Finds the memory of a session, on one store.

    `options` are those of `AgentMemory.open`, where `namespace` may be a function that gives
    the namespace of a session id: so one block serves many users.
    """

    def __init__(self, target: Any, options: Mapping[str, Any]) -> None:
        self._target = target
        self._options = dict(options)
        namespace = self._options.get("namespace")
        self._namespace_of = self._options.pop("namespace") if callable(namespace) else None
        self._lock = threading.RLock()
        self._ready: OrderedDict[tuple[Namespace, str], AgentMemory] = OrderedDict()
        self._root: AgentMemory | None = None
        if self._namespace_of is None or is_memory(target):
            self._root = memory_of(target, **self._options)

    @property
    def root(self) -> AgentMemory:
        """The memory that was given, or opened first."""
        if self._root is None:
            raise InvalidValueError(
                "There is no memory yet: its namespace is given by a function of the session id,"
                " and no session was asked about.",
                path="namespace",
            )
        return self._root

    def __call__(self, session_id: str | None) -> AgentMemory:
        """Return the memory of a session; without an id, the one that was given.

        Raises InvalidValueError where the namespace depends on an id and there is none.
        """
        if session_id is None:
            if self._namespace_of is not None:
                raise InvalidValueError(
                    "The namespace is given by a function of the session id, and there is none;"
                    " call with session_id=.",
                    path="session_id",
                )
            return self.root
        session = to_session(session_id)
        given = None if self._namespace_of is None else to_namespace(self._namespace_of(session_id))
        with self._lock:
            if self._root is None:
                self._root = memory_of(self._target, namespace=given, **self._options)
            return self._of(given or self._root.scope.namespace, session, self._root)

    def _of(self, namespace: Namespace, session: str, root: AgentMemory) -> AgentMemory:
        if (namespace, session) == (root.scope.namespace, root.scope.session):
            return root
        key = namespace, session
        if key not in self._ready:
            self._ready[key] = root.beside(namespace=namespace, session=session)
            if len(self._ready) > KEPT_READY:
                self._ready.popitem(last=False)  # it goes when nobody uses it any more
        self._ready.move_to_end(key)
        return self._ready[key]
