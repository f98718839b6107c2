"""What the model is shown of a tool's output: all of it, or a preview and where the whole is."""

from __future__ import annotations

from dataclasses import replace

from ctxplug.messages import Message, Part, TextPart, ToolResultPart
from ctxplug.tokens import TokenCounter

TAIL = 0.25  # of the characters that are looked at


def is_large(message: Message, counter: TokenCounter, characters: int, tokens: int) -> bool:
    """Say whether the text of a tool message is more than a model is to be shown."""
    size = sum(len(part.text) for result in message.content for part in _texts(result))
    if size > characters:
        return True
    if size * 4 <= tokens:  # a character is at most so many tokens
        return False
    return counter.count_text(message.text) > tokens


def shown(
    message: Message, ref: str, counter: TokenCounter, *, characters: int, tokens: int
) -> Message:
    """Return a tool message as the model gets it; the whole is found by `ref`.

    The texts of a large output become one preview: of what is beyond `characters` the
    beginning and the end are looked at, which are then shaped to `tokens`.
    """
    if not is_large(message, counter, characters, tokens):
        return message
    from ctxplug.compression.shape_tool_results import shape

    parts = []
    for result in message.tool_results:
        text = excerpt("\n".join(part.text for part in _texts(result)), characters)
        preview = shape(text, tokens, counter, ref)
        preview = f"{text}\n[see {ref}]" if preview is None else preview
        others = tuple(part for part in result.content if not isinstance(part, TextPart))
        parts.append(replace(result, content=(TextPart(preview), *others)))
    return replace(message, content=tuple(parts), metadata={**message.metadata, "output": ref})


def excerpt(text: str, characters: int) -> str:
    """Return the beginning and the end of `text`, in about so many characters."""
    if len(text) <= characters:
        return text
    tail = int(characters * TAIL)
    left_out = len(text) - characters
    note = f"\n[... {left_out} characters left out]\n"
    return text[: characters - tail] + note + text[len(text) - tail :]


def _texts(result: Part) -> list[TextPart]:
    assert isinstance(result, ToolResultPart)
    return [part for part in result.content if isinstance(part, TextPart)]
