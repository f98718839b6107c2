"""bounded: an agent's tool loop in memory as it grows, and every request within budget.

LlamaIndex keeps the calls and results of a running loop outside the memory, so no limit holds
for them and a crash loses them. A bounded agent puts each step into memory at once, and sends
what memory makes of all of it, with its system prompt and tools counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from llama_index.core.agent.workflow import AgentOutput, AgentWorkflow, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import BaseMemory
from llama_index.core.tools import AsyncBaseTool

from ctxplug.errors import InvalidValueError
from ctxplug_llamaindex.agent_forms import form_of
from ctxplug_llamaindex.agent_requests import Requests
from ctxplug_llamaindex.memory import CtxplugMemory

if TYPE_CHECKING:
    from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent

    _Agent = BaseWorkflowAgent
    _Workflow = AgentWorkflow
else:  # they are put in front of an agent's own class
    _Agent = _Workflow = object

__all__ = ["bounded"]

AgentT = TypeVar("AgentT")
_made: dict[tuple[type[Any], type[Any]], type[Any]] = {}


def bounded(agent: AgentT) -> AgentT:
    """Return `agent`, from now on with its tool loop in memory and its requests in budget.

    It is a FunctionAgent, a ReActAgent, a CodeActAgent (or of a class of yours derived from
    one), or an AgentWorkflow of such; run it with `memory=CtxplugMemory.from_defaults(...)`,
    whose budget holds for the whole request: system prompt, tools, history, loop. A run that
    breaks off has its steps in memory. Raises InvalidValueError for anything else; a run
    raises it without a CtxplugMemory, and BudgetError when what must be sent does not fit.
    """
    if isinstance(agent, AgentWorkflow):
        for one in agent.agents.values():
            bounded(one)
        return _put_before(agent, _ClosingInBudget)
    form_of(agent)
    return _put_before(agent, _LoopInMemory)


def _put_before(agent: AgentT, part: type[Any]) -> AgentT:
    """Make `agent` one of a class that is `part` first, and its own class behind."""
    own: Any = type(agent)
    if not issubclass(own, part):
        if (part, own) not in _made:
            names = {"__module__": own.__module__, "__doc__": own.__doc__}
            names["__qualname__"] = own.__qualname__  # a workflow is named by it
            _made[part, own] = type(own)(own.__name__, (part, own), names)
        object.__setattr__(agent, "__class__", _made[part, own])
    return agent


class _LoopInMemory(_Agent):
    """What a bounded agent does otherwise."""

    async def take_step(
        self,
        ctx: Any,
        llm_input: list[ChatMessage],
        tools: Sequence[AsyncBaseTool],
        memory: BaseMemory,
    ) -> AgentOutput:
        """Take a step on what fits, and put what the model said into memory."""
        ours, form = _ctxplug(memory), form_of(self)
        requests = Requests(ours, form, self.system_prompt)
        if left := form.left(await _taken(ctx, form.key)):
            await ours.aput_messages(left)
            llm_input = await requests.anew(llm_input)
        sent = await requests.fitted(llm_input, tools)
        output = await super().take_step(ctx, sent, tools, ours)  # type: ignore[safe-super]
        said, rest = form.said(await _taken(ctx, form.key), output)
        await ctx.store.set(form.key, rest)
        await ours.aput_messages(said)
        return output

    async def handle_tool_call_results(
        self, ctx: Any, results: list[ToolCallResult], memory: BaseMemory
    ) -> None:
        """Put every result into memory, and what is returned directly as the answer."""
        said = [_result(one) for one in results]
        direct = (one for one in results if one.return_direct and not one.tool_output.is_error)
        answer = next(direct, None)
        if answer is not None and answer.tool_name != "handoff":
            said.append(ChatMessage(role="assistant", content=answer.tool_output.content or ""))
        await _ctxplug(memory).aput_messages(said)

    async def _get_llm_response(self, ctx: Any, llm_input: Any, *rest: Any, **more: Any) -> Any:
        """Ask for the last word of a run that was stopped, within budget too."""
        sent = await _closing(self, ctx, llm_input)
        return await super()._get_llm_response(ctx, sent, *rest, **more)


class _ClosingInBudget(_Workflow):
    """What a workflow of bounded agents does otherwise."""

    async def _get_llm_response(self, ctx: Any, llm_input: Any, agent: Any) -> Any:
        """Ask for the last word of a run that was stopped, within budget too."""
        return await super()._get_llm_response(ctx, await _closing(agent, ctx, llm_input), agent)


async def _closing(agent: Any, ctx: Any, llm_input: list[ChatMessage]) -> list[ChatMessage]:
    memory = _ctxplug(await ctx.store.get("memory"))
    return await Requests(memory, form_of(agent), agent.system_prompt).fitted(llm_input, None)


async def _taken(ctx: Any, key: str) -> list[Any]:
    """Take the loop out of the context."""
    loop: list[Any] = await ctx.store.get(key, default=None) or []
    await ctx.store.set(key, [])
    return list(loop)


def _result(one: ToolCallResult) -> ChatMessage:
    return ChatMessage(
        role="tool",
        blocks=one.tool_output.blocks,
        additional_kwargs={"tool_call_id": one.tool_id or one.tool_name},
    )


def _ctxplug(memory: BaseMemory) -> CtxplugMemory:
    if not isinstance(memory, CtxplugMemory):
        raise InvalidValueError(
            "A bounded agent runs with memory=CtxplugMemory.from_defaults(...), and has a"
            f" {type(memory).__name__}, which LlamaIndex makes where memory= is left out.",
            path="memory",
        )
    return memory
