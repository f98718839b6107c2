"""Problems: from an error of ctxplug to a status and a JSON body, and back to the same error.

A body is `{"error": {"type", "message", "details"}}`; `details` are the attributes of the error.
What tells of the machine, as a store's path does, stays on the machine.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as field_
from functools import cache
from pathlib import PurePath
from typing import Any

from ctxplug import codec, errors
from ctxplug.errors import CtxplugError

__all__ = [
    "IdempotencyError",
    "KeyRequiredError",
    "Problem",
    "RightError",
    "ServerBusyError",
    "ServerFaultError",
    "TooLargeError",
    "TooManyRequestsError",
    "failed_at",
    "from_problem",
    "to_problem",
]


class KeyRequiredError(CtxplugError):
    """There is no key with the request, or it opens nothing (401)."""


class RightError(CtxplugError):
    """The key does not have the `right` that this takes (403)."""

    def __init__(self, message: str, *, right: str) -> None:
        super().__init__(message)
        self.right = right


class TooLargeError(CtxplugError):
    """The request is larger than `limit` bytes (413)."""

    def __init__(self, message: str, *, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class IdempotencyError(CtxplugError):
    """An Idempotency-Key was used for another request, or its answer cannot be told again.

    `applied`: whether the request that the key stands for is known to have been done.
    """

    def __init__(self, message: str, *, applied: bool, status: int = 409) -> None:
        super().__init__(message)
        self.applied = applied
        self.status = status


class TooManyRequestsError(CtxplugError):
    """The key's rate limit is used up; try again after `retry_after` seconds (429)."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ServerBusyError(CtxplugError):
    """No place came free in time, or the server is ending; nothing was done (503)."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ServerFaultError(CtxplugError):
    """The server failed (500); its log tells more under `request_id`."""

    def __init__(self, message: str, *, request_id: str = "") -> None:
        super().__init__(message)
        self.request_id = request_id


# The nearest class of an error's ancestry decides.
STATUS: Mapping[type[CtxplugError], int] = {
    CtxplugError: 422,
    errors.EmptyContextError: 409,
    errors.UsageLimitError: 429,
    errors.ClosedError: 503,
    errors.NotFoundError: 404,
    errors.SessionStateError: 409,
    errors.AuditError: 403,
    errors.UnknownToolError: 404,
    errors.ToolConflictError: 409,
    errors.ToolRefusedError: 403,
    errors.ToolBusyError: 503,
    errors.ToolTimeoutError: 504,
    errors.PluginError: 500,
    errors.GuardError: 422,
    errors.StorageError: 500,
    errors.ConflictError: 409,
    errors.EmbedderChangedError: 409,
    errors.StorageBusyError: 503,
    errors.StorageFullError: 507,
    errors.ReadOnlyError: 403,
    errors.AccessError: 403,
    KeyRequiredError: 401,
    RightError: 403,
    TooLargeError: 413,
    IdempotencyError: 409,
    TooManyRequestsError: 429,
    ServerBusyError: 503,
    ServerFaultError: 500,
}
CLASSES: Mapping[str, type[CtxplugError]] = {
    name: found
    for found in (*vars(errors).values(), *STATUS)
    if isinstance(found, type) and issubclass(found, CtxplugError) and (name := found.__name__)
}
# What these say of the machine is for its log alone.
SAID_INSTEAD: Mapping[type[CtxplugError], str] = {
    errors.ReadOnlyError: "The store is served read-only; nothing was written.",
    errors.StorageFullError: "The store has no space left; nothing was written. Reads still work.",
    errors.StorageBusyError: "The store was busy with others' writes; nothing was written."
    " Try again.",
    errors.ClosedError: "The server is ending, or the memory was closed; try again.",
}
KEPT_BACK = frozenset({"target", "status"})
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Problem:
    """The answer that tells an error."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field_(default_factory=dict)


def status_of(error: CtxplugError) -> int:
    """Return the HTTP status that stands for `error`."""
    if isinstance(error, IdempotencyError):
        return error.status
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def to_problem(error: CtxplugError) -> Problem:
    """Return the answer that tells `error`, without what it says of this machine."""
    status = status_of(error)
    details = {n: _plain(v) for n, v in vars(error).items() if _tells(n, v)}
    body = {"error": {"type": _name(error), "message": _message(error, status), "details": details}}
    headers = {}
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="ctxplug"'
    seconds = getattr(error, "retry_after", RETRY_SECONDS if status == 503 else None)
    if seconds is not None:
        headers["retry-after"] = str(max(1, round(seconds + 0.499)))
    return Problem(status, codec.encode(body), headers)


def from_problem(status: int, body: bytes, headers: Mapping[str, str]) -> CtxplugError:
    """Return the error that an answer tells, of the class and with the attributes it had."""
    try:
        told = codec.decode(body)["error"]
        name, message, details = told["type"], str(told["message"]), dict(told["details"])
    except (CtxplugError, KeyError, TypeError, ValueError):
        return _of_status(status, headers)
    cls = CLASSES.get(name)
    if cls is None:
        return CtxplugError(message)
    error = cls.__new__(cls)
    error.args = (message,)
    for attribute, default in _attributes(name).items():
        setattr(error, attribute, _as_given(details.get(attribute, default)))
    if isinstance(error, IdempotencyError):
        error.status = status
    return error


def failed_at(exc: BaseException) -> str:
    """Return what failed and where in the code, without values: they may be anybody's text."""
    frames = traceback.extract_tb(exc.__traceback__)
    steps = [f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    told = f"{type(exc).__name__} at {' > '.join(steps[-8:])}"
    return told if exc.__cause__ is None else f"{told}; by {failed_at(exc.__cause__)}"


@cache
def _attributes(name: str) -> Mapping[str, Any]:
    """Return the attributes of an error with their defaults: keywords of it and its ancestors."""
    found: dict[str, Any] = {}
    for ancestor in CLASSES[name].__mro__:
        made = vars(ancestor).get("__init__")
        if inspect.isfunction(made):
            for parameter in inspect.signature(made).parameters.values():
                if parameter.kind is parameter.KEYWORD_ONLY:
                    none = parameter.default is parameter.empty
                    found.setdefault(parameter.name, None if none else parameter.default)
    return found


def _of_status(status: int, headers: Mapping[str, str]) -> CtxplugError:
    said = f"The server answered with status {status}, and not as a ctxplug server does."
    after = headers.get("retry-after", "")
    if status == 429:
        return TooManyRequestsError(said, retry_after=float(after) if after.isdigit() else 1.0)
    if status in (502, 503, 504):
        return ServerBusyError(said, retry_after=float(after) if after.isdigit() else 1.0)
    if status == 401:
        return KeyRequiredError(said)
    if status == 413:
        return TooLargeError(said, limit=0)
    return ServerFaultError(said) if status >= 500 else CtxplugError(said)


def _name(error: CtxplugError) -> str:
    return next(c.__name__ for c in type(error).__mro__ if CLASSES.get(c.__name__) is c)


def _message(error: CtxplugError, status: int) -> str:
    for cls, text in SAID_INSTEAD.items():
        if isinstance(error, cls):
            return text
    if status >= 500 and not isinstance(
        error, ServerFaultError | ServerBusyError | errors.ToolError
    ):
        return "The store or a plugin of the server failed; its log tells more."
    message, target = str(error), getattr(error, "target", "")
    if target:
        message = message.replace(repr(target), "the store").replace(target, "the store")
    return message


def _tells(name: str, value: object) -> bool:
    return not name.startswith("_") and name not in KEPT_BACK and _is_plain(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float | bool)


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _as_given(value: Any) -> Any:
    return tuple(_as_given(item) for item in value) if isinstance(value, list) else value
