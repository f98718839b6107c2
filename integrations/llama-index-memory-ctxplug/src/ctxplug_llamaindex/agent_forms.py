"""What each kind of LlamaIndex agent calls its tool loop, sends beside it, and shows a model.

In memory a loop is always the same: an assistant's message with its calls, then a tool message
for each result. A FunctionAgent sends it like that. ReAct and CodeAct agents speak to their
model in plain text, so for them calls and results are written as the text they expect.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from llama_index.core.agent.react.types import (
    ActionReasoningStep,
    BaseReasoningStep,
    ObservationReasoningStep,
)
from llama_index.core.agent.workflow import AgentOutput, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, TextBlock
from llama_index.core.tools import BaseTool

from ctxplug import Message
from ctxplug.errors import InvalidValueError
from ctxplug.messages import Part, TextPart, ToolCallPart
from ctxplug_llamaindex.messages import from_message, to_message

EXECUTE, HANDOFF = "execute", "handoff"
_CODE = re.compile(r"<execute>(.*?)</execute>", re.DOTALL)


class Form(Protocol):
    """One kind of agent."""

    key: str
    """Where its loop stands in the workflow's context."""

    def fixed(self, tools: Sequence[BaseTool]) -> tuple[str, list[dict[str, Any]]]:
        """Return the system prompt and the tools that a request carries, as they are counted."""

    def shown(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """Return messages of the memory as this agent's model takes them."""

    def headed(self, prompt: ChatMessage | None, rest: list[ChatMessage]) -> list[ChatMessage]:
        """Return what the agent's own step takes, so that it loses no system message."""

    def said(self, loop: list[Any], output: AgentOutput) -> tuple[list[ChatMessage], list[Any]]:
        """Return what the model said in a step for the memory, and what stays in the loop."""

    def left(self, loop: list[Any]) -> list[ChatMessage]:
        """Return what a run that was not bounded has left in the loop, for the memory."""


def form_of(agent: Any) -> Form:
    """Return the form of `agent`; raise InvalidValueError for a kind that is not known."""
    for kind, make in _FORMS:
        if isinstance(agent, kind):
            return make(agent)
    raise InvalidValueError(
        f"bounded takes a FunctionAgent, a ReActAgent, a CodeActAgent or an AgentWorkflow of"
        f" them, not {type(agent).__name__}.",
        path="agent",
    )


class FunctionForm:
    """A model that calls functions: the loop is messages, and stands in memory as it is."""

    def __init__(self, agent: FunctionAgent) -> None:
        self._agent = agent
        self.key = agent.scratchpad_key

    def fixed(self, tools: Sequence[BaseTool]) -> tuple[str, list[dict[str, Any]]]:
        """Return the system prompt and the tools that are counted."""
        return self._agent.system_prompt or "", tool_dicts(tools)

    def shown(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """Return messages as the model takes them."""
        return list(messages)

    def headed(self, prompt: ChatMessage | None, rest: list[ChatMessage]) -> list[ChatMessage]:
        """Return what the agent's own step takes."""
        return rest if prompt is None else [prompt, *rest]

    def said(self, loop: list[Any], output: AgentOutput) -> tuple[list[ChatMessage], list[Any]]:
        """Return what was said in a step, and what stays in the loop."""
        return loop, []

    def left(self, loop: list[Any]) -> list[ChatMessage]:
        """Return what is left of a run that was not bounded."""
        return loop


class CodeForm:
    """A model that writes code: a call is code between tags, a result a user's message."""

    def __init__(self, agent: CodeActAgent) -> None:
        self._agent = agent
        self.key = agent.scratchpad_key

    def fixed(self, tools: Sequence[BaseTool]) -> tuple[str, list[dict[str, Any]]]:
        """Return the system prompt and the tools that are counted."""
        described = self._agent._get_tool_descriptions(tools)
        prompt = self._agent.code_act_system_prompt.format(tool_descriptions=described)
        return prompt, tool_dicts([tool for tool in tools if tool.metadata.name == HANDOFF])

    def shown(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """Return messages as the model takes them."""
        return _in_text(messages, _code_step, "Result of executing the code given:\n\n")

    def headed(self, prompt: ChatMessage | None, rest: list[ChatMessage]) -> list[ChatMessage]:
        """Return what the agent's own step takes."""
        # The agent writes its prompt over the first system message, whosever that is.
        return [prompt or ChatMessage(role="system", content=""), *rest]

    def said(self, loop: list[Any], output: AgentOutput) -> tuple[list[ChatMessage], list[Any]]:
        """Return what was said in a step, and what stays in the loop."""
        text = output.response.content or ""
        if not output.tool_calls:
            return loop, []
        calls = [ToolCallPart(c.tool_id, c.tool_name, c.tool_kwargs) for c in output.tool_calls]
        if any(call.name == EXECUTE for call in calls):
            text = _CODE.sub("", text).strip()
        return [*loop[:-1], _calling(text, calls)], []

    def left(self, loop: list[Any]) -> list[ChatMessage]:
        """Return what is left of a run that was not bounded."""
        return loop


class ReActForm:
    """A model that reasons in text: thoughts and actions are its own, observations a user's."""

    def __init__(self, agent: ReActAgent) -> None:
        self._agent = agent
        self.key = agent.reasoning_key

    def fixed(self, tools: Sequence[BaseTool]) -> tuple[str, list[dict[str, Any]]]:
        """Return the system prompt and the tools that are counted."""
        header = self._agent.formatter.format(list(tools), [], [])
        return "\n".join(message.content or "" for message in header), []

    def shown(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """Return messages as the model takes them."""
        role = self._agent.formatter.observation_role
        return _in_text(messages, _thought, "Observation: ", role)

    def headed(self, prompt: ChatMessage | None, rest: list[ChatMessage]) -> list[ChatMessage]:
        """Return what the agent's own step takes."""
        # The agent drops the first system message, whosever that is: its own is in the header.
        return [prompt or ChatMessage(role="system", content=""), *rest]

    def said(self, loop: list[Any], output: AgentOutput) -> tuple[list[ChatMessage], list[Any]]:
        """Return what was said in a step, and what stays in the loop."""
        if not loop or loop[-1].is_done or not output.tool_calls:
            return [], loop  # an answer, which the agent itself puts into memory at the end
        call = output.tool_calls[0]
        return [_acting(loop[-1], call.tool_id)], loop[:-1]

    def left(self, loop: list[Any]) -> list[ChatMessage]:
        """Return what is left of a run that was not bounded."""
        if loop and loop[-1].is_done:
            return []  # the answer of a run that was stopped before anyone got it
        said: list[ChatMessage] = []
        id = ""
        for step in loop:
            if isinstance(step, ActionReasoningStep):
                id = uuid.uuid4().hex
                said.append(_acting(step, id))
            elif isinstance(step, ObservationReasoningStep) and id:
                result = {"role": "tool", "content": step.observation, "tool_call_id": id}
                said.append(from_message(Message.from_openai(result)[0]))
        return said


_FORMS: tuple[tuple[type[Any], Callable[[Any], Form]], ...] = (
    (FunctionAgent, FunctionForm),
    (ReActAgent, ReActForm),
    (CodeActAgent, CodeForm),
)


def tool_dicts(tools: Sequence[BaseTool]) -> list[dict[str, Any]]:
    """Return the tools as a provider is told of them."""
    return [tool.metadata.to_openai_tool(skip_length_check=True) for tool in tools]


# -- calls and results as text ---------------------------------------------------------------


def _in_text(
    messages: Sequence[ChatMessage], step: Any, result: str, role: Any = "user"
) -> list[ChatMessage]:
    """Return `messages` with calls written by `step`, and results behind the words `result`."""
    found = []
    for message in messages:
        ours = to_message(message) if message.role in ("assistant", "tool") else None
        if ours is not None and ours.tool_results:
            answer = TextBlock(text=result + ours.tool_results[0].text)
            others = [block for block in message.blocks if not isinstance(block, TextBlock)]
            message = ChatMessage(role=role, blocks=[answer, *others])
        elif ours is not None and ours.tool_calls:
            text = "\n".join(step(ours.text, ours.tool_calls))
            message = ChatMessage(role="assistant", content=text)
        found.append(message)
    return found


def _thought(text: str, calls: Sequence[ToolCallPart]) -> list[str]:
    steps: list[BaseReasoningStep] = [
        ActionReasoningStep(
            thought=text if n == 0 else "", action=call.name, action_input=dict(call.arguments)
        )
        for n, call in enumerate(calls)
    ]
    return [one.get_content() for one in steps]


def _code_step(text: str, calls: Sequence[ToolCallPart]) -> list[str]:
    lines = [text] if text else []
    for call in calls:
        code = call.arguments.get("code") if call.name == EXECUTE else None
        if not isinstance(code, str):
            arguments = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
            code = f"print({call.name}({arguments}))"
        lines.append(f"<execute>\n{code}\n</execute>")
    return lines


def _acting(step: Any, id: str) -> ChatMessage:
    return _calling(step.thought, [ToolCallPart(id, step.action, step.action_input)])


def _calling(text: str, calls: Sequence[ToolCallPart]) -> ChatMessage:
    parts: list[Part] = [TextPart(text)] if text else []
    return from_message(Message("assistant", [*parts, *calls]))
