"""/openapi.json is complete and true: schemathesis finds no 5xx and no answer that differs."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory
from ctxplug.scope import new_id

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
METHODS = ("get", "post", "patch", "delete")
STREAMS = "/v1/live"  # an answer that does not end is no matter of a schema
QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
SAID = {
    "en": ("trip", "Where is the hotel in Lisbon?", "Prefers window seats"),
    "zh": ("旅行", "里斯本的酒店在哪里？", "喜欢靠窗的座位"),
}


def fill(server: Any, language: str) -> dict[str, Any]:
    """Fill a namespace with some of everything; return what there is to ask for."""
    session, question, fact = SAID[language]
    namespace = f"acme/{language}-{new_id()}"
    with AgentMemory.open(server.store, namespace=namespace, session=session) as memory:
        for turn in range(6):
            memory.add("user", f"{question} {turn}")
            memory.add("assistant", f"{fact}. {turn}")
        memory.add("user", question)
        memory.context(question)
        memory.context()
        record = memory.remember(fact, tags=["travel"])
        memory.session.snapshot("v1", question)
        memory.tools.call("recall", {"query": question})
        memory.usage.record({"input_tokens": 10, "output_tokens": 2})
        steps = memory.trace.steps(kind="window")
        memory.maintain()
        memory.access.grant("planner", "read")
    return {
        "namespace": namespace,
        "session": session,
        "id": record.id,
        "step": steps[0].id,
        "before": steps[0].id,
        "after": steps[1].id,
        "ref": "@1-3",
        "number": "1",
        "version": "1",
    }


@pytest.fixture(scope="module")
def document(one_server: Any) -> dict[str, Any]:
    with one_server.client() as client:
        found: dict[str, Any] = client.get("/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def schema(one_server: Any) -> Any:
    """The document as schemathesis reads it, which takes its time."""
    return schemathesis.openapi.from_url(f"{one_server.url}/openapi.json")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def test_every_operation_says_what_it_does_and_has_an_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for path, method, told in operations(document):
        where = f"{method} {path}"
        assert told.get("summary") and told.get("description"), where
        assert told.get("tags") or not path.startswith("/v1"), where
        for parameter in told.get("parameters", ()):
            assert "schema" in parameter, where
            named = parameter.get("description") or parameter["name"] == "session"
            assert named or "/view" in path, where
            known = parameter["schema"].get("examples") or "example" in parameter
            assert known or not parameter.get("required"), f"{where} {parameter['name']}"
        body = told.get("requestBody")
        if body is not None:
            schema = body["content"]["application/json"]["schema"]
            names = [one["$ref"] for one in (schema, *schema.get("anyOf", ())) if "$ref" in one]
            own = schemas[names[0].rpartition("/")[2]]
            assert own.get("description"), where
            assert own.get("examples"), where


def test_every_example_of_the_document_is_as_its_schema_says(document: dict[str, Any]) -> None:
    schemas = copy.deepcopy(document["components"])
    count = 0
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            whole = {"$ref": f"#/components/schemas/{name}", "components": schemas}
            jsonschema.validate(example, whole, cls=jsonschema.Draft202012Validator)
            count += 1
    assert count > 60


def _fuzzed(schema: Any, wanted: dict[str, Any], examples: int, every: slice) -> int:
    """Call operations with data of their schemas; return how many answers were good."""
    good = 0
    for result in [*schema.get_all_operations()][every]:
        operation = result.ok()
        if operation.path.startswith(STREAMS) or not operation.path.startswith("/v1"):
            continue

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=examples < 10,
            phases=[Phase.generate],
            suppress_health_check=QUIET,
        )
        @given(case=operation.as_strategy(), known=st.booleans() if examples > 1 else st.just(True))
        def fuzz(case: Any, known: bool) -> None:
            nonlocal good
            case.query = {**(case.query or {}), "namespace": wanted["namespace"]}
            for place in (case.path_parameters, case.query) if known else ():
                place.update({name: wanted[name] for name in wanted.keys() & place.keys()})
            answer = case.call_and_validate(checks=CHECKS)
            good += answer.status_code < 300

        fuzz()
    return good


@pytest.mark.parametrize("language", ["en", pytest.param("zh", marks=pytest.mark.slow)])
def test_no_operation_fails_or_answers_otherwise_than_it_says(
    one_server: Any, schema: Any, language: str
) -> None:
    """Every other operation, and as a slow test the rest; another has them all in both."""
    every = slice(language == "zh", None, 2)
    assert _fuzzed(schema, fill(one_server, language), examples=1, every=every) > 10


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_operation_fails_with_hundreds_of_requests(serve: Any, language: str) -> None:
    server = serve(rate=None)
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    assert _fuzzed(schema, fill(server, language), examples=25, every=slice(None)) > 300


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_example_of_a_request_is_answered_as_the_document_says(
    one_server: Any, document: dict[str, Any], language: str
) -> None:
    """The examples are requests that work, but for what a name in them has to stand for."""
    wanted = fill(one_server, language)
    schemas = {"components": document["components"]}
    answered = 0
    with one_server.client(params={"namespace": wanted["namespace"]}) as client:
        for path, method, told in operations(document):
            if "requestBody" not in told or not path.startswith("/v1"):
                continue
            schema = told["requestBody"]["content"]["application/json"]["schema"]
            named = [one["$ref"] for one in (schema, *schema.get("anyOf", ())) if "$ref" in one]
            for name, value in wanted.items():
                path = path.replace("{" + name + "}", str(value))
            body = document["components"]["schemas"][named[0].rpartition("/")[2]]["examples"][0]
            answer: httpx.Response = client.request(method, path, json=body)
            assert answer.status_code in (200, 201, 204, 404, 409, 422), (path, answer.text)
            if answer.status_code in (200, 201):
                answered += 1
                content = told["responses"][str(answer.status_code)]["content"]
                whole = {**content["application/json"]["schema"], **schemas}
                jsonschema.validate(answer.json(), whole, cls=jsonschema.Draft202012Validator)
    assert answered > 18
