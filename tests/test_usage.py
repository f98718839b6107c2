"""Usage read from each provider's own report, as dicts and as the SDKs' objects."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.errors import InvalidValueError
from ctxplug.tokens.usage import Usage

# Each report says the same in its own way: 100 in full, 2,000 read, 300 written, 50 out.
WRITES = {
    "anthropic": {
        "input_tokens": 100,
        "output_tokens": 50,
        "cache_read_input_tokens": 2_000,
        "cache_creation_input_tokens": 300,
        "service_tier": "standard",
    },
    "openai chat": {
        "prompt_tokens": 2_400,
        "completion_tokens": 50,
        "total_tokens": 2_450,
        "prompt_tokens_details": {"cached_tokens": 2_000, "cache_write_tokens": 300},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
    "openai responses": {
        "input_tokens": 2_400,
        "output_tokens": 50,
        "total_tokens": 2_450,
        "input_tokens_details": {"cached_tokens": 2_000, "cache_write_tokens": 300},
        "output_tokens_details": {"reasoning_tokens": 20},
    },
    "langchain": {
        "input_tokens": 2_400,
        "output_tokens": 50,
        "total_tokens": 2_450,
        "input_token_details": {"cache_read": 2_000, "cache_creation": 300},
        "output_token_details": {"reasoning": 20},
    },
}
# These know no writes: 400 in full.
READS = {
    "gemini": {
        "prompt_token_count": 2_390,
        "tool_use_prompt_token_count": 10,
        "cached_content_token_count": 2_000,
        "candidates_token_count": 30,
        "thoughts_token_count": 20,
        "total_token_count": 2_450,
    },
    "gemini rest": {
        "promptTokenCount": 2_400,
        "cachedContentTokenCount": 2_000,
        "candidatesTokenCount": 30,
        "thoughtsTokenCount": 20,
    },
    "deepseek": {
        "prompt_tokens": 2_400,
        "completion_tokens": 50,
        "prompt_cache_hit_tokens": 2_000,
        "prompt_cache_miss_tokens": 400,
    },
}
EXPECTED = {name: Usage(100, 50, 2_000, 300) for name in WRITES}
EXPECTED |= {name: Usage(400, 50, 2_000, 0) for name in READS}
REPORTS: dict[str, dict[str, Any]] = {**WRITES, **READS}


def as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_object(item) for key, item in value.items()})
    return value


@pytest.mark.parametrize("name", REPORTS)
def test_each_form_is_read_as_a_dict_and_as_an_object(name: str) -> None:
    for report in (REPORTS[name], as_object(REPORTS[name])):
        usage = Usage.of(report)
        assert usage == EXPECTED[name]
        assert (usage.total_input, usage.total) == (2_400, 2_450)


@pytest.mark.parametrize("name", REPORTS)
def test_a_whole_response_names_the_model_too(name: str) -> None:
    key = "usage_metadata" if name.startswith(("gemini", "langchain")) else "usage"
    response = {key: REPORTS[name], "model": "model-1"}
    for source in (response, as_object(response)):
        assert Usage.of(source).model == "model-1"
        assert Usage.of(source, model="model-2").model == "model-2"


@pytest.mark.slow  # importing them is
def test_the_sdks_own_objects_are_read() -> None:
    anthropic = pytest.importorskip("anthropic.types")
    openai = pytest.importorskip("openai.types")
    responses = pytest.importorskip("openai.types.responses")
    assert Usage.of(anthropic.Usage(**WRITES["anthropic"])) == EXPECTED["anthropic"]
    assert Usage.of(openai.CompletionUsage(**WRITES["openai chat"])) == EXPECTED["openai chat"]
    found = Usage.of(responses.ResponseUsage(**WRITES["openai responses"]))
    assert found == EXPECTED["openai responses"]


@pytest.mark.slow
def test_geminis_own_object_is_read() -> None:
    types = pytest.importorskip("google.genai.types")
    usage = types.GenerateContentResponseUsageMetadata(**READS["gemini"])
    response = types.GenerateContentResponse(usage_metadata=usage, model_version="gemini-2.5-pro")
    assert Usage.of(usage) == EXPECTED["gemini"]
    assert Usage.of(response) == Usage(400, 50, 2_000, 0, model="gemini-2.5-pro")


def test_a_langchain_message_is_read_with_its_model() -> None:
    message = SimpleNamespace(
        usage_metadata=WRITES["langchain"], response_metadata={"model_name": "claude-haiku-4-5"}
    )
    assert Usage.of(message) == Usage(100, 50, 2_000, 300, model="claude-haiku-4-5")


def test_writes_that_live_an_hour_are_told_apart() -> None:
    lives = {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}
    anthropic = {**WRITES["anthropic"], "cache_creation": lives}
    langchain = dict(WRITES["langchain"])
    langchain["input_token_details"] = {"cache_read": 2_000, "cache_creation": 0, **lives}
    expected = Usage(100, 50, 2_000, 300, cache_write_1h_tokens=200)
    assert Usage.of(anthropic) == Usage.of(langchain) == expected


def test_a_count_that_is_null_is_none() -> None:
    report = {"input_tokens": 7, "output_tokens": 3, "cache_read_input_tokens": None}
    assert Usage.of(report) == Usage(7, 3)
    assert Usage.of({"prompt_tokens": 7, "prompt_tokens_details": None}) == Usage(7)


def test_a_usage_is_itself_and_may_get_a_model() -> None:
    usage = Usage(1, 2)
    assert Usage.of(usage) is usage
    assert Usage.of(usage, model="m") == Usage(1, 2, model="m")


@pytest.mark.parametrize("source", [None, 5, "用量", {}, {"tokens": 3}, SimpleNamespace(), []])
def test_what_reports_no_usage_is_refused(source: Any) -> None:
    with pytest.raises(InvalidValueError, match="usage"):
        Usage.of(source)


@pytest.mark.parametrize(
    "report",
    [
        {"input_tokens": -1, "output_tokens": 0},
        {"input_tokens": 1.5, "output_tokens": 0},
        {"input_tokens": True, "output_tokens": 0},
        {"prompt_tokens": "12"},
    ],
)
def test_counts_that_are_no_counts_are_refused(report: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match="tokens"):
        Usage.of(report)


def test_the_hour_long_writes_are_a_part_of_the_writes() -> None:
    with pytest.raises(InvalidValueError, match="cache_write_1h_tokens"):
        Usage(cache_write_tokens=1, cache_write_1h_tokens=2)


@given(*[st.tuples(*[st.integers(0, 10**6)] * 4)] * 2)
def test_usages_add_up(one: tuple[int, ...], two: tuple[int, ...]) -> None:
    total = Usage(*one) + Usage(*two)  # type: ignore[arg-type]
    assert total.total == sum(one) + sum(two)
    assert total.total_input == total.total - one[1] - two[1]
