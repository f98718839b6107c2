"""Which operations of a batch make sense: checked whole before anything of it is done."""

from __future__ import annotations

from typing import Any

from langgraph.store.base import GetOp, ListNamespacesOp, Op, PutOp, SearchOp

from ctxplug.errors import InvalidValueError
from langchain_ctxplug.store_filters import checked_filter
from langchain_ctxplug.store_paths import checked_path


def checked_op(op: Op) -> Op:
    """Return `op` with its namespace as a tuple and its key as text; ValueError on nonsense."""
    if isinstance(op, GetOp):
        return op._replace(namespace=checked_path(op.namespace), key=str(op.key))
    if isinstance(op, PutOp):
        path = checked_path(op.namespace)
        if not path and op.value is not None:
            raise InvalidValueError("An item needs a namespace of at least one label.")
        return op._replace(namespace=path, key=str(op.key))
    if isinstance(op, SearchOp):
        _check_counts(op.limit, op.offset)
        if op.query is not None and not isinstance(op.query, str):
            raise InvalidValueError(f"query is text, not {op.query!r:.80}.", path="query")
        path = checked_path(op.namespace_prefix)
        filter = checked_filter(op.filter)
        return op._replace(namespace_prefix=path, filter=None if filter is None else dict(filter))
    if isinstance(op, ListNamespacesOp):
        return _checked_listing(op)
    raise InvalidValueError(f"A batch holds GetOp, PutOp, SearchOp, ListNamespacesOp, not {op!r}.")


def _checked_listing(op: ListNamespacesOp) -> ListNamespacesOp:
    _check_counts(op.limit, op.offset)
    for condition in op.match_conditions or ():
        checked_path(condition.path)
        if condition.match_type not in ("prefix", "suffix"):
            raise InvalidValueError(
                f"Namespaces match by 'prefix' or 'suffix', not {condition.match_type!r:.60}.",
                path="match_conditions",
            )
    if op.max_depth is not None and (not _is_count(op.max_depth) or not op.max_depth):
        raise InvalidValueError(
            f"max_depth is a number of labels from 1, not {op.max_depth!r}.", path="max_depth"
        )
    return op


def _check_counts(limit: Any, offset: Any) -> None:
    for name, value in (("limit", limit), ("offset", offset)):
        if not _is_count(value):
            raise InvalidValueError(f"{name} is a number from 0, not {value!r}.", path=name)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
