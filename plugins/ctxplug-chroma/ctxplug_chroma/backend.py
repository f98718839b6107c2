"""ChromaBackend: log, records and vectors in SQLite, near vectors found with Chroma.

SQLite holds everything, vectors included, and alone decides what was written: a write is
atomic and durable as on SQLite. Chroma is an index made from it, and made anew if it is
lost. What it finds is looked up in SQLite, so nothing stale is ever shown.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ctxplug.errors import CannotOpenError, StorageError, UnknownComponentError
from ctxplug.storage import Embed, Op
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug_chroma.index import ChromaIndexes, calling

log = logging.getLogger("ctxplug")

RECORDS = "records.db"
VECTORS = "chroma"
SECONDS = 20.0
OPTIONS = {"records", "synchronous"}


class ChromaBackend(SqliteBackend):
    """A store in the file `records`, whose vectors are indexed by a Chroma `client`.

    `close` leaves the client as it is unless `owned` says that it is this backend's own.
    """

    def __init__(
        self, records: str | os.PathLike[str], client: Any, *, owned: bool = False, **options: Any
    ) -> None:
        super().__init__(records, indexes=ChromaIndexes(client), **options)
        self._client = client
        self._owned = owned

    def write(self, *ops: Op) -> list[int]:
        """Apply `ops` in one transaction; then bring Chroma up to date with their vectors."""
        done = super().write(*ops)
        for namespace in dict.fromkeys(op.namespace for op in ops if isinstance(op, Embed)):
            try:
                self.index_vectors(namespace)
            except StorageError as exc:  # it is written; the next search indexes it, or says so
                log.warning("vectors are stored but not indexed yet: %s", exc)
        return done

    def close(self) -> None:
        """Close the file, and the client if it is this backend's own. May be called twice."""
        super().close()
        if self._owned:
            self._owned = False
            _close(self._client)


def open_embedded(argument: str) -> ChromaBackend:
    """Open "chroma:///FOLDER", created if it is not there; one process at a time may use it."""
    place, options = _split("chroma", argument)
    folder = Path(place[3:] if place.startswith("///") else place)
    if not place.strip("/") or options.pop("records", None) is not None:
        raise _misspelt("chroma", argument)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as exc:
        raise CannotOpenError(
            f"{str(folder)!r} cannot be made a folder: {exc.strerror or exc}.", target=str(folder)
        ) from exc
    import chromadb

    with calling(str(folder)):
        client = chromadb.PersistentClient(path=str(folder / VECTORS), settings=_settings())
    return _opened(folder / RECORDS, client, options)


def open_http(argument: str) -> ChromaBackend:
    """Open "chroma+http://HOST:PORT?records=FILE"."""
    return _open_server("chroma+http", argument, ssl=False)


def open_https(argument: str) -> ChromaBackend:
    """Open "chroma+https://HOST:PORT?records=FILE"."""
    return _open_server("chroma+https", argument, ssl=True)


def _open_server(scheme: str, argument: str, *, ssl: bool) -> ChromaBackend:
    place, options = _split(scheme, argument)
    records = options.pop("records", "")
    parts = urlsplit(place, allow_fragments=False)
    if not records or not parts.hostname or parts.path not in ("", "/"):
        raise _misspelt(scheme, argument)
    import chromadb

    with calling(place):
        client = chromadb.HttpClient(
            host=parts.hostname,
            port=parts.port or (443 if ssl else 8000),
            ssl=ssl,
            settings=_settings(),
        )
    for session in _sessions(client):
        session.timeout = SECONDS  # chromadb would wait for ever
    return _opened(records, client, options)


def _opened(records: str | os.PathLike[str], client: Any, options: dict[str, Any]) -> ChromaBackend:
    try:
        return ChromaBackend(records, client, owned=True, **options)
    except BaseException:
        _close(client)
        raise


def _sessions(client: Any) -> list[Any]:
    """Return the HTTP sessions of `client`, for which chromadb has no public name."""
    owners = (client, getattr(client, "_admin_client", None))
    found = [getattr(getattr(owner, "_server", None), "_session", None) for owner in owners]
    return [session for session in found if session is not None]


def _close(client: Any) -> None:
    sessions = _sessions(client)
    client.close()
    for session in sessions:  # chromadb leaves their connections open
        session.close()


def _settings() -> Any:
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False)


def _split(scheme: str, argument: str) -> tuple[str, dict[str, Any]]:
    place, _, query = argument.partition("?")
    options: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    known = options.get("synchronous", "full") in ("full", "normal")
    if options.keys() - OPTIONS or not known:
        raise _misspelt(scheme, argument)
    return place, options


def _misspelt(scheme: str, argument: str) -> UnknownComponentError:
    return UnknownComponentError(
        f"'{scheme}:{argument}' is no place for a store. Write 'chroma:///FOLDER' or"
        " 'chroma+http://HOST:PORT?records=FILE'; the option synchronous=full|normal may"
        " follow.",
        kind="option",
        name=argument,
        known=tuple(sorted(OPTIONS)),
    )
