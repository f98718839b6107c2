"""Whose memory a run of an agent uses: from the runtime and its config, never from the model.

The user stands in the namespace; the thread, and the path of subgraphs in it, in the session.
Every id is encoded into one label, so that no id can reach another's.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

from langchain_core.runnables.config import var_child_runnable_config

from ctxplug.errors import InvalidNamespaceError, InvalidValueError
from langchain_ctxplug.labels import to_label

NamespaceChoice: TypeAlias = str | Iterable[str] | Callable[[Any], "str | Iterable[str]"]
DEFAULT_USER_KEY = "user_id"
NO_THREAD = "main"  # of an agent that is called without a thread id
_LONGEST = 96  # bytes; a label has 128, and a generation and a path are put behind this
_PLAIN = frozenset("-_@+=")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run's messages belong: labels below the memory's namespace, and a session.

    `kept` says whether a checkpointer keeps the state, so that what is gone from it was removed.
    """

    labels: tuple[str, ...]
    session: str
    kept: bool


def encode_label(id: object) -> str:
    """Return `id` as one label of a session; different ids give different labels.

    Letters, digits and a few signs stay, the rest is percent-encoded ("." and "/" among it); a
    long id ends in its hash. Raises InvalidNamespaceError for one that is empty or no text.
    """
    text = _text(id)
    composed = unicodedata.is_normalized("NFC", text)
    label = "".join(c if _stays(c, composed) else _encoded(c) for c in text)
    if len(label.encode()) <= _LONGEST:
        return label
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return f"{label.encode()[:48].decode('utf-8', 'ignore')}~h{digest}"


def user_label(id: object) -> str:
    """Return `id` as a label of a namespace: as it is where ctxplug takes it, as everywhere here.

    Raises InvalidNamespaceError for one that is empty or no text.
    """
    return to_label(_text(id))


def place_of(
    runtime: Any,
    *,
    namespace: NamespaceChoice | None,
    user_key: str | None,
    agent: str | None,
) -> Place:
    """Return the place for a run.

    `user_key` None looks for "user_id" where there is no `namespace`, and goes on without it.

    The key is looked for in `runtime.context` (an attribute or item), then in the config's
    "configurable". Raises InvalidNamespaceError if a key that was asked for has no value.
    """
    configurable = _configurable()
    info = getattr(runtime, "execution_info", None)
    thread = configurable.get("thread_id") or getattr(info, "thread_id", None)
    path = configurable.get("checkpoint_ns") or getattr(info, "checkpoint_ns", None) or ""
    session = encode_label(str(thread) if thread is not None else NO_THREAD)
    session += "".join(f"~n{encode_label(name)}" for name in _subgraphs(str(path)))
    session += f"~a{encode_label(agent)}" if agent else ""
    if len(session.encode()) > _LONGEST:
        digest = hashlib.sha256(session.encode()).hexdigest()[:40]
        session = f"{session.encode()[:48].decode('utf-8', 'ignore')}~s{digest}"
    labels = _chosen(namespace, runtime)
    named = namespace is None or user_key is not None  # else it names the user itself
    user = _user(runtime, configurable, user_key) if named else None
    labels += () if user is None else (user_label(user),)
    return Place(labels, session, configurable.get("__pregel_checkpointer") is not None)


def _text(id: object) -> str:
    text = str(id) if isinstance(id, int) and not isinstance(id, bool) else id
    if not isinstance(text, str) or not text.strip():
        raise InvalidNamespaceError(
            f"An id is text that is not empty, not {id!r:.60}; name the user or the thread.",
            path="namespace",
        )
    return text


def _configurable() -> Mapping[str, Any]:
    config = var_child_runnable_config.get()
    return (config or {}).get("configurable") or {}


def _subgraphs(path: str) -> list[str]:
    """Return the names of the nodes above this one: "research:<task>|model:<task>" -> research."""
    return [part.split(":", 1)[0] for part in path.split("|")[:-1] if part]


def _chosen(namespace: NamespaceChoice | None, runtime: Any) -> tuple[str, ...]:
    if namespace is None:
        return ()
    value = namespace(runtime) if callable(namespace) else namespace
    labels = (value,) if isinstance(value, str) else tuple(value or ())
    if not labels:
        raise InvalidNamespaceError(
            f"namespace gave {value!r} for this run; it gives one label or several, none empty.",
            path="namespace",
        )
    return tuple(user_label(label) for label in labels)


def _user(runtime: Any, configurable: Mapping[str, Any], user_key: str | None) -> Any:
    key = DEFAULT_USER_KEY if user_key is None else user_key
    if not isinstance(key, str) or not key:
        raise InvalidValueError(f"user_key is a name such as 'user_id', not {key!r}.")
    context = getattr(runtime, "context", None)
    value = context.get(key) if isinstance(context, Mapping) else getattr(context, key, None)
    value = configurable.get(key) if value is None else value
    if value is None and user_key is not None:
        raise InvalidNamespaceError(
            f"This run names no user: {key!r} is neither in the runtime's context nor in"
            f" config['configurable']. Pass config={{'configurable': {{{key!r}: ...}}}} or a"
            f" context with {key!r}; nothing was read or stored.",
            path="namespace",
        )
    return value


def _stays(c: str, composed: bool) -> bool:
    return c in _PLAIN or (c.isalnum() and (c.isascii() or composed))


def _encoded(c: str) -> str:
    return quote(c.encode("utf-8", "surrogatepass"), safe="") if c not in "~." else f"%{ord(c):02X}"
