"""The conformance suite of memory backends: subclass, override `backend`, inherit the tests.

::

    class TestMyBackend(MemoryBackendSuite):
        @pytest.fixture
        def backend(self, tmp_path):
            with MyBackend(tmp_path / "my.db") as backend:
                yield backend

        @pytest.fixture
        def reopen(self, tmp_path):  # only where the backend declares "durable"
            return lambda: MyBackend(tmp_path / "my.db")

Every rule of the law in `ctxplug.storage.backend` is a test. What a backend declares in
`capabilities` must work, and what it does not declare must raise UnsupportedError, so begin
with `capabilities = frozenset()`, run the suite with `-x`, and add one at a time. The tests come
in the order of what builds on what: the log, records, namespaces, and then the rest.
`entry_record`, `matches`, `is_listed` and `receipt_of` of `ctxplug.storage` do what every
backend does alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ctxplug.storage import Backend
from ctxplug.testing.backend_archive_laws import ArchiveLaws
from ctxplug.testing.backend_change_laws import ChangeLaws
from ctxplug.testing.backend_fork_laws import ForkLaws
from ctxplug.testing.backend_keeping_laws import KeepingLaws
from ctxplug.testing.backend_log_laws import LogLaws
from ctxplug.testing.backend_occurrence_laws import OccurrenceLaws
from ctxplug.testing.backend_record_laws import RecordLaws
from ctxplug.testing.backend_session_laws import SessionLaws
from ctxplug.testing.backend_sight_laws import SightLaws
from ctxplug.testing.backend_store_laws import StoreLaws
from ctxplug.testing.backend_thread_laws import ThreadLaws
from ctxplug.testing.backend_vector_laws import VectorLaws
from ctxplug.testing.suite import Suite, not_overridden


class MemoryBackendSuite(  # pytest begins with the tests of the last of them: the simplest
    SessionLaws,
    ForkLaws,
    ArchiveLaws,
    OccurrenceLaws,
    VectorLaws,
    KeepingLaws,
    SightLaws,
    ThreadLaws,
    StoreLaws,
    ChangeLaws,
    RecordLaws,
    LogLaws,
    Suite,
):
    """The law as tests; override the fixture `backend` to yield an open, empty backend."""

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        """Yield an open, empty backend."""
        raise not_overridden("backend", "an open, empty backend")

    @pytest.fixture
    def reopen(self) -> Callable[[], Backend] | None:
        """Return a function that opens the store of `backend` again, if it is "durable"."""
        return None
