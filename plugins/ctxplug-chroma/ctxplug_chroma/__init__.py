"""Memory backends "chroma" (embedded) and "chroma+http" (a server) for ctxplug."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxplug import hookimpl

if TYPE_CHECKING:
    from ctxplug.hookspecs import Register

__all__ = ["register_memory_backends"]


@hookimpl
def register_memory_backends(register: Register) -> None:
    """Offer "chroma:///FOLDER" and "chroma+http://HOST:PORT?records=FILE"."""
    register("chroma", "ctxplug_chroma.backend:open_embedded")
    register("chroma+http", "ctxplug_chroma.backend:open_http")
    register("chroma+https", "ctxplug_chroma.backend:open_https")
