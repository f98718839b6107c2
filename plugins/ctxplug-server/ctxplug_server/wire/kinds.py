"""What is particular about single types: forms of their own, and fields more or less."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ctxplug.audit.checks import AuditReport
from ctxplug.context.recorded import Replayed
from ctxplug.context.window import ContextWindow
from ctxplug.memories.archive import ArchiveReport
from ctxplug.memories.erasure import ErasureReport
from ctxplug.memories.report import MaintenanceReport
from ctxplug.messages import Message
from ctxplug.records import MemoryRecord
from ctxplug.storage import CheckReport, EraseReceipt
from ctxplug.tokens.usage_report import UsageLine
from ctxplug.tools.runs import ToolRun
from ctxplug.tracing.difference import Difference
from ctxplug.tracing.rerun import Rerun, Total
from ctxplug.tracing.sent import Sent
from ctxplug.tracing.step import Step

Pair = tuple[Callable[[Any], Any], Callable[[Any], Any]]


@cache
def own_forms() -> Mapping[Any, Pair]:
    """Return how to write and read the types that say so themselves."""
    from ctxplug_server.wire.windows import read_window, write_window

    return {
        Message: (Message.to_dict, Message.from_dict),
        MemoryRecord: (MemoryRecord.to_dict, MemoryRecord.from_dict),
        Step: (Step.to_dict, Step.from_dict),
        EraseReceipt: (EraseReceipt.to_dict, EraseReceipt.from_dict),
        ContextWindow: (write_window, read_window),
    }


@cache
def beside() -> Mapping[type, tuple[str, ...]]:
    """Return, by type, what is computed from the fields and written beside them."""
    return {
        ArchiveReport: ("ratio",),
        AuditReport: ("ok",),
        CheckReport: ("ok",),
        Difference: ("same", "tokens", "entered", "left", "changed"),
        ErasureReport: ("ok",),
        MaintenanceReport: ("counts",),
        Replayed: ("exact",),
        Rerun: ("same",),
        Total: ("hit_share",),
        UsageLine: ("tokens", "cost", "cache_hit_share"),
    }


@cache
def left_away() -> Mapping[type, tuple[str, ...]]:
    """Return, by type, the fields that are not written: secrets, and what is too large."""
    return {Sent: ("prompt", "front", "tools"), ToolRun: ("failure",)}
