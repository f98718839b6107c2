"""What an answer of the server is: data, an error to raise, or a reason to try again."""

from __future__ import annotations

import re
from typing import Any

import httpx

from ctxplug import codec
from ctxplug.errors import InvalidValueError, StorageError
from ctxplug_server.problems import IdempotencyError, from_problem

_IN_REQUEST = re.compile(r"^(body|query|path)\.")
GATEWAYS = (502, 504)  # of a proxy, unless the body is a server's of ours


def data_of(response: httpx.Response, url: str) -> Any:
    """Return the JSON data of an answer; None if it has no body."""
    if not response.content:
        return None
    try:
        return codec.decode(response.content)
    except InvalidValueError as exc:
        raise StorageError(
            f"What answers at {url} is no ctxplug server: it sent"
            f" {response.headers.get('content-type', 'something')!r:.60} where JSON was asked for."
            " See that the address is right.",
            target=url,
        ) from exc


def is_passing(response: httpx.Response) -> bool:
    """Say whether the failure may be over when it is tried again."""
    status = response.status_code
    if status == 503:
        return True
    if status == 429:  # without a time to wait it is a limit on spending
        return "Retry-After" in response.headers
    if status in GATEWAYS:
        return type_of(response) is None
    return status == 409 and is_under_way(response)


def is_under_way(response: httpx.Response) -> bool:
    """Say whether the first attempt of this very call is still at work over there."""
    if type_of(response) != IdempotencyError.__name__:
        return False
    error = _error(response)
    return isinstance(error, IdempotencyError) and not error.applied


def problem_of(response: httpx.Response, url: str) -> Exception:
    """Return the error that the server tells of, as a memory in this process would raise it."""
    error = _error(response)
    if isinstance(error, StorageError) and not error.target:
        error.target = url
    if isinstance(error, InvalidValueError):
        error.path = _IN_REQUEST.sub("", error.path)  # as an argument it has no such place
    return error


def type_of(response: httpx.Response) -> str | None:
    """Return the class of the error in an answer; None if no ctxplug server wrote it."""
    try:
        return str(codec.decode(response.content)["error"]["type"])
    except (InvalidValueError, KeyError, TypeError):
        return None


def _error(response: httpx.Response) -> Exception:
    return from_problem(response.status_code, response.content, response.headers)
