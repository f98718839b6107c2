"""What answers over REST have to be, for the tests that ask for them."""

from __future__ import annotations

from typing import Any

import httpx

from ctxplug import codec


def ok(response: httpx.Response, status: int = 200) -> Any:
    """Return the JSON of an answer that has to have this status."""
    assert response.status_code == status, response.text
    return codec.decode(response.content) if response.content else None


def kind_of(response: httpx.Response) -> tuple[int, str]:
    """Return the status of a problem and its type."""
    return response.status_code, response.json()["error"]["type"]
