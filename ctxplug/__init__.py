"""ctxplug: memory and context windows for agents, extended by plugins.

>>> from ctxplug import AgentMemory
>>> memory = AgentMemory.open("agent.db", namespace="acme/alice", session="trip")
"""

import logging

from ctxplug import errors
from ctxplug.agent_memory import AgentMemory
from ctxplug.context.window import ContextWindow
from ctxplug.errors import BudgetError, CtxplugError
from ctxplug.hookspecs import hookimpl
from ctxplug.messages import (
    ImagePart,
    Message,
    OpaquePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from ctxplug.recall.recalled import Recalled
from ctxplug.records import MemoryRecord

__version__ = "0.1.0"

# The application says where the log goes; without a word from it, nowhere.
logging.getLogger(__name__).addHandler(logging.NullHandler())

__all__ = [
    "AgentMemory",
    "BudgetError",
    "ContextWindow",
    "CtxplugError",
    "ImagePart",
    "MemoryRecord",
    "Message",
    "OpaquePart",
    "Recalled",
    "TextPart",
    "ThinkingPart",
    "ToolCallPart",
    "ToolResultPart",
    "errors",
    "hookimpl",
]
