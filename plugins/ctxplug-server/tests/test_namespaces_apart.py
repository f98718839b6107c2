"""A key of one namespace sees nothing of another: in no endpoint, stream, error, log or metric.

Every operation of the OpenAPI document is called with the key of one namespace in a store full
of others, whose every field holds canaries: on its own, with their ids, and for them. An
operation that is added later is called too, without a line here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from ctxplug.scope import namespace_key
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.isolation_world import (
    CANARIES,
    OTHERS,
    OWN,
    THEIR_ARCHIVED,
    THEIR_ID,
    THEIR_SESSION,
    contents,
    fill_others,
    fill_own,
)

HERE = namespace_key(OWN)
SOME = (OTHERS[0], OTHERS[1], OTHERS[5])  # the parent, a child, a look-alike
NOBODY = "acme/nobody"
METHODS = ("get", "post", "patch", "put", "delete")
# What may be given for a parameter of a path or query, ours first, then theirs.
VALUES: Mapping[str, tuple[str, ...]] = {
    "session": ("own", THEIR_SESSION),
    "id": ("own@1", THEIR_ID, THEIR_ARCHIVED, f"{THEIR_SESSION}@1"),
    "step": (THEIR_ID[:16],),
    "ref": ("@1", f"{THEIR_SESSION}@1"),
    "number": ("1",),
    "version": ("1",),
    "before": (THEIR_ID[:16],),
    "after": (THEIR_ID[:16],),
    "q": ("violin", "window Lisbon"),
    "policies": ("balanced,aggressive",),
    "of": ("me",),
    "verb": ("read",),
}
# Beside each canary of theirs stand words that are no canaries: they are what is asked for.
TEXTS = {"query": "violin window Lisbon", "session": THEIR_SESSION, "id": THEIR_ID}
SECRETS = tuple(canary for canary in CANARIES if canary != THEIR_SESSION)
BAD = "Bearer ctxp_000000000000_" + "x" * 43
Call = tuple[str, str, dict[str, str], Any]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one namespace of ours among others full of canaries."""
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as backend:
        fill_own(backend)
        fill_others(backend)
    return path


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield method, path and description of each operation."""
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield method, path, methods[method]


def resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema that a reference names."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def body_of(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Any:
    """Return the example of an operation's body, None if it takes none."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    schema = resolved(document, content["schema"])
    for example in (*schema.get("examples", ()), content.get("example")):
        if example is not None:
            return example
    parts = [resolved(document, one) for one in schema.get("anyOf", ())]
    return next((one["examples"][0] for one in parts if one.get("examples")), {})


def with_theirs(body: Any) -> Any:
    """Return a body that asks for what is theirs."""
    if isinstance(body, dict):
        return {name: TEXTS.get(name, with_theirs(value)) for name, value in body.items()}
    return body


def calls(document: Mapping[str, Any]) -> Iterator[Call]:
    """Yield method, path, query and body of all calls, but those that erase or take for ever."""
    for method, template, operation in operations(document):
        if template in ("/v1/live", "/v1/erase"):
            continue
        names = [one["name"] for one in operation.get("parameters", ())]
        choices = max((len(VALUES.get(name, ("",))) for name in names), default=1)
        for number in range(choices):
            path, query = template, {}
            for name in names:
                values = VALUES.get(name)
                if values is None:
                    continue
                value = values[min(number, len(values) - 1)]
                if f"{{{name}}}" in path:
                    path = path.replace(f"{{{name}}}", quote(value))
                else:
                    query[name] = value
            body = body_of(document, operation)
            yield method, path, query, body if number == 0 else with_theirs(body)


def spilled(answer: httpx.Response) -> str:
    """Return all that an answer says, whatever it is written in."""
    text = f"{answer.status_code} {dict(answer.headers)} {answer.text}"
    return text + text.encode().decode("unicode_escape", errors="replace")


def secrets_in(text: str) -> list[str]:
    """Return which canaries there are in a text; no call brings one in itself."""
    return [secret for secret in SECRETS if secret in text]


def test_no_operation_shows_or_changes_what_is_theirs(
    serve: Any, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "httpcore")
    server = serve(store=store, rate=None, failures=None)
    _, ours = server.keys.make("ours", HERE, rights="admin")
    _, owner = server.keys.make("owner", "*", rights="admin")
    with SqliteBackend(store) as backend:
        before = [contents(backend, namespace) for namespace in OTHERS]
    heard = Listener(server, ours)
    seen = []
    with server.client(ours) as client:
        document = client.get("/openapi.json").json()
        asked = list(calls(document))
        assert len(asked) > 100
        for call in asked:
            method, path, query, body = call
            for params in (query, {**query, "namespace": HERE}):
                answer = client.request(method, path, params=params, json=body)
                assert answer.status_code < 500, (call, answer.text)
                assert secrets_in(spilled(answer)) == [], (call, answer.text)
                seen.append(answer.status_code)
        assert sum(status < 300 for status in seen) > 80, "the calls reach what is ours"
        heard.end(client)
        assert client.get("/metrics").status_code == 403
    assert heard.text.count("data:") > 5 and secrets_in(heard.text) == []
    with server.client(owner) as client:
        metrics = client.get("/metrics").text
    assert "ctxplug" in metrics and secrets_in(metrics) == []
    server.stop()
    assert secrets_in(caplog.text) == []
    with SqliteBackend(store) as backend:
        assert [contents(backend, namespace) for namespace in OTHERS] == before


def test_what_is_theirs_is_as_if_it_were_not_there(serve: Any, store: Path) -> None:
    server = serve(store=store, rate=None, failures=None)
    _, ours = server.keys.make("ours", HERE, rights="admin")
    with server.client(ours) as client:
        for call in calls(client.get("/openapi.json").json()):
            method, path, query, body = call
            if path in ("/health", "/ready", "/metrics", "/v1/namespaces"):
                continue
            answers = set()
            for namespace in (NOBODY, *map(namespace_key, SOME)):
                params = {**query, "namespace": namespace}
                answer = client.request(method, path, params=params, json=body)
                answers.add((answer.status_code, answer.text.replace(f"{namespace!r}", "it")))
            assert len(answers) == 1, (call, answers)
            (status, _), *_ = answers
            assert status in (403, 404, 422, 400), (call, answers)


def test_a_bad_key_learns_nothing_from_any_operation(serve: Any, store: Path) -> None:
    server = serve(store=store, rate=None, failures=None)
    server.keys.make("ours", HERE)
    told = set()
    with server.client(headers={"authorization": BAD}) as client, server.client() as none:
        assert none.get("/v1/stats").status_code == 401
        with server.client(server.keys.make("other", NOBODY)[1]) as known:
            document = known.get("/openapi.json").json()
        for method, path, query, body in calls(document):
            if path in ("/health", "/ready"):
                continue
            for namespace in (HERE, namespace_key(OTHERS[0]), NOBODY):
                params = {**query, "namespace": namespace}
                answer = client.request(method, path, params=params, json=body)
                told.add((answer.status_code, answer.text))
    assert len(told) == 1 and next(iter(told))[0] == 401


class Listener:
    """A stream of live events, read on a thread of its own."""

    def __init__(self, server: Any, key: str) -> None:
        self.text = ""
        self._ready = threading.Event()
        self._client = server.client(key)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _read(self) -> None:
        with self._client.stream("GET", "/v1/live") as stream:
            for piece in stream.iter_text():
                self.text += piece
                self._ready.set()
                if self._done.is_set() and '"session":"the-last-one"' in self.text:
                    return

    def end(self, client: httpx.Client) -> None:
        """Read up to what is written now, and end."""
        self._done.set()
        body = {"messages": [{"role": "user", "content": "The last one."}]}
        assert client.post("/v1/sessions/the-last-one/messages", json=body).status_code == 201
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._client.close()
