"""The client: a memory by URL, with the verbs of AgentMemory."""

from __future__ import annotations

from ctxplug_server.client.live import LiveChange
from ctxplug_server.client.remote_memory import RemoteMemory

__all__ = ["LiveChange", "RemoteMemory"]
