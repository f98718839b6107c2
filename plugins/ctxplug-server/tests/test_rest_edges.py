"""Bodies that are no JSON, or more than JSON: refused with a sentence, and nothing is done."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from ctxplug import codec

ODD = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[1, 2]",
    "a number": b"5",
    "too deep": b'{"query":' + b"[" * 50_000,
    "deep": b'{"metadata":' + b'{"a":' * 300 + b"1" + b"}" * 301,
    "no UTF-8": b'{"query": "\xff\xfe"}',
    "not a number": b'{"importance": NaN, "content": "x", "metadata": {"a": Infinity}}',
    "a long number": b'{"limit": ' + b"9" * 5_000 + b"}",
}


@pytest.fixture
def client(own_client: httpx.Client) -> httpx.Client:
    return own_client


@pytest.fixture
def writing(client: httpx.Client) -> list[tuple[str, str]]:
    """Every operation of the document that takes a body."""
    paths = client.get("/openapi.json").json()["paths"]
    return [
        (method, path.format(session="trip", id="0", step="0", number=1, version=1))
        for path, item in paths.items()
        for method, told in item.items()
        if "requestBody" in told and path.startswith("/v1")
    ]


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_an_odd_body_is_refused_by_every_operation(
    client: httpx.Client, writing: list[tuple[str, str]], body: bytes
) -> None:
    assert len(writing) > 30
    for method, path in writing:
        headers = {"content-type": "application/json"}
        answer = client.request(method, path, content=body, headers=headers)
        if body:
            assert 400 <= answer.status_code < 500, (path, answer.text)
        else:  # a body may be left out of some
            assert answer.status_code < 500, (path, answer.text)
        if answer.status_code >= 400:
            error = answer.json()["error"]
            assert error["type"] in answer.text
            assert len(error["message"]) < 1_000
    assert client.get("/v1/memories").json() == {"memories": []}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/sessions/trip/context", {"tools": [{"name": "f", "n": "NUMBER"}]}),
        ("/v1/sessions/trip/messages", {"messages": [{"role": "user", "content": "x"}]}),
        ("/v1/sessions/trip/steps", {"steps": [{"kind": "span", "started_at": 0, "duration": 1}]}),
        ("/v1/memories", {"content": "x"}),
        ("/v1/audit/notes", {"action": "a.b"}),
    ],
)
@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused_wherever_json_stands(
    client: httpx.Client, path: str, body: Any, number: str
) -> None:
    client.post("/v1/sessions/trip/messages", json={"messages": [{"role": "user", "content": "?"}]})
    places = {"messages": "metadata", "steps": "data"}
    for several, name in places.items():
        for one in body.get(several, ()):
            one[name] = {"n": "NUMBER"}
    name = {"content": "metadata", "action": "data"}.get(next(iter(body)))
    data = {**body, **({name: {"n": "NUMBER"}} if name else {})}
    text = json.dumps(data).replace('"NUMBER"', number)
    headers = {"content-type": "application/json"}
    answer = client.post(path, content=text.encode(), headers=headers)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("text", ["\x00", "\ud800", "里斯本\udfff", "‮abc", "a" * 10_000])
def test_any_text_goes_through_every_place_of_text(client: httpx.Client, text: str) -> None:
    headers = {"content-type": "application/json"}

    def post(path: str, **body: Any) -> Any:
        answer = client.post(path, content=codec.encode(body), headers=headers)
        assert answer.status_code in (200, 201), answer.text
        return codec.decode(answer.content)

    said = post("/v1/sessions/s/messages", messages=[{"role": "user", "content": text}])
    assert said["messages"][0]["content"][0]["text"] == text
    made = post("/v1/memories", content=text, metadata={text: text}, tags=[text])
    assert (made["content"], made["metadata"], made["tags"]) == (text, {text: text}, [text])
    post("/v1/recall", query=text)
    post("/v1/sessions/s/context", query=text, system=text)
    assert post("/v1/sessions/s/suspend", reason=text)["reason"] == text


def test_a_purpose_that_is_no_text_is_refused(client: httpx.Client) -> None:
    for name in ("ctxplug-purpose", "ctxplug-actor"):
        refused = client.get("/v1/sessions", headers={name: "%E1x"})
        assert refused.status_code == 422
        assert refused.json()["error"]["details"] == {"path": name.title()}


def test_a_refused_field_is_named_as_the_request_names_it(client: httpx.Client) -> None:
    for at, name, body in (("context", "system", {"system": 5}), ("restore", "to", {"to": 1.5})):
        refused = client.post(f"/v1/sessions/s/{at}", json=body).json()["error"]
        assert refused["details"]["path"] == f"body.{name}"
        assert "[" not in refused["message"]
