"""The law of token counters, and how near the estimate comes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug.errors import InvalidValueError, PluginError, UnknownComponentError
from ctxplug.messages import (
    ImagePart,
    Message,
    OpaquePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from ctxplug.tokens import (
    MessageCounter,
    TokenCounter,
    count_tools,
    counter_spec,
    provider_of,
)
from ctxplug.tokens import tiktoken_counter as module
from ctxplug.tokens.counter import CALL_TOKENS, IMAGE_TOKENS, MESSAGE_TOKENS
from ctxplug.tokens.estimate import MARGIN, estimate
from ctxplug.tokens.tiktoken_counter import PIECE, tiktoken_counter


def _cached(encoding: str) -> MessageCounter | None:
    try:
        return tiktoken_counter(encoding)
    except PluginError:
        return None


O200K, CL100K = _cached("o200k_base"), _cached("cl100k_base")
needs_encodings = pytest.mark.skipif(
    not (O200K and CL100K),
    reason="o200k_base and cl100k_base are not on this machine (llama-index-core carries them)",
)
COUNTERS = [estimate(variant) for variant in ("o200k", "cl100k", "claude")]
COUNTERS += [counter for counter in (O200K, CL100K) if counter]
every_counter = pytest.mark.parametrize("counter", COUNTERS, ids=lambda counter: counter.name)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECT = st.dictionaries(ANY_TEXT, JSON, max_size=3)
TEXT_PART = st.builds(TextPart, ANY_TEXT)
IMAGE_PART = st.just(ImagePart(url="https://example.org/cat.png"))
OPAQUE_PART = st.builds(OpaquePart, st.just("anthropic"), OBJECT)
PART = st.one_of(
    TEXT_PART,
    IMAGE_PART,
    OPAQUE_PART,
    st.builds(ThinkingPart, ANY_TEXT, st.none() | ANY_TEXT, st.none() | ANY_TEXT),
    st.builds(ToolCallPart, ANY_TEXT, ANY_TEXT, OBJECT, st.none() | ANY_TEXT),
    st.builds(
        ToolResultPart,
        ANY_TEXT,
        st.lists(TEXT_PART | IMAGE_PART | OPAQUE_PART, max_size=3).map(tuple),
    ),
)
MESSAGE = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.lists(PART, max_size=4),
    name=st.none() | ANY_TEXT,
)


# -- the law -----------------------------------------------------------------------


@every_counter
@settings(deadline=None, max_examples=60)
@given(parts=st.lists(PART, max_size=4), message=MESSAGE)
def test_a_count_is_the_sum_of_framing_and_parts(
    counter: MessageCounter, parts: list[Any], message: Message
) -> None:
    whole = counter.count(Message("user", parts))
    alone = [counter.count(Message("user", [part])) - MESSAGE_TOKENS for part in parts]
    assert whole == MESSAGE_TOKENS + sum(alone)
    assert min(alone, default=0) >= 0
    assert counter.count(message) == counter.count(Message.from_dict(message.to_dict()))
    assert counter.count(message) >= MESSAGE_TOKENS


@every_counter
@settings(deadline=None, max_examples=150)
@given(text=ANY_TEXT)
def test_any_text_has_a_count(counter: MessageCounter, text: str) -> None:
    tokens = counter.count_text(text)
    assert isinstance(tokens, int)
    assert 0 <= tokens <= 6 * len(text) + 1
    assert counter.count_text(text) == tokens


@every_counter
def test_nothing_costs_nothing_but_framing(counter: MessageCounter) -> None:
    assert counter.count_text("") == 0
    assert counter.count(Message("user", "")) == MESSAGE_TOKENS


@every_counter
@pytest.mark.parametrize(
    "text",
    ["\x00", "a\x00b", "\ud800", "好\udfff好", "<|endoftext|>", "<|im_start|>", "\ufeff\u200b"],
)
def test_odd_text_is_counted_as_the_text_it_is(counter: MessageCounter, text: str) -> None:
    assert counter.count_text(text) >= 1


@every_counter
def test_special_tokens_are_not_one_token(counter: MessageCounter) -> None:
    assert counter.count_text("<|endoftext|>") > 2


@every_counter
@pytest.mark.parametrize(
    "character", ["a", "😀", " ", "\n", "-", "_-", "我", "a1", "\x00", "\ud800"]
)
def test_a_million_characters_without_a_break_are_counted(
    counter: MessageCounter, character: str
) -> None:
    # A quadratic counter would need hours here.
    assert counter.count_text(character * (1_000_000 // len(character))) > 1_000


@every_counter
def test_a_counter_keeps_the_law(counter: MessageCounter) -> None:
    assert isinstance(counter, TokenCounter)
    assert counter.request_tokens >= 0
    assert counter.estimated == counter.name.startswith("estimate:")
    assert counter.margin == (MARGIN if counter.estimated else 0.0)


# -- what is counted ---------------------------------------------------------------

CHARACTERS = MessageCounter("characters", len)


def tokens(*parts: Any, **options: Any) -> int:
    return CHARACTERS.count(Message("assistant", parts, **options)) - MESSAGE_TOKENS


def test_text_and_name_are_counted() -> None:
    assert tokens(TextPart("hello"), TextPart("世界")) == 7
    assert tokens(name="alice") == 1 + len("alice")


def test_a_tool_call_costs_its_name_and_compact_arguments() -> None:
    call = ToolCallPart("call_1", "find", {"city": "里斯本", "n": 2})
    assert tokens(call) == CALL_TOKENS + len("find") + len('{"city":"里斯本","n":2}')


def test_raw_arguments_count_instead_of_the_parsed_ones() -> None:
    call = ToolCallPart("call_1", "find", {}, raw_arguments='{ "city" :')
    assert tokens(call) == CALL_TOKENS + len("find") + len('{ "city" :')


def test_a_tool_result_costs_its_call_id_and_content() -> None:
    result = ToolResultPart(
        "call_1", (TextPart("sunny"), ImagePart(data=b"x", media_type="image/png"))
    )
    assert tokens(result) == CALL_TOKENS + len("call_1") + len("sunny") + IMAGE_TOKENS


def test_thinking_costs_its_text_or_what_stands_for_it() -> None:
    assert tokens(ThinkingPart("let me see", signature="sig" * 99)) == len("let me see")
    assert tokens(ThinkingPart(redacted="opaque")) == len("opaque")
    assert tokens(ThinkingPart(signature="signed")) == len("signed")


def test_an_image_costs_the_same_whatever_its_bytes() -> None:
    small, large = (ImagePart(data=b"x" * n, media_type="image/png") for n in (1, 10**6))
    assert tokens(small) == tokens(large) == IMAGE_TOKENS


def test_an_opaque_part_costs_its_json() -> None:
    assert tokens(OpaquePart("anthropic", {"type": "document"})) == len('{"type":"document"}')


def test_a_file_in_an_opaque_part_costs_what_an_image_does_and_long_text_what_it_is() -> None:
    def part(data: str) -> OpaquePart:
        return OpaquePart("anthropic", {"source": [{"data": data}]})

    empty = len('{"source":[{"data":""}]}')
    for size in (4_096, 1_000_000):
        assert tokens(part("QUJD" * (size // 4))) == empty + 1_600
        assert tokens(part("data:audio/wav;base64," + "QUJD" * (size // 4))) == empty + 1_600
    for text in ("Lissabon " * 500, "里斯本" * 2_000, "QUJD" * 100):
        assert tokens(part(text)) == empty + len(text)


def test_metadata_costs_nothing() -> None:
    assert tokens(TextPart("hi"), metadata={"note": "x" * 999}, priority="high", pinned=True) == 2


def test_tools_cost_their_compact_json() -> None:
    tools: list[dict[str, Any]] = [
        {"name": "find", "parameters": {"type": "object"}},
        {"name": "天气"},
    ]
    wanted = sum(
        CALL_TOKENS + len(json.dumps(t, ensure_ascii=False, separators=(",", ":"))) for t in tools
    )
    assert count_tools(CHARACTERS, tools) == wanted
    assert count_tools(CHARACTERS, ()) == 0
    junk: list[dict[str, object]] = [{"name": object()}]
    with pytest.raises(InvalidValueError):
        count_tools(CHARACTERS, junk)


# -- the estimate ------------------------------------------------------------------

ENGLISH = [
    "Last week I moved to Lisbon, and I am still looking for a dentist near the river. The flat is"
    " on the fourth floor, without a lift, but the view makes up for it every single morning.",
    "Please book the early flight on Tuesday; I prefer a window seat and a vegetarian meal. If it"
    " is more than two hundred dollars, ask me first, because my travel budget is nearly used up.",
    "The committee decided against the proposal after a long discussion. Although most members"
    " agreed that something had to change, nobody could say who would pay for it or how soon.",
]
CODE = [
    "def total(items: list[dict[str, float]], rate: float = 0.2) -> float:\n"
    '    """Return the price of all items, tax included."""\n'
    '    net = sum(item["price"] * item.get("count", 1) for item in items)\n'
    '    if net < 0:\n        raise ValueError(f"negative total: {net!r}")\n'
    "    return round(net * (1 + rate), 2)\n",
    "async function fetchUser(id, { retries = 3 } = {}) {\n"
    "  for (let attempt = 0; attempt < retries; attempt++) {\n"
    "    const response = await fetch(`/api/users/${id}`);\n"
    "    if (response.ok) return response.json();\n  }\n"
    '  throw new Error("user not found");\n}\n',
    "SELECT customer.name, COUNT(*) AS orders, SUM(total) AS revenue\nFROM orders\n"
    "JOIN customer ON customer.id = orders.customer_id\nWHERE placed_at >= '2024-01-01'\n"
    "GROUP BY customer.name\nHAVING COUNT(*) > 3\nORDER BY revenue DESC LIMIT 10;\n",
]
DATA = [
    json.dumps(
        [
            {
                "flight_number": f"HAT{100 + i}",
                "origin": "SFO",
                "destination": "JFK",
                "date": f"2024-05-{10 + i}",
                "available_seats": {"economy": 12 + i, "business": 3},
                "prices": {"economy": 141.5 + i, "business": 402},
                "status": "available",
            }
            for i in range(5)
        ]
    ),
    json.dumps(
        {
            "user_id": "mia_li_3668",
            "email": "mia.li3818@example.com",
            "address": {"street": "975 Sunset Drive", "city": "Austin", "zip": "78750"},
            "payment_methods": {"credit_card_4421486": {"brand": "visa", "last_four": "7447"}},
            "saved_passengers": [{"first_name": "Amelia", "last_name": "Ahmed"}],
            "reservations": ["NO6JO3", "AIXC49", "HKEG34"],
        },
        indent=2,
    ),
]
CHINESE = [
    "上周我从上海搬到了里斯本，现在住在河边的一间小公寓里。房租每个月九百五十欧元，比我想象的要贵一些，"
    "不过阳台上的风景非常漂亮，每天早上都能看到太阳从桥后面升起来。",
    "请帮我预订下周二早上的航班，我喜欢靠窗的座位，还要一份素食。如果价格超过两千块钱，请先问我一下，"
    "因为这个月的出差预算已经快用完了。",
    "会议改到星期三下午三点，地点在二号楼的会议室。请大家提前准备好季度报告，并把客户提出的问题整理成表格，"
    "我们会逐条讨论解决办法。",
]
JAPANESE = [
    "先週、東京からリスボンに引っ越しました。川の近くの小さなアパートに住んでいて、毎朝コーヒーを飲みながら"
    "窓から橋を眺めています。家賃は少し高いですが、とても気に入っています。",
    "来週の火曜日の朝の便を予約してください。窓側の席とベジタリアンの食事をお願いします。もし二万円を超える"
    "場合は、先に私に確認してください。",
]
# Texts, then the mean relative error allowed. On whole documents it is 2 to 9 %; the texts
# here are a few lines each, so there is slack.
KINDS: dict[str, tuple[Sequence[str], float]] = {
    "English prose": (ENGLISH, 0.08),
    "code": (CODE, 0.10),
    "JSON": (DATA, 0.12),
    "Chinese": (CHINESE, 0.12),
    "Japanese": (JAPANESE, 0.12),
}


@needs_encodings
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ["o200k", "cl100k"])
def test_the_estimate_is_near_the_true_count(kind: str, encoding: str) -> None:
    texts, bound = KINDS[kind]
    exact, near = tiktoken_counter(f"{encoding}_base"), estimate(encoding)
    errors = [abs(near.count_text(t) / exact.count_text(t) - 1) for t in texts]
    assert sum(errors) / len(errors) <= bound, errors
    assert max(errors) <= 0.25, errors


DATA_FOLDER = Path(os.environ.get("CTXPLUG_DATA", Path(__file__).parents[2] / "shared" / "data"))


@needs_encodings
@pytest.mark.parametrize(
    ("file", "bound"),
    [("tau-bench-dev/airline.jsonl", 0.04), ("madial-zh-dev/dialogue.jsonl", 0.10)],
)
@pytest.mark.parametrize("encoding", ["o200k", "cl100k"])
def test_the_estimate_is_near_the_true_count_of_real_transcripts(
    file: str, bound: float, encoding: str
) -> None:
    path = DATA_FOLDER / file
    if not path.exists():
        pytest.skip(f"{file} is not in the folder that CTXPLUG_DATA names")
    exact, near = tiktoken_counter(f"{encoding}_base"), estimate(encoding)
    lines = path.read_text(encoding="utf-8").splitlines()[:40]
    texts = [json.dumps(json.loads(line), ensure_ascii=False) for line in lines]
    errors = [abs(near.count_text(t) / exact.count_text(t) - 1) for t in texts]
    assert sum(errors) / len(errors) <= bound, errors


@needs_encodings
@pytest.mark.parametrize(
    "text",
    [
        "안녕하세요, 지난주에 서울에서 부산으로 이사했습니다. 가격은 비쌌지만 경치가 아름다웠어요.",
        "На прошлой неделе я переехал в Лиссабон и всё ещё ищу стоматолога у реки.",
        "La semana pasada me mudé a Lisboa y aún busco un dentista cerca del río, ¿conoces alguno?",
        "انتقلت الأسبوع الماضي إلى لشبونة وما زلت أبحث عن طبيب أسنان قرب النهر.",
        "पिछले हफ्ते मैं लिस्बन चला गया और अब भी नदी के पास दंत चिकित्सक ढूंढ रहा हूँ।",
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4fb374d419588a4632f3f557e9b5ad71b2ce5302211f9c61530",
    ],
)
@pytest.mark.parametrize("encoding", ["o200k", "cl100k"])
def test_the_estimate_is_of_the_right_size_for_anything(text: str, encoding: str) -> None:
    exact, near = tiktoken_counter(f"{encoding}_base"), estimate(encoding)
    assert 0.6 <= near.count_text(text) / exact.count_text(text) <= 1.6


def test_chinese_is_not_counted_as_english() -> None:
    assert estimate().count_text("我上周搬到了里斯本") > 2 * (len("我上周搬到了里斯本") / 4)


def test_claude_is_estimated_above_cl100k() -> None:
    for text in (*ENGLISH, *CHINESE):
        ratio = estimate("claude").count_text(text) / estimate("cl100k").count_text(text)
        assert 1.1 <= ratio <= 1.2


def test_an_estimate_rounds_up() -> None:
    assert estimate().count_text("a") == 1
    assert estimate().count_text("我") == 1


@pytest.mark.parametrize("argument", ["", "o200k"])
def test_the_name_of_a_counter_is_its_full_spec(argument: str) -> None:
    assert estimate(argument).name == "estimate:o200k"


@pytest.mark.parametrize("make", [estimate, tiktoken_counter])
def test_an_unknown_argument_is_answered_with_the_known_ones(make: Any) -> None:
    with pytest.raises(UnknownComponentError, match="'gpt2000'") as caught:
        make("gpt2000")
    assert caught.value.kind == "token counter"
    assert any("o200k" in name for name in caught.value.known)
    assert caught.value.known[0] in str(caught.value) or "o200k_base" in str(caught.value)


# -- tiktoken ----------------------------------------------------------------------


@needs_encodings
def test_tiktoken_alone_is_o200k_base() -> None:
    assert tiktoken_counter().name == tiktoken_counter("").name == "tiktoken:o200k_base"


@needs_encodings
@pytest.mark.parametrize("texts", [ENGLISH, CODE, DATA, CHINESE, JAPANESE])
@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
def test_cutting_a_long_text_changes_no_count(texts: list[str], encoding: str) -> None:
    import tiktoken

    text = "\n\n".join(texts) * 150
    assert len(text) > 2 * PIECE
    counter = tiktoken_counter(encoding)
    whole = tiktoken.registry.ENCODINGS[encoding].encode_ordinary(text)
    assert counter.count_text(text) == len(whole)


@needs_encodings
def test_the_harmony_encoding_uses_the_same_file() -> None:
    text = ENGLISH[0]
    assert tiktoken_counter("o200k_harmony").count_text(text) == tiktoken_counter().count_text(text)


def _copy_of_encoding(folder: Path, stem: str = "o200k_base") -> Path:
    """Put a good encoding file into `folder` under the name that tiktoken looks for."""
    url = f"https://openaipublic.blob.core.windows.net/encodings/{stem}.tiktoken"
    name = hashlib.sha1(url.encode()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    source = module._find(stem) / name
    return Path(shutil.copy(source, folder / name))


OFFLINE = """
    import os, socket, sys

    class Blocked(socket.socket):
        def __init__(self, *args, **options):
            print("NETWORK", flush=True)
            os._exit(9)

    def blocked(*args, **options):
        print("NETWORK", flush=True)
        os._exit(9)

    socket.socket = Blocked
    socket.create_connection = socket.getaddrinfo = blocked
    import importlib.util
    real = importlib.util.find_spec
    importlib.util.find_spec = (
        lambda name, package=None: None if name.startswith("llama_index") else real(name, package))
    from ctxplug.tokens.tiktoken_counter import tiktoken_counter
    from ctxplug.errors import PluginError
    before = dict(os.environ)
    try:
        print("COUNT", tiktoken_counter("o200k_base").count_text("hello world"))
    except PluginError as error:
        print("ERROR", error.plugin, error)
    assert dict(os.environ) == before
"""


def _offline(tmp_path: Path, **environ: str) -> str:
    keep = {k: v for k, v in os.environ.items() if k not in ("DATA_GYM_CACHE_DIR",)}
    keep |= {
        "TIKTOKEN_CACHE_DIR": str(tmp_path / "tiktoken"),
        "TMPDIR": str(tmp_path / "temp"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    (tmp_path / "temp").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(OFFLINE)],
        capture_output=True,
        text=True,
        env=keep | environ,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_without_a_cached_encoding_the_counter_is_refused_without_a_network(tmp_path: Path) -> None:
    pytest.importorskip("tiktoken")
    said = _offline(tmp_path)
    assert said.startswith("ERROR ctxplug The encoding 'o200k_base' is not on this machine")
    for part in ("tiktoken", "cache", "temp"):
        assert repr(str(tmp_path / part))[1:-1] in said
    assert "set TIKTOKEN_CACHE_DIR" in said
    assert "count with 'estimate'" in said


@needs_encodings
@pytest.mark.parametrize(
    ("variable", "folder"),
    [
        ("TIKTOKEN_CACHE_DIR", "mine"),
        ("DATA_GYM_CACHE_DIR", "mine"),
        ("TMPDIR", "mine/data-gym-cache"),
        ("XDG_CACHE_HOME", "mine/tiktoken"),
    ],
)
def test_a_cached_encoding_is_found_where_tiktoken_keeps_it(
    tmp_path: Path, variable: str, folder: str
) -> None:
    _copy_of_encoding(tmp_path / folder)
    assert _offline(tmp_path, **{variable: str(tmp_path / "mine")}) == "COUNT 2\n"


@needs_encodings
def test_a_damaged_encoding_file_is_passed_over_and_kept(tmp_path: Path) -> None:
    file = _copy_of_encoding(tmp_path / "tiktoken")
    damaged = file.read_bytes()[:-1000]
    file.write_bytes(damaged)
    assert _offline(tmp_path).startswith("ERROR")
    assert file.read_bytes() == damaged
    _copy_of_encoding(tmp_path / "mine")
    (tmp_path / "temp").rmdir()
    assert _offline(tmp_path, DATA_GYM_CACHE_DIR=str(tmp_path / "mine")) == "COUNT 2\n"


@pytest.mark.skipif(
    importlib.util.find_spec("llama_index") is None,
    reason="TIKTOKEN_CACHE_DIR is the only source of encodings here, and this test changes it",
)
@pytest.mark.parametrize("before", [None, "", "somewhere"])
def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    import tiktoken.registry

    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    if before is not None:
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", before)
    monkeypatch.setattr(module, "_loaded", {})
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    assert tiktoken_counter("cl100k_base").count_text("hello world") == 2
    assert "cl100k_base" in tiktoken.registry.ENCODINGS
    assert os.environ.get("TIKTOKEN_CACHE_DIR") == before


@needs_encodings
def test_threads_share_one_copy_of_an_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_loaded", {})
    loads: list[str] = []
    load = module._load

    def counted(name: str) -> Any:
        loads.append(name)
        return load(name)

    monkeypatch.setattr(module, "_load", counted)
    threads = [threading.Thread(target=tiktoken_counter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == ["o200k_base"]


def test_importing_the_counters_loads_neither_tiktoken_nor_regex() -> None:
    code = (
        "import sys, ctxplug.tokens, ctxplug.tokens.estimate, ctxplug.tokens.tiktoken_counter;"
        "sys.exit(bool({'tiktoken', 'regex', 'requests'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- models ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "spec"),
    [
        ("gpt-4o", "tiktoken:o200k_base"),
        ("gpt-4o-mini-2024-07-18", "tiktoken:o200k_base"),
        ("chatgpt-4o-latest", "tiktoken:o200k_base"),
        ("gpt-4.1-nano", "tiktoken:o200k_base"),
        ("gpt-4.5-preview", "tiktoken:o200k_base"),
        ("gpt-5", "tiktoken:o200k_base"),
        ("o1", "tiktoken:o200k_base"),
        ("o3-mini", "tiktoken:o200k_base"),
        ("o4-mini", "tiktoken:o200k_base"),
        ("ft:gpt-4o:acme::1", "tiktoken:o200k_base"),
        ("gpt-4", "tiktoken:cl100k_base"),
        ("gpt-4-turbo-2024-04-09", "tiktoken:cl100k_base"),
        ("gpt-3.5-turbo", "tiktoken:cl100k_base"),
        ("gpt-35-turbo", "tiktoken:cl100k_base"),
        ("ft:gpt-3.5-turbo:acme::1", "tiktoken:cl100k_base"),
        ("openai/gpt-4", "tiktoken:cl100k_base"),
        ("claude-sonnet-4-5", "estimate:claude"),
        ("anthropic/Claude-3-Opus", "estimate:claude"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "estimate:claude"),
        ("gemini-2.5-pro", "tiktoken:o200k_base"),
        ("qwen3-max", "tiktoken:o200k_base"),
        ("", "tiktoken:o200k_base"),
        (None, "tiktoken:o200k_base"),
    ],
)
def test_every_model_has_a_counter(model: str | None, spec: str) -> None:
    assert counter_spec(model) == spec


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("claude-sonnet-4-5", "anthropic"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "anthropic"),
        ("gpt-4o", "openai"),
        ("GPT-5", "openai"),
        ("azure/gpt-35-turbo", "openai"),
        ("o3", "openai"),
        ("o4-mini", "openai"),
        ("chatgpt-4o-latest", "openai"),
        ("gemini-2.5-pro", "gemini"),
        ("models/gemini-1.5-flash", "gemini"),
        ("qwen3-max", None),
        ("solo3", None),
        ("", None),
        (None, None),
    ],
)
def test_the_provider_of_a_model_is_known_by_its_name(
    model: str | None, provider: str | None
) -> None:
    assert provider_of(model) == provider
