"""What AgentMemory has of tools: `memory.tools`, and tools as `context` takes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ctxplug.errors import InvalidValueError
from ctxplug.guards import Guards
from ctxplug.messages import Message
from ctxplug.registry import Registry
from ctxplug.scope import Scope
from ctxplug.storage import Backend
from ctxplug.tokens import TokenCounter

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.tools.policy import ToolPolicy
    from ctxplug.tools.registry import ToolRegistry

_making = threading.RLock()


class ToolVerbs:
    """The tools of a memory; AgentMemory brings the attributes below."""

    backend: Backend
    scope: Scope
    counter: TokenCounter
    _guards: Guards
    _registry: Registry
    _tool_policy: ToolPolicy | None
    _tools: ToolRegistry | None
    _beside: Any

    if TYPE_CHECKING:

        def _add(self, messages: Iterable[Message]) -> list[Message]: ...
        def _tell(self, kind: str, /, **data: Any) -> None: ...
        def _trace_tool(self, tool: str) -> Any: ...
        def _trace_run(self, run: Any, step: Any) -> None: ...
        def _refuse_closed(self) -> None: ...
        def _require_open(self) -> None: ...

    @property
    def tools(self) -> ToolRegistry:
        """The tools that the agent has here: added, offered by plugins, and those of memory.

        A memory that was opened beside another has the same, under the rules for its scope.
        """
        if self._tools is None:
            with _making:  # two registries would each lose what is added to the other
                self._tools = self._tools or self._tool_registry()
        return self._tools

    def _tool_registry(self) -> ToolRegistry:
        from ctxplug.tools.host import ToolHost
        from ctxplug.tools.registry import ToolRegistry

        memory: Any = self  # an AgentMemory has all that a host asks for
        host = ToolHost(
            backend=self.backend,
            scope=self.scope,
            counter=self.counter,
            guards=self._guards,
            components=self._registry,
            extend=self._add,
            notify=self._tell,
            begin=self._trace_tool,
            ran=self._trace_run,
            check_open=self._refuse_closed,
            check_session=self._require_open,
            memory=memory,
        )
        table = self._beside.tools.table if self._beside is not None else None
        return ToolRegistry(host, self._tool_policy, table)

    def _run_by(self, policy: ToolPolicy | None) -> None:
        """Take the policy that tools run by."""
        if policy is not None:
            from ctxplug.tools.policy import ToolPolicy

            if not isinstance(policy, ToolPolicy):
                raise InvalidValueError(
                    f"tool_policy is a ToolPolicy or None, not {policy!r:.60}.", path="tool_policy"
                )
        self._tool_policy = policy
        self._tools = None


def provider_dicts(
    tools: Iterable[Mapping[str, Any] | Callable[..., Any] | Any],
) -> Sequence[Mapping[str, Any]]:
    """Return tools as provider dicts: dicts as they are, a Tool or what makes one by its schema."""
    dicts: list[Mapping[str, Any]] = []
    for tool in tools:
        if not isinstance(tool, Mapping):
            from ctxplug.tools.convert import to_tool

            tool = to_tool(tool).to_anthropic()
        dicts.append(tool)
    return dicts
