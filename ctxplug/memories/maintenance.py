"""Maintenance: expire, settle contradictions, merge, promote, summarise, evict."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ctxplug.access.guarding import rule_classes
from ctxplug.compression import Summarizer
from ctxplug.errors import GuardError
from ctxplug.memories.capacity import evicted
from ctxplug.memories.consolidation import Merger, mergers
from ctxplug.memories.contradictions import timeline
from ctxplug.memories.policy import MemoryPolicy
from ctxplug.memories.report import RUN, STREAM, SUMMARISED, Change, MaintenanceReport, body_of
from ctxplug.memories.steps import ATTEMPTS, Records, Step, Steps
from ctxplug.memories.summaries import Stretch, stretches, summary_id, summary_of
from ctxplug.memories.tiers import earned, in_tier, own
from ctxplug.records import MemoryRecord
from ctxplug.registry import Registry
from ctxplug.scoring import combined
from ctxplug.storage import Append, Stream


@dataclass(frozen=True)
class Maintenance:
    """The work on one namespace; `guarded` asks the plugins about what is to be stored."""

    steps: Steps
    policy: MemoryPolicy
    registry: Registry
    guarded: Callable[[MemoryRecord], MemoryRecord]

    def consolidate(self) -> None:
        """Settle contradictions, merge, promote, and sum up what went quiet."""
        if self.policy.supersede:
            self.steps.carry_out(self._superseded)
        self.steps.carry_out(self._merged)
        self.steps.carry_out(self._promoted)
        self._summarise()

    def expire(self) -> None:
        """Remove what has expired."""
        self.steps.carry_out(lambda records: [
            _gone("expired", record)
            for record in records.values()
            if record.expires_at is not None and record.expires_at <= self.steps.now
        ])  # fmt: skip

    def evict(self) -> None:
        """Remove what there is no room for."""
        self.steps.carry_out(self._evicted)

    def report(self) -> MaintenanceReport:
        """Return what was done, after entering it in the log."""
        steps = self.steps
        report = MaintenanceReport(
            steps.run, steps.verb, steps.now, tuple(steps.done), tuple(steps.notes), steps.dry
        )
        if not steps.dry:
            steps.write(
                Append(
                    stream=Stream(steps.scope.namespace, STREAM),
                    kind=RUN,
                    body=body_of(report),
                    created_at=steps.now,
                    agent=steps.scope.agent,
                )
            )
        return report

    def _superseded(self, records: Records) -> Sequence[Step]:
        groups = self._under_the_same_rules(records)
        chains = (chain for one in groups for chain in timeline(one, self.policy.always_long))
        return [_superseding(chain) for chain in chains]

    def _merged(self, records: Records) -> Sequence[Step]:
        groups = self._under_the_same_rules(records)
        return [_merging(merger) for one in groups for merger in mergers(one, self.policy)]

    def _promoted(self, records: Records) -> Sequence[Step]:
        found = []
        for record in self._living(records):
            tier = earned(record, self.policy)
            if tier != record.tier:
                risen = in_tier(record, tier, self.policy, self.steps.now)
                change = Change("promoted", record.id, tier)
                found.append(Step((change,), {record.id: record}, {record.id: risen}))
        return found

    def _evicted(self, records: Records) -> Sequence[Step]:
        scorer = combined(self.policy.scorers, self.registry) if self.policy.scorers else None
        living = list(self._living(records))
        gone = evicted(living, self.steps.now, self.policy, scorer, self.steps.note)
        return [_gone("evicted", record) for record in gone]

    def _under_the_same_rules(self, records: Records) -> Iterable[list[MemoryRecord]]:
        """Return what is alive, together what the same agents may read and write."""
        rules = rule_classes(self.steps.backend, self.steps.scope.namespace)
        groups: dict[Hashable, list[MemoryRecord]] = {}
        for record in self._living(records):
            groups.setdefault(rules(record), []).append(record)
        return groups.values()

    def _living(self, records: Records) -> Iterator[MemoryRecord]:
        now = self.steps.now
        return (r for r in records.values() if r.expires_at is None or r.expires_at > now)

    # -- summaries -----------------------------------------------------------------------

    def _summarise(self) -> None:
        if self.policy.summarizer is None:
            return
        summarizer: Summarizer = self.registry.resolve("summarizer", self.policy.summarizer)
        made: dict[str, MemoryRecord | None] = {}
        for _ in range(ATTEMPTS):
            if self._all_summarised(summarizer, made):
                return

    def _all_summarised(self, summarizer: Summarizer, made: dict[str, MemoryRecord | None]) -> bool:
        """Sum up session after session; return False if another writer came between.

        `made` keeps the summaries, so that none is made twice.
        """
        steps = self.steps
        head = steps.backend.head(Stream(steps.scope.namespace, STREAM))
        for stretch in stretches(steps.backend, steps.scope.namespace, self.policy, steps.now):
            if steps.stopped():
                return True
            if steps.dry:
                steps.done.append(_summed(stretch))
                continue
            if stretch.ref not in made:
                made[stretch.ref] = self._summary(stretch, summarizer)
            record = made[stretch.ref]
            if record is None:
                continue
            # Nobody else may have summed up anything since we looked what there is to do.
            mark = self._mark(stretch, head)
            step = Step((_summed(stretch),), {}, {record.id: record}, (mark,))
            if not steps.written([step]):
                return False
            head += 2  # the mark, and the entry with the change
        return True

    def _summary(self, stretch: Stretch, summarizer: Summarizer) -> MemoryRecord | None:
        """Return the summary of `stretch` as it may be stored, or None with a note."""
        namespace, note = self.steps.scope.namespace, self.steps.note
        record = summary_of(stretch, namespace, self.policy, summarizer, note)
        if record is None:
            return None
        try:
            return self.guarded(in_tier(record, "long", self.policy, self.steps.now))
        except GuardError as exc:
            note(f"{stretch.ref} has no summary: {exc}")
            return None

    def _mark(self, stretch: Stretch, head: int) -> Append:
        """Return the entry that says up to where the session is summed up."""
        steps = self.steps
        return Append(
            stream=Stream(steps.scope.namespace, STREAM),
            kind=SUMMARISED,
            body={
                "run": steps.run,
                "verb": steps.verb,
                "changes": [],
                "session": stretch.session,
                "last": stretch.last,
            },
            created_at=steps.now,
            agent=steps.scope.agent,
            expected=head,
        )


def _summed(stretch: Stretch) -> Change:
    return Change("summarised", summary_id(stretch), stretch.ref)


def _gone(what: str, record: MemoryRecord) -> Step:
    return Step((Change(what, record.id),), {record.id: record}, {record.id: None})


def _merging(merger: Merger) -> Step:
    into = merger.into
    before = {record.id: record for record in (merger.before, *merger.absorbed)}
    after: dict[str, MemoryRecord | None] = {one.id: None for one in merger.absorbed}
    changes = tuple(Change("merged", one.id, into.id) for one in merger.absorbed)
    return Step(changes, before, {into.id: into, **after})


def _superseding(pairs: Sequence[tuple[MemoryRecord, MemoryRecord]]) -> Step:
    changes = tuple(
        Change("superseded", new.id, str(own(new)["superseded_by"]))
        for old, new in pairs
        if new.valid_to != old.valid_to
    )
    return Step(changes, {old.id: old for old, _ in pairs}, {new.id: new for _, new in pairs})
