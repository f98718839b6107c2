"""Keys: who may call, for which namespace and with which rights; hashed at rest.

The file is read again when it has changed, which costs one look at it per request, so that a
revocation holds at once. A key is 256 random bits, so one round of a salted hash keeps it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ctxplug.errors import CannotOpenError, InvalidValueError, NotFoundError
from ctxplug.scope import Namespace, check_label, namespace_key, to_namespace
from ctxplug.times import to_datetime

__all__ = ["EVERYWHERE", "RIGHTS", "Key", "Keys"]

RIGHTS = ("read", "write", "admin")  # each holds what stands before it
EVERYWHERE = "*"
FORMAT = 1
_SENT = re.compile(r"ctxp_([0-9a-f]{12})_([A-Za-z0-9_-]{43})\Z")


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key: all but its secret.

    `namespace` is a path such as "acme/alice", or "*" for the whole store; with `subtree` its
    children too. `agent` is who acts with it, whatever a request says; None: as it says.
    """

    id: str
    name: str
    namespace: str
    rights: str
    salt: str
    hash: str
    created_at: datetime
    subtree: bool = False
    agent: str | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Say whether it opens anything at the time `now`."""
        expired = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not expired

    def sees(self, namespace: Namespace) -> bool:
        """Say whether `namespace` is one that it is bound to."""
        if self.namespace == EVERYWHERE:
            return True
        own = tuple(self.namespace.split("/"))
        return namespace == own or (self.subtree and namespace[: len(own)] == own)

    def may(self, right: str) -> bool:
        """Say whether its rights hold `right`."""
        return RIGHTS.index(right) <= RIGHTS.index(self.rights)

    @property
    def names(self) -> frozenset[str]:
        """What it may be called when it is revoked."""
        return frozenset((self.id, self.name, f"ctxp_{self.id}"))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON, without what checks its secret."""
        data = {name: value for name, value in asdict(self).items() if name not in ("salt", "hash")}
        return {n: v.isoformat() if isinstance(v, datetime) else v for n, v in data.items()}


class Keys:
    """The keys in the file `path`; None: there are none, and none can be made."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.path = None if path is None else os.fspath(path)
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._keys: dict[str, Key] = {}
        self._ever = False

    # -- asked at every request ----------------------------------------------------------

    @property
    def required(self) -> bool:
        """Whether there are keys, or were since this was made: then nobody goes without."""
        self._refresh()
        return self._ever

    def check(self, sent: str, now: datetime | None = None) -> Key | None:
        """Return the live key that `sent` is, or None for all that is none."""
        self._refresh()
        match = _SENT.match(sent)
        key = self._keys.get(match[1]) if match else None
        salt, expected = (key.salt, key.hash) if key else ("", "")
        is_it = hmac.compare_digest(_hashed(salt, match[2] if match else ""), expected or "0" * 64)
        if key is None or not is_it or not key.is_live(now or datetime.now(UTC)):
            return None
        return key

    # -- made and revoked ----------------------------------------------------------------

    def listed(self) -> list[Key]:
        """Return all keys, the oldest first."""
        self._refresh()
        return list(self._keys.values())

    def live(self) -> list[Key]:
        """Return the keys that open something now."""
        now = datetime.now(UTC)
        return [key for key in self.listed() if key.is_live(now)]

    def make(
        self,
        name: str,
        namespace: str,
        *,
        rights: str = "write",
        subtree: bool = False,
        agent: str | None = None,
        expires_at: datetime | str | float | None = None,
    ) -> tuple[Key, str]:
        """Make a key; return it and the text to be sent, which is kept nowhere."""
        if rights not in RIGHTS:
            raise InvalidValueError(f"rights is one of {RIGHTS}, not {rights!r}.", path="rights")
        if namespace != EVERYWHERE:
            namespace = namespace_key(to_namespace(namespace))
        id, secret, salt = secrets.token_hex(6), secrets.token_urlsafe(32), secrets.token_hex(16)
        key = Key(
            id=id,
            name=check_label(name, "name"),
            namespace=namespace,
            rights=rights,
            salt=salt,
            hash=_hashed(salt, secret),
            created_at=datetime.now(UTC),
            subtree=subtree,
            agent=None if agent is None else check_label(agent, "agent"),
            expires_at=None if expires_at is None else to_datetime(expires_at),
        )
        with self._changing() as keys:
            keys[id] = key
        return key, f"ctxp_{id}_{secret}"

    def revoke(self, *ids_or_names: str) -> list[Key]:
        """Revoke the keys of these ids or names; return them. Where one is unknown, none."""
        now = datetime.now(UTC)
        with self._changing() as keys:
            for given in ids_or_names:
                if not any(given in key.names for key in keys.values()):
                    raise NotFoundError(
                        f"There is no key {given!r}, so none was revoked; `ctxplug keys list` shows"
                        " those there are."
                    )
            found = [key for key in keys.values() if not key.names.isdisjoint(ids_or_names)]
            revoked = [key if key.revoked_at else replace(key, revoked_at=now) for key in found]
            keys.update({key.id: key for key in revoked})
        return revoked

    # -- inside --------------------------------------------------------------------------

    def _refresh(self) -> None:
        if self.path is None:
            return
        state = _state(self.path)
        if state != self._seen:
            with self._lock:
                self._keys = _read(self.path)
                self._ever = self._ever or bool(self._keys)
                self._seen = state

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Key]]:
        """Lend the keys, as they are in the file, and write them back whole."""
        if self.path is None:
            raise InvalidValueError(
                "There is no file for keys, as this store is none; name one with --keys FILE.",
                path="keys",
            )
        path = os.path.realpath(self.path)  # to replace a link would leave its file as it was
        with _locked(path):
            keys = _read(path)
            yield keys
            _write(path, keys)
        self._refresh()


def _hashed(salt: str, secret: str) -> str:
    return hashlib.blake2b(secret.encode(), salt=bytes.fromhex(salt), digest_size=32).hexdigest()


def _state(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_dev


def _read(path: str) -> dict[str, Key]:
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        return {item["id"]: _key(item) for item in data["keys"]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise _unreadable(path, exc) from exc


def _key(item: Mapping[str, Any]) -> Key:
    times = {
        name: None if item.get(name) is None else datetime.fromisoformat(item[name])
        for name in ("created_at", "expires_at", "revoked_at")
    }
    if item["rights"] not in RIGHTS:
        raise ValueError(f"unknown rights {item['rights']!r}")
    return Key(**{**item, **times})


def _write(path: str, keys: Mapping[str, Key]) -> None:
    """Replace the file whole, so that nobody reads half of it; private to its owner."""
    rows = [{**key.to_dict(), "salt": key.salt, "hash": key.hash} for key in keys.values()]
    draft = f"{path}.{secrets.token_hex(6)}.new"
    try:
        with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            json.dump({"format": FORMAT, "keys": rows}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        _sync_folder(path)
    except OSError as exc:
        with suppress(OSError):
            os.unlink(draft)
        raise _unwritable(path, exc) from exc


def _sync_folder(path: str) -> None:
    """Let a revocation outlast a loss of power, where the system lets folders be synced."""
    with suppress(OSError):
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """Keep other processes from changing the file meanwhile, where the system allows it."""
    try:
        lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    except FileNotFoundError as exc:
        raise CannotOpenError(
            f"{path!r} lies in a folder that does not exist; create the folder first.", target=path
        ) from exc
    except OSError as exc:
        raise _unwritable(path, exc) from exc
    try:
        with suppress(ImportError):
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _unwritable(path: str, exc: OSError) -> CannotOpenError:
    return CannotOpenError(
        f"The keys cannot be written to {path!r}: {exc.strerror or exc}. Check the folder's"
        " permissions and the space left.",
        target=path,
    )


def _unreadable(path: str, exc: Exception) -> CannotOpenError:
    return CannotOpenError(
        f"The keys in {path!r} cannot be read: {type(exc).__name__}: {exc}. Until they can,"
        " nobody gets in; restore the file, or remove it and make new keys.",
        target=path,
    )
