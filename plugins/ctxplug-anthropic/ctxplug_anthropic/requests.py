"""What is sent, and what comes back: a window as a request, a reply as a message."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import anthropic

from ctxplug import AgentMemory
from ctxplug.context.window import ContextWindow
from ctxplug.errors import CtxplugError
from ctxplug.messages import Message, ThinkingPart
from ctxplug_anthropic.attempts import Attempts
from ctxplug_anthropic.chat_errors import IncompleteReplyError
from ctxplug_anthropic.settings import TurnSettings

_TOO_LONG = re.compile(
    r"prompt is too long(?:: (?P<tokens>\d+) tokens > (?P<most>\d+) maximum)?"
    r"|exceeds? (?:the )?(?:model's )?context (?:window|limit)",
    re.IGNORECASE,
)
_SHRINK = 0.6  # of what was sent, where the API does not say how much is too much
_SAFETY = 0.95


def tool_dicts(memory: AgentMemory, settings: TurnSettings) -> list[Mapping[str, Any]]:
    """Return the tools of a turn, in an order that stays."""
    names = settings.names
    ours = [tool.to_anthropic() for tool in memory.tools.list() if tool.name in names]
    return [*ours, *settings.server_tools]


def to_request(window: ContextWindow, settings: TurnSettings, model: str) -> dict[str, Any]:
    """Return the arguments of `messages.create` for `window`."""
    fields = _without_others_thinking(window, model).to_anthropic(cache=settings.cache)
    return {**settings.options, **fields, "model": model, "max_tokens": settings.max_tokens}


def to_message(reply: Any, model: str) -> Message:
    """Return the message of a reply of the SDK, its thinking and signatures as they are.

    Raises IncompleteReplyError for what is no whole message.
    """
    read = getattr(reply, "to_dict", None)
    data = read() if callable(read) else None
    if (
        not isinstance(data, dict)
        or data.get("role") != "assistant"
        or not isinstance(data.get("content"), list)
        or not data.get("stop_reason")
    ):
        raise IncompleteReplyError(
            "The API's answer is no whole message of the Messages API; it was not stored. Give the"
            " same message again to ask anew.",
            partial=_text(data),
        )
    kept = {key: data[key] for key in ("role", "content", "id") if key in data}
    (message,) = Message.from_anthropic(kept)
    noted = {"model": str(data.get("model") or model), "stop_reason": str(data["stop_reason"])}
    return replace(message, metadata=noted)


def typed(exc: BaseException, attempts: Attempts) -> BaseException:
    """Return `exc`, or IncompleteReplyError in place of what reading an odd body raised."""
    known = anthropic.AnthropicError, CtxplugError
    if not attempts.in_flight or not isinstance(exc, Exception) or isinstance(exc, known):
        return exc
    return IncompleteReplyError(
        f"The API's answer was cut off, or cannot be read ({type(exc).__name__}); it was not"
        " stored. Give the same message again to ask anew.",
        partial=attempts.text,
    )


def too_long(exc: BaseException, sent: int) -> int | None:
    """Return the budget to try next if `exc` says that the window was too long, else None."""
    if getattr(exc, "status_code", None) not in (400, 413):
        return None
    match = _TOO_LONG.search(str(exc))
    if match is None:
        return None
    if match["tokens"] is None:
        return smaller(sent)
    share = int(match["most"]) / max(1, int(match["tokens"]))
    return max(1, int(sent * min(share * _SAFETY, 1.0)))


def smaller(sent: int) -> int:
    """Return the budget to try after a window of `sent` tokens was too long."""
    return max(1, int(sent * _SHRINK))


def _without_others_thinking(window: ContextWindow, model: str) -> ContextWindow:
    """Leave out thinking if some of it is another model's: it is bound to who thought it.

    Then all goes, as what stands behind a changed message is refused too.
    """
    thought = [m for m in window.messages if _thinks(m.content)]
    if all(message.metadata.get("model", model) == model for message in thought):
        return window
    messages = tuple(
        replace(m, content=tuple(p for p in m.content if not isinstance(p, ThinkingPart)))
        if _thinks(m.content)
        else m
        for m in window.messages
    )
    return replace(window, messages=messages)


def _thinks(content: Sequence[Any]) -> bool:
    return any(isinstance(part, ThinkingPart) for part in content)


def _text(data: Any) -> str:
    blocks = data.get("content") if isinstance(data, dict) else None
    if not isinstance(blocks, list):
        return ""
    return "".join(str(b.get("text", "")) for b in blocks if isinstance(b, dict))
