"""Backends with one thing wrong each, by the tests of the suite that catch it.

What their docstrings say is what is wrong. `wrong_backends_beyond` has the others.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from ctxplug.errors import ConflictError, StorageError
from ctxplug.scope import Namespace
from ctxplug.storage import Append, Backend, Delete, Entry, Expect, Op, Put, Stream, Touch, Where
from ctxplug.storage.in_memory import InMemoryBackend

Wrong = TypeVar("Wrong", bound=type[Backend])
CAUGHT: dict[type[Backend], tuple[str, ...]] = {}  # by which tests of the suite
MICROSECOND = timedelta(microseconds=1)


def caught_by(*tests: str) -> Callable[[Wrong], Wrong]:
    """Enter a wrong backend with the tests that must fail on it; `test_` is left out."""

    def enter(wrong: Wrong) -> Wrong:
        CAUGHT[wrong] = tuple(f"test_{name}" for name in tests)
        return wrong

    return enter


class Changes(InMemoryBackend):
    """Writes `changed(op)` in place of what it is given."""

    def changed(self, op: Any) -> Any:
        return op

    def write(self, *ops: Op) -> list[int]:
        return super().write(*[self.changed(op) for op in ops])


class Looks(InMemoryBackend):
    """Looks for `meant(where)` in place of what it is asked for."""

    def meant(self, where: Where) -> Where:
        return where

    def find(self, where: Where, **options: Any) -> list[Any]:
        return super().find(self.meant(where), **options)

    def count(self, where: Where) -> int:
        return super().count(self.meant(where))

    def search(self, where: Where, **options: Any) -> list[Any]:
        return super().search(self.meant(where), **options)

    def glance(self, where: Where, places: Sequence[int] | None = None) -> list[Any]:
        return super().glance(self.meant(where), places)

    def archived(self, where: Where, *args: Any, **options: Any) -> list[Any]:
        return super().archived(self.meant(where), *args, **options)


def elsewhere(where: Where, namespace: Namespace) -> Where:
    """Return `where` for another namespace."""
    return replace(where, namespace=namespace)


# -- the log ---------------------------------------------------------------------------------


@caught_by("write_returns_one_number_for_each_operation")
class TellsOfTheFirstOnly(InMemoryBackend):
    """It returns one number, however many operations there were."""

    def write(self, *ops: Op) -> list[int]:
        return super().write(*ops)[:1]


@caught_by("versions_begin_at_one_and_have_no_gaps", "what_is_expected_is_of_one_namespace")
class NumbersFromZero(InMemoryBackend):
    """The first version is 0."""

    def write(self, *ops: Op) -> list[int]:
        done = super().write(*ops)
        return [n - isinstance(op, Append) for n, op in zip(done, ops, strict=True)]


@caught_by(
    "an_entry_comes_back_as_it_was_appended", "a_namespace_holds_only_what_was_written_under_it"
)
class ForgetsWhoActed(InMemoryBackend):
    """Entries come back without their agent."""

    def read(self, stream: Stream, **options: Any) -> list[Entry]:
        return [replace(entry, agent=None) for entry in super().read(stream, **options)]


@caught_by("any_json_survives_in_a_body")
class DropsNulls(Changes):
    """Values that are null are left out of bodies."""

    def changed(self, op: Any) -> Any:
        if not isinstance(op, Append):
            return op
        return replace(op, body=_without_nulls(op.body))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


@caught_by(
    "any_text_survives_in_bodies_kinds_agents_and_sessions",
    "any_text_survives_in_every_field",
    "forks_may_have_any_name",
    "a_session_of_any_name_is_erased",
)
class TrimsNames(Changes):
    """Sessions, kinds and ids lose the spaces around them."""

    def changed(self, op: Any) -> Any:
        if isinstance(op, Append):
            stream = replace(op.stream, session=op.stream.session.strip())
            return replace(op, stream=stream, kind=op.kind.strip())
        if isinstance(op, Put):
            return replace(op, record=op.record.evolve(id=op.record.id.strip()))
        return op


@caught_by("a_naive_time_is_taken_as_utc", "times_without_a_zone_are_utc_wherever_they_are_given")
class LivesInKathmandu(Changes, Looks):
    """Times without a zone are taken as local."""

    def changed(self, op: Any) -> Any:
        if isinstance(op, Append):
            return replace(op, created_at=_local(op.created_at))
        return replace(op, at=_local(op.at)) if isinstance(op, Touch) else op

    def meant(self, where: Where) -> Where:
        times = {name: getattr(where, name) for name in ("since", "until", "now", "valid_at")}
        return replace(where, **{name: time and _local(time) for name, time in times.items()})


def _local(time: datetime) -> datetime:
    zone = timezone(timedelta(hours=5, minutes=45))
    return time if time.tzinfo else time.replace(tzinfo=zone)


@caught_by("read_agrees_with_a_list")
class LimitsFirst(InMemoryBackend):
    """The limit is applied before kinds are looked at."""

    def read(self, stream: Stream, **options: Any) -> list[Entry]:
        limit, kinds = options.pop("limit", None), options.pop("kinds", None)
        found = super().read(stream, limit=limit, **options)
        return [entry for entry in found if kinds is None or entry.kind in kinds]


@caught_by(
    "a_failing_operation_undoes_the_whole_write",
    "a_fork_and_what_follows_are_one_write",
    "an_expectation_is_of_what_was_there_before_the_write",
    "a_large_write_is_one_write",
    "a_write_that_expects_another_record_does_nothing",
)
class OneByOne(InMemoryBackend):
    """Every operation is a write of its own."""

    def write(self, *ops: Op) -> list[int]:
        return [super(OneByOne, self).write(op)[0] for op in ops] or super().write()


@caught_by("a_large_write_is_one_write")
class InBatches(InMemoryBackend):
    """A write of more than five hundred operations is several."""

    def write(self, *ops: Op) -> list[int]:
        batches = [ops[start : start + 500] for start in range(0, len(ops), 500)] or [()]
        return [done for batch in batches for done in super(InBatches, self).write(*batch)]


@caught_by(
    "a_conflict_carries_both_versions",
    "an_append_unless_something_is_marked_is_refused_once_it_is",
    "what_is_expected_is_of_one_namespace",
)
class ConflictsWithoutNumbers(InMemoryBackend):
    """What was expected and what was found is not told."""

    def write(self, *ops: Op) -> list[int]:
        try:
            return super().write(*ops)
        except ConflictError as exc:
            raise ConflictError(str(exc), expected=-1, found=-1) from exc


@caught_by("sessions_come_in_order_of_creation", "an_erased_session_begins_anew")
class SessionsByName(InMemoryBackend):
    """Sessions come in order of their names, backwards."""

    def sessions(self, namespace: Namespace) -> list[Any]:
        infos = super().sessions(namespace)
        return sorted(infos, key=lambda info: info.session, reverse=len(infos) == 2)


@caught_by("what_is_read_is_a_copy")
class HandsOutWhatItHolds(InMemoryBackend):
    """The same entry is the same object, to whoever reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[Any, Entry] = {}

    def read(self, stream: Stream, **options: Any) -> list[Entry]:
        found = super().read(stream, **options)
        return [self.held.setdefault((stream, entry.version), entry) for entry in found]


# -- records ---------------------------------------------------------------------------------


@caught_by("get_returns_what_put_stored")
class ForgetsSources(Changes):
    """The sources of a record are not kept."""

    def changed(self, op: Any) -> Any:
        return replace(op, record=op.record.evolve(sources=())) if isinstance(op, Put) else op


@caught_by("ids_that_differ_are_never_one")
class IdsWithoutCase(Changes):
    """Ids that differ in case are one."""

    def changed(self, op: Any) -> Any:
        if isinstance(op, Put):
            return replace(op, record=op.record.evolve(id=op.record.id.lower()))
        return op

    def get(self, namespace: Namespace, id: str) -> Any:
        return super().get(namespace, id.lower())


@caught_by("putting_twice_is_putting_once")
class KeepsWhatWasReplaced(Changes):
    """A record that was replaced is found beside the new one."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[Any] = []

    def changed(self, op: Any) -> Any:
        old = self.get(op.record.namespace, op.record.id) if isinstance(op, Put) else None
        self.before += [old] if old else []
        return op

    def find(self, where: Where, **options: Any) -> list[Any]:
        old = [record for record in self.before if record.namespace == where.namespace]
        return super().find(where, **options) + old


@caught_by("a_put_replaces_everything")
class MergesMetadata(Changes):
    """What a Put says is added to what was there."""

    def changed(self, op: Any) -> Any:
        old = self.get(op.record.namespace, op.record.id) if isinstance(op, Put) else None
        if old is None:
            return op
        merged = {**old.metadata, **op.record.metadata}
        return replace(op, record=op.record.evolve(metadata=merged, tags=old.tags))


@caught_by("deleting_twice_is_deleting_once", "a_record_may_have_the_id_of_an_entry_of_the_past")
class DeletesAlwaysSucceed(InMemoryBackend):
    """A Delete says that something was there."""

    def write(self, *ops: Op) -> list[int]:
        done = super().write(*ops)
        return [1 if isinstance(op, Delete) else n for n, op in zip(done, ops, strict=True)]


@caught_by("put_and_delete_in_one_write_apply_in_order")
class DeletesLast(InMemoryBackend):
    """Within a write, deletions come last."""

    def write(self, *ops: Op) -> list[int]:
        order = sorted(range(len(ops)), key=lambda i: isinstance(ops[i], Delete))
        done = dict(zip(order, super().write(*[ops[i] for i in order]), strict=True))
        return [done[i] for i in range(len(ops))]


@caught_by("times_without_a_zone_are_utc_wherever_they_are_given")
class UntilAndIncluding(Looks):
    """A record that was made at `until` is found."""

    def meant(self, where: Where) -> Where:
        return replace(where, until=where.until and where.until + MICROSECOND)


@caught_by("search_agrees_with_plain_python_or_is_refused", "the_better_match_comes_first")
class NeedsEveryTerm(InMemoryBackend):
    """A record is found if it holds all of the terms."""

    def search(self, where: Where, **options: Any) -> list[Any]:
        each = [
            {
                hit.record.id
                for hit in super(NeedsEveryTerm, self).search(where, terms=[t], limit=99)
            }
            for t in options.get("terms", ())
        ]
        hits = super().search(where, **options)
        return [hit for hit in hits if all(hit.record.id in ids for ids in each)]


@caught_by("a_metadata_key_is_compared_exactly")
class KeysArePaths(InMemoryBackend):
    """A dot in the key of a filter leads into what is nested."""

    def find(self, where: Where, **options: Any) -> list[Any]:
        found = super().find(replace(where, metadata={}), **options)
        return [record for record in found if all(
            _at_path(record.metadata, key) == value for key, value in where.metadata.items()
        )]  # fmt: skip


def _at_path(value: Any, key: str) -> Any:
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


@caught_by("metadata_values_are_compared_as_json")
class ComparesAsPython(InMemoryBackend):
    """True is 1."""

    def find(self, where: Where, **options: Any) -> list[Any]:
        found, absent = super().find(replace(where, metadata={}), **options), object()
        return [record for record in found if all(
            record.metadata.get(key, absent) == value for key, value in where.metadata.items()
        )]  # fmt: skip


@caught_by(
    "expired_records_are_found_only_when_asked_for",
    "what_has_expired_is_not_glanced_at",
    "filters_hold_among_the_nearest_however_few_pass",
    "the_archive_is_told_newest_first",
)
class ExpiresLate(Looks):
    """A record is still found at the moment it expires."""

    def meant(self, where: Where) -> Where:
        return replace(where, now=where.now and where.now - MICROSECOND)


@caught_by("touching_counts_and_keeps_the_latest_time", "a_glance_tells_what_ranking_needs")
class TouchesBackwards(InMemoryBackend):
    """The last access is the one that was written last."""

    def write(self, *ops: Op) -> list[int]:
        done = super().write(*ops)
        for op in ops:
            rows = self._space(op.namespace).rows if isinstance(op, Touch) else {}
            for id in set(getattr(op, "ids", ())) & set(rows):
                record = rows[id].record.evolve(last_accessed=getattr(op, "at", None))
                rows[id] = replace(rows[id], record=record)
        return done


@caught_by(
    "a_searchable_entry_is_a_record_too",
    "a_record_is_of_the_session_that_said_it",
    "places_say_which_messages_are_neighbours",
)
class EntriesAreNoRecords(Changes):
    """An entry with terms is an entry."""

    def changed(self, op: Any) -> Any:
        return replace(op, terms=None) if isinstance(op, Append) else op


@caught_by("deleting_an_entrys_record_leaves_the_log", "what_is_archived_of_a_fork_is_counted_on")
class DeletesTheEntryToo(Changes):
    """What deletes the record of an entry takes the entry out of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: set[str] = set()

    def changed(self, op: Any) -> Any:
        self.gone |= {op.id} if isinstance(op, Delete) else set()
        return op

    def read(self, stream: Stream, **options: Any) -> list[Entry]:
        found = super().read(stream, **options)
        return [e for e in found if f"{stream.session}@{e.version}" not in self.gone]


@caught_by(
    "an_entrys_record_can_be_touched_and_replaced", "accesses_from_many_threads_are_all_counted"
)
class MessagesAreNotTouched(Changes):
    """Accesses are counted on memories alone."""

    def changed(self, op: Any) -> Any:
        if isinstance(op, Touch):
            return replace(op, ids=tuple(id for id in op.ids if "@" not in id))
        return op


# -- records that change ---------------------------------------------------------------------


@caught_by("touching_puts_off_the_end_of_what_has_not_ended")
class RenewsNothing(Changes):
    """A Touch does not put off the end of anything."""

    def changed(self, op: Any) -> Any:
        return replace(op, until=None) if isinstance(op, Touch) else op


@caught_by(
    "a_write_that_expects_another_record_does_nothing",
    "an_expectation_is_of_what_was_there_before_the_write",
    "of_many_who_expect_one_record_one_wins",
    "what_is_expected_is_of_one_namespace",
)
class ExpectsNothing(InMemoryBackend):
    """What is expected of a record is not looked at."""

    def write(self, *ops: Op) -> list[int]:
        done = iter(super().write(*[op for op in ops if not isinstance(op, Expect)]))
        return [1 if isinstance(op, Expect) else next(done) for op in ops]


@caught_by("an_append_unless_something_is_marked_is_refused_once_it_is")
class SeesNoMarks(Changes):
    """A write that something marked should stop goes through."""

    def changed(self, op: Any) -> Any:
        return replace(op, unless=None) if isinstance(op, Append) else op


@caught_by("a_message_that_was_deleted_is_put_back_as_the_record_of_its_entry")
class PutsBackAsAStranger(Changes):
    """A message that is put back is a record like any other."""

    def changed(self, op: Any) -> Any:
        return replace(op, version=None) if isinstance(op, Put) else op


@caught_by("what_is_expected_is_of_one_namespace")
class ExpectsOfAnyNamespace(InMemoryBackend):
    """The version that is expected is that of the longest log of that name."""

    def write(self, *ops: Op) -> list[int]:
        for op in ops:
            if isinstance(op, Append) and op.expected is not None:
                heads = [self.head(replace(op.stream, namespace=n)) for n in self.namespaces()]
                if max(heads, default=0) > op.expected:
                    raise ConflictError("Longer.", expected=op.expected, found=max(heads))
        return super().write(*ops)


# -- namespaces ------------------------------------------------------------------------------


@caught_by("a_namespace_holds_only_what_was_written_under_it")
class FindsInChildren(InMemoryBackend):
    """A namespace holds what its children hold."""

    def find(self, where: Where, **options: Any) -> list[Any]:
        inside = self.namespaces(where.namespace) or [where.namespace]
        return [r for n in inside for r in super(FindsInChildren, self).find(elsewhere(where, n))]


@caught_by(
    "a_namespace_holds_only_what_was_written_under_it",
    "erasing_a_session_stays_inside_the_namespace",
)
class LabelsJoinedByDots(Changes):
    """The namespaces ("a", "b") and ("a.b",) are one."""

    def changed(self, op: Any) -> Any:
        if isinstance(op, Append):
            return replace(op, stream=_joined(op.stream))
        if isinstance(op, Put):
            namespace = (".".join(op.record.namespace),)
            return replace(op, record=op.record.evolve(namespace=namespace))
        return op

    def read(self, stream: Stream, **options: Any) -> list[Entry]:
        return super().read(_joined(stream), **options)

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> Any:
        return super().erase_session((".".join(namespace),), session, *others)


def _joined(stream: Stream) -> Stream:
    return replace(stream, namespace=(".".join(stream.namespace),))


@caught_by("a_prefix_is_of_whole_labels", "namespaces_of_ctxplug_are_listed_only_when_asked_for")
class PrefixesOfText(InMemoryBackend):
    """A prefix is of the text of a namespace."""

    def namespaces(self, prefix: Namespace = ()) -> list[Namespace]:
        held = [n for n, space in self._spaces.items() if space.in_use]
        return sorted(n for n in held if "/".join(n).startswith("/".join(prefix)))


@caught_by(
    "a_namespace_without_content_is_not_listed", "a_namespace_without_sessions_is_not_listed"
)
class ListsWhatWasEverUsed(Changes):
    """A namespace is listed once it was written to."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[Namespace] = set()

    def changed(self, op: Any) -> Any:
        self.used |= {op.record.namespace} if isinstance(op, Put) else set()
        self.used |= {op.stream.namespace} if isinstance(op, Append) else set()
        return op

    def namespaces(self, prefix: Namespace = ()) -> list[Namespace]:
        return sorted({*super().namespaces(prefix), *self.used})


@caught_by("deleting_and_touching_stay_inside_the_namespace")
class DeletesAnywhere(InMemoryBackend):
    """A Delete finds its record wherever it is."""

    def write(self, *ops: Op) -> list[int]:
        done = super().write(*ops)
        for number, op in enumerate(ops):
            if isinstance(op, Delete):
                spread = [replace(op, namespace=n) for n in self.namespaces()]
                done[number] = max([done[number], *super().write(*spread)])
        return done


@caught_by(
    "erasing_one_namespace_leaves_all_others", "vectors_stay_in_their_namespace_and_go_with_it"
)
class ErasesChildren(InMemoryBackend):
    """What erases a namespace erases its children."""

    def erase(self, namespace: Namespace) -> Any:
        for child in self.namespaces(namespace):
            if child != namespace:
                super().erase(child)
        return super().erase(namespace)


@caught_by("erasing_nothing_gives_an_empty_receipt")
class RefusesToEraseNothing(InMemoryBackend):
    """A namespace that is not there cannot be erased."""

    def erase(self, namespace: Namespace) -> Any:
        if namespace not in self.namespaces(namespace):
            raise StorageError(f"There is no namespace {namespace!r}.")
        return super().erase(namespace)


@caught_by("namespaces_of_ctxplug_are_listed_only_when_asked_for")
class ListsItsOwn(InMemoryBackend):
    """Namespaces of ctxplug itself are listed among the others."""

    def namespaces(self, prefix: Namespace = ()) -> list[Namespace]:
        super().namespaces(prefix)
        return sorted(n for n, s in self._spaces.items() if s.in_use and n[: len(prefix)] == prefix)


@caught_by("check_finds_nothing_wrong_and_counts", "neither_sees_what_the_other_gains")
class ChecksWithoutCounting(InMemoryBackend):
    """A check counts nothing."""

    def check(self) -> Any:
        report = super().check()
        return replace(report, counts=dict.fromkeys(report.counts, 0))


# -- words -----------------------------------------------------------------------------------


class Words(Changes):
    """Indexes and looks for `as_words(terms)`."""

    def as_words(self, terms: str) -> str:
        return terms

    def changed(self, op: Any) -> Any:
        plain = not isinstance(op, Append | Put) or op.terms is None
        return op if plain else replace(op, terms=self.as_words(op.terms))

    def search(self, where: Where, **options: Any) -> list[Any]:
        terms = [self.as_words(term) for term in options.pop("terms", ())]
        return super().search(where, terms=terms, **options)


@caught_by("any_word_is_found_as_it_is")
class SplitsAtPunctuation(Words):
    """A word is made of letters and digits."""

    def as_words(self, terms: str) -> str:
        return " ".join(re.findall(r"\w+", terms))


@caught_by("words_that_look_alike_are_different")
class FoldsAccents(Words):
    """Words are the same without their accents."""

    def as_words(self, terms: str) -> str:
        plain = unicodedata.normalize("NFKD", terms)
        return "".join(c for c in plain if not unicodedata.combining(c))


@caught_by("words_that_look_alike_are_different")
class FindsByBeginnings(InMemoryBackend):
    """A term finds the words that begin with it."""

    def search(self, where: Where, **options: Any) -> list[Any]:
        held = self._space(where.namespace).words._places
        longer = [w for w in held for t in options.get("terms", ()) if t and w.startswith(t)]
        return super().search(where, **{**options, "terms": [*options.get("terms", ()), *longer]})


@caught_by("a_query_without_words_finds_nothing")
class NoWordsFindAll(InMemoryBackend):
    """A query without words finds everything."""

    def search(self, where: Where, **options: Any) -> list[Any]:
        if options.get("vector") is None and not "".join(options.get("terms", ())).strip():
            options["terms"] = list(self._space(where.namespace).words._places)
        return super().search(where, **options)


@caught_by("a_query_of_many_words_is_answered")
class TooManyWords(InMemoryBackend):
    """A query has at most 999 words."""

    def search(self, where: Where, **options: Any) -> list[Any]:
        if len(options.get("terms", ())) > 999:
            raise StorageError("too many SQL variables")
        return super().search(where, **options)


@caught_by(
    "words_that_were_replaced_or_deleted_are_not_found",
    "occurrences_follow_what_is_replaced_and_deleted",
)
class IndexesOnTop(Changes):
    """The words of what was replaced stay in the index."""

    def __init__(self) -> None:
        super().__init__()
        self.words: dict[Any, str] = {}

    def changed(self, op: Any) -> Any:
        if not isinstance(op, Put):
            return op
        key = (op.record.namespace, op.record.id)
        self.words[key] = f"{self.words.get(key, '')} {op.terms or ''}"
        return replace(op, terms=self.words[key])


@caught_by("the_better_match_comes_first")
class AllMatchesAreAlike(InMemoryBackend):
    """Matches have one score, and come in order of arrival."""

    def search(self, where: Where, **options: Any) -> list[Any]:
        if options.get("vector") is not None:
            return super().search(where, **options)
        hits = super().search(where, **{**options, "limit": 10**6})
        hits.sort(key=lambda hit: hit.record.id)
        return [replace(hit, score=1.0) for hit in hits][: max(0, options.get("limit", 10))]


@caught_by("records_of_one_time_come_in_order_of_id", "find_and_count_agree_with_plain_python")
class InOrderOfArrival(InMemoryBackend):
    """Of records of one time, the one that came first is found first."""

    def find(self, where: Where, *, limit: int | None = None, offset: int = 0) -> list[Any]:
        rows = list(self._space(where.namespace).rows)
        found = super().find(where)
        found.sort(key=lambda r: (r.created_at, -rows.index(r.id)), reverse=True)
        stop = None if limit is None else max(0, offset) + max(0, limit)
        return found[max(0, offset) : stop]


# -- occurrences -----------------------------------------------------------------------------


@caught_by("places_say_which_messages_are_neighbours")
class PlacesAreClose(InMemoryBackend):
    """Memories stand side by side."""

    def glance(self, where: Where, places: Sequence[int] | None = None) -> list[Any]:
        found = super().glance(where, places)
        return [replace(g, place=g.place // 16) if g.place < 0 else g for g in found]


@caught_by("a_place_stays_while_others_come_and_go")
class PlacesAreRanks(InMemoryBackend):
    """Memories are numbered anew with every change."""

    def glance(self, where: Where, places: Sequence[int] | None = None) -> list[Any]:
        everything = super().glance(Where(where.namespace))
        ranks = {g.id: -16 * n for n, g in enumerate(everything, 1) if g.place < 0}
        known = {g.id for g in super().glance(where)}
        every = [replace(g, place=ranks.get(g.id, g.place)) for g in everything if g.id in known]
        return [g for g in every if places is None or g.place in places]


@caught_by(
    "occurrences_agree_with_plain_python", "only_what_fits_the_filter_is_listed_but_all_is_counted"
)
class CountsWhatItLists(InMemoryBackend):
    """A term counts as often as it is listed."""

    def occurrences(self, where: Where, terms: Sequence[str], *, limit: int) -> Any:
        found = super().occurrences(where, terms, limit=limit)
        return replace(found, counts={term: len(at) for term, at in found.places.items()})


@caught_by("only_what_fits_the_filter_is_listed_but_all_is_counted")
class ListsWithoutTheFilter(InMemoryBackend):
    """Where terms occur is told of all records."""

    def occurrences(self, where: Where, terms: Sequence[str], *, limit: int) -> Any:
        return super().occurrences(Where(where.namespace), terms, limit=limit)


@caught_by("of_a_term_that_is_everywhere_the_newer_places_are_listed")
class ListsTheOldest(InMemoryBackend):
    """Of what is too common, the older places are listed."""

    def occurrences(self, where: Where, terms: Sequence[str], *, limit: int) -> Any:
        found = super().occurrences(where, terms, limit=limit)
        whole = super().occurrences(where, terms, limit=10**6)
        few = {t: list(whole.places[t])[: len(at)] for t, at in found.places.items()}
        return replace(found, places=few)


@caught_by("a_glance_tells_what_ranking_needs")
class GlancesWithoutTraits(InMemoryBackend):
    """A glance does not tell what a text is like."""

    def glance(self, where: Where, places: Sequence[int] | None = None) -> list[Any]:
        return [replace(glance, traits=0) for glance in super().glance(where, places)]


@caught_by("a_namespace_counts_only_its_own")
class CountsEverywhere(InMemoryBackend):
    """The total is that of the whole store."""

    def occurrences(self, where: Where, terms: Sequence[str], *, limit: int) -> Any:
        found = super().occurrences(where, terms, limit=limit)
        spaces = [Where(namespace) for namespace in self.namespaces()]
        return replace(found, total=sum(len(self.glance(space)) for space in spaces))
