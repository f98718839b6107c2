"""Backends with one thing wrong in threads, vectors, the archive, forks, erasure or keeping."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from wrong_backends import Changes, caught_by, elsewhere

from ctxplug.errors import ConflictError, StorageError
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import (
    Append,
    ArchiveLog,
    ArchiveRecords,
    Backend,
    Delete,
    Embed,
    Entry,
    Expect,
    Fork,
    Op,
    Put,
    Stream,
    Touch,
    Unarchive,
    Unembed,
    Where,
)
from ctxplug.storage.erasure import MARK
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.matching import matches

# -- what is declared, and the end -----------------------------------------------------------


@caught_by("capabilities_are_known_names")
class Boasts(InMemoryBackend):
    """It declares what no backend has."""

    capabilities = InMemoryBackend.capabilities | {"teleport"}


@caught_by(
    "a_query_without_words_finds_nothing",
    "a_query_of_many_words_is_answered",
    "forks_work_or_are_refused",
    "only_what_fits_the_filter_is_listed_but_all_is_counted",
    "search_agrees_with_plain_python_or_is_refused",
    "the_archive_works_or_is_refused",
    "the_better_match_comes_first",
    "the_nearest_come_first_with_their_dot_products",
    "twins_fail_as_the_sync_methods_do",
    "vectors_are_searched_or_refused",
)
class SaysNothing(InMemoryBackend):
    """It can do everything, and declares nothing."""

    capabilities = frozenset()

    def _require(self, capability: str) -> None:
        pass


@caught_by("backup_makes_a_new_file_or_is_refused")
class BacksUpOverOthers(InMemoryBackend):
    """A backup takes the place of the file that is there."""

    capabilities = InMemoryBackend.capabilities | {"backup"}

    def backup(self, target: str) -> None:
        Path(target).write_text(f"{time.perf_counter_ns()}", encoding="utf-8")


@caught_by("what_is_durable_is_there_when_it_is_opened_again")
class ForgetsWhenClosed(InMemoryBackend):
    """It declares that it survives, and does not."""

    capabilities = InMemoryBackend.capabilities | {"durable"}

    def again(self) -> Backend:
        return ForgetsWhenClosed()


@caught_by("what_is_durable_is_there_when_it_is_opened_again")
class NeverOpensAgain(InMemoryBackend):
    """It declares that it survives, and nobody shows that it does."""

    capabilities = InMemoryBackend.capabilities | {"durable"}


@caught_by(
    "everything_but_close_is_refused_after_close",
    "another_thread_may_close_it",
    "leaving_a_with_block_closes",
    "a_closed_backend_lists_nothing",
    "vectors_are_refused_after_close",
    "erasing_a_session_of_a_closed_store_is_refused",
    "the_async_twins_agree",
)
class NeverCloses(InMemoryBackend):
    """It goes on after it was closed."""

    def close(self) -> None:
        self._threads().dismiss()


# -- threads and twins -----------------------------------------------------------------------


@caught_by(
    "it_works_from_another_thread",
    "what_one_thread_embedded_another_finds",
    "appends_from_many_threads_are_neither_lost_nor_doubled",
    "a_read_sees_every_write_that_returned",
    "the_async_twins_agree",
)
class OfOneThread(InMemoryBackend):
    """It may be used by the thread that opened it, and by no other."""

    def __init__(self) -> None:
        super().__init__()
        self.owner = threading.get_ident()

    def _refuse_closed(self) -> None:
        super()._refuse_closed()
        if threading.get_ident() != self.owner:
            raise StorageError("This store was opened by another thread.")


@caught_by("a_read_sees_every_write_that_returned", "what_one_thread_embedded_another_finds")
class OthersSeeLate(InMemoryBackend):
    """What a thread has written last, another does not see yet."""

    def __init__(self) -> None:
        super().__init__()
        self.writer = 0

    def write(self, *ops: Op) -> list[int]:
        self.writer = threading.get_ident()
        return super().write(*ops)

    def head(self, stream: Stream) -> int:
        return super().head(stream) - (threading.get_ident() != self.writer)

    def search(self, where: Where, **options: Any) -> list[Any]:
        found = super().search(where, **options)
        return found if threading.get_ident() == self.writer else found[1:]


@caught_by(
    "of_many_who_expect_one_version_one_wins",
    "of_many_who_expect_one_record_one_wins",
)
class LooksThenWrites(InMemoryBackend):
    """What is expected is looked at before the lock is taken."""

    def write(self, *ops: Op) -> list[int]:
        for op in ops:
            if isinstance(op, Append) and op.expected not in (None, self.head(op.stream)):
                raise ConflictError("Late.", expected=op.expected or 0, found=self.head(op.stream))
            if isinstance(op, Expect) and self.get(op.namespace, op.id) != op.record:
                raise ConflictError("Late.", expected=1, found=1)
        time.sleep(0.02)
        free = [replace(op, expected=None) if isinstance(op, Append) else op for op in ops]
        return super().write(*[op for op in free if not isinstance(op, Expect)])


@caught_by(
    "appends_from_many_threads_are_neither_lost_nor_doubled",
    "accesses_from_many_threads_are_all_counted",
    "records_from_many_threads_are_all_kept",
)
class DropsWhileOthersWrite(InMemoryBackend):
    """Of writes that meet, one is acknowledged and lost."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = threading.Semaphore(1)

    def write(self, *ops: Op) -> list[int]:
        if not self.inside.acquire(blocking=False):
            return [len(getattr(op, "ids", "1")) for op in ops]
        try:
            time.sleep(0.001)
            return super().write(*ops)
        finally:
            self.inside.release()


@caught_by("a_reader_never_sees_half_a_write")
class LetsReadersInBetween(InMemoryBackend):
    """A write takes the lock for each of its operations."""

    def write(self, *ops: Op) -> list[int]:
        done = []
        for op in ops:
            done += super().write(op)
            time.sleep(0.0001)
        return done


@caught_by("a_unit_of_work_runs_on_a_worker_as_its_caller")
class RunsInTheLoop(InMemoryBackend):
    """A unit of work holds up everybody else's."""

    async def arun(self, unit: Callable[[], Any]) -> Any:
        return unit()


@caught_by("a_unit_of_work_runs_on_a_worker_as_its_caller")
class ForgetsWhoAsked(InMemoryBackend):
    """A unit of work does not know its caller."""

    async def arun(self, unit: Callable[[], Any]) -> Any:
        empty = contextvars.Context()
        return await asyncio.wrap_future(self._threads().submit(empty.run, unit))


@caught_by("twins_fail_as_the_sync_methods_do", "the_async_twins_agree")
class TwinsHideErrors(InMemoryBackend):
    """What a twin raises is not passed on."""

    async def arun(self, unit: Callable[[], Any]) -> Any:
        try:
            return await super().arun(unit)
        except Exception:
            return None


@caught_by("a_cancelled_write_is_whole_or_absent")
class AwaitsInside(InMemoryBackend):
    """The twin of write awaits between its operations."""

    async def awrite(self, *ops: Op) -> list[int]:
        done = []
        for op in ops:
            done += self.write(op)
            await asyncio.sleep(0)
        return done


@caught_by("a_unit_that_began_ends_though_its_caller_is_cancelled")
class StopsWhatBegan(InMemoryBackend):
    """What a unit writes after its caller was cancelled is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.of_unit = threading.local()

    async def arun(self, unit: Callable[[], Any]) -> Any:
        cancelled = threading.Event()

        def run() -> Any:
            self.of_unit.cancelled = cancelled
            return unit()

        try:
            return await super().arun(run)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def write(self, *ops: Op) -> list[int]:
        cancelled = getattr(self.of_unit, "cancelled", None)
        return [0] * len(ops) if cancelled and cancelled.is_set() else super().write(*ops)


@caught_by(
    "the_async_twins_agree",
    "the_async_twin_finds_the_same",
    "the_async_twins_of_forks_agree",
    "the_async_twins_of_the_archive_agree",
)
class TwinsFindNothing(InMemoryBackend):
    """Twins were written by hand, and forgotten."""

    async def asearch(self, where: Where, **options: Any) -> list[Any]:
        return []

    async def aarchived(self, where: Where, **options: Any) -> list[Any]:
        return []

    async def alineage(self, stream: Stream) -> list[Any]:
        return []


# -- vectors ---------------------------------------------------------------------------------


@caught_by(
    "the_nearest_come_first_with_their_dot_products",
    "search_by_vector_agrees_with_plain_python",
    "a_vector_replaces_the_one_before",
)
class ScoresAreDistances(InMemoryBackend):
    """The score is how far a vector is, and the farthest comes first."""

    def search(self, where: Where, **options: Any) -> list[Any]:
        if options.get("vector") is None:
            return super().search(where, **options)
        hits = super().search(where, **{**options, "limit": 10**6})
        far = [replace(hit, score=1.0 - hit.score) for hit in reversed(hits)]
        return far[: max(0, options.get("limit", 10))]


@caught_by("filters_hold_among_the_nearest_however_few_pass")
class FiltersAfterwards(InMemoryBackend):
    """The nearest are found first, and then those of them that fit."""

    def search(self, where: Where, **options: Any) -> list[Any]:
        if options.get("vector") is None:
            return super().search(where, **options)
        hits = super().search(Where(where.namespace), **options)
        return [hit for hit in hits if matches(hit.record, where)]


@caught_by(
    "replacing_a_record_takes_its_vector_away_and_touching_does_not",
    "vectors_are_made_again",
    "a_record_that_no_word_finds_may_have_a_vector",
)
class KeepsOldVectors(InMemoryBackend):
    """A record that is replaced, or comes back, has the vector of before."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors: dict[tuple[Namespace, str], Embed] = {}

    def write(self, *ops: Op) -> list[int]:
        done = super().write(*ops)
        for op in ops:
            if isinstance(op, Embed):
                self.vectors[op.namespace, op.id] = replace(op, content=None)
        if any(isinstance(op, Put | Unarchive) for op in ops):
            super().write(*self.vectors.values())
        return done


@caught_by("a_vector_replaces_the_one_before")
class KeepsTheFirstVector(Changes):
    """A record keeps its first vector."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[tuple[Namespace, str], Embed] = {}

    def changed(self, op: Any) -> Any:
        return self.first.setdefault((op.namespace, op.id), op) if isinstance(op, Embed) else op


@caught_by("a_vector_of_what_was_replaced_meanwhile_touches_nothing")
class EmbedsWhateverIsThere(Changes):
    """A vector is given to a record though it has changed meanwhile."""

    def changed(self, op: Any) -> Any:
        return replace(op, content=None) if isinstance(op, Embed) else op


@caught_by("searchable_records_wait_for_a_vector_in_order")
class NewestWaitFirst(InMemoryBackend):
    """The newest write is the first to be embedded."""

    def unembedded(self, namespace: Namespace, limit: int) -> list[MemoryRecord]:
        return super().unembedded(namespace, 10**6)[::-1][: max(0, limit)]


@caught_by(
    "vectors_of_another_embedder_are_refused_whole",
    "vectors_of_two_embedders_in_one_write_are_refused_whole",
)
class MixesEmbedders(Changes):
    """Vectors of all embedders meet."""

    def changed(self, op: Any) -> Any:
        return replace(op, embedder="any") if isinstance(op, Embed) else op

    def search(self, where: Where, **options: Any) -> list[Any]:
        return super().search(where, **{**options, "embedder": None})


@caught_by("after_an_unembed_another_embedder_may_begin")
class UnembedsNothing(Changes):
    """The vectors of a namespace cannot be removed."""

    def changed(self, op: Any) -> Any:
        return Delete(op.namespace, "none") if isinstance(op, Unembed) else op


@caught_by("what_is_no_vector_is_refused")
class TakesAnything(Changes):
    """What is no number is nought."""

    def changed(self, op: Any) -> Any:
        if not isinstance(op, Embed):
            return op
        numbers = [n if isinstance(n, float) and abs(n) < 1e9 else 0.0 for n in op.vector or ()]
        return replace(op, vector=numbers or [0.0])


@caught_by("vectors_stay_in_their_namespace_and_go_with_it")
class NearestOfAll(InMemoryBackend):
    """The nearest are those of the whole store."""

    def search(self, where: Where, **options: Any) -> list[Any]:
        if options.get("vector") is None:
            return super().search(where, **options)
        spaces = [elsewhere(where, namespace) for namespace in self.namespaces()]
        return [
            hit for space in spaces for hit in super(NearestOfAll, self).search(space, **options)
        ]


@caught_by("a_record_that_no_word_finds_may_have_a_vector")
class EmbedsTheSearchable(InMemoryBackend):
    """A record that no word finds cannot have a vector."""

    def write(self, *ops: Op) -> list[int]:
        for op in ops:
            if isinstance(op, Embed) and not self.glance(Where(op.namespace, ids=[op.id])):
                return [*super().write(*[one for one in ops if one is not op]), 0]
        return super().write(*ops)


# -- the archive -----------------------------------------------------------------------------


@caught_by(
    "what_is_archived_reads_as_before_and_comes_back_as_it_was",
    "long_logs_are_archived_in_runs",
    "a_fork_archives_only_its_own_entries",
    "the_archive_stays_inside_the_namespace",
)
class ArchivesWithoutWords(Changes):
    """What is archived is not found by its terms any more."""

    def changed(self, op: Any) -> Any:
        return replace(op, terms={}) if isinstance(op, ArchiveLog | ArchiveRecords) else op


@caught_by(
    "writing_goes_on_as_if_nothing_were_archived", "what_is_archived_of_a_fork_is_counted_on"
)
class DeletesSpareTheArchive(Changes):
    """What is archived cannot be deleted."""

    def changed(self, op: Any) -> Any:
        there = not isinstance(op, Delete) or self.get(op.namespace, op.id) is not None
        return op if there else Delete(op.namespace, "nothing that anyone has put")


@caught_by("long_logs_are_archived_in_runs", "a_fork_archives_only_its_own_entries")
class BringsAllBack(Changes):
    """What is asked for a part brings back the whole."""

    def changed(self, op: Any) -> Any:
        return replace(op, most=None) if isinstance(op, Unarchive) else op


@caught_by("records_come_back_run_by_run")
class BringsOthersBackToo(Changes):
    """What brings back some records brings back all."""

    def changed(self, op: Any) -> Any:
        return replace(op, ids=None) if isinstance(op, Unarchive) else op


@caught_by("what_is_archived_is_found_by_any_filter")
class ArchiveWithoutFilters(InMemoryBackend):
    """The archive knows ids, and no other condition."""

    def archived(self, where: Where, *args: Any, **options: Any) -> list[Any]:
        return super().archived(Where(where.namespace, ids=where.ids), *args, **options)


@caught_by("the_archive_is_told_newest_first", "long_logs_are_archived_in_runs")
class ArchiveFromTheOldEnd(InMemoryBackend):
    """The oldest of the archive comes first."""

    def archived(self, *args: Any, **options: Any) -> list[Any]:
        options.pop("limit", None)
        return super().archived(*args, **options)[::-1]


@caught_by("any_text_comes_back_from_the_archive")
class ArchivesTrimmed(InMemoryBackend):
    """Texts in the archive have no spaces around them."""

    def archived(self, *args: Any, **options: Any) -> list[Any]:
        found = super().archived(*args, **options)
        return [replace(a, record=a.record.evolve(content=a.record.content.strip())) for a in found]


@caught_by("a_record_that_changed_meanwhile_stays")
class ArchivesWhateverIsThere(Changes):
    """A record is archived though it has changed meanwhile."""

    def changed(self, op: Any) -> Any:
        if not isinstance(op, ArchiveRecords):
            return op
        now = [self.get(op.namespace, record.id) for record in op.records]
        return replace(op, records=tuple(record for record in now if record))


@caught_by("the_archive_stays_inside_the_namespace")
class OneArchiveForAll(InMemoryBackend):
    """The archive is that of the whole store."""

    def archived(self, where: Where, *args: Any, **options: Any) -> list[Any]:
        spaces = [elsewhere(where, namespace) for namespace in self.namespaces()]
        found = [super(OneArchiveForAll, self).archived(s, *args, **options) for s in spaces]
        return [one for some in found for one in some]


@caught_by("nothing_but_the_archive_sees_what_is_archived")
class GetsFromTheArchive(InMemoryBackend):
    """What is asked for by its id is found in the archive."""

    def get(self, namespace: Namespace, id: str) -> Any:
        found = super().get(namespace, id)
        shelved = [] if found else self.archived(Where(namespace, ids=[id]))
        return found or next((one.record for one in shelved), None)


# -- forks -----------------------------------------------------------------------------------


@caught_by(
    "a_fork_archives_only_its_own_entries",
    "a_fork_may_end_before_its_parent_begins",
    "a_long_line_of_forks_is_one_log",
    "a_record_is_of_the_session_that_said_it",
    "a_record_may_have_the_id_of_an_entry_of_the_past",
    "erasing_a_namespace_counts_each_entry_once",
    "forks_may_have_any_name",
    "forks_of_forks_read_as_lists_with_a_common_beginning",
    "neither_sees_what_the_other_gains",
)
class CopiesTheParent(InMemoryBackend):
    """A fork is a copy, and nobody knows of what."""

    def write(self, *ops: Op) -> list[int]:
        done: list[int] = []
        for op in ops:
            if not isinstance(op, Fork):
                done += super().write(op)
                continue
            past = self.read(replace(op.stream, session=op.parent), limit=op.upto)
            copies = [_again(entry, op.stream) for entry in past]
            done += super().write(*copies)[-1:]
        return done


def _again(entry: Entry, stream: Stream) -> Append:
    terms = "word" if entry.kind == "message" else None
    return Append(
        stream=stream, kind=entry.kind, body=entry.body, created_at=entry.created_at,
        agent=entry.agent, pinned=entry.pinned, terms=terms,
    )  # fmt: skip


@caught_by("a_fork_needs_an_empty_stream_and_so_many_entries")
class ForksWhatThereIs(Changes):
    """A fork of more than there is is a fork of what there is."""

    def changed(self, op: Any) -> Any:
        if not isinstance(op, Fork) or not isinstance(op.upto, int):
            return op
        there = self.head(replace(op.stream, session=op.parent))
        return replace(op, upto=min(op.upto, there or op.upto))


@caught_by("a_fork_begins_when_it_is_made")
class ForksBeginNow(Changes):
    """When a fork begins is not for the caller to say."""

    def changed(self, op: Any) -> Any:
        return replace(op, created_at=None) if isinstance(op, Fork) else op


# -- erasure ---------------------------------------------------------------------------------


@caught_by(
    "an_erased_namespace_begins_anew",
    "an_erased_session_begins_anew",
    "erasing_one_namespace_leaves_all_others",
    "a_namespace_without_sessions_is_not_listed",
    "erasing_a_session_leaves_the_others_and_other_records",
)
class LeavesTombstones(InMemoryBackend):
    """An entry in every erased log says that it was erased."""

    def erase(self, namespace: Namespace) -> Any:
        infos = self.sessions(namespace)
        receipt = super().erase(namespace)
        self.write(*[_tombstone(Stream(namespace, info.session), info) for info in infos])
        return receipt

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> Any:
        infos = {info.session: info for info in self.sessions(namespace)}
        receipt = super().erase_session(namespace, session, *others)
        names = infos.keys() & {session, *others}
        self.write(*[_tombstone(Stream(namespace, name), infos[name]) for name in names])
        return receipt


def _tombstone(stream: Stream, info: Any) -> Append:
    return Append(stream=stream, kind="erased", body={}, created_at=info.updated_at)


@caught_by("erasing_a_session_leaves_the_others_and_other_records")
class ErasesWhatMentionsTheSession(InMemoryBackend):
    """With a session go the memories that were made in it."""

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> Any:
        receipt = super().erase_session(namespace, session, *others)
        about = self.find(Where(namespace, session=session))
        self.write(*[Delete(namespace, record.id) for record in about])
        return receipt


@caught_by("a_record_put_in_place_of_a_view_is_no_view")
class ErasesByTheId(InMemoryBackend):
    """With a session goes every record whose id is like those of its entries."""

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> Any:
        receipt = super().erase_session(namespace, session, *others)
        ids = [record.id for record in self.find(Where(namespace))]
        self.write(*[Delete(namespace, id) for id in ids if id.startswith(f"{session}@")])
        return receipt


@caught_by("erasing_an_archived_session_leaves_nothing_of_it")
class ErasesTheUnarchived(InMemoryBackend):
    """What is archived of a session outlives it."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[Any] = []

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> Any:
        self.left += self.archived(Where(namespace, session=session))
        return super().erase_session(namespace, session, *others)

    def archived(self, where: Where, *args: Any, **options: Any) -> list[Any]:
        return super().archived(where, *args, **options) + self.left


@caught_by("the_vectors_of_an_erased_session_are_gone", "the_vectors_of_an_erased_fork_are_gone")
class ForgetsToTellOfVectors(InMemoryBackend):
    """A receipt does not count the vectors."""

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> Any:
        return replace(super().erase_session(namespace, session, *others), vectors=0)


@caught_by("several_sessions_are_erased_at_once", "a_session_is_erased_together_with_its_forks")
class ErasesTheFirst(InMemoryBackend):
    """Of several sessions, the first is erased."""

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> Any:
        return super().erase_session(namespace, session)


@caught_by("a_session_is_erased_together_with_its_forks")
class ErasesForksUnasked(InMemoryBackend):
    """With a session go its forks, asked for or not."""

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> Any:
        names = {session, *others}
        while more := {i.session for i in self.sessions(namespace) if i.parent in names} - names:
            names |= more
        return super().erase_session(namespace, session, *others, *names)


@caught_by(
    "the_receipt_of_a_namespace_marks_entries_and_records", "the_receipt_marks_what_was_erased"
)
class MarksTheFirst(InMemoryBackend):
    """A receipt marks the first thing that was erased."""

    def erase(self, namespace: Namespace) -> Any:
        receipt = super().erase(namespace)
        return replace(receipt, marks=receipt.marks[:MARK])

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> Any:
        receipt = super().erase_session(namespace, session, *others)
        return replace(receipt, marks=receipt.marks[:MARK])


@caught_by("erasing_a_session_stays_inside_the_namespace")
class ErasesSessionsEverywhere(InMemoryBackend):
    """A session is erased wherever there is one of its name."""

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> Any:
        for other in self.namespaces():
            if other != namespace:
                super().erase_session(other, session, *others)
        return super().erase_session(namespace, session, *others)


@caught_by("touching_counts_and_keeps_the_latest_time")
class CountsOnce(Changes):
    """Several accesses in one write are one."""

    def write(self, *ops: Op) -> list[int]:
        touches = {(op.namespace, op.ids): op for op in ops if isinstance(op, Touch)}
        kept = [op for op in ops if not isinstance(op, Touch) or op in touches.values()]
        return (super().write(*kept) + [1] * len(ops))[: len(ops)]
