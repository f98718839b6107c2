"""A local server that speaks Anthropic's Messages API from a script, and fails on request."""

from __future__ import annotations

import itertools
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeAlias

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug.testing import model_checks
from ctxplug.testing.model_cache import Counted, PromptCache, count_content
from ctxplug.testing.model_replies import Broken, Failure, Reply
from ctxplug.testing.model_thinking import sign, thinking_faults, without

__all__ = ["Broken", "Failure", "ModelServer", "Reply", "ServedRequest"]

Answer: TypeAlias = Reply | Failure | Broken | str
Script: TypeAlias = "Iterable[Answer] | Callable[[ServedRequest], Answer]"

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
# The SDK's tool runner asks for a thread and does without when it is told this.
_NO_THREADS = Failure(
    400,
    "invalid_request_error",
    "thread: The model server keeps no conversations; send all messages.",
    details={"error_code": "thread_unsupported_request", "unsupported": ["thread"]},
)
_UNANSWERED = Failure(
    400,
    "invalid_request_error",
    "The script of the model server has no answer left.",
    {"x-should-retry": "false"},
)


@dataclass(frozen=True, slots=True)
class ServedRequest:
    """One request as it came in, and what became of it.

    `body` is the decoded JSON, `status` what was answered (0 for a reset), `answer` the
    message or error that was sent, `refused` whether the request itself was at fault.
    """

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    status: int = 0
    answer: Mapping[str, Any] | None = None
    refused: bool = False

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the request."""
        return list(self.body.get("messages") or ())

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """The usage that was answered, if any was."""
        return (self.answer or {}).get("usage")


class ModelServer:
    """Serve a script over HTTP on this machine, in threads; use it with `with`.

    `script` is a sequence of answers (one for each valid request, retries included) or a
    function of the request; a str is a Reply of that text. Requests that the real API
    refuses are answered with its 400 and use up no answer. Thinking gets signatures that
    must come back unchanged, with `binds_thinking` behind unchanged messages. Usage tells
    cache reads and writes by the marks in the request, for prefixes of at least
    `minimum_cache` tokens. A prompt over `context_window` tokens is refused. `counting`
    holds failures that count_tokens gives before it counts.
    """

    def __init__(
        self,
        script: Script = (),
        *,
        counting: Sequence[Failure | Broken] = (),
        context_window: int = 200_000,
        minimum_cache: int = 1024,
        binds_thinking: bool = True,
    ) -> None:
        self.requests: list[ServedRequest] = []
        """Every request, in the order in which they were answered."""
        self._script = script if callable(script) else iter(script)
        self._counting = iter(counting)
        self._window = context_window
        self._binds = binds_thinking
        self._cache = PromptCache(minimum_cache)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self.closing = threading.Event()
        from ctxplug.testing.model_http import Connection, Server

        self._http: ThreadingHTTPServer = Server(("127.0.0.1", 0), Connection)
        self._http.model_server = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.02,), name="model-server", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The `base_url` for a client."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def sent(self) -> list[ServedRequest]:
        """The requests to create a message, without those to count tokens."""
        return [request for request in self.requests if request.path == MESSAGES]

    def close(self) -> None:
        """Stop serving; what is still being sent is cut off."""
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> ModelServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def record(self, request: ServedRequest) -> None:
        """Add a request to `requests`."""
        with self._lock:
            self.requests.append(request)

    def answer(self, request: ServedRequest) -> tuple[Answer, dict[str, Any] | None, bool]:
        """Return what the script says to `request`, its message, and whether it was refused."""
        with self._lock:
            refusal = self._refusal(request)
            if refusal:
                return refusal, None, True
            if request.path == COUNT:
                return self._count(request)
            said = self._next(request)
            answer = Reply.text(said) if isinstance(said, str) else said
            reply = answer.reply if isinstance(answer, Broken) else answer
            message = self._message(request, reply) if isinstance(reply, Reply) else None
            return answer, message, False

    def _refusal(self, request: ServedRequest) -> Failure | None:
        if request.path not in (MESSAGES, COUNT):
            return Failure(404, "not_found_error", f"There is no {request.path!r}.")
        if not (request.headers.get("x-api-key") or request.headers.get("authorization")):
            return Failure(401, "authentication_error", "x-api-key header is required")
        if isinstance(request.body, dict) and request.body.get("thread"):
            return _NO_THREADS
        try:
            counting = request.path == COUNT
            found = model_checks.refusal(request.body, counting=counting, binds=self._binds)
            total = 0 if found or counting else self._counted(request, write=False).total
        except InvalidValueError as exc:
            return Failure(400, "invalid_request_error", str(exc))
        if total > self._window:
            return Failure.context_window_exceeded(total, self._window)
        return Failure(*found) if found else None

    def _count(self, request: ServedRequest) -> tuple[Answer, dict[str, Any] | None, bool]:
        failure = next(self._counting, None)
        if failure is not None and not isinstance(failure, Broken):
            return failure, None, False
        counted = {"input_tokens": self._counted(request, write=False).total}
        return failure or Reply([]), counted, False

    def _next(self, request: ServedRequest) -> Answer:
        if isinstance(self._script, Iterator):
            return next(self._script, _UNANSWERED)
        return self._script(request)

    def _message(self, request: ServedRequest, reply: Reply) -> dict[str, Any]:
        before = [*self._kept(request)]
        content = [self._block(block, before) for block in reply.content]
        output = reply.output_tokens
        counted = self._counted(request)
        message: dict[str, Any] = {
            "id": f"msg_{next(self._ids):024d}",
            "type": "message",
            "role": "assistant",
            "model": request.body["model"],
            "content": content,
            "stop_reason": reply.stop_reason,
            "stop_sequence": None,
            "stop_details": dict(reply.stop_details) if reply.stop_details else None,
            "usage": counted.usage(count_content(content) if output is None else output),
        }
        dropped = self._unbound(request)
        if dropped:
            message["input_transformations"] = [
                {"path": path, "reason": "prefix_binding_mismatch"} for path in dropped
            ]
        return message

    def _block(
        self, block: Mapping[str, Any], before: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        made = dict(block)
        kind = made["type"]
        if kind in ("tool_use", "server_tool_use") and "id" not in made:
            prefix = "toolu" if kind == "tool_use" else "srvtoolu"
            made["id"] = f"{prefix}_{secrets.token_hex(12)}"
        if kind == "thinking" and "signature" not in made:
            made["signature"] = sign(made["thinking"], before)
        if kind == "redacted_thinking" and "data" not in made:
            made["data"] = sign("", before)
        return made

    def _unbound(self, request: ServedRequest) -> list[str]:
        if not (self._binds and model_checks.drops_unbound(request.body)):
            return []
        return [path for path, _, _ in thinking_faults(request.messages)]

    def _kept(self, request: ServedRequest) -> list[dict[str, Any]]:
        return without(request.messages, self._unbound(request))

    def _counted(self, request: ServedRequest, *, write: bool = True) -> Counted:
        body = {**codec.plain(request.body), "messages": self._kept(request)}
        return self._cache.count(body, write=write)
