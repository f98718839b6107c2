"""Every error of ctxplug goes over the wire and comes back the same."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from ctxplug_server import problems
from ctxplug_server.problems import CLASSES, Problem, from_problem, status_of, to_problem

from ctxplug import codec, errors
from ctxplug.errors import CtxplugError, StorageError

SAMPLES: dict[str, Any] = {
    "str": "旅行",
    "int": 7,
    "float": 0.5,
    "bool": True,
    "Sequence[str]": ("a", "b"),
    "str | None": None,
}


def _made(cls: type[CtxplugError]) -> CtxplugError:
    made = cls.__init__
    parameters = inspect.signature(made).parameters.values() if inspect.isfunction(made) else ()
    given = {p.name: SAMPLES[p.annotation] for p in parameters if p.kind is p.KEYWORD_ONLY}
    given.pop("target", None)
    given.pop("status", None)
    return cls("Something is 'wrong'; do this instead. 请重试。", **given)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_an_error_comes_back_with_its_class_and_attributes(name: str) -> None:
    error = _made(CLASSES[name])
    problem = to_problem(error)
    back = from_problem(problem.status, problem.body, problem.headers)
    assert type(back) is type(error)
    assert vars(back) == vars(error)
    assert 400 <= problem.status <= 599
    if problem.status < 500 and type(error) not in problems.SAID_INSTEAD:
        assert str(back) == str(error)


def test_all_errors_of_ctxplug_are_known() -> None:
    family = [
        c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, CtxplugError)
    ]
    assert {c.__name__ for c in family} <= set(CLASSES)
    assert len(family) > 30


def test_an_error_of_a_plugin_is_told_as_the_nearest_known_one() -> None:
    class OwnError(errors.NotFoundError):
        """Of a plugin."""

    problem = to_problem(OwnError("There is none."))
    assert problem.status == 404
    assert codec.decode(problem.body)["error"]["type"] == "NotFoundError"


@pytest.mark.parametrize(
    "error",
    [
        errors.ConflictError(
            "'/data/a.db': someone wrote.", expected=1, found=2, target="/data/a.db"
        ),
        errors.ReadOnlyError("'/data/a.db' is read-only.", target="/data/a.db"),
        errors.StorageFullError("No space for '/data/a.db'.", target="/data/a.db"),
        errors.StorageBusyError("'/data/a.db' is locked.", waited=3.0, target="/data/a.db"),
        errors.CorruptStoreError("'/data/a.db' is damaged.", target="/data/a.db"),
        StorageError("'/data/a.db' cannot be read.", target="/data/a.db"),
        errors.PluginError("Traceback ... /data/a.db", plugin="p"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_answer_tells_of_the_machine(error: CtxplugError) -> None:
    problem = to_problem(error)
    assert b"data" not in problem.body
    assert b"a.db" not in problem.body


def test_what_may_be_tried_again_says_when() -> None:
    assert to_problem(problems.TooManyRequestsError("x", retry_after=2.2)).headers == {
        "retry-after": "3"
    }
    assert to_problem(problems.ServerBusyError("x")).headers["retry-after"] == "1"
    assert "retry-after" not in to_problem(errors.NotFoundError("x")).headers


def test_a_missing_key_says_how_to_come_with_one() -> None:
    assert (
        to_problem(problems.KeyRequiredError("x")).headers["www-authenticate"].startswith("Bearer")
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, problems.KeyRequiredError),
        (413, problems.TooLargeError),
        (429, problems.TooManyRequestsError),
        (500, problems.ServerFaultError),
        (503, problems.ServerBusyError),
        (418, CtxplugError),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error": 3}', b'{"error": {"type": 1}}']
)
def test_an_answer_of_something_else_is_an_error_by_its_status(
    status: int, expected: type[CtxplugError], body: bytes
) -> None:
    assert type(from_problem(status, body, {})) is expected


def test_details_that_are_missing_or_strange_do_not_break_an_error() -> None:
    body = codec.encode(
        {"error": {"type": "BudgetError", "message": "m", "details": {"budget": 3, "x": 1}}}
    )
    back = from_problem(422, body, {})
    assert isinstance(back, errors.BudgetError)
    assert (back.budget, back.needed) == (3, None)
    unknown = codec.encode({"error": {"type": "Strange", "message": "m", "details": {}}})
    assert type(from_problem(422, unknown, {})) is CtxplugError


def test_a_problem_is_what_the_documentation_says() -> None:
    problem: Problem = to_problem(errors.BudgetError("Too small.", needed=9, budget=5))
    assert codec.decode(problem.body) == {
        "error": {
            "type": "BudgetError",
            "message": "Too small.",
            "details": {"needed": 9, "budget": 5},
        }
    }
    assert status_of(errors.EmptyContextError("x")) == 409
