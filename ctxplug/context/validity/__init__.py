"""Would the provider accept this? A checker of message lists, rule by rule.

Each check reads the wire form, a provider's own dicts, and returns a list of `Fault`;
an empty list means that no rule is broken. A broken rule raises nothing,
and nothing is changed.

====  =====================================================================================
Rule  Statement
====  =====================================================================================
A01   at least one message
A02   at most 100,000 messages
A03   the first turn is the user's (turns: neighbours of one role, joined)
A04   roles are user, assistant, and system where A05 allows it
A05   a system message is text, never first, after a user turn or a server tool's result,
      and last or before an assistant turn
A06   no empty content, except in a final assistant message
A07   no empty text block
A08   no blank text block
A09   no lone surrogates
A10   no cache_control on empty text or thinking
A11   thinking only in assistant turns
A12   no cache_control inside a tool_result or on code-execution blocks
A13   thinking has its signature, redacted thinking its data
A14   tool_use only in assistant turns
A15   tool ids match [a-zA-Z0-9_-]+ in full
A16   tool_use ids are unique
A17   a tool_use input is an object
A18   tool_result only in user turns
A19   every tool_use is answered in the very next turn
A20   no unanswered tool_use at the end
A21   one result per id
A22   every tool_result answers a tool_use of the turn before
A23   tool_result blocks come first in their turn
A24   no assistant message at the end (checked with `allow_prefill=False`)
A25   no trailing whitespace in a final assistant text
A26   at most four cache_control marks over tools, system and messages
A27   no text after a tool_use
A28   a failed tool_result holds text, and only text
A29   a turn that answers a programmatic call holds only tool_result blocks
A30   results of parallel calls stand in one message
C01   at most one compaction block with content, first of the conversation, not empty
O01   at least one message
O02   one tool message per call, before any other message
O03   a tool message stands behind an assistant message with calls
O04   a tool message answers a call that is still open, once
O05   no empty tool_calls
O06   no missing content without calls
R01   a function_call_output has its function_call before it
R02   a function_call has its output
R03   a function_call keeps the reasoning item it came with (needs `before`)
R04   a reasoning item keeps the item that followed it
G01   at least one content
G02   no content without parts, no part without data
G03   a call turn stands behind a user turn or a response turn
G04   as many response parts as call parts
G05   a response turn stands behind a call turn
G06   thought signatures are there, and those of `before`
T01   the thinking of a kept assistant turn is unchanged and in order
T02   nothing before a kept thinking block has changed
====  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ctxplug import anthropic_format, gemini_format, openai_format
from ctxplug.context.validity.anthropic import check_anthropic
from ctxplug.context.validity.fault import Fault
from ctxplug.context.validity.gemini import check_gemini
from ctxplug.context.validity.openai import check_openai, check_openai_responses
from ctxplug.context.validity.thinking import check_thinking
from ctxplug.errors import InvalidValueError
from ctxplug.messages import Message

__all__ = [
    "PROVIDERS",
    "Fault",
    "check",
    "check_anthropic",
    "check_gemini",
    "check_openai",
    "check_openai_responses",
    "check_thinking",
]


def check(provider: str, messages: Sequence[Message]) -> list[Fault]:
    """Render `messages` for `provider` and return the rules that the result breaks.

    `provider` is one of `PROVIDERS`; raises InvalidValueError for another.
    """
    if provider not in _CHECKS:
        raise InvalidValueError(
            f"There are no rules for {provider!r}; use one of {', '.join(PROVIDERS)}.",
            path="provider",
        )
    return _CHECKS[provider](messages)


def _anthropic(messages: Sequence[Message]) -> list[Fault]:
    system, turns = anthropic_format.to_messages(messages)
    return check_anthropic({"system": system, "messages": turns})


_CHECKS: dict[str, Callable[[Sequence[Message]], list[Fault]]] = {
    "anthropic": _anthropic,
    "openai": lambda messages: check_openai({"messages": openai_format.to_messages(messages)}),
    "openai-responses": lambda messages: check_openai_responses(
        openai_format.to_responses_items(messages)
    ),
    "gemini": lambda messages: check_gemini(gemini_format.to_contents(messages)[1]),
}
PROVIDERS: tuple[str, ...] = tuple(_CHECKS)
"""The providers that `check` knows."""
