"""Collecting: the answers to what the viewer asks of a store, as many as a report has room for.

An answer stands under an address: the path that the viewer asks, and the parameters that tell
one answer from another, sorted. `viewer/report_answers.js` finds them, and filters lists.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from ctxplug.errors import CtxplugError
from ctxplug.scope import Namespace, namespace_key, to_namespace
from ctxplug_server.report.packing import Packer
from ctxplug_server.report.session_answers import session_answers
from ctxplug_server.viewing import Viewing
from ctxplug_server.viewing.memories import memories, memory

__all__ = ["Collected", "address", "collect"]

MEMORIES = 1_000  # of a namespace
PAGE = 500
LANGUAGES = ("en", "zh")
SESSIONS = "/v1/view/sessions"
SAFE = "!'()*~"  # what encodeURIComponent of JavaScript leaves as it is, besides letters


class Collected:
    """What is in a report of `size` bytes; `left_out` says what is not: a kind and its values.

    What takes long is left out when `seconds` are over.
    """

    def __init__(self, size: int, seconds: float = 60.0) -> None:
        self.packer = Packer()
        self.left_out: list[dict[str, Any]] = []
        self.shown: list[dict[str, Any]] = []
        self.namespaces: list[str] = []
        self._size = size
        self._began, self._share = 0, size
        self._end = time.monotonic() + seconds

    @property
    def used(self) -> float:
        """How much is used of the share of what is being collected, 0.0 to 1.0 and above."""
        return (self.packer.size - self._began) / self._share if self._share > 0 else 1.0

    @property
    def hurried(self) -> bool:
        """Whether the time for what takes long is over."""
        return time.monotonic() > self._end

    def begin(self, others: int) -> None:
        """Let what comes now have its share, where as many `others` come after it."""
        self._began = self.packer.size
        self._share = (self._size - self._began) // (others + 1)

    def leave(self, what: str, **values: Any) -> None:
        """Say that something is left out."""
        self.left_out.append({"what": what, **values})

    def take(self, answers: Iterable[tuple[str, Any]]) -> bool:
        """Take all answers, or none if there is no room for them."""
        mark, left = self.packer.mark(), len(self.left_out)
        for where, answer in answers:
            self.packer.put(where, answer)
            if self.packer.size > self._size:
                self.packer.back_to(mark)
                del self.left_out[left:]
                return False
        return True


def address(path: str, **params: Any) -> str:
    """Return where an answer stands, as `keyOf` of viewer/report_answers.js makes it."""
    given = sorted([name, str(value)] for name, value in params.items() if value is not None)
    return f"{path} {json.dumps(given, ensure_ascii=False, separators=(',', ':'))}"


def collect(
    viewing: Viewing,
    namespaces: Sequence[Namespace],
    *,
    sessions: Sequence[str] | None,
    last: int,
    size: int,
    progress: Callable[[str], None] = lambda session: None,
) -> Collected:
    """Return what there is room for of the newest sessions, and of their namespaces' memories."""
    found = Collected(size)
    listed = list(_listed(viewing, namespaces))
    chosen = listed[:last]
    if sessions is not None:
        chosen = [one for one in listed if one["session"] in sessions]
    told = {one["namespace"] for one in chosen}
    owners = [one for one in namespaces if namespace_key(one) in told or len(namespaces) == 1]
    for number, namespace in enumerate(owners, 1):
        found.begin(len(owners) - number + len(chosen))
        if not found.take(_of_namespace(viewing, namespace, found)):
            found.leave("no_room_for_memories", namespace=namespace_key(namespace))
    for number, item in enumerate(chosen, 1):
        progress(item["session"])
        found.begin(len(chosen) - number)
        _session(viewing, item, found)
    if sessions is None and len(listed) > len(chosen):
        found.leave("sessions", count=len(listed) - len(chosen), most=last)
    names = found.namespaces = [namespace_key(one) for one in owners]
    spaces = {"items": names, "namespaces": [{"namespace": name} for name in names]}
    found.packer.put(address("/v1/namespaces"), spaces)
    found.packer.put(address(SESSIONS), {"items": found.shown, "next": None})
    return found


def _listed(viewing: Viewing, namespaces: Sequence[Namespace]) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = viewing.sessions(namespaces, q=None, state=None, limit=PAGE, cursor=cursor)
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return


def _session(viewing: Viewing, item: dict[str, Any], found: Collected) -> None:
    """Take a session; one that cannot be read, or has no room, is left out."""
    namespace, session = to_namespace(item["namespace"]), item["session"]
    base = f"{SESSIONS}/{quote(session, safe=SAFE)}"
    answers = (
        (address(f"{base}{path}", namespace=item["namespace"], **params), answer)
        for path, params, answer in session_answers(viewing, namespace, session, LANGUAGES, found)
    )
    mark = found.packer.mark()
    try:
        if found.take(answers):
            found.shown.append(item)
        else:
            found.leave("no_room", session=session, namespace=item["namespace"])
    except CtxplugError as exc:
        found.packer.back_to(mark)
        found.leave("unreadable", session=session, error=str(exc))


def _of_namespace(
    viewing: Viewing, namespace: Namespace, found: Collected
) -> Iterator[tuple[str, Any]]:
    """Yield the memories and the spending of a namespace."""
    name = namespace_key(namespace)
    for by in ("hour", "day"):
        while not (spent := viewing.spending([namespace], None, by, None, None))["whole"]:
            pass
        yield address("/v1/view/usage", by=by, namespace=name), spent
    items = list(_memories(viewing, namespace, found))
    yield address("/v1/view/memories", namespace=name), {"items": items, "next": None}
    for item in items:
        id = item["record"]["id"]
        told = memory(viewing.backend(None), namespace, id)
        yield address(f"/v1/view/memories/{quote(id, safe=SAFE)}", namespace=name), told


def _memories(viewing: Viewing, namespace: Namespace, found: Collected) -> Iterator[dict[str, Any]]:
    backend, reading = viewing.backend(None), viewing.reading(None)
    asked: dict[str, Any] = {"q": None, "kind": None, "tier": None, "tags": ()}
    asked |= {"include": "superseded", "limit": PAGE}
    cursor = None
    for _ in range(MEMORIES // PAGE):
        page = memories(backend, reading, namespace, cursor=cursor, **asked)
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return
    found.leave("memories", namespace=namespace_key(namespace), most=MEMORIES)
