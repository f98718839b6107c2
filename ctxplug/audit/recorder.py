"""Recorder: makes the entries of one memory's audit, and seals them into the chain."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ctxplug.audit import chain
from ctxplug.audit.changes import Draft, limited
from ctxplug.audit.entry import OK, append_of, from_payload
from ctxplug.audit.judges import Judges, Raised
from ctxplug.audit.policy import AuditPolicy
from ctxplug.audit.sensitivity import NONE
from ctxplug.errors import AuditError, CtxplugError, StorageError
from ctxplug.scope import Namespace, Scope
from ctxplug.storage import Append, Backend

log = logging.getLogger("ctxplug")

Tell = Callable[..., None]
_purpose: ContextVar[tuple[str | None, str | None]] = ContextVar(
    "ctxplug_purpose", default=(None, None)
)


@contextmanager
def acting_for(purpose: str | None, actor: str | None) -> Iterator[None]:
    """Let what is audited meanwhile, here and in tasks begun here, be for `purpose`."""
    before = _purpose.get()
    token = _purpose.set((purpose or before[0], actor or before[1]))
    try:
        yield
    finally:
        _purpose.reset(token)


def acting() -> tuple[str | None, str | None]:
    """Return for what purpose, and on whose behalf, is acted in this task or thread."""
    return _purpose.get()


class Sealer:
    """Counts what is not sealed yet, by namespace; memories beside each other share one."""

    def __init__(self, store: Backend, every: int) -> None:
        self._store = store
        self._every = every
        self._lock = threading.Lock()
        self._waiting: dict[Namespace, int] = {}
        self._runs: dict[Namespace, chain.Run] = {}

    def written(self, namespace: Namespace, entries: Sequence[tuple[int, str]]) -> None:
        """Take note of new entries, by place and digest; seal them if there are many."""
        with self._lock:
            count = self._waiting[namespace] = self._waiting.get(namespace, 0) + len(entries)
            run = self._runs.setdefault(namespace, chain.Run())
            for seq, digest in entries:
                run.add(seq, digest)
        if count >= self._every:
            self.seal(namespace)

    def seal(self, namespace: Namespace) -> str | None:
        """Seal a namespace now; raise StorageError if that fails."""
        with self._lock:
            self._waiting.pop(namespace, None)
            run = self._runs.pop(namespace, None)
        return chain.seal(self._store, namespace, run)

    def seal_all(self) -> None:
        """Seal what this process has written; what fails is sealed by whoever comes next."""
        for namespace in list(self._waiting):
            self.try_seal(namespace)

    def try_seal(self, namespace: Namespace) -> str | None:
        """Seal a namespace; that it fails is logged, and harms nobody."""
        try:
            return self.seal(namespace)
        except CtxplugError:
            log.warning("the audit log could not be sealed", exc_info=True)
            return None


@dataclass(slots=True)
class Written:
    """Entries that are written with a change, and the alerts to be told of afterwards."""

    appends: list[Append]
    alerts: list[dict[str, Any]]


class Recorder:
    """What is entered when `scope` acts, as `policy` says."""

    def __init__(
        self,
        store: Backend,
        scope: Scope,
        policy: AuditPolicy,
        judges: Judges,
        tell: Tell,
        sealer: Sealer | None = None,
    ) -> None:
        self.store = store  # beneath all access rules: those who are denied are audited too
        self.scope = scope
        self.policy = policy
        self.sealer = sealer or Sealer(store, policy.seal_every)
        self._judges, self._judged = judges, judges.about(policy)
        self._tell = tell

    def written(self, drafts: list[Draft], outcome: str = OK) -> Written:
        """Return what is to be written for `drafts`.

        Raises AuditError if a rule refuses it or, where audit is required, if it fails.
        """
        made = Written([], [])
        for draft in drafts:
            try:
                self._make(made, draft, outcome)
            except AuditError:
                raise
            except Exception as exc:
                if self.policy.required:
                    raise self._error(draft.what) from exc
                log.warning("%r could not be audited", draft.what, exc_info=True)
        return made

    def done(self, made: Written, places: Sequence[int]) -> None:
        """Tell of the alerts of what is written by now, at `places`, and seal if there is much."""
        entered: dict[Namespace, list[tuple[int, str]]] = {}
        for append, place in zip(made.appends, places, strict=True):
            entered.setdefault(append.stream.namespace, []).append((place, append.body["digest"]))
        self.tell_alerts(made)
        for namespace, entries in entered.items():
            try:
                self.sealer.written(namespace, entries)
            except CtxplugError:
                log.warning("the audit log could not be sealed", exc_info=True)

    def tell_alerts(self, made: Written) -> None:
        """Tell of the alerts that were raised."""
        for alert in made.alerts:
            self._tell("audit.alert", **alert)

    def tell_erased(self, made: Written, chain: str) -> None:
        """Tell who erased a namespace, and why: nothing else will, as the log went with it."""
        payload = made.appends[0].body["payload"] if made.appends else {}
        about = {name: payload.get(name) for name in ("at", "agent", "actor", "purpose")}
        self._tell("audit.erased", chain=chain, **about)

    def write(self, draft: Draft, outcome: str = OK) -> None:
        """Enter what no write of its own tells of; raise AuditError if it must be and cannot."""
        made = self.written([draft], outcome)
        try:
            places = self.store.write(*made.appends)
        except StorageError as exc:
            if self.policy.required:
                raise self._error(draft.what) from exc
            log.warning("%r could not be audited", draft.what, exc_info=True)
            self._tell("audit.failed", what=draft.what, error=type(exc).__name__)
        else:
            self.done(made, places)

    def _make(self, made: Written, draft: Draft, outcome: str) -> None:
        """Make the entry of `draft`, and those of the alerts that it raises."""
        now = datetime.now(UTC)
        payload = self._payload(draft, outcome, now)
        raised: Raised = []
        if self._judged is None or draft.what in self._judged:
            raised = self._judges.judged(from_payload(payload), self.scope, self.policy)
        made.appends.append(append_of(payload, draft.namespace, now))
        for rule, text in raised:
            told = {"rule": rule, "text": text, "what": draft.what}
            alert = {**payload, "what": "alert", "data": told}
            alert.pop("outcome", None)
            made.appends.append(append_of(alert, draft.namespace, now))
            about = {name: payload.get(name) for name in ("ids", "agent", "actor", "purpose")}
            made.alerts.append({**told, **about})

    def _payload(self, draft: Draft, outcome: str, now: datetime) -> dict[str, Any]:
        """Return what an entry says (see AuditEntry.payload); this is quicker, and done often."""
        scope, (purpose, actor) = self.scope, _purpose.get()
        ids, data = limited(draft)
        told: dict[str, Any] = {"at": now.isoformat(), "namespace": [*draft.namespace]}
        told |= {"session": draft.session or scope.session, "what": draft.what}
        found, failure = NONE, None
        if draft.records:
            found, failure = self._judges.classified(draft.records, scope, self.policy.required)
        if failure:
            data = {**data, "unclassified": failure}
        for name, value in (
            ("actor", actor or self.policy.actor),
            ("agent", scope.agent),
            ("data", data),
            ("ids", ids),
            ("outcome", None if outcome == OK else outcome),
            ("purpose", purpose or self.policy.purpose),
            ("sensitivity", found.level),
            ("tags", found.tags),
        ):
            if value:
                told[name] = value
        return told

    def _error(self, what: str) -> AuditError:
        return AuditError(
            f"{what!r} must be audited here, and could not be; nothing was done. The cause is"
            " chained."
        )
