"""The HTTP of the model server: how answers get onto the wire, whole or broken."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug.testing.model_checks import MAX_BODY
from ctxplug.testing.model_replies import Broken, Failure, How, Reply
from ctxplug.testing.model_stream import encoded, error_event, events_of

if TYPE_CHECKING:
    from ctxplug.testing.model_server import ModelServer, ServedRequest

JSON, SSE, HTML = "application/json", "text/event-stream", "text/html"
_PAGE = "<html><head><title>{0}</title></head><body><h1>{0} {1}</h1></body></html>"
_NO_MESSAGE = b'{"status":"ok","items":[1,2,3]}'
_NO_JSON = b"upstream said: {not json"
_PIECES = 8


class Server(ThreadingHTTPServer):
    """A threading server that does not wait for open connections when it closes."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is what many tests are about."""


class Connection(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # the kernel would hold small pieces back for 40 ms

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing to the terminal."""

    def do_GET(self) -> None:
        """Answer that there is nothing."""
        self._fail(Failure(404, "not_found_error", "There is nothing to GET here."))

    def do_POST(self) -> None:
        """Answer one request from the script."""
        from ctxplug.testing.model_server import ServedRequest

        length = int(self.headers.get("content-length") or 0)
        if length > MAX_BODY:
            self.close_connection = True
            self._fail(Failure(413, "request_too_large", "Request exceeds the maximum size"))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = ServedRequest(self.path.partition("?")[0], {}, headers)
        try:
            request = replace(request, body=codec.decode(self.rfile.read(length)))
        except InvalidValueError:
            failure = Failure(400, "invalid_request_error", "The body is not valid JSON")
            self._server.record(replace(request, status=400, refused=True))
            self._fail(failure)
            return
        self._respond(request)

    @property
    def _server(self) -> ModelServer:
        return cast("ModelServer", self.server.model_server)  # type: ignore[attr-defined]

    def _respond(self, request: ServedRequest) -> None:
        answer, message, refused = self._server.answer(request)
        how = answer.how if isinstance(answer, Broken) else None
        streamed = request.body.get("stream") is True if not refused else False
        if how == "error_event" and not streamed:
            answer = Failure.overloaded()
        if isinstance(answer, Failure):
            self._server.record(
                replace(request, status=answer.status, answer=_error(answer), refused=refused)
            )
            self._fail(answer)
            return
        assert message is not None and not isinstance(answer, str)
        if how == "no_usage":
            message = {key: value for key, value in message.items() if key != "usage"}
        status = 0 if how == "reset" else 200
        self._server.record(replace(request, status=status, answer=message))
        if isinstance(answer, Reply) and answer.delay:
            self._wait(answer.delay)
        pause = answer.seconds if isinstance(answer, Broken) and how == "slow" else 0.0
        with contextlib.suppress(ConnectionError):
            if streamed:
                self._stream(message, how, pause)
            else:
                self._whole(message, how, pause)

    def _whole(self, message: Mapping[str, Any], how: How | None, pause: float) -> None:
        if how == "reset":
            return self._reset()
        body = codec.encode(message)
        whole = len(body)
        if how in ("truncated", "cut"):
            body = body[: whole // 2]
        body = {"empty": b"", "wrong_json": _NO_MESSAGE, "not_json": _NO_JSON}.get(how or "", body)
        self._head(200, JSON, {"content-length": str(whole if how == "cut" else len(body))})
        size = max(1, len(body) // _PIECES) if pause else len(body) or 1
        self._write([body[i : i + size] for i in range(0, len(body), size)], pause)
        if how == "cut":
            self._close()
        return None

    def _stream(self, message: Mapping[str, Any], how: How | None, pause: float) -> None:
        if how == "reset":
            return self._reset()
        pieces = [encoded(event) for event in events_of(message)]
        if how in ("truncated", "cut", "error_event"):
            pieces = pieces[: len(pieces) // 2]
        if how == "error_event":
            pieces.append(encoded(error_event("overloaded_error", "Overloaded")))
        if how in ("wrong_json", "not_json"):
            body = _NO_MESSAGE if how == "wrong_json" else _NO_JSON
            pieces = [pieces[0], b"event: content_block_start\ndata: %s\n\n" % body]
        if how == "empty":
            pieces = []
        self._head(200, SSE, {"transfer-encoding": "chunked", "cache-control": "no-cache"})
        self._write([b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces], pause)
        if how == "cut":
            self._close()
        else:
            self.wfile.write(b"0\r\n\r\n")
        return None

    def _fail(self, failure: Failure) -> None:
        if failure.delay:
            self._wait(failure.delay)
        body = codec.encode(_error(failure))
        if failure.html:
            body = _PAGE.format(failure.status, failure.message).encode()
        headers = {**failure.headers, "content-length": str(len(body))}
        with contextlib.suppress(ConnectionError):
            self._head(failure.status, HTML if failure.html else JSON, headers)
            self.wfile.write(body)

    def _head(self, status: int, kind: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("request-id", f"req_{len(self._server.requests):024d}")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _write(self, pieces: Iterable[bytes], pause: float) -> None:
        for piece in pieces:
            if pause:
                self._wait(pause)
            self.wfile.write(piece)
            self.wfile.flush()

    def _wait(self, seconds: float) -> None:
        self._server.closing.wait(seconds)

    def _close(self) -> None:
        self.close_connection = True

    def _reset(self) -> None:
        """Close so that the client gets a reset instead of an end."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()


def _error(failure: Failure) -> dict[str, Any]:
    error: dict[str, Any] = {"type": failure.type, "message": failure.message}
    if failure.details is not None:
        error["details"] = dict(failure.details)
    return {"type": "error", "error": error}
