"""What plugin authors test with; the suites need pytest, the model server does not."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctxplug.testing.backend_suite import MemoryBackendSuite
    from ctxplug.testing.isolation_suite import IsolationSuite
    from ctxplug.testing.model_replies import Broken, Failure, Reply
    from ctxplug.testing.model_server import ModelServer, ServedRequest
    from ctxplug.testing.session_machine import SessionMachine

if "pytest" in sys.modules:  # asserts are rewritten only where pytest runs
    import pytest

    pytest.register_assert_rewrite(
        "ctxplug.testing.backend_archive_laws",
        "ctxplug.testing.backend_fork_laws",
        "ctxplug.testing.backend_log_laws",
        "ctxplug.testing.backend_record_laws",
        "ctxplug.testing.backend_session_laws",
        "ctxplug.testing.backend_store_laws",
        "ctxplug.testing.backend_vector_laws",
        "ctxplug.testing.embedder_suite",
        "ctxplug.testing.isolation_suite",
        "ctxplug.testing.session_machine",
        "ctxplug.testing.session_world",
    )

__all__ = [
    "Broken",
    "Failure",
    "IsolationSuite",
    "MemoryBackendSuite",
    "ModelServer",
    "Reply",
    "ServedRequest",
    "SessionMachine",
]

_MODULES = {
    "Broken": "model_replies",
    "Failure": "model_replies",
    "IsolationSuite": "isolation_suite",
    "MemoryBackendSuite": "backend_suite",
    "ModelServer": "model_server",
    "Reply": "model_replies",
    "ServedRequest": "model_server",
    "SessionMachine": "session_machine",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
