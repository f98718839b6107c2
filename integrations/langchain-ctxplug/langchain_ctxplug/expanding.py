"""expand_tool: what CtxplugContextEdit shortened, in full, from the agent's own state."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool, StructuredTool, ToolException

from ctxplug import codec
from ctxplug.errors import PluginError

__all__ = ["expand_tool"]

SHOWN = 8_000  # characters that one call gives
_REF = re.compile(r"@(\d{1,9})(?:-(\d{1,9}))?")


def expand_tool() -> BaseTool:
    """Return a tool that shows the originals behind "[see @12]" in an agent's messages.

    For agents with ContextEditingMiddleware, whose state keeps what the edit shortened.
    Raises PluginError where langgraph is not installed.
    """
    try:
        injected = import_module("langgraph.prebuilt").InjectedState
    except ImportError as exc:
        raise PluginError(
            f"expand_tool reads the state of a LangGraph agent, which cannot be imported ({exc});"
            " run `pip install langchain-ctxplug[agents]`.",
            plugin="langchain-ctxplug",
        ) from exc

    def expand(ref: str, messages: Any, start: int = 0) -> str:
        """Show in full what a shortened part of the conversation said.

        Args:
            ref: The reference in the shortened part, such as "@12" or "@3-40".
            messages: What was said so far.
            start: The character to go on from.
        """
        return originals(messages, ref, start)

    from typing import Annotated

    expand.__annotations__ = {
        "ref": str,
        "messages": Annotated[list, injected("messages")],
        "start": int,
        "return": str,
    }
    return StructuredTool.from_function(expand, parse_docstring=True, handle_tool_error=True)


def originals(messages: Sequence[BaseMessage], ref: str, start: int = 0) -> str:
    """Return what the messages behind `ref` say, at most 8,000 characters from `start` on.

    Raises ToolException if there are none.
    """
    match = _REF.fullmatch(ref.strip())
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    found = messages[first - 1 : last] if first else []
    if not found:
        raise ToolException(
            f"There is nothing behind {ref!r}; a reference reads like '@12' or '@3-40' and stands"
            " at the end of a shortened part."
        )
    text = "\n".join(f"[{message.type}] {_in_full(message)}" for message in found)
    shown = text[start : start + SHOWN]
    end = start + len(shown)
    if end >= len(text):
        return shown
    return f"{shown}\n[{end} of {len(text)} characters; go on with start={end}]"


def _in_full(message: BaseMessage) -> str:
    lines = [str(message.text)] if message.text else []
    for call in message.tool_calls if isinstance(message, AIMessage) else ():
        arguments = codec.encode(call["args"]).decode("utf-8", "replace")
        lines.append(f"{call['name']}({arguments})")
    return "\n".join(lines)
