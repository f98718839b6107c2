"""Backends that let one namespace see or change another, by a call that shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ctxplug.errors import StorageError
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Delete, Entry, Fork, Op, Put, Stream, Touch, Where
from ctxplug.storage.in_memory import InMemoryBackend

Wrong = TypeVar("Wrong", bound=type[Backend])
WRONG: list[tuple[type[Backend], str]] = []  # with the call on which it is caught


def caught_by(*calls: str) -> Callable[[Wrong], Wrong]:
    """Enter a leaking backend with the calls of the suite that must fail on it."""

    def enter(wrong: Wrong) -> Wrong:
        WRONG.extend((wrong, call) for call in calls)
        return wrong

    return enter


def everywhere(backend: Backend, where: Where) -> list[Where]:
    """Return `where` for every namespace."""
    return [replace(where, namespace=namespace) for namespace in backend.namespaces()]


@caught_by("memories")
class FindsEverywhere(InMemoryBackend):
    """`find` has no condition on the namespace."""

    def find(self, where: Where, **options: Any) -> list[Any]:
        found = [super(FindsEverywhere, self).find(w, **options) for w in everywhere(self, where)]
        return [record for some in found for record in some]


@caught_by("stats")
class CountsEverywhere(InMemoryBackend):
    """`count` has no condition on the namespace."""

    def count(self, where: Where) -> int:
        return sum(super(CountsEverywhere, self).count(w) for w in everywhere(self, where))


@caught_by("recall")
class GlancesEverywhere(InMemoryBackend):
    """`glance` has no condition on the namespace."""

    def glance(self, where: Where, places: Sequence[int] | None = None) -> list[Any]:
        spaces = everywhere(self, where)
        return [g for w in spaces for g in super(GlancesEverywhere, self).glance(w, places)]


@caught_by("recall")
class WeighsWordsOfAll(InMemoryBackend):
    """How rare a word is depends on the whole store: only scores tell."""

    def occurrences(self, where: Where, terms: Sequence[str], *, limit: int) -> Any:
        found = super().occurrences(where, terms, limit=limit)
        plain = super().occurrences
        others = [plain(Where(n), terms, limit=limit) for n in self.namespaces()]
        counts = {t: sum(one.counts.get(t, 0) for one in others) for t in found.counts}
        return replace(found, total=sum(one.total for one in others), counts=counts)


@caught_by("messages")
class ReadsLogsOfThatName(InMemoryBackend):
    """A log holds what any namespace wrote to a session of its name."""

    def read(self, stream: Stream, **options: Any) -> list[Entry]:
        spaces = self.namespaces() if stream.session == "own" else [stream.namespace]
        logs = [replace(stream, namespace=namespace) for namespace in spaces]
        found = [super(ReadsLogsOfThatName, self).read(log, **options) for log in logs]
        return [entry for some in found for entry in some]


@caught_by("sessions")
class ListsSessionsOfAll(InMemoryBackend):
    """`sessions` has no condition on the namespace."""

    def sessions(self, namespace: Namespace) -> list[Any]:
        inner = super().sessions
        return [info for space in self.namespaces() for info in inner(space)]


@caught_by("stats")
class MeasuresEveryArchive(InMemoryBackend):
    """`archive_state` has no condition on the namespace."""

    def archive_state(self, namespace: Namespace) -> Any:
        states = [super(MeasuresEveryArchive, self).archive_state(n) for n in self.namespaces()]
        return max(states, key=lambda state: state.records, default=super().archive_state(()))


@caught_by("promote", "update")
class GetsByTheIdAlone(InMemoryBackend):
    """An id is enough to get a record."""

    def get(self, namespace: Namespace, id: str) -> Any:
        inner = super().get
        found = [inner(space, id) for space in (namespace, *self.namespaces())]
        return next((record for record in found if record), None)


@caught_by("forget")
class DeletesByTheIdAlone(InMemoryBackend):
    """An id is enough to delete a record."""

    def write(self, *ops: Op) -> list[int]:
        spaces = self.namespaces()
        spread = [replace(op, namespace=n) for op in ops if isinstance(op, Delete) for n in spaces]
        return super().write(*ops, *spread)[: len(ops)]


@caught_by("context", "tools.run")
class TouchesSiblings(InMemoryBackend):
    """What is recalled in one namespace was accessed in all."""

    def write(self, *ops: Op) -> list[int]:
        touched = [
            Touch(space, tuple(r.id for r in self.find(Where(space))), op.at)
            for op in ops
            if isinstance(op, Touch)
            for space in self.namespaces()
        ]
        return super().write(*ops, *touched)[: len(ops)]


@caught_by("remember")
class WritesToTheParentToo(InMemoryBackend):
    """What is remembered is shared with the namespace above."""

    def write(self, *ops: Op) -> list[int]:
        shared = [
            replace(op, record=op.record.evolve(namespace=op.record.namespace[:1]))
            for op in ops
            if isinstance(op, Put) and len(op.record.namespace) == 2
        ]
        return super().write(*ops, *shared)[: len(ops)]


@caught_by("session.erase")
class ErasesSessionsOfThatName(InMemoryBackend):
    """A session is erased in every namespace."""

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> Any:
        for space in self.namespaces():
            if space != namespace:
                super().erase_session(space, session, *others)
        return super().erase_session(namespace, session, *others)


@caught_by("erase")
class ErasesByTheFirstLabel(InMemoryBackend):
    """What erases one user erases the tenant."""

    def erase(self, namespace: Namespace) -> Any:
        for space in self.namespaces(namespace[:1]):
            if space != namespace:
                super().erase(space)
        return super().erase(namespace)


@caught_by("session.fork")
class ErrorsTellOfOthers(InMemoryBackend):
    """A name that others use is refused, and the error says whose it is."""

    def write(self, *ops: Op) -> list[int]:
        for op in ops:
            if isinstance(op, Fork):
                for space in self.namespaces():
                    if self.head(replace(op.stream, namespace=space)):
                        raise StorageError(f"{op.stream.session!r} is a session of {space!r}.")
        return super().write(*ops)
