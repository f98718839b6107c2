"""RemoteTools: `memory.tools` of a remote memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

from ctxplug import Message, codec
from ctxplug.errors import InvalidValueError, ToolError, UnknownToolError, UnsupportedError
from ctxplug.messages import ToolCallPart
from ctxplug.scope import new_id
from ctxplug.tools.runs import ToolRun
from ctxplug.tools.tool import Tool
from ctxplug_server.client.arguments import refuse_given
from ctxplug_server.client.calls import Call
from ctxplug_server.client.link import Link, reads
from ctxplug_server.client.memory_verbs import given
from ctxplug_server.client.twins import twins

MOST = 10_000  # runs that a server tells of at once
BY_SERVER = "the rules of the server decide. Leave approve= out."
MEMORY_TOOLS = ("expand", "forget", "recall", "remember")
FIELDS = (
    "description", "version", "idempotent", "side_effects", "timeout", "isolation", "source",
)  # fmt: skip


class RemoteTools:
    """The tools that a server offers; see `ctxplug.tools.registry.ToolRegistry`.

    They run there, by the server's rules. A function of this process is no tool of it.
    """

    def __init__(self, link: Link, above: RemoteTools | None = None) -> None:
        self.link = link
        self._of_memory: set[str] = above._of_memory if above is not None else set()

    # -- what there is -------------------------------------------------------------------

    def list(self, *, session: str | None = None, agent: str | None = None) -> Sequence[Tool]:
        """Return the tools that a model is told of, sorted by name."""
        told = self.link.send(self._offered(session, agent))
        hidden = set(MEMORY_TOOLS) - self._of_memory
        return [self._tool(one) for one in told if one["name"] not in hidden]

    def names(self) -> Sequence[str]:
        """Return the names of all tools that `get` finds, sorted."""
        return sorted({one["name"] for one in self.link.send(self._offered())} | {*MEMORY_TOOLS})

    def get(self, name: str) -> Tool:
        """Return the tool of that name; raise UnknownToolError naming those there are."""
        told = {one["name"]: one for one in self.link.send(self._offered())}
        if name not in told:
            raise UnknownToolError(
                f"There is no tool {name!r:.100}; there are {', '.join(sorted(told)) or 'none'}.",
                tool=str(name),
                known=sorted(told),
            )
        return self._tool(told[name])

    def add_memory_tools(self, *names: str) -> Sequence[Tool]:
        """Let the agent use remember, recall, forget and expand, or those of `names`."""
        added = [self.get(name) for name in names or MEMORY_TOOLS]
        self._of_memory |= {tool.name for tool in added}
        return added

    def add(self, tool: Any, /, **overrides: Any) -> NoReturn:
        """Raise UnsupportedError: what runs on the server is added there."""
        raise UnsupportedError(
            "A remote memory takes no tools of this process: its server runs its own. Offer the"
            " tool there with a plugin's register_tools, or run it here and add its result.",
            capability="tools.add",
        )

    def remove(self, name: str) -> None:
        """Take a memory tool away that was added here; UnsupportedError for one of the server."""
        if name in self._of_memory:
            self._of_memory.discard(name)
            return
        raise UnsupportedError(
            f"The tool {self.get(name).name!r} is the server's and cannot be removed from here;"
            " leave it out of what the model is told.",
            capability="tools.remove",
        )

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

    # -- running -------------------------------------------------------------------------

    def _run(
        self,
        calls: Message | Sequence[ToolCallPart],
        *,
        approve: Any = None,
        deadline: float | None = None,
        store: bool = False,
    ) -> Call[Sequence[Message]]:
        """Run the calls of a turn together; return one tool message each, in their order."""
        asked = calls.tool_calls if isinstance(calls, Message) else calls
        body = self._asked(asked, approve, deadline) | {"store": store}
        path = self.link.at("tools", "run")
        return self.link.call("POST", path, reads(list[Message], "messages"), body=body, slow=True)

    def _call(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        call_id: str | None = None,
        approve: Any = None,
        deadline: float | None = None,
    ) -> Call[ToolRun]:
        """Run one tool, by the same rules as a call of a model, and return the run."""
        one = ToolCallPart(call_id or f"call_{new_id()}", name, arguments or {})
        refuse_given(approve, "approve", BY_SERVER)
        body = {
            "name": one.name,
            "arguments": codec.plain(one.arguments, "arguments"),
            "call_id": one.id,
            "deadline": deadline,
        }
        path = self.link.at("tools", "call")
        return self.link.call("POST", path, reads(ToolRun), body=given(body), slow=True)

    def _history(
        self, *, limit: int | None = 100, tool: str | None = None, session: str | None = None
    ) -> Call[Sequence[ToolRun]]:
        """Return the runs of this session, or of `session`, that have ended, the newest first."""
        if limit is not None and (
            isinstance(limit, bool) or not isinstance(limit, int) or limit < 0
        ):
            raise InvalidValueError(f"limit is 0 or more, or None, not {limit!r}.", path="limit")
        name = self.link.scope.session if session is None else session
        params = {"limit": MOST if limit is None else limit, "tool": tool, "session": name}
        return self.link.call("GET", "/tools/history", reads(list[ToolRun], "runs"), params=params)

    run, arun = twins(_run)
    call, acall = twins(_call)
    history, ahistory = twins(_history)

    def recover(self) -> Sequence[ToolRun]:
        """Give every run that a crash of the server interrupted its end; return those runs."""
        known = {run.id for run in self.history()}
        self.run([])
        return [run for run in self.history() if run.id not in known]

    async def arecover(self) -> Sequence[ToolRun]:
        """Async twin of `recover`."""
        known = {run.id for run in await self.ahistory()}
        await self.arun([])
        return [run for run in await self.ahistory() if run.id not in known]

    # -- inside --------------------------------------------------------------------------

    def _offered(
        self, session: str | None = None, agent: str | None = None
    ) -> Call[Sequence[Mapping[str, Any]]]:
        params = {"session": self.link.scope.session if session is None else session}
        if agent is not None:
            params["agent"] = agent
        return self.link.call("GET", "/tools", reads(list[dict[str, Any]], "tools"), params=params)

    def _tool(self, told: Mapping[str, Any]) -> Tool:
        """Return a tool whose function runs it over there."""
        more = {name: told[name] for name in FIELDS[1:] if name in told}
        return Tool.from_schema(
            told["name"],
            told["description"],
            told["schema"],
            partial(self._ran, told["name"]),
            **more,
        )

    def _ran(self, name: str, /, **arguments: Any) -> str:
        run = self.call(name, arguments)
        if run.outcome != "ok":
            raise ToolError(run.text, tool=name)
        return run.text

    def _asked(
        self, calls: Sequence[ToolCallPart], approve: Any, deadline: float | None
    ) -> dict[str, Any]:
        refuse_given(approve, "approve", BY_SERVER)
        told = [
            given(
                {
                    "id": call.id,
                    "name": call.name,
                    "arguments": codec.plain(call.arguments, "arguments"),
                    "raw_arguments": call.raw_arguments,
                }
            )
            for call in calls
        ]
        return given({"calls": told, "deadline": deadline})
