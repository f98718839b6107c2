"""What a chat template writes around each message, for the templates of well-known models.

A message is rendered between two pieces of text, and a request ends with the opening of the
reply. How many tokens these are is asked of the tokenizer itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROLES = ("system", "user", "assistant", "tool")
MESSAGE_TOKENS, REQUEST_TOKENS = 4, 3  # where the template is not known: what ctxplug assumes


@dataclass(frozen=True, slots=True)
class Framing:
    """Tokens around each message, and around a request."""

    message: int = MESSAGE_TOKENS
    request: int = REQUEST_TOKENS


@dataclass(frozen=True, slots=True)
class Template:
    """The text before and after a message, and once in a request; `marks` tell the template."""

    before: str
    after: str
    once: str
    marks: tuple[str, ...]


TEMPLATES: Mapping[str, Template] = {
    "chatml": Template(
        "<|im_start|>{role}\n",
        "<|im_end|>\n",
        "<|im_start|>assistant\n",
        ("<|im_start|>", "<|im_end|>"),
    ),
    "deepseek": Template(
        "<｜User｜>",
        "<｜end▁of▁sentence｜>",
        "<｜begin▁of▁sentence｜><｜Assistant｜>",
        ("<｜User｜>", "<｜Assistant｜>"),
    ),
    "gemma": Template(
        "<start_of_turn>{role}\n",
        "<end_of_turn>\n",
        "<bos><start_of_turn>model\n",
        ("<start_of_turn>", "<end_of_turn>"),
    ),
    "llama3": Template(
        "<|start_header_id|>{role}<|end_header_id|>\n\n",
        "<|eot_id|>",
        "<|begin_of_text|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|start_header_id|>", "<|eot_id|>"),
    ),
    "mistral": Template("[INST]", "[/INST]", "<s>", ("[INST]", "[/INST]")),
}


def recognised(vocabulary: Mapping[str, int]) -> str | None:
    """Return the name of the template whose marks are all tokens of `vocabulary`, or None."""
    return next(
        (name for name, t in TEMPLATES.items() if all(mark in vocabulary for mark in t.marks)),
        None,
    )


def measured(template: Template, count: Callable[[str], int]) -> Framing:
    """Return the tokens of `template`; `count` must know marks as the tokens they are.

    Roles may differ by a token: the longest counts for all, so that no message is undercounted.
    """
    before = max(count(template.before.format(role=role)) for role in ROLES)
    return Framing(before + count(template.after), count(template.once))
