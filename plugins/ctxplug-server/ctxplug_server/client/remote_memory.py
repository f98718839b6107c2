"""RemoteMemory: an AgentMemory whose store is a server's."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from ctxplug.context.policy import ContextPolicy
from ctxplug.errors import UnsupportedError
from ctxplug.plugins import Plugins
from ctxplug.scope import Scope, to_namespace
from ctxplug.tokens import TokenCounter
from ctxplug_server.client.access import RemoteAccess
from ctxplug_server.client.address import to_address
from ctxplug_server.client.audit import RemoteAudit
from ctxplug_server.client.calls import Call, nothing
from ctxplug_server.client.link import Link
from ctxplug_server.client.live import LiveVerbs
from ctxplug_server.client.log_verbs import LogVerbs, positive
from ctxplug_server.client.memory_verbs import MemoryVerbs
from ctxplug_server.client.namespace_verbs import NamespaceVerbs
from ctxplug_server.client.opening import refuse_options, to_scope, to_timeout
from ctxplug_server.client.policies import policy_of
from ctxplug_server.client.retrying import Retrying
from ctxplug_server.client.sectioned import RemoteSections
from ctxplug_server.client.session import RemoteSession
from ctxplug_server.client.store import NotHereError, RemoteStore
from ctxplug_server.client.tools import RemoteTools
from ctxplug_server.client.trace import RemoteTrace
from ctxplug_server.client.transport import Transport
from ctxplug_server.client.usage import RemoteUsage, UsageVerbs
from ctxplug_server.wire.policies import policy_text

TIMEOUT, RETRIES = 30.0, 5


class RemoteMemory(LiveVerbs, LogVerbs, MemoryVerbs, NamespaceVerbs, UsageVerbs):
    """A memory on a server, with the verbs, results and errors of AgentMemory.

    Open it with `RemoteMemory.open`. Every verb has an a-twin: `await memory.aadd(...)`.
    Usable from any thread and event loop; a context manager closes it.
    """

    def __init__(
        self,
        transport: Transport,
        scope: Scope,
        *,
        budget: int,
        model: str | None = None,
        policy: str | ContextPolicy = "balanced",
        above: RemoteMemory | None = None,
    ) -> None:
        self.scope = scope
        self.budget = positive(budget, "budget")
        self.model = model
        self.policy = policy_of(policy, model)
        self._transport = transport
        self._above = above
        common = {"model": model, "policy": policy_text(self.policy, model)}
        self.link = Link(transport, scope, common, None if above is None else above.link)
        self.session = RemoteSession(self.link, self.beside)
        self.trace = RemoteTrace(self.link, lambda: self.counter)
        self.sections = RemoteSections(None if above is None else above.sections)
        self._last_tokens = 0
        self.opened_with: Mapping[str, Any] = {}
        self._release = weakref.finalize(self, transport.close) if above is None else None

    @classmethod
    def open(
        cls,
        url: str,
        *,
        namespace: str | Iterable[str],
        session: str | None = None,
        agent: str | None = None,
        budget: int = 8_000,
        model: str | None = None,
        policy: str | ContextPolicy = "balanced",
        key: str | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        **others: Any,
    ) -> RemoteMemory:
        """Open a memory on the server at `url`, such as "http://127.0.0.1:8732".

        `namespace` to `policy` are as for AgentMemory.open, but that `policy` is a name. `key`
        is the server's, else that of CTXPLUG_SERVER_KEY. A call that fails in passing is tried
        again `retries` times; each attempt may take `timeout` seconds, and what goes through a
        whole namespace longer. Raises UnsupportedError for what is the server's to say,
        StorageError if it cannot be reached, and what the server says of key and namespace.
        """
        given = {name: value for name, value in locals().items() if name not in ("cls", "others")}
        memory = cls._made(**given, **others)
        try:
            memory.link.send(memory._looked())
        except BaseException:
            memory.close()
            raise
        return memory

    @classmethod
    async def aopen(cls, url: str, **options: Any) -> RemoteMemory:
        """Async twin of `open`."""
        memory = cls._made(url, **options)
        try:
            await memory.link.asend(memory._looked())
        except BaseException:
            await memory.aclose()
            raise
        return memory

    def beside(
        self,
        *,
        session: str | None = None,
        namespace: str | Iterable[str] | None = None,
        agent: str | None = None,
        budget: int | None = None,
        policy: str | ContextPolicy | None = None,
    ) -> RemoteMemory:
        """Return a memory of another session or namespace on this one's server.

        What is left out is as here, but the session, which is a new one. It lives no longer
        than this memory is open. Raises UnsupportedError for another agent beside an agent's:
        by a server's rules nobody is two at once.
        """
        self.link.check_open()
        if agent is not None and self.scope.agent not in (None, agent):
            raise UnsupportedError(
                f"A remote memory of the agent {self.scope.agent!r} has none of {agent!r} beside"
                " it; open one for that agent with RemoteMemory.open.",
                capability="agents",
            )
        scope = to_scope(
            self.scope.namespace if namespace is None else to_namespace(namespace),
            session,
            self.scope.agent if agent is None else agent,
        )
        memory = RemoteMemory(
            self._transport,
            scope,
            budget=self.budget if budget is None else budget,
            model=self.model,
            policy=self.policy if policy is None else policy,
            above=self,
        )
        memory.opened_with = self.opened_with
        return memory

    # -- rooms ---------------------------------------------------------------------------

    @cached_property
    def usage(self) -> RemoteUsage:
        """What the namespace spends on model calls."""
        return RemoteUsage(self.link)

    @cached_property
    def audit(self) -> RemoteAudit:
        """Who did what to this namespace, when and why; and whether anybody changed that."""
        return RemoteAudit(self.link)

    @cached_property
    def access(self) -> RemoteAccess:
        """Which agents may do what in the namespace: see, grant, deny and revoke."""
        return RemoteAccess(self.link)

    @cached_property
    def tools(self) -> RemoteTools:
        """The tools that the server offers here."""
        return RemoteTools(self.link, None if self._above is None else self._above.tools)

    @cached_property
    def backend(self) -> RemoteStore:
        """The store, as far as it is open from here."""
        return self._above.backend if self._above is not None else RemoteStore(self.link)

    @property
    def plugins(self) -> Plugins:
        """Raise UnsupportedError: the plugins that are at work are the server's."""
        raise NotHereError(
            "The plugins that are at work for a remote memory are its server's, and not to be had"
            " from here; what needs them takes an AgentMemory on the store itself.",
            capability="plugins",
        )

    @property
    def redacts(self) -> bool:
        """Whether plugins may change what is added: those of the server may."""
        return True

    @cached_property
    def counter(self) -> TokenCounter:
        """The token counter of the model, as this process has it; the server counts by its own."""
        from ctxplug.plugins import installed
        from ctxplug.registry import Registry
        from ctxplug.tokens.default import default_counter

        return default_counter(self.model, Registry(installed()))

    # -- the end -------------------------------------------------------------------------

    def close(self) -> None:
        """Send what waits and let go of the connections. May be called twice."""
        if self.link.closed:
            return
        self.trace.try_to_store(now=True)
        self.link.close()
        if self._above is None:
            if "backend" in vars(self):
                self.backend.close()
            self._transport.close()

    async def aclose(self) -> None:
        """Async twin of `close`."""
        if self.link.closed:
            return
        await self.trace.atry_to_store(now=True)
        self.link.close()
        if self._above is None:
            if "backend" in vars(self):
                self.backend.close()
            await self._transport.aclose()

    def __enter__(self) -> RemoteMemory:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> RemoteMemory:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        name = "/".join(self.scope.namespace)
        at = self._transport.address.url
        return f"<RemoteMemory {name!r} session {self.scope.session!r} at {at}>"

    # -- inside --------------------------------------------------------------------------

    @classmethod
    def _made(
        cls,
        url: str,
        *,
        namespace: str | Iterable[str],
        session: str | None = None,
        agent: str | None = None,
        budget: int = 8_000,
        model: str | None = None,
        policy: str | ContextPolicy = "balanced",
        key: str | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        **others: Any,
    ) -> RemoteMemory:
        refuse_options(others)
        given = {name: v for name, v in locals().items() if name not in ("cls", "key", "others")}
        scope = to_scope(to_namespace(namespace), session, agent)
        policy_of(policy, model), positive(budget, "budget")
        transport = Transport(
            to_address(url, key), timeout=to_timeout(timeout), retrying=Retrying(retries)
        )
        memory = cls(transport, scope, budget=budget, model=model, policy=policy)
        memory.opened_with = {**given, "namespace": scope.namespace}
        return memory

    def _looked(self) -> Call[None]:
        """Return the call by which the server says whether it opens this namespace."""
        return self.link.call("GET", "/sessions", nothing, params={"limit": 1})
