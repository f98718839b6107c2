"""Hub: one thread that looks for changes, and tells all subscribers of them.

What this process writes is told at once; what others write to the same store is found by
looking at the heads of the logs that somebody follows, several times a second at most.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from ctxplug.access.guarding import guarded
from ctxplug.errors import CtxplugError
from ctxplug.scope import PRIVATE, Namespace
from ctxplug.storage import Append, Backend, Delete, Fork, Op, Put, Unarchive
from ctxplug_server.live.event import BEHIND, READY, SESSIONS, EventIds, LiveEvent
from ctxplug_server.live.subscriber import Subscriber
from ctxplug_server.live.watch import Watch, Written
from ctxplug_server.problems import failed_at

log = logging.getLogger("ctxplug.server")

POLL = 0.3  # seconds between two looks at what others wrote
SHARE = 0.04  # of a core that looking may take: a slow look makes the next one wait
LINGER = 60.0  # seconds for which a namespace is watched on when its last reader has gone
CHECKED = 1.0  # seconds between two questions whether the key of a stream is still good
DRAINED = 2.0  # seconds for which the last events are waited for
MOST_OF_ONE = 64  # namespaces that one reader follows
MOST_WRITTEN = 10_000  # writes that wait to be told; with more, the namespaces are looked at
Key = tuple[Namespace, str | None]  # of a watch: whose, and as which agent


@dataclass
class _Followed:
    watch: Watch
    readers: list[Subscriber] = field(default_factory=list)
    due: float = 0.0
    idle_since: float | None = None


class Hub:
    """What changes in the store `backend`, told to subscribers; its thread runs while there are."""

    def __init__(self, backend: Backend, *, poll: float = POLL) -> None:
        self.ids = EventIds()
        self.told = 0  # events that were told of, over all namespaces
        self._backend = backend
        self._poll = poll
        self._followed: dict[Key, _Followed] = {}
        self._followers: dict[Namespace, int] = {}  # how many watches there are of each
        self._written: deque[tuple[Namespace, Written | None]] = deque()
        self._lock = threading.RLock()  # over what is followed, and the order of events
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._checked = 0.0
        self.ended: str | None = None

    # -- what this process writes ----------------------------------------------------------

    def wrote(self, ops: Sequence[Op], done: Sequence[int]) -> None:
        """Take note of a write that was done; costs next to nothing where nobody listens."""
        if not self._followers:
            return
        for op, version in zip(ops, done, strict=False):
            told = _written(op, version)
            if told is not None and told[0] in self._followers:
                self._note(*told)

    def changed(self, namespace: Namespace) -> None:
        """Let a namespace be looked at now, as something was done that tells no more."""
        if namespace in self._followers:
            self._note(namespace, None)

    def _note(self, namespace: Namespace, written: Written | None) -> None:
        if len(self._written) >= MOST_WRITTEN:
            self._written.clear()
            self._written.extend((one, None) for one in list(self._followers))
        self._written.append((namespace, written))
        self._wake.set()

    # -- subscribers -----------------------------------------------------------------------

    def subscribe(
        self,
        reader: Subscriber,
        namespaces: Iterable[Namespace],
        *,
        after: str | None = None,
    ) -> None:
        """Tell `reader` of what changes in `namespaces` from now on, or since the event `after`.

        It reads the store, so it is called on a worker thread.
        """
        with self._lock:
            if self.ended is not None:
                reader.end(self.ended)
                return
            found = [self._follow((one, reader.agent)) for one in islice(namespaces, MOST_OF_ONE)]
            self._resume(reader, [one.watch for one in found], after)
            for one in found:
                one.readers.append(reader)
                one.idle_since = None
            self._start()
        self._wake.set()

    def unsubscribe(self, reader: Subscriber, namespaces: Iterable[Namespace] = ()) -> None:
        """Tell `reader` nothing more of `namespaces`, or of any if none is given."""
        only = set(namespaces)
        with self._lock:
            for (namespace, _), one in self._followed.items():
                if reader in one.readers and (not only or namespace in only):
                    one.readers.remove(reader)
                    if not one.readers:
                        one.idle_since = time.monotonic()

    @property
    def readers(self) -> list[Subscriber]:
        """Everybody who is told of anything."""
        with self._lock:
            followed = list(self._followed.values())
            return list(dict.fromkeys(reader for one in followed for reader in one.readers))

    def end(self, reason: str = "shutdown") -> None:
        """End every stream with an event that says why, and stop."""
        with self._lock:
            self.ended = self.ended or reason
            readers, thread = self.readers, self._thread
        for reader in readers:
            reader.end(reason)
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5.0)

    async def drained(self, seconds: float = DRAINED) -> None:
        """Wait, but not for long, until those who were told of the end have been told."""
        last = time.monotonic() + seconds
        while self.readers and time.monotonic() < last:
            await asyncio.sleep(0.01)

    def _follow(self, key: Key) -> _Followed:
        if key not in self._followed:
            namespace, agent = key
            watch = Watch(guarded(self._backend, agent), namespace)
            self.told += 1  # whoever comes back from before knows that something may be missing
            watch.since = self.told
            self._followed[key] = _Followed(watch, due=time.monotonic() + self._poll)
            self._followers[namespace] = self._followers.get(namespace, 0) + 1
        return self._followed[key]

    def _resume(self, reader: Subscriber, watches: Sequence[Watch], after: str | None) -> None:
        """Begin with what was missed since `after`, or say that not all of it is known."""
        last = self.ids.number(after)
        if after is None:
            reader.offer(LiveEvent(READY, number=self.told))
        elif last is None or any(last < watch.since for watch in watches):
            reader.offer(LiveEvent(BEHIND, number=self.told))
        else:
            missed = [event for watch in watches for event in watch.kept if event.number > last]
            for event in sorted(missed, key=lambda event: event.number):
                if reader.wants(event):
                    reader.offer(event)

    # -- the thread ------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="ctxplug-live", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while self.ended is None:
            self._wake.wait(timeout=self._pause())
            self._wake.clear()
            try:
                self._tell_written()
                self._look()
                self._check()
            except Exception as exc:  # one that fails must not end the streams of all
                log.error("looking for changes failed, and goes on: %s", failed_at(exc))
                time.sleep(self._poll)
            with self._lock:
                if not self._followed:
                    self._thread = None
                    return

    def _pause(self) -> float:
        now = time.monotonic()
        with self._lock:
            dues = [one.due for one in self._followed.values()]
        return max(0.01, min([*dues, now + CHECKED]) - now)

    def _tell_written(self) -> None:
        by_namespace: dict[Namespace, list[Written | None]] = {}
        while self._written:
            namespace, written = self._written.popleft()
            by_namespace.setdefault(namespace, []).append(written)
        for namespace, several in by_namespace.items():
            known = [one for one in several if one is not None]
            for one in self._of(namespace):
                if known:
                    self._tell(one, partial(Watch.told, written=known))
                if len(known) < len(several):
                    self._tell(one, Watch.look)

    def _look(self) -> None:
        now = time.monotonic()
        with self._lock:
            for key, one in list(self._followed.items()):
                if one.idle_since is not None and now - one.idle_since > LINGER:
                    self._forget(key)
            due = [one for one in self._followed.values() if one.due <= now]
        for one in due:
            began = time.monotonic()
            self._tell(one, Watch.look)
            took = time.monotonic() - began
            idle = 3.0 if one.idle_since is not None else 1.0
            one.due = time.monotonic() + max(self._poll, took / SHARE) * idle

    def _check(self) -> None:
        """End streams whose key is good no more; let readers of all follow what is new."""
        now = time.monotonic()
        if now - self._checked < CHECKED:
            return
        self._checked = now
        for reader in self.readers:
            if not _is_valid(reader):
                reader.end("revoked")
                self.unsubscribe(reader)
        for reader in self.readers:
            if reader.lists is not None:
                self._widen(reader, reader.lists())

    def _widen(self, reader: Subscriber, namespaces: Iterable[Namespace]) -> None:
        with self._lock:
            own = [key for key, one in self._followed.items() if reader in one.readers]
            known, agent = {namespace for namespace, _ in own}, reader.agent
            new = [one for one in namespaces if one not in known][: max(0, MOST_OF_ONE - len(own))]
            for namespace in new:
                one = self._follow((namespace, agent))
                one.readers.append(reader)
                one.idle_since = None
                self._tell(one, lambda watch: iter([LiveEvent(SESSIONS, watch.namespace)]))

    def _tell(self, one: _Followed, seen: Callable[[Watch], Iterator[LiveEvent]]) -> None:
        """Tell the readers of a watch what it sees now."""
        try:
            with self._lock:
                for event in seen(one.watch):
                    self.told += 1
                    event = replace(event, number=self.told)
                    one.watch.keep(event)
                    for reader in one.readers:
                        if reader.wants(event):
                            reader.offer(event)
        except CtxplugError as exc:  # the next look may do
            log.warning("a namespace could not be looked at for changes: %s", type(exc).__name__)

    def _of(self, namespace: Namespace) -> list[_Followed]:
        with self._lock:
            return [one for (of, _), one in self._followed.items() if of == namespace]

    def _forget(self, key: Key) -> None:
        del self._followed[key]
        left = self._followers[key[0]] - 1
        if left:
            self._followers[key[0]] = left
        else:
            del self._followers[key[0]]


def _is_valid(reader: Subscriber) -> bool:
    try:
        return reader.valid()
    except CtxplugError:  # the keys cannot be read: nobody gets in
        return False


def _written(op: Op, version: int) -> tuple[Namespace, Written | None] | None:
    """Return what of a namespace an operation changed; None: look, it tells no more."""
    if isinstance(op, Append):
        namespace = op.stream.namespace
        if namespace[0] == PRIVATE:
            return None
        return namespace, Written(op.stream.session, op.kind, version)
    if isinstance(op, Put):
        return op.record.namespace, Written(None)
    if isinstance(op, Delete):
        return op.namespace, Written(None)
    if isinstance(op, Fork):
        return op.stream.namespace, None
    if isinstance(op, Unarchive):
        return op.namespace, None
    return None
