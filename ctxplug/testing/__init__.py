"""What plugin authors test with: conformance suites, fakes, and a server that plays the model.

The suites need pytest and Hypothesis; the fakes and the server do not. Each name is loaded at
first use. docs/testing.md is the guide.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctxplug.testing.backend_suite import MemoryBackendSuite
    from ctxplug.testing.counter_suite import TokenCounterSuite
    from ctxplug.testing.embedder_suite import EmbedderSuite
    from ctxplug.testing.fakes import FakeClock, FakeEmbedder, FakeSummarizer
    from ctxplug.testing.guard_suite import GuardSuite
    from ctxplug.testing.isolation_suite import IsolationSuite
    from ctxplug.testing.model_replies import Broken, Failure, Reply
    from ctxplug.testing.model_server import ModelServer, ServedRequest
    from ctxplug.testing.observer_suite import ObserverSuite
    from ctxplug.testing.scorer_suite import ImportanceScorerSuite
    from ctxplug.testing.session_machine import SessionMachine
    from ctxplug.testing.strategy_suite import CompressionStrategySuite
    from ctxplug.testing.summarizer_suite import SummarizerSuite
    from ctxplug.testing.tool_suite import ToolSuite

__all__ = [
    "Broken",
    "CompressionStrategySuite",
    "EmbedderSuite",
    "Failure",
    "FakeClock",
    "FakeEmbedder",
    "FakeSummarizer",
    "GuardSuite",
    "ImportanceScorerSuite",
    "IsolationSuite",
    "MemoryBackendSuite",
    "ModelServer",
    "ObserverSuite",
    "Reply",
    "ServedRequest",
    "SessionMachine",
    "SummarizerSuite",
    "TokenCounterSuite",
    "ToolSuite",
]

_MODULES = {
    "Broken": "model_replies",
    "CompressionStrategySuite": "strategy_suite",
    "EmbedderSuite": "embedder_suite",
    "Failure": "model_replies",
    "FakeClock": "fakes",
    "FakeEmbedder": "fakes",
    "FakeSummarizer": "fakes",
    "GuardSuite": "guard_suite",
    "ImportanceScorerSuite": "scorer_suite",
    "IsolationSuite": "isolation_suite",
    "MemoryBackendSuite": "backend_suite",
    "ModelServer": "model_server",
    "ObserverSuite": "observer_suite",
    "Reply": "model_replies",
    "ServedRequest": "model_server",
    "SessionMachine": "session_machine",
    "SummarizerSuite": "summarizer_suite",
    "TokenCounterSuite": "counter_suite",
    "ToolSuite": "tool_suite",
}

if sys.modules.get("pytest"):  # asserts are rewritten only where pytest runs, and before an import
    from pathlib import Path

    import pytest

    _WITH_ASSERTS = ("suite", "_suite", "_laws", "_machine", "_world", "_checks")
    pytest.register_assert_rewrite(
        *(
            f"{__name__}.{path.stem}"
            for path in sorted(Path(__file__).parent.glob("*.py"))
            if path.stem.endswith(_WITH_ASSERTS)
        )
    )


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
