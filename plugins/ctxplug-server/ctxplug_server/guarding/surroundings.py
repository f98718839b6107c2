"""Around: a request is done for the purpose, and within the span, that its headers tell of."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from urllib.parse import parse_qs

from ctxplug.audit.recorder import acting_for
from ctxplug.errors import CtxplugError, InvalidValueError
from ctxplug.guards import Guards
from ctxplug.scope import Scope as CallScope
from ctxplug.tracing.span import Span
from ctxplug.tracing.step import SPAN as SPAN_KIND
from ctxplug_server.caller import Caller, caller_of
from ctxplug_server.guarding.asgi import App, Receive, Scope, Send, refuse
from ctxplug_server.serving import Serving
from ctxplug_server.wire.surroundings import ACTOR, LONGEST, PURPOSE, SPAN, Surroundings

__all__ = ["Around"]

NAMES = {name.lower().encode(): name for name in (PURPOSE, ACTOR, SPAN)}


class Around:
    """Puts what the caller's program stands in around its request; the innermost layer."""

    def __init__(self, app: App, serving: Serving) -> None:
        self._app = app
        self._serving = serving
        self._guards = Guards(serving.plugins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do the request in its surroundings, if it names any."""
        caller, told = caller_of(scope), _told(scope)
        if not told or caller is None:
            await self._app(scope, receive, send)
            return
        try:
            around = Surroundings.from_headers(told)
            acting = [await self._kept(text, scope, caller) for text in _texts(around)]
        except CtxplugError as exc:
            await refuse(scope, send, exc)
            return
        with ExitStack() as stack:
            if any(acting):
                stack.enter_context(acting_for(*acting))
            if around.span is not None:
                stack.enter_context(_span(*around.span))
            await self._app(scope, receive, send)

    async def _kept(self, text: str | None, scope: Scope, caller: Caller) -> str | None:
        """Return a text as the redactors leave it."""
        if text is None or not self._guards.redacts:
            return text
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("namespace", [None])[-1]
        whose = CallScope(caller.namespace(asked), "", caller.agent)
        return await self._serving.run(partial(self._guards.redact, text, whose)) or None


def _told(scope: Scope) -> dict[str, str]:
    if scope["type"] != "http":
        return {}
    headers = scope["headers"]
    return {NAMES[name]: value.decode("latin-1") for name, value in headers if name in NAMES}


def _texts(around: Surroundings) -> tuple[str | None, str | None]:
    for name, text in ((PURPOSE, around.purpose), (ACTOR, around.actor)):
        if text is not None and len(text) > LONGEST:
            raise InvalidValueError(
                f"{name} takes more than {LONGEST} characters; say it shorter.", path=name
            )
    return around.purpose, around.actor


def _span(trace: str, id: str) -> Span:
    """Return a stand-in for the caller's span, which the caller itself enters."""
    span = Span(lambda _: None, SPAN_KIND, "", trace=trace, parent=None, data={})
    span.id = id
    return span
