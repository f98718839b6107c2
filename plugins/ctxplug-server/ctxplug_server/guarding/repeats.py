"""Repeats: a request that is sent again with its Idempotency-Key is answered, not done again."""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from hashlib import blake2b
from urllib.parse import parse_qs

from ctxplug.errors import CtxplugError
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug_server.caller import Caller, caller_of
from ctxplug_server.guarding.asgi import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    giving,
    header,
    refuse,
)
from ctxplug_server.idempotency import Answer, Once, current
from ctxplug_server.problems import IdempotencyError
from ctxplug_server.remaking import is_made_again, made_again
from ctxplug_server.serving import Serving

__all__ = ["Repeats"]

METHODS = ("POST", "PATCH", "DELETE")
KEPT = 1_024  # answers in memory
KEPT_BYTES = 8 * 2**20
REPLAYED = (b"idempotency-replayed", b"true")
_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")
# Done again, these do no harm, and what they erase must not be remembered.
ERASING = re.compile(r"/v1/(erase|retire)\Z|/v1/sessions/[^/]+\Z")

# These ask, and do no harm when they are asked again: a key changes nothing.
ASKING = re.compile(
    r"/v1/(recall|usage/check|audit/verify|erase/verify|memories/search-archive)\Z"
    r"|/v1/sessions/[^/]+/(context|rerun)\Z"
)


class Repeats:
    """Remembers what was answered, in memory and by marks in the store."""

    def __init__(self, app: App, serving: Serving) -> None:
        self._app = app
        self._serving = serving
        self._running: dict[tuple[Namespace, str], asyncio.Event] = {}
        self._answers: OrderedDict[tuple[Namespace, str], tuple[str, Answer, float]] = OrderedDict()
        self._seconds = serving.settings.idempotency_hours * 3600
        self._bytes = 0
        serving.when_erasing(self.forget)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do a request, or answer it as it was answered before."""
        key, caller = _key_of(scope), caller_of(scope)
        if key is None or caller is None or ASKING.match(str(scope["path"])):
            await self._app(scope, receive, send)
            return
        namespace = _namespace(scope, caller)
        if namespace is None:  # the route says what is wrong
            await self._app(scope, receive, send)
            return
        try:
            if not _KEY.match(key):
                raise IdempotencyError(
                    "An Idempotency-Key is 1 to 255 printable ASCII characters.",
                    applied=False,
                    status=422,
                )
            body = (await receive())["body"]  # it is whole: see Arrivals
            once = _once(scope, caller, namespace, key, body)
            answer = await self._answer_of(once)
        except CtxplugError as exc:
            await refuse(scope, send, exc)
            return
        if answer is not None:
            await _say(send, answer)
            return
        await self._do(scope, giving(body, receive), send, once)

    async def _answer_of(self, once: Once) -> Answer | None:
        """Return what the request was answered, None if it was not done yet."""
        where = once.namespace, once.id
        await self._wait(where)
        self._running[where] = asyncio.Event()
        try:
            answer = await self._told(once)
        except BaseException:
            self._end(where)
            raise
        if answer is not None:
            self._end(where)
        return answer

    async def _told(self, once: Once) -> Answer | None:
        kept = self._answers.get((once.namespace, once.id))
        if kept is not None and kept[2] > time.monotonic():
            _require_same(once, kept[0])
            return kept[1]
        serving = self._serving

        def look() -> tuple[MemoryRecord, Answer | None] | None:
            mark = serving.requests.told(once)
            return None if mark is None else (mark, made_again(serving.store, once, mark))

        found = await serving.run(look)
        if found is None:
            return None
        mark, answer = found
        _require_same(once, str(mark.metadata.get("fingerprint")))
        if answer is None:
            raise IdempotencyError(
                "The request of this Idempotency-Key was applied, but its answer is lost; read"
                " what it changed instead of sending it again.",
                applied=True,
            )
        return answer

    async def _do(self, scope: Scope, receive: Receive, send: Send, once: Once) -> None:
        """Let the request be done, keep what it is answered, and answer."""
        recording = _Recording()
        erasing = once.method != "PATCH" and ERASING.match(once.path) is not None
        token = current.set(None if erasing else once)
        try:
            await self._app(scope, receive, recording.receive)
        finally:
            current.reset(token)
            try:
                told = recording.answer
                if told is not None and told.status < 400:
                    await self._keep(once, told)
            finally:
                self._end((once.namespace, once.id))
        if once.contested and not once.wrote:
            answer = await self._told(once)
            if answer is not None:
                await _say(send, answer)
                return
        for message in recording.messages:
            await send(message)

    async def _keep(self, once: Once, answer: Answer) -> None:
        where = once.namespace, once.id
        self._forget(where)  # one whose time was over
        self._answers[where] = once.fingerprint, answer, time.monotonic() + self._seconds
        self._bytes += len(answer.body)
        while self._answers and (len(self._answers) > KEPT or self._bytes > KEPT_BYTES):
            self._forget(next(iter(self._answers)))
        if once.wrote and not is_made_again(once):
            await self._serving.run(lambda: self._serving.requests.answered(once, answer))

    def forget(self, namespace: Namespace) -> None:
        """Forget the answers to requests to `namespace`: something of it is erased."""
        for where in [where for where in list(self._answers) if where[0] == namespace]:
            self._forget(where)

    def _forget(self, where: tuple[Namespace, str]) -> None:
        kept = self._answers.pop(where, None)
        if kept is not None:
            self._bytes -= len(kept[1].body)

    async def _wait(self, where: tuple[Namespace, str]) -> None:
        """Wait while the same request is being done."""
        if where not in self._running:
            return
        try:
            async with asyncio.timeout(self._serving.settings.queue_seconds):
                while where in self._running:
                    await self._running[where].wait()
        except TimeoutError:
            raise _running() from None

    def _end(self, where: tuple[Namespace, str]) -> None:
        event = self._running.pop(where, None)
        if event is not None:
            event.set()


class _Recording:
    """Takes an answer, to be sent when it is whole and kept."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.answer: Answer | None = None

    async def receive(self, message: Message) -> None:
        """Take a part of the answer."""
        self.messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            start = self.messages[0]
            types = [v for n, v in start.get("headers", ()) if n == b"content-type"]
            body = b"".join(one.get("body", b"") for one in self.messages[1:])
            kind = types[0].decode("latin-1") if types else ""
            self.answer = Answer(start["status"], kind, body)


def _key_of(scope: Scope) -> str | None:
    if scope["type"] != "http" or scope["method"] not in METHODS:
        return None
    found = header(scope, b"idempotency-key")
    return None if found is None else found.decode("latin-1")


def _namespace(scope: Scope, caller: Caller) -> Namespace | None:
    given = parse_qs(scope["query_string"].decode("latin-1")).get("namespace")
    try:
        return caller.namespace(given[-1] if given else None)
    except CtxplugError:
        return None


def _once(scope: Scope, caller: Caller, namespace: Namespace, key: str, body: bytes) -> Once:
    path, method = str(scope["path"]), str(scope["method"])
    parts = (method.encode(), path.encode("utf-8", "surrogatepass"), scope["query_string"], body)
    fingerprint = blake2b(b"\0".join(parts), digest_size=24).hexdigest()
    id = blake2b(f"{caller.id}\0{key}".encode(), digest_size=24).hexdigest()
    return Once(namespace, id, fingerprint, method, path)


async def _say(send: Send, answer: Answer) -> None:
    headers = [REPLAYED]
    if answer.status != 204:
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def _require_same(once: Once, fingerprint: str) -> None:
    if fingerprint != once.fingerprint:
        raise IdempotencyError(
            "This Idempotency-Key was used for another request; each request has its own.",
            applied=False,
            status=422,
        )


def _running() -> IdempotencyError:
    return IdempotencyError(
        "The request of this Idempotency-Key is still being done; ask again in a moment.",
        applied=False,
    )
