"""The default backend: one SQLite file, WAL, durable by default."""

from ctxplug.storage.sqlite.backend import SqliteBackend, open_sqlite

__all__ = ["SqliteBackend", "open_sqlite"]
