"""What plugin authors test with."""

import pytest

pytest.register_assert_rewrite(
    "ctxplug.testing.backend_log_laws",
    "ctxplug.testing.backend_record_laws",
    "ctxplug.testing.backend_store_laws",
    "ctxplug.testing.backend_vector_laws",
    "ctxplug.testing.embedder_suite",
)

from ctxplug.testing.backend_suite import MemoryBackendSuite  # noqa: E402  (rewritten first)

__all__ = ["MemoryBackendSuite"]
