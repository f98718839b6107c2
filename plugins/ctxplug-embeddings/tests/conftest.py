"""A small server that speaks the embeddings APIs of OpenAI and Voyage, for their real SDKs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


def hashed_words(text: str, dimension: int, kind: str = "") -> list[float]:
    """Return a vector that is not of length 1, another one for each `kind`."""
    row = [0.0] * dimension
    for word in [kind, *text.split()]:
        digest = hashlib.sha256(word.encode()).digest()
        row[digest[0] % dimension] += 1 + digest[1] / 100
    return row


class EmbeddingServer(ThreadingHTTPServer):
    """Remembers requests in `seen`; answers with status `status` if that is not 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[dict[str, Any]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: EmbeddingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(body)
        status, texts = self.server.status, body["input"]
        if any(not text or len(text.encode()) > 8191 for text in texts):
            status = 400
        dimension = body.get("dimensions") or body.get("output_dimension") or 24
        kind = body.get("input_type") or ""
        data = [
            {"object": "embedding", "index": i, "embedding": hashed_words(text, dimension, kind)}
            for i, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        answer = {"object": "list", "data": data[::-1], "model": body["model"], "usage": usage}
        if "input_type" in body:
            answer["data"] = data  # Voyage answers in order
        if status != 200:
            answer = {"error": {"message": "no", "type": "test"}, "detail": "no"}
        self._reply(status, answer)

    def _reply(self, status: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddingServer]:
    """Run a server on a free port of this machine."""
    with EmbeddingServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
