"""AuditLog: `memory.audit`, through which an audit log is read, verified and added to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from ctxplug import codec
from ctxplug.audit.chain import chain_of
from ctxplug.audit.changes import Draft, is_own
from ctxplug.audit.checks import AuditReport
from ctxplug.audit.entry import STREAM, AuditEntry, entry_of
from ctxplug.audit.recorder import Recorder, acting_for
from ctxplug.audit.verify import verify_namespace
from ctxplug.errors import CannotOpenError, InvalidValueError
from ctxplug.guards import redacted
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Stream
from ctxplug.times import to_datetime

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.audit.summary import AuditSummary

PAGE = 500

Redact = Callable[[str], str]


class AuditLog:
    """The audit log of a memory's namespace: who did what, when, to which records, and why.

    Every verb has an a-twin. What is read here is not audited itself.
    """

    def __init__(self, backend: Backend, recorder: Recorder, redact: Redact) -> None:
        self._backend = backend
        self._recorder = recorder
        self._redact = redact

    @property
    def namespace(self) -> Namespace:
        """The namespace whose log it is."""
        return self._recorder.scope.namespace

    def purpose(
        self, purpose: str | None = None, *, actor: str | None = None
    ) -> AbstractContextManager[None]:
        """Let all that is done in the with block be for `purpose`, on behalf of `actor`.

        It holds for every memory, in this thread or task, in tasks that are begun in it and
        in a-twins; a thread that is begun by hand names its own.
        """
        if purpose is None and actor is None:
            raise InvalidValueError("Say for what purpose, or for whom.", path="purpose")
        given = [
            None if text is None else self._redact(_text(text, name))
            for name, text in (("purpose", purpose), ("actor", actor))
        ]
        return acting_for(*given)

    def entries(
        self,
        what: Iterable[str] | str | None = None,
        *,
        agent: str | None = None,
        session: str | None = None,
        id: str | None = None,
        purpose: str | None = None,
        outcome: str | None = None,
        since: datetime | str | float | None = None,
        until: datetime | str | float | None = None,
        last: int | None = None,
    ) -> list[AuditEntry]:
        """Return the entries, oldest first; with `last`, so many of the newest that match.

        `what` is a verb or several, `id` a record, message or session that was touched;
        `since` <= at < `until`. Raises CorruptStoreError for an entry that is damaged.
        """
        verbs = None if what is None else {what} if isinstance(what, str) else set(what)
        begin = None if since is None else to_datetime(since)
        end = None if until is None else to_datetime(until)
        named = {"agent": agent, "session": session, "purpose": purpose, "outcome": outcome}
        wanted = [(name, value) for name, value in named.items() if value is not None]

        def matches(entry: AuditEntry) -> bool:
            return (
                (verbs is None or entry.what in verbs)
                and all(getattr(entry, name) == value for name, value in wanted)
                and (id is None or id in entry.ids)
                and (begin is None or entry.at >= begin)
                and (end is None or entry.at < end)
            )

        if last is None:
            return [entry for entry in self._oldest_first() if matches(entry)]
        return list(islice(filter(matches, self._newest_first()), last))[::-1]

    def note(self, action: str, *, ids: Iterable[str] = (), **data: Any) -> None:
        """Enter something that the application did: `action`, with JSON `data`; no content.

        It passes the redactors. Raises InvalidValueError for an action that ctxplug enters
        itself, AuditError if it must be audited and cannot be.
        """
        if is_own(_text(action, "action")):
            raise InvalidValueError(
                f"{action!r} is entered by ctxplug itself, where it is done; choose another name.",
                path="action",
            )
        told = redacted(codec.plain(data, "data"), self._redact)
        touched = [self._redact(_text(one, "ids")) for one in ids]
        self._recorder.write(Draft(self._redact(action), self.namespace, None, touched, told))

    def flush(self) -> None:
        """Seal what is not sealed yet."""
        self._recorder.sealer.seal(self.namespace)

    def verify(self, anchor: Mapping[str, Any] | None = None) -> AuditReport:
        """Examine the log and its chain; with `anchor`, whether they are the ones it knew.

        What is sound is sealed afterwards. An anchor that was kept elsewhere is what tells
        of a log that was cut at its end, or rewritten as a whole.
        """
        from ctxplug.audit.exports import to_anchor

        known = None if anchor is None else to_anchor(anchor)
        report = verify_namespace(self._backend, self.namespace, known)
        if report.ok and report.unsealed:
            self._recorder.sealer.try_seal(self.namespace)
        return report

    def anchor(self) -> dict[str, Any]:
        """Seal the log, and return the head of its chain: JSON, to be kept elsewhere."""
        from ctxplug.audit.exports import anchor_of

        self._recorder.sealer.try_seal(self.namespace)
        chain = chain_of(self._backend, self.namespace)
        return anchor_of(self._backend, "namespace", [] if chain is None else [chain])

    def export(self, file: str | os.PathLike[str] | BinaryIO) -> int:
        """Write the log and its chain to a new file, which verifies alone; return its entries.

        `file` is the path of a file that does not exist yet, or a binary file to write to.
        """
        from ctxplug.audit.exports import export_lines

        self._recorder.sealer.try_seal(self.namespace)
        if not isinstance(file, str | os.PathLike):
            file.writelines(export_lines(self._backend, self.namespace))
            return self._backend.head(Stream(self.namespace, STREAM))
        path = os.fspath(file)
        try:
            with open(path, "xb") as out:
                out.writelines(export_lines(self._backend, self.namespace))
        except OSError as exc:
            reason = exc.strerror or exc
            raise CannotOpenError(f"{path!r} cannot be written: {reason}.", target=path) from exc
        return self._backend.head(Stream(self.namespace, STREAM))

    def report(
        self,
        *,
        since: datetime | str | float | None = None,
        until: datetime | str | float | None = None,
    ) -> AuditSummary:
        """Count what was done, by verb, agent, purpose and sensitivity; with alerts and denials."""
        from ctxplug.audit.summary import summary_of

        return summary_of(self.namespace, self.entries(since=since, until=until))

    # -- a-twins -------------------------------------------------------------------------

    async def aentries(self, what: Iterable[str] | str | None = None, **options: Any) -> Any:
        """Async twin of `entries`."""
        return await self._backend.arun(partial(self.entries, what, **options))

    async def anote(self, action: str, **data: Any) -> None:
        """Async twin of `note`."""
        await self._backend.arun(partial(self.note, action, **data))

    async def aflush(self) -> None:
        """Async twin of `flush`."""
        await self._backend.arun(self.flush)

    async def averify(self, anchor: Mapping[str, Any] | None = None) -> AuditReport:
        """Async twin of `verify`."""
        return await self._backend.arun(partial(self.verify, anchor))

    async def aanchor(self) -> dict[str, Any]:
        """Async twin of `anchor`."""
        return await self._backend.arun(self.anchor)

    async def aexport(self, file: str | os.PathLike[str] | BinaryIO) -> int:
        """Async twin of `export`."""
        return await self._backend.arun(partial(self.export, file))

    async def areport(self, **options: Any) -> AuditSummary:
        """Async twin of `report`."""
        return await self._backend.arun(partial(self.report, **options))

    # -- inside --------------------------------------------------------------------------

    def _oldest_first(self) -> Iterator[AuditEntry]:
        stream, after = Stream(self.namespace, STREAM), 0
        while page := self._backend.read(stream, after=after, limit=PAGE):
            yield from map(entry_of, page)
            after = page[-1].version

    def _newest_first(self) -> Iterator[AuditEntry]:
        stream, before = Stream(self.namespace, STREAM), None
        while page := self._backend.read(stream, before=before, limit=PAGE, newest_first=True):
            yield from map(entry_of, page)
            before = page[-1].version


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidValueError(f"{name} is a text, not {value!r:.60}.", path=name)
    return value
