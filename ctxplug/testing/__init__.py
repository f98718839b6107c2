"""What plugin authors test with."""

import pytest

pytest.register_assert_rewrite(
    "ctxplug.testing.backend_archive_laws",
    "ctxplug.testing.backend_log_laws",
    "ctxplug.testing.backend_record_laws",
    "ctxplug.testing.backend_store_laws",
    "ctxplug.testing.backend_vector_laws",
    "ctxplug.testing.embedder_suite",
    "ctxplug.testing.isolation_suite",
)

from ctxplug.testing.backend_suite import MemoryBackendSuite  # noqa: E402  (rewritten first)
from ctxplug.testing.isolation_suite import IsolationSuite  # noqa: E402

__all__ = ["IsolationSuite", "MemoryBackendSuite"]
