"""Caller: who a request is from, what it may see and do, and the memories lent to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from fastapi.requests import HTTPConnection

from ctxplug import AgentMemory
from ctxplug.errors import InvalidValueError, NotFoundError
from ctxplug.scope import Namespace, check_label, namespace_key, to_namespace
from ctxplug_server.keys import EVERYWHERE, Key
from ctxplug_server.pool import Opening
from ctxplug_server.problems import RightError
from ctxplug_server.serving import Serving
from ctxplug_server.wire.policies import foreign_component
from ctxplug_server.wire.surroundings import session_from

__all__ = ["LOCAL", "STATE", "Caller", "Calling", "caller_of", "calling"]

T = TypeVar("T")
STATE = "ctxplug.caller"  # where the scope of a request holds its caller
LOCAL = "local"  # stands for the local user where there are no keys


class Caller:
    """One request's caller. Without a key it is the local user, who owns all.

    `asked` are the common query parameters; `release` gives back what it was lent.
    """

    __slots__ = (
        "_lent",
        "agent",
        "asked_namespace",
        "key",
        "model",
        "policy",
        "serving",
        "session",
    )

    def __init__(self, serving: Serving, key: Key | None) -> None:
        self.serving = serving
        self.key = key
        self.asked_namespace: str | None = None
        self.agent: str | None = None if key is None else key.agent
        self.model: str | None = None
        self.policy: str | None = None
        self.session: str | None = None  # of a request whose path names none
        self._lent: list[Callable[[], None]] = []

    @property
    def id(self) -> str:
        """The id of its key, by which limits are counted; "local" without one."""
        return LOCAL if self.key is None else self.key.id

    @property
    def owns_store(self) -> bool:
        """Whether it may see and do everything: the local user, or an admin of "*"."""
        return self.key is None or (self.key.namespace == EVERYWHERE and self.may("admin"))

    def may(self, right: str) -> bool:
        """Say whether it has `right`: "read", "write" or "admin"."""
        return self.key is None or self.key.may(right)

    def sees(self, namespace: Namespace) -> bool:
        """Say whether `namespace` is its own to see."""
        return self.key is None or self.key.sees(namespace)

    def require(self, right: str) -> None:
        """Raise RightError unless it has `right`."""
        if not self.may(right):
            raise RightError(
                f"This takes a key with the right {right!r}; `ctxplug keys make` makes one.",
                right=right,
            )

    def require_policy(self, policy: str | None) -> None:
        """Raise RightError if `policy` names what only the store's owner may let the server use."""
        if policy is None or self.owns_store:
            return
        foreign = foreign_component(policy)
        if foreign is not None:
            raise RightError(
                f"A policy with {foreign!r:.80} takes the owner of the store: a key for '*' with"
                " the right 'admin'.",
                right="admin",
            )

    def require_store(self) -> None:
        """Raise RightError unless it owns the whole store."""
        if not self.owns_store:
            raise RightError(
                'This is about the whole store and takes a key for "*" with the right "admin".',
                right="admin",
            )

    def namespace(self, given: str | None = None) -> Namespace:
        """Return the namespace `given`, else the one asked for, else that of its key.

        Raises NotFoundError for one that it may not see, whether or not there is such a one.
        """
        wanted = self.asked_namespace if given is None else given
        if wanted is None:
            return self._only_namespace()
        found = to_namespace(wanted)
        if not self.sees(found):
            raise NotFoundError(f"There is no namespace {wanted!r} here for this key.")
        return found

    def namespaces(self) -> list[Namespace]:
        """Return the namespaces that hold anything and that it sees; blocks."""
        key = self.key
        if key is None or key.namespace == EVERYWHERE:
            return self.serving.backend.namespaces()
        own = to_namespace(key.namespace)
        return [n for n in self.serving.backend.namespaces(own) if key.sees(n)]

    def memory(self, session: str | None = None, right: str = "read") -> AgentMemory:
        """Return the memory of `session` as the request asks for it; may block.

        It is the request's until its end, and must not be closed. Raises RightError without
        `right`, and what AgentMemory.open raises.
        """
        self.require(right)
        self.require_policy(self.policy)
        session = self.session if session is None else session
        opening = Opening(self.namespace(), session, self.agent, self.model, self.policy)
        memory, give_back = self.serving.pool.lend(opening)
        self._lent.append(give_back)
        return memory

    async def run(self, unit: Callable[[], T], *, busy: bool = False) -> T:
        """Run `unit`, which may block, on a worker thread; see Serving.run."""
        return await self.serving.run(unit, busy=busy)

    def acts_as(self, agent: str | None) -> None:
        """Let it act as `agent`, if its key is not bound to another."""
        if agent is None:
            return
        bound = self.key.agent if self.key else None
        if bound is not None and bound != agent:
            raise RightError(f"This key acts as {bound!r} and as nobody else.", right="agent")
        self.agent = check_label(agent, "agent")

    def release(self) -> None:
        """Give back the memories that it was lent; may block for a moment."""
        while self._lent:
            self._lent.pop()()

    def _only_namespace(self) -> Namespace:
        key = self.key
        if key is not None and key.namespace != EVERYWHERE:
            return to_namespace(key.namespace)
        raise InvalidValueError(
            "Say whose memory with the query parameter namespace, such as ?namespace=acme/alice;"
            " GET /v1/namespaces lists them.",
            path="namespace",
        )

    def __repr__(self) -> str:
        seen = "everything" if self.key is None else namespace_key((self.key.namespace,))
        return f"<Caller {self.id} of {seen!r}>"


async def calling(connection: HTTPConnection) -> Caller:
    """Return the caller of this request, with what its common query parameters say.

    They are read by hand and documented in `documenting`: it takes a tenth of the time.
    """
    caller: Caller = connection.scope[STATE]
    asked = connection.query_params
    caller.asked_namespace = asked.get("namespace")
    caller.model, caller.policy = asked.get("model"), asked.get("policy")
    caller.acts_as(asked.get("agent"))
    caller.session = session_from(connection.headers)
    return caller


Calling = Annotated[Caller, Depends(calling)]


def caller_of(scope: Any) -> Caller | None:
    """Return the caller of a request by its ASGI scope, None before it is known."""
    found: Caller | None = scope.get(STATE)
    return found
