"""The rules of namespaces as a store holds them, read again only when they have changed."""

from __future__ import annotations

from ctxplug.access.ruleset import NONE, RuleSet, folded
from ctxplug.access.sight import RULES
from ctxplug.scope import RESERVED, Namespace
from ctxplug.storage import Backend, Entry, Stream


class StoredRules:
    """The rules in one store. Usable from any thread."""

    def __init__(self, store: Backend) -> None:
        self._store = store
        self._known: dict[Namespace, tuple[Entry, RuleSet]] = {}

    def of(self, namespace: Namespace) -> RuleSet:
        """Return the rules that hold for `namespace` now."""
        stream = rules_stream(namespace)
        seen, rules = self._known.get(stream.namespace, (None, NONE))
        if seen is None:
            if not self._store.head(stream):  # as it mostly is: this is quicker
                return rules
        elif self._store.read(stream, after=seen.version - 1, limit=2) == [seen]:
            return rules
        entries = self._store.read(stream)  # it grew, or was erased and begun anew
        rules = folded(entries)
        if entries:
            self._known[stream.namespace] = entries[-1], rules
        else:
            self._known.pop(stream.namespace, None)
        return rules


def rules_stream(namespace: Namespace) -> Stream:
    """Return the log of the rules for `namespace`.

    What ctxplug keeps below a namespace, behind a label of its own, is under its rules.
    """
    for number, label in enumerate(namespace):
        if number and label.startswith(RESERVED):
            namespace = namespace[:number]
            break
    return Stream(namespace, RULES)
