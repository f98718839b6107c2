"""Ask whoever may let a call run; only True is a yes, and what fails is a no."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

from ctxplug.tools.rules import Approve, PendingCall
from ctxplug.tools.running import in_thread


def asked(approve: Approve, pending: PendingCall) -> Any:
    """Return what `approve` answers; what it raises is a no."""
    try:
        return approve(pending)
    except Exception:
        return False


async def answered(answer: Any) -> bool:
    """Return whether an answer, or what awaiting it gives, is a yes."""
    try:
        return (await answer if inspect.isawaitable(answer) else answer) is True
    except (Exception, SystemExit, KeyboardInterrupt):  # the latter two would end the event loop
        return False


async def asked_in_thread(approve: Approve, pending: PendingCall) -> bool:
    """Ask where it does not hold up the event loop."""
    try:
        answer = await in_thread(partial(asked, approve, pending))
    except Exception:  # what ended the thread, such as SystemExit
        return False
    return await answered(answer)
