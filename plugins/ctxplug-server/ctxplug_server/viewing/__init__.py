"""What the viewer shows of a store, as JSON data: read once, kept, and extended as logs grow."""

from ctxplug_server.viewing.viewing import Viewing

__all__ = ["Viewing"]
