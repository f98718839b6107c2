"""From a store to what agents may use of it, and what others ask of the rules."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from weakref import WeakValueDictionary

from ctxplug.access import writing
from ctxplug.access.backend import AccessBackend
from ctxplug.access.rule import READ
from ctxplug.access.sight import Sight
from ctxplug.access.stored import StoredRules
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import Backend


def guarded(backend: Backend, agent: str | None) -> Backend:
    """Return `backend` as `agent` may use it; for no agent, as it is.

    One of other agents is used for them all: by what all of them may.
    """
    store = beneath(backend)
    agents = agents_of(backend)
    if agent is None or agent in agents[-1:]:
        return backend
    agents = (*(one for one in agents if one != agent), agent)
    # One for all memories of an agent, as there is one store.
    made: WeakValueDictionary[tuple[str, ...], AccessBackend]
    made = vars(store).setdefault("_as_agents_may", WeakValueDictionary())
    return made.setdefault(agents, AccessBackend(store, agents, _rules_in(store)))


def beneath(backend: Backend) -> Backend:
    """Return the store itself, for what acts for nobody, as what makes vectors does."""
    while isinstance(inner := vars(backend).get("_inner"), Backend):
        backend = inner
    return backend


def agents_of(backend: Backend) -> tuple[str, ...]:
    """Return the agents by whose rules `backend` goes; none: it is the owner's."""
    while not isinstance(backend, AccessBackend):
        inner = vars(backend).get("_inner")
        if not isinstance(inner, Backend):
            return ()
        backend = inner
    return backend.agents


def sight_of(backend: Backend, namespace: Namespace) -> Sight:
    """Return what may be done in `namespace`: by the agents of `backend`, or by its owner."""
    store = beneath(backend)
    return Sight(store, namespace, _rules_in(store).of(namespace), agents_of(backend))


def require_all(backend: Backend, namespace: Namespace, *verbs: str) -> None:
    """Raise AccessError unless its agents may do `verbs` with all of `namespace`."""
    sight_of(backend, namespace).require_all(*verbs)


def require_erasable(backend: Backend, namespace: Namespace) -> None:
    """Raise AccessError unless its agents may erase `namespace`."""
    writing.guard_erasure(sight_of(backend, namespace))


def rule_classes(backend: Backend, namespace: Namespace) -> Callable[[MemoryRecord], Hashable]:
    """Return what tells of a record which rules are about it (law 8)."""
    sight = sight_of(backend, namespace)
    return sight.class_of if sight.rules else lambda record: None


def is_hidden(backend: Backend, record: MemoryRecord) -> bool:
    """Say whether something is stored under the id of `record` that may not be read."""
    sight = sight_of(backend, record.namespace)
    return not sight.is_free(READ) and bool(writing.unseen(sight, [record.id], READ))


def _rules_in(store: Backend) -> StoredRules:
    rules: StoredRules = vars(store).setdefault("_access_rules", StoredRules(store))
    return rules
