"""Sessions against a plain Python model, on Chroma: the machine of the core, with another store."""

from __future__ import annotations

import chromadb
import pytest
from chromadb.config import Settings
from ctxplug_chroma.backend import ChromaBackend
from hypothesis import HealthCheck, settings

from ctxplug.storage import Backend
from ctxplug.testing import SessionMachine

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning")  # of chromadb's own


class ChromaMachine(SessionMachine):
    def open_store(self) -> Backend:
        client = chromadb.EphemeralClient(settings=Settings(anonymized_telemetry=False))
        return ChromaBackend(self.folder / "agent.db", client, synchronous="normal")


TestChroma = ChromaMachine.TestCase
TestChroma.settings = settings(
    max_examples=8,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
