"""Counts of what a request carries besides the log, made once while it stays the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from ctxplug import codec
from ctxplug.messages import Message
from ctxplug.tokens import TokenCounter, count_tools

KNOWN = 4  # sets of tools


class FixedParts:
    """Tokens of a request's own system prompt and of its tools, by `counter`."""

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter
        self._tools: OrderedDict[bytes, int] = OrderedDict()
        self._system: tuple[Message, int] | None = None

    def system(self, message: Message) -> int:
        """Return the count of `message`; the same object is not counted again."""
        if self._system is None or self._system[0] is not message:
            self._system = message, self._counter.count(message)
        return self._system[1]

    def tools(self, tools: Sequence[Mapping[str, Any]]) -> int:
        """Return the count of tool definitions (provider dicts)."""
        if not tools:
            return 0
        key = codec.encode(list(tools))
        if key not in self._tools:
            self._tools[key] = count_tools(self._counter, tools)
            while len(self._tools) > KNOWN:
                self._tools.popitem(last=False)
        return self._tools[key]
