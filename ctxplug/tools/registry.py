"""ToolRegistry: the tools of a memory, by name."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ctxplug.errors import (
    InvalidToolError,
    PluginError,
    PluginWarning,
    ToolConflictError,
    UnknownToolError,
)
from ctxplug.tools.convert import to_tool
from ctxplug.tools.host import ToolHost
from ctxplug.tools.policy import ToolPolicy
from ctxplug.tools.run_verbs import RunVerbs
from ctxplug.tools.tool import Tool

KIND = "tool"  # as plugins register them
MEMORY_TOOLS = ("expand", "forget", "recall", "remember")


@dataclass
class ToolTable:
    """What an application has added and removed; memories beside each other share one."""

    added: dict[str, Tool] = field(default_factory=dict)
    offered: dict[str, Tool] = field(default_factory=dict)  # by plugins, as they were made
    removed: set[str] = field(default_factory=set)  # of those that plugins offer
    of_memory: set[str] = field(default_factory=set)  # the memory tools that were added
    lock: threading.RLock = field(default_factory=threading.RLock)


class ToolRegistry(RunVerbs):
    """The tools of one memory; it is `memory.tools`.

    Those that plugins offer are there by name, an application adds its own, and the memory
    tools join with `add_memory_tools`. What runs, and where, is said by the rules of
    `policy`. Iterating gives the tools that are enabled here. Usable from any thread.
    """

    def __init__(
        self, host: ToolHost, policy: ToolPolicy | None = None, table: ToolTable | None = None
    ) -> None:
        self.host = host
        self.policy = policy or ToolPolicy()
        self.table = table or ToolTable()
        self._memory_tools: dict[str, Tool] = {}

    def add(self, tool: Any, /, **overrides: Any) -> Tool:
        """Add a tool and return it.

        `tool` is a plain annotated function, a Tool, a tool of LangChain or LlamaIndex, or a
        dict or object with a JSON Schema and `call=`, as of an MCP server. `overrides` are
        fields of Tool: name, version, idempotent, side_effects, timeout, isolation and more.
        Raises InvalidToolError, or ToolConflictError if its name is taken.
        """
        self.host.check_open()
        made = to_tool(tool, **overrides)
        with self.table.lock:
            self._check_free(made)
            self.table.added[made.name] = made
        return made

    def add_memory_tools(self, *names: str) -> Sequence[Tool]:
        """Let the agent use remember, recall, forget and expand, or those of `names`.

        They work in the scope of their own memory alone, whatever the model asks for.
        """
        self.host.check_open()
        wanted = names or tuple(MEMORY_TOOLS)
        own = self._own()
        with self.table.lock:
            for name in wanted:
                if name not in own:
                    raise self._unknown(name, sorted(own))
                if name not in self.table.of_memory:
                    self._check_free(own[name])
            self.table.of_memory |= set(wanted)
        return [own[name] for name in wanted]

    def remove(self, name: str) -> None:
        """Take a tool away; raises UnknownToolError if there is none of that name."""
        self.host.check_open()
        with self.table.lock:
            if self.table.added.pop(name, None) is not None:
                return
            if name in self.table.of_memory:
                self.table.of_memory.discard(name)
            elif name in self._offered_names():
                self.table.removed.add(name)
            else:
                raise self._unknown(name, self.names())

    def names(self) -> Sequence[str]:
        """Return the names of all tools that `get` finds, sorted, enabled or not."""
        self.host.check_open()
        with self.table.lock:
            return sorted({*self.table.added, *self._offered_names(), *MEMORY_TOOLS})

    def get(self, name: str) -> Tool:
        """Return the tool of that name, a memory tool too where it was not added.

        Raises UnknownToolError naming those there are, ComponentConflictError if two
        plugins claim the name, PluginError if the plugin's tool cannot be made.
        """
        self.host.check_open()
        with self.table.lock:
            found = self.table.added.get(name)
            if found is None and name in self._offered_names():
                found = self._offered(name)
        if found is None:
            found = self._own().get(name)
        if found is None:
            raise self._unknown(name, self.names())
        return found

    def list(self, *, session: str | None = None, agent: str | None = None) -> Sequence[Tool]:
        """Return the tools that a model is told of, sorted by name.

        What the rules deny in this namespace, session and by this agent (others where they
        are given) is left out, and memory tools that were not added. A plugin's tool that
        cannot be made is left out with a PluginWarning.
        """
        self.host.check_open()
        scope = replace(
            self.host.scope,
            session=self.host.scope.session if session is None else session,
            agent=self.host.scope.agent if agent is None else agent,
        )
        tools = self._listed()
        return [tools[n] for n in sorted(tools) if self.policy.enables(tools[n], scope)]

    def to_anthropic(self) -> Sequence[dict[str, Any]]:
        """Return what `list` gives, as Anthropic's Messages API takes it."""
        return [tool.to_anthropic() for tool in self.list()]

    def to_openai(self) -> Sequence[dict[str, Any]]:
        """Return what `list` gives, as OpenAI's Chat Completions API takes it."""
        return [tool.to_openai() for tool in self.list()]

    def __iter__(self) -> Iterator[Tool]:
        return iter(self.list())

    def __len__(self) -> int:
        return len(self.list())

    def __bool__(self) -> bool:
        return True

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __repr__(self) -> str:
        return f"<ToolRegistry of {'/'.join(self.host.scope.namespace)!r}>"

    # -- inside --------------------------------------------------------------------------

    def _own(self) -> dict[str, Tool]:
        """Return the memory tools, bound to this memory."""
        if not self._memory_tools:
            from ctxplug.tools.memory_tools import memory_tools  # loads pydantic

            self._memory_tools = {tool.name: tool for tool in memory_tools(self.host.memory)}
        return self._memory_tools

    def _offered_names(self) -> set[str]:
        return {*self.host.components.names(KIND)} - self.table.removed

    def _offered(self, name: str) -> Tool:
        """Return a plugin's tool, made at its first use."""
        if name not in self.table.offered:
            components = self.host.components
            made = components.resolve(KIND, name)
            plugin = components.plugins.components(KIND)[name].plugin
            self.table.offered[name] = to_tool(made, name=name, source=f"plugin {plugin!r}")
        return self.table.offered[name]

    def _listed(self) -> dict[str, Tool]:
        """Return the tools that there are for a model, by name, whatever the rules say."""
        own = self._own() if self.table.of_memory else {}
        with self.table.lock:
            found = {name: own[name] for name in self.table.of_memory}
            for name in self._offered_names() - set(self.table.added):
                try:
                    found[name] = self._offered(name)
                except (PluginError, InvalidToolError) as exc:
                    warnings.warn(f"ctxplug goes on without it: {exc}", PluginWarning, stacklevel=3)
            return {**found, **self.table.added}

    def _check_free(self, tool: Tool) -> None:
        first = None
        if tool.name in self.table.added:
            first = self.table.added[tool.name].source
        elif tool.name in self._offered_names():
            plugin = self.host.components.plugins.components(KIND)[tool.name].plugin
            first = f"plugin {plugin!r}"
        elif tool.name in self.table.of_memory:
            first = self._own()[tool.name].source
        if first is not None:
            raise ToolConflictError(
                f"There is a tool {tool.name!r} from {first} already, and here is another from"
                f" {tool.source}; give one of them another name=, or remove({tool.name!r}) first.",
                tool=tool.name,
                sources=(first, tool.source),
            )

    def _unknown(self, name: str, known: Sequence[str]) -> UnknownToolError:
        return UnknownToolError(
            f"There is no tool {name!r:.100}; there are {', '.join(known) or 'none'}.",
            tool=str(name),
            known=known,
        )
