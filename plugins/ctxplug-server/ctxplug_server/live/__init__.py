"""Live: what changes in sessions and namespaces, told to whoever listens.

Events say that something changed, and where, never what it says: that is fetched by the other
routes, which look at the caller's rights again.
"""

from ctxplug_server.live.event import BEHIND, END, READY, TYPES, LiveEvent
from ctxplug_server.live.hub import Hub
from ctxplug_server.live.subscriber import Subscriber
from ctxplug_server.live.watched import WatchedBackend

__all__ = [
    "BEHIND",
    "END",
    "READY",
    "TYPES",
    "Hub",
    "LiveEvent",
    "Subscriber",
    "WatchedBackend",
]
