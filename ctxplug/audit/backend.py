"""AuditBackend: a backend that enters into the audit log what is done through it.

The entry of a change is written with it, in one atomic write, whoever writes: a verb, a tool,
an adapter or a plugin. An erasure is told in the chain, which it leaves, before and after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from ctxplug.access.guarding import require_erasable
from ctxplug.audit.chain import mark, take_leave
from ctxplug.audit.changes import Draft, drafts_of
from ctxplug.audit.entry import BEGUN, CHAINS, DENIED, FAILED, STREAM
from ctxplug.audit.recorder import Recorder
from ctxplug.errors import AccessError, CtxplugError, InvalidValueError
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Entry, EraseReceipt, Op, Stream, Where
from ctxplug.storage.passing import PassingBackend

T = TypeVar("T")
AGAIN = 60.0  # seconds after which what is denied again is entered once more
MEMO = 1_000  # denials that are remembered for that


class AuditBackend(PassingBackend):
    """`inner` with an audit by `recorder`; all that alters nothing is passed on to it."""

    def __init__(self, inner: Backend, recorder: Recorder) -> None:
        super().__init__(inner)
        self._recorder = recorder
        self._denied: dict[tuple[str, str | None], float] = {}

    # -- what alters something ---------------------------------------------------------

    def write(self, *ops: Op) -> list[int]:
        """Write `ops`, and with them what tells of them."""
        policy = self._recorder.policy
        drafts = drafts_of(ops, policy.everything)
        if policy.everything:
            drafts = [draft for draft in drafts if policy.wants(draft.what)]
        if not drafts:
            return self._writing(ops, ops)
        made = self._recorder.written(drafts)
        done = self._writing(ops, (*ops, *made.appends))
        self._recorder.done(made, done[len(ops) :])
        return done[: len(ops)]

    def erase(self, namespace: Namespace) -> EraseReceipt:
        """Erase `namespace`; its chain stays, with a link that tells of the erasure."""
        if namespace[:1] == CHAINS:
            raise _own_log()
        draft = Draft("erase", namespace)
        if not self._recorder.policy.wants("erase") or self._is_empty(namespace):
            return self._inner.erase(namespace)
        try:
            require_erasable(self._inner, namespace)
        except AccessError:
            self._enter_denied(draft)
            raise
        made = self._recorder.written([draft], BEGUN)
        self._recorder.tell_alerts(made)
        chain = self._announce(namespace)
        receipt = self._ending(draft, lambda: self._inner.erase(namespace))
        if chain is not None:
            counts = {"entries": receipt.entries, "records": receipt.records}
            event = {"erased": {"at": receipt.erased_at.isoformat(), **counts}}
            self._marked(lambda: mark(self._recorder.store, chain, event))
            self._recorder.tell_erased(made, chain)
        return receipt

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> EraseReceipt:
        """Erase sessions; the audit log of the namespace tells of it."""
        if STREAM in (session, *others):
            raise _own_log()
        draft = Draft("erase_session", namespace, None, [session, *others])
        if not self._recorder.policy.wants("erase_session"):
            return self._inner.erase_session(namespace, session, *others)
        self._recorder.write(draft, BEGUN)
        receipt = self._ending(
            draft, lambda: self._inner.erase_session(namespace, session, *others)
        )
        draft.data = {"entries": receipt.entries, "records": receipt.records}
        self._recorder.write(draft)
        return receipt

    # -- what is entered when it is denied ---------------------------------------------

    def read(self, stream: Stream, **options: Any) -> list[Entry]:
        """Return entries of a stream."""
        try:
            return self._inner.read(stream, **options)
        except AccessError:
            self._enter_denied(Draft("read", stream.namespace, None, [stream.session]))
            raise

    def head(self, stream: Stream) -> int:
        """Return the newest version of `stream`."""
        try:
            return self._inner.head(stream)
        except AccessError:
            self._enter_denied(Draft("read", stream.namespace, None, [stream.session]))
            raise

    # -- inside ------------------------------------------------------------------------

    def _writing(self, ops: Sequence[Op], all_ops: Sequence[Op]) -> list[int]:
        try:
            return self._inner.write(*all_ops)
        except AccessError:
            for draft in drafts_of(ops, everything=True):
                self._enter_denied(draft)
            raise

    def _enter_denied(self, draft: Draft) -> None:
        """Enter that something was denied: of the same thing, once a minute."""
        if not self._recorder.policy.wants(draft.what):
            return
        key = draft.what, " ".join(draft.ids)
        now = time.monotonic()
        if len(self._denied) >= MEMO:  # most of them are of ids that never come again
            self._denied.clear()
        if now - self._denied.get(key, -AGAIN) >= AGAIN:
            self._denied[key] = now
            draft.records = []
            self._recorder.write(draft, DENIED)

    def _is_empty(self, namespace: Namespace) -> bool:
        store = self._recorder.store
        if store.sessions(namespace) or store.count(Where(namespace)):
            return False
        return "archive" not in store.capabilities or not store.archive_state(namespace).records

    def _announce(self, namespace: Namespace) -> str | None:
        """Seal what is about to be erased; return the chain, which outlives it."""
        event = {"erasing": datetime.now(UTC).isoformat()}
        return self._marked(lambda: take_leave(self._recorder.store, namespace, event))

    def _ending(self, draft: Draft, work: Callable[[], T]) -> T:
        try:
            return work()
        except CtxplugError as exc:
            if not self._is_empty(draft.namespace):
                denied = isinstance(exc, AccessError)
                self._recorder.write(draft, DENIED if denied else FAILED)
                self._recorder.sealer.try_seal(draft.namespace)  # behind what was announced
            raise

    def _marked(self, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except CtxplugError:
            if self._recorder.policy.required:
                raise
            return None


def _own_log() -> InvalidValueError:
    return InvalidValueError(
        "The audit log is written by ctxplug alone; memory.audit.note(...) enters something in it.",
        path="stream",
    )


def recorder_of(backend: Backend) -> Recorder | None:
    """Return what enters what is done through `backend`; None if it is not audited."""
    return backend._recorder if isinstance(backend, AuditBackend) else None


def unaudited(backend: Backend) -> Backend:
    """Return what is beneath an audit: a memory opened on an audited backend has its own."""
    return backend._inner if isinstance(backend, AuditBackend) else backend
