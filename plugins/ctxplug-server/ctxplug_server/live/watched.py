"""WatchedBackend: a store that tells a hub of what is written through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxplug.scope import Namespace
from ctxplug.storage import Backend, EraseReceipt, Op
from ctxplug.storage.passing import PassingBackend

if TYPE_CHECKING:
    from ctxplug_server.live.hub import Hub


class WatchedBackend(PassingBackend):
    """`store`, of which `hub` is told each write once it is done."""

    def __init__(self, store: Backend, hub: Hub) -> None:
        super().__init__(store)
        self._store = store
        self._hub = hub

    def write(self, *ops: Op) -> list[int]:
        """Apply `ops`, and tell of them."""
        done = self._store.write(*ops)
        self._hub.wrote(ops, done)
        return done

    def erase(self, namespace: Namespace) -> EraseReceipt:
        """Erase a namespace, and let it be looked at."""
        receipt = self._store.erase(namespace)
        self._hub.changed(namespace)
        return receipt

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> EraseReceipt:
        """Erase sessions, and let their namespace be looked at."""
        receipt = self._store.erase_session(namespace, session, *others)
        self._hub.changed(namespace)
        return receipt
