"""The kinds of plugin that can be begun, and what is different about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: what it offers, and where its component stands.

    `what` is said of it in one line. `module` is the component's module and `suite` the class
    of ctxplug.testing that holds it to its law, "" where there is none. `extension` is the
    extension point by its name in ctxplug.plugins.KINDS; where there is none, `hook` is
    implemented. `needs` are distributions besides ctxplug.
    """

    what: str
    module: str
    suite: str = ""
    extension: str = ""
    needs: tuple[str, ...] = ()
    hook: str = ""


KINDS: Mapping[str, Kind] = {
    "token-counter": Kind(
        "counts tokens by the bytes of a text", "counter", "TokenCounterSuite", "token counter"
    ),
    "compression-strategy": Kind(
        "keeps the beginning and the end of long tool results",
        "strategy",
        "CompressionStrategySuite",
        "compression strategy",
    ),
    "importance-scorer": Kind(
        "lets what asks for something stay longer",
        "scorer",
        "ImportanceScorerSuite",
        "importance scorer",
    ),
    "memory-backend": Kind(
        "logs the slow writes of another backend", "backend", "MemoryBackendSuite", "memory backend"
    ),
    "embedder": Kind(
        "makes vectors of words and Chinese pairs, without a model",
        "embedder",
        "EmbedderSuite",
        "embedder",
        ("numpy>=2",),
    ),
    "summarizer": Kind(
        "summarizes by first sentences, newest first", "summarizer", "SummarizerSuite", "summarizer"
    ),
    "tool": Kind("tells the day of the week, in English or Chinese", "tools", "ToolSuite", "tool"),
    "guard": Kind(
        "keeps passwords and keys out of the store", "guard", "GuardSuite", hook="redact"
    ),
    "observer": Kind(
        "logs what happens as JSON, without texts", "observer", "ObserverSuite", hook="on_event"
    ),
    "command": Kind("counts the messages of a store by role", "command", "", "command"),
}
