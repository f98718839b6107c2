"""Steps: the changes of maintenance, each whole or not at all, whoever else writes.

A step says which records it was decided on. It is written only while those are as they were
read; if one was changed, touched or forgotten meanwhile, the records are read again and what
is left is decided anew. So two processes that maintain one namespace lose nothing and do
nothing twice.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from ctxplug.errors import ConflictError
from ctxplug.memories.report import CHANGES, STREAM, Change
from ctxplug.records import MemoryRecord
from ctxplug.scope import Scope
from ctxplug.storage import Append, Backend, Delete, Expect, Op, Put, Stream, Where

MESSAGE = "message"
BATCH = 50  # steps of one write
ATTEMPTS = 100


@dataclass(frozen=True)
class Step:
    """What happens at once: records `before`, and after it (None: gone), by id.

    A record that is in `after` alone is new.
    """

    changes: tuple[Change, ...]
    before: Mapping[str, MemoryRecord]
    after: Mapping[str, MemoryRecord | None]
    log: tuple[Append, ...] = ()


Records: TypeAlias = dict[str, MemoryRecord]
Plan: TypeAlias = Callable[[Records], Sequence[Step]]


@dataclass
class Steps:
    """The memories of a namespace as they were read, and the writing of steps on them.

    `write` is how operations are written; `stopped` ends the work between two writes.
    """

    backend: Backend
    scope: Scope
    run: str
    verb: str
    now: datetime
    write: Callable[..., object]
    dry: bool = False
    stopped: Callable[[], bool] = lambda: False
    done: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _records: Records | None = None

    @property
    def records(self) -> Records:
        """The memories of the namespace by id, expired ones too, without its messages."""
        if self._records is None:
            where = Where(self.scope.namespace, not_kinds=[MESSAGE])
            self._records = {record.id: record for record in self.backend.find(where)}
        return self._records

    def carry_out(self, plan: Plan) -> None:
        """Do what `plan` makes of the records, again after others wrote, until it is done."""
        for attempt in range(ATTEMPTS):
            steps = plan(self.records)
            if not steps or self.stopped():
                return
            if self.dry:
                for step in steps:
                    self._note_done(step)
                return
            if self._all_written(steps):
                return
            self._records = None
            time.sleep(random.random() * min(attempt + 1, 20) / 2_000)
        self.notes.append("Others kept writing; what is left waits for the next run.")

    def note(self, text: str) -> None:
        """Take a remark into the report, once."""
        if text not in self.notes:
            self.notes.append(text)

    def _all_written(self, steps: Sequence[Step]) -> bool:
        """Write the steps; return whether none met a change by another writer."""
        whole = True
        for start in range(0, len(steps), BATCH):
            if self.stopped():
                return True
            batch = steps[start : start + BATCH]
            if not self.written(batch):
                whole = all([self.written([step]) for step in batch]) and whole
        return whole

    def written(self, steps: Sequence[Step]) -> bool:
        """Write the steps as one; return False if another writer came between: nothing is."""
        try:
            self.write(*self._operations(steps))
        except ConflictError:
            return False
        for step in steps:
            self._note_done(step)
        return True

    def _operations(self, steps: Sequence[Step]) -> Iterable[Op]:
        from ctxplug.recall.indexing import index_form

        namespace = self.scope.namespace
        for step in steps:
            for id in {**step.before, **step.after}:
                yield Expect(namespace, id, step.before.get(id))
            for id, record in step.after.items():
                if record is None:
                    yield Delete(namespace, id)
                else:
                    yield Put(record, *index_form(record.content))
            yield from step.log
        changes = [change for step in steps for change in step.changes]
        body = {"run": self.run, "verb": self.verb, "changes": [_row(c) for c in changes]}
        yield Append(
            stream=Stream(namespace, STREAM),
            kind=CHANGES,
            body=body,
            created_at=self.now,
            agent=self.scope.agent,
        )

    def _note_done(self, step: Step) -> None:
        self.done.extend(step.changes)
        for id, record in step.after.items():
            if record is None:
                self.records.pop(id, None)
            else:
                self.records[id] = record


def _row(change: Change) -> list[str]:
    return [change.what, change.id, change.into]
