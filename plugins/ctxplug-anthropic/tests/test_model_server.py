"""The model server against the real SDK: every fault, and everything it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from typing import Any

import anthropic
import pytest

from ctxplug.testing import Broken, Failure, ModelServer, Reply

MODEL = "claude-haiku-4-5"
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello, 你好!"}]
LONG = "The quick brown fox jumps over the lazy dog. 敏捷的狐狸。" * 120  # over 1024 tokens


def client(server: ModelServer, retries: int = 1) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server.url, api_key="test", max_retries=retries)


def ask(server: ModelServer, stream: bool = False, retries: int = 1, **options: Any) -> Any:
    body = {"model": MODEL, "max_tokens": 500, "messages": HELLO} | options
    with client(server, retries) as connected:
        if not stream:
            return connected.messages.create(**body)
        with connected.messages.stream(**body) as events:
            return events.get_final_message()


def marked(text: str, ttl: str | None = None) -> dict[str, Any]:
    mark = {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})
    return {"type": "text", "text": text, "cache_control": mark}


# -- replies -----------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_replies_arrive_whole(stream: bool) -> None:
    calls = [("weather", {"city": "Oslo"}), ("weather", {"city": "奥斯陆", "days": [1, None]})]
    script = [
        Reply.text("Good day. 你好。 " * 20, thinking="They greet me. 他们问好。"),
        Reply.tool_use(*calls, text="Let me see.", thinking="Two cities."),
        Reply.tool_use(("now", {}), ids=["toolu_1"]),
        Reply.max_tokens("This is cut of"),
        Reply.refusal("cyber", "No."),
        Reply.pause_turn("Searching.", query="Oslo weather"),
        Reply.context_window_exceeded(),
        Reply([{"type": "redacted_thinking"}, {"type": "text", "text": "x"}], output_tokens=77),
    ]
    with ModelServer(script) as server:
        got = [ask(server, stream) for _ in script]
        reasons = [message.stop_reason for message in got]
        sent = [request.answer["content"] for request in server.sent if request.answer]
    assert reasons == [reply.stop_reason for reply in script]
    received = [[b.to_dict() for b in message.content] for message in got]
    for want, have in zip(sent, received, strict=True):
        assert [
            {k: v for k, v in b.items() if k in w} for w, b in zip(want, have, strict=True)
        ] == (want)
    assert got[0].content[1].text == "Good day. 你好。 " * 20
    assert [block.input for block in got[1].content[2:]] == [arguments for _, arguments in calls]
    assert len({block.id for block in got[1].content[2:]}) == 2
    assert got[2].content[0].id == "toolu_1"
    assert got[4].stop_details.category == "cyber" and got[4].content == []
    assert got[7].usage.output_tokens == 77


async def test_the_async_client_streams() -> None:
    with ModelServer(["One. 一。"]) as server:
        connected = anthropic.AsyncAnthropic(base_url=server.url, api_key="test")
        stream = connected.messages.stream(model=MODEL, max_tokens=10, messages=HELLO)
        async with connected, stream as events:
            text = "".join([piece async for piece in events.text_stream])
    assert text == "One. 一。"


def test_a_script_may_be_a_function_of_the_request() -> None:
    with ModelServer(lambda request: f"{len(request.messages)} message(s)") as server:
        assert ask(server).content[0].text == "1 message(s)"
        assert ask(server).content[0].text == "1 message(s)"
        assert server.requests[0].body["messages"] == HELLO
        assert server.requests[0].headers["authorization"] == "Bearer test"


def test_a_script_that_has_run_out_says_so_at_once() -> None:
    with ModelServer(["one"]) as server:
        ask(server)
        with pytest.raises(anthropic.BadRequestError, match="no answer left"):
            ask(server)
        assert len(server.requests) == 2


# -- faults ------------------------------------------------------------------------


def quick(failure: Failure) -> Failure:
    """Return `failure` with a wait of a millisecond instead of half a second."""
    return replace(failure, headers={"retry-after-ms": "1"})


STATUS = {
    "429": (Failure.rate_limited(0.01), anthropic.RateLimitError),
    "529": (quick(Failure.overloaded()), anthropic.OverloadedError),
    "500": (quick(Failure.server_error()), anthropic.InternalServerError),
    "html": (quick(Failure.server_error(html=True)), anthropic.InternalServerError),
}


@pytest.mark.parametrize("name", STATUS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_status_is_retried_and_then_raised(name: str, stream: bool) -> None:
    failure, error = STATUS[name]
    with ModelServer([failure, "recovered", failure, failure]) as server:
        assert ask(server, stream).content[0].text == "recovered"
        with pytest.raises(error) as caught:
            ask(server, stream)
        statuses = [request.status for request in server.requests]
    assert statuses == [failure.status, 200, failure.status, failure.status]
    assert caught.value.status_code == failure.status
    assert ("<html>" in str(caught.value)) == (name == "html")


def test_retry_after_is_sent() -> None:
    rejected = pytest.raises(anthropic.RateLimitError)
    with ModelServer([Failure.rate_limited(3600)]) as server, rejected as caught:
        ask(server, retries=0)
    assert caught.value.response.headers["retry-after"] == "3600"


@pytest.mark.parametrize("stream", [False, True])
def test_a_reset_is_a_connection_error_and_retried(stream: bool) -> None:
    with ModelServer([Broken("reset"), "recovered", Broken("reset")]) as server:
        assert ask(server, stream).content[0].text == "recovered"
        with pytest.raises(anthropic.APIConnectionError):
            ask(server, stream, retries=0)
        assert [request.status for request in server.requests] == [0, 200, 0]


# What the SDK makes of a body that arrives broken: what raises, or None where it says nothing.
BODIES: dict[tuple[str, bool], type[Exception] | None] = {
    ("truncated", False): json.JSONDecodeError,
    ("truncated", True): None,
    ("cut", False): anthropic.APIConnectionError,
    ("empty", False): json.JSONDecodeError,
    ("empty", True): AssertionError,
    ("wrong_json", False): None,
    ("wrong_json", True): None,
    ("not_json", False): json.JSONDecodeError,
    ("not_json", True): json.JSONDecodeError,
    ("no_usage", False): None,
    ("error_event", False): anthropic.OverloadedError,
    ("error_event", True): anthropic.APIStatusError,
}


@pytest.mark.parametrize(("how", "stream"), BODIES)
def test_a_broken_body_has_a_known_outcome(how: Any, stream: bool) -> None:
    error = BODIES[how, stream]
    with ModelServer([Broken(how)]) as server:
        if error is not None:
            with pytest.raises(error):
                ask(server, stream, retries=0)
            return
        message = ask(server, stream, retries=0)
    if how == "no_usage":
        assert message.usage is None and message.content[0].text
    else:  # nothing is raised for what is no whole message
        assert message.stop_reason is None


def test_a_stream_that_is_cut_raises() -> None:
    with ModelServer([Broken("cut")]) as server, pytest.raises(Exception, match="incomplete"):
        ask(server, True, retries=0)


@pytest.mark.parametrize("stream", [False, True])
def test_a_slow_body_arrives_or_times_out(stream: bool) -> None:
    with ModelServer([Broken("slow", seconds=0.001), Broken("slow", seconds=3600)]) as server:
        assert ask(server, stream).stop_reason == "end_turn"
        with pytest.raises(Exception, match=r"(?i)timed out"):
            ask(server, stream, retries=0, timeout=0.05)


def test_a_delayed_reply_times_out_as_the_sdk_says() -> None:
    script = [Reply.text("late", delay=3600), Failure(500, delay=3600)]
    with ModelServer(script) as server:
        for _ in script:
            with pytest.raises(anthropic.APITimeoutError):
                ask(server, retries=0, timeout=0.05)


# -- refusals ----------------------------------------------------------------------

USE = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
TOOL = {"name": "now", "input_schema": {"type": "object"}}
FORGED = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmF0dXJl"}
REFUSED: dict[str, dict[str, Any]] = {
    "at least|no message": {"messages": []},
    "A03": {"messages": [{"role": "assistant", "content": "Hi."}]},
    "A08": {"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]},
    "A20": {"messages": [*HELLO, {"role": "assistant", "content": [USE]}]},
    "A19": {"messages": [*HELLO, {"role": "assistant", "content": [USE]}, *HELLO]},
    "A24": {
        "model": "claude-sonnet-5-5",
        "messages": [*HELLO, {"role": "assistant", "content": "It is"}],
    },
    "A26": {"system": [marked(f"part {i}") for i in range(5)]},
    "signature": {"messages": [*HELLO, {"role": "assistant", "content": [FORGED]}, *HELLO]},
    "max_tokens": {"max_tokens": 0},
    "temperature": {"model": "claude-opus-4-7", "extra_body": {"temperature": 0.3}},
    "thinking.type": {
        "model": "claude-sonnet-5",
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "max_tokens": 2000,
    },
    "budget_tokens": {"thinking": {"type": "enabled", "budget_tokens": 100}},
    "pattern": {"tools": [{**TOOL, "name": "no spaces"}]},
    "unique": {"tools": [TOOL, TOOL]},
    "input_schema": {"tools": [{"name": "now", "input_schema": {"type": "array"}}]},
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_api_refuses_is_refused_and_uses_up_no_answer(text: str) -> None:
    with ModelServer(["still here"]) as server:
        with pytest.raises(anthropic.BadRequestError, match=text):
            ask(server, **REFUSED[text])
        assert [request.refused for request in server.requests] == [True]
        assert ask(server).content[0].text == "still here"


def test_a_prompt_over_the_window_is_refused() -> None:
    with ModelServer(["fits"], context_window=1000) as server:
        with pytest.raises(anthropic.BadRequestError, match=r"too long: \d+ tokens > 1000"):
            ask(server, messages=[{"role": "user", "content": LONG}])
        assert ask(server).content[0].text == "fits"


def test_a_request_that_is_none_is_answered_with_an_error() -> None:
    with ModelServer() as server:
        key = {"x-api-key": "test", "content-type": "application/json"}
        for path, data, headers, status in (
            ("/v1/messages", b"{nonsense", key, 400),
            ("/v1/messages", b"[]", key, 400),
            ("/v1/messages", b"{}", key, 400),
            ("/v1/messages", b"{}", {}, 401),
            ("/v1/nothing", b"{}", key, 404),
            ("/v1/messages", None, key, 404),
        ):
            request = urllib.request.Request(server.url + path, data, headers)
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request)
            with caught.value as answer:
                assert answer.code == status
                assert json.load(answer)["type"] == "error"


def test_threads_are_declined_as_the_api_does_and_the_runner_goes_on() -> None:
    with ModelServer(["Hello."]) as server, client(server) as connected:
        runner = connected.beta.messages.tool_runner(
            model=MODEL, max_tokens=50, messages=HELLO, tools=[]
        )
        assert runner.until_done().content[0].text == "Hello."
        with pytest.raises(anthropic.BadRequestError) as caught:
            ask(server, extra_body={"thread": {"type": "create"}})
    body: Any = caught.value.body
    assert body["error"]["details"]["error_code"] == "thread_unsupported_request"


# -- thinking ----------------------------------------------------------------------


def thought(server: ModelServer, model: str = MODEL) -> list[dict[str, Any]]:
    """Return a conversation with thinking that this server signed."""
    answer = ask(server, model=model)
    content = [block.to_dict() for block in answer.content]
    return [*HELLO, {"role": "assistant", "content": content}, {"role": "user", "content": "Go on"}]


def test_thinking_that_comes_back_as_it_was_is_taken_by_another_server_too() -> None:
    with ModelServer([Reply.text("Hi.", thinking="Hm. 嗯。"), "on"]) as server:
        history = thought(server)
        assert ask(server, messages=history).content[0].text == "on"
    with ModelServer(["on"]) as other:
        history[0] = {"role": "user", "content": [marked(HELLO[0]["content"])]}  # as blocks, marked
        assert ask(other, messages=history).content[0].text == "on"


@pytest.mark.parametrize("key", ["thinking", "signature"])
def test_changed_thinking_is_refused(key: str) -> None:
    with ModelServer([Reply.text("Hi.", thinking="Hm."), "on"]) as server:
        history = thought(server)
        was = history[1]["content"][0][key]
        history[1]["content"][0][key] = ("B" if was[0] == "A" else "A") + was[1:]
        with pytest.raises(anthropic.BadRequestError, match="signature"):
            ask(server, messages=history)


def test_thinking_is_bound_to_the_messages_before_it() -> None:
    with ModelServer([Reply.text("Hi.", thinking="Hm."), "on"]) as server:
        history = thought(server)
        for changed in (
            [{"role": "user", "content": "Another question"}, *history[1:]],
            [*HELLO, *history],
        ):
            with pytest.raises(anthropic.BadRequestError, match="have changed"):
                ask(server, messages=changed)
        drop = {"thinking": {"block_binding": {"prefix_mismatch_behavior": "drop_block"}}}
        message = ask(server, messages=changed, extra_body=drop)
    dropped = message.to_dict()["input_transformations"]
    assert [one["reason"] for one in dropped] == ["prefix_binding_mismatch"]
    with ModelServer(["on"], binds_thinking=False) as loose:
        assert ask(loose, messages=changed).content[0].text == "on"


def test_a_paused_turn_goes_on_where_it_was() -> None:
    with ModelServer([Reply.pause_turn(), "It is sunny."]) as server:
        paused = ask(server, model="claude-sonnet-5-5")
        content = [block.to_dict() for block in paused.content]
        history = [*HELLO, {"role": "assistant", "content": content}]
        assert ask(server, model="claude-sonnet-5-5", messages=history).stop_reason == "end_turn"


# -- usage -------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_the_cache_is_written_once_and_then_read(stream: bool) -> None:
    system = [marked(LONG)]
    with ModelServer(["one", "two", "three", "four"]) as server:
        first = ask(server, stream, system=system).usage
        second = ask(server, stream, system=system).usage
        grown = [*HELLO, {"role": "assistant", "content": "one"}]
        grown.append({"role": "user", "content": [marked("And now?", "5m")]})
        third = ask(server, stream, system=system, messages=grown).usage
        other = ask(server, stream, system=system, model="claude-sonnet-4-6").usage
    wrote = first.cache_creation_input_tokens
    assert wrote > 1024 and first.cache_read_input_tokens == 0
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, wrote)
    assert second.input_tokens == first.input_tokens > 0
    assert third.cache_read_input_tokens == wrote
    assert third.cache_creation_input_tokens > 0 and third.input_tokens == 0
    assert other.cache_read_input_tokens == 0  # a cache is one model's


def test_a_mark_on_the_whole_request_is_one_on_its_last_block() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    with ModelServer(["one"] * 2) as server:
        first = ask(server, system=LONG, extra_body=mark).usage
        second = ask(server, system=LONG, extra_body=mark).usage
    assert (first.input_tokens, second.input_tokens) == (0, 0)
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens > 1024


def test_short_prefixes_are_not_cached_and_hours_are_told_apart() -> None:
    with ModelServer(["one"] * 3) as server:
        short = ask(server, system=[marked("Be brief.")]).usage
        mixed = ask(server, system=[marked(LONG, "1h"), marked(LONG + LONG)]).usage
        plain = ask(server, system=LONG).usage
    assert short.cache_creation_input_tokens == 0 == plain.cache_creation_input_tokens
    split = mixed.cache_creation
    assert split.ephemeral_1h_input_tokens > 1024 < split.ephemeral_5m_input_tokens
    total = split.ephemeral_1h_input_tokens + split.ephemeral_5m_input_tokens
    assert total == mixed.cache_creation_input_tokens


def test_count_tokens_is_the_input_of_the_same_request() -> None:
    history = [*HELLO, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": LONG}]
    rest: dict[str, Any] = {"system": "Be brief.", "tools": [TOOL], "messages": history}
    with ModelServer(["one"], counting=[Failure.overloaded()]) as server:
        with client(server, 0) as connected:
            with pytest.raises(anthropic.OverloadedError):
                connected.messages.count_tokens(model=MODEL, **rest)
            counted = connected.messages.count_tokens(model=MODEL, **rest).input_tokens
        assert ask(server, **rest).usage.input_tokens == counted
        assert [request.path for request in server.sent] == ["/v1/messages"]


# -- the server itself -------------------------------------------------------------


def test_it_needs_no_pytest() -> None:
    code = (
        "import sys, ctxplug.testing as t; t.ModelServer().close(); print('pytest' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
