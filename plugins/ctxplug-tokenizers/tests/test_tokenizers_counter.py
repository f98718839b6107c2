"""The counter counts as the file's own tokenizer does, and says which file it was."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path

import ctxplug_tokenizers
import pytest
from ctxplug_tokenizers.counter import tokenizers_counter
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ctxplug import AgentMemory, Message
from ctxplug.errors import InvalidValueError, PluginError, UnknownComponentError
from ctxplug.messages import TextPart, ToolCallPart, ToolResultPart
from ctxplug.plugins import Plugins
from ctxplug.registry import Registry
from ctxplug.testing import TokenCounterSuite
from ctxplug.tokens import TokenCounter

LLAMA3 = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
GEMMA = ("<bos>", "<start_of_turn>", "<end_of_turn>")
MISTRAL = ("<s>", "[INST]", "[/INST]")
DEEPSEEK = ("<｜begin▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>")
TEXTS = st.text() | st.lists(
    st.sampled_from(("Lisbon ", "我搬到了", "<|im_end|>", "\0", "\ud800", "  \n", "11:30 "))
).map("".join)


class TestTokenizersCounter(TokenCounterSuite):
    @pytest.fixture
    def counter(self, file):
        return tokenizers_counter(str(file))


@settings(deadline=None)
@given(text=TEXTS)
def test_text_is_counted_as_the_library_encodes_it(file: Path, text: str) -> None:
    plain = Tokenizer.from_file(str(file))
    plain.no_truncation()
    plain.no_padding()
    plain.encode_special_tokens = True
    clean = text.encode("utf-8", "replace").decode()
    expected = len(plain.encode(clean, add_special_tokens=False).tokens)
    assert tokenizers_counter(str(file)).count_text(text) == expected


def test_a_long_text_is_counted_whole_though_the_file_cuts_and_pads(file: Path) -> None:
    counter = tokenizers_counter(str(file))
    assert counter.count_text("") == 0
    assert counter.count_text("里斯本 Lisbon " * 100) > 300
    assert counter.count_text("a") == 1


def test_a_special_token_in_a_text_counts_as_its_characters(file: Path) -> None:
    counter = tokenizers_counter(str(file))
    assert counter.count_text("<|im_end|>") > 3
    assert counter.count_text("<|im_end|><|im_end|>") > 6


@pytest.mark.parametrize("text", ["I moved to Lisbon.", "我搬到了里斯本。", "a\nb"])
@pytest.mark.parametrize(
    ("marks", "name", "rendered"),
    [
        (None, "chatml", "<|im_start|>user\n{}<|im_end|>\n"),
        (LLAMA3, "llama3", "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"),
        (GEMMA, "gemma", "<start_of_turn>user\n{}<end_of_turn>\n"),
        (MISTRAL, "mistral", "[INST]{}[/INST]"),
        (DEEPSEEK, "deepseek", "<｜User｜>{}<｜end▁of▁sentence｜>"),
    ],
    ids=["chatml", "llama3", "gemma", "mistral", "deepseek"],
)
def test_a_message_costs_what_its_template_renders(train, marks, name, rendered, text) -> None:
    path = train(marks) if marks else train()
    library = Tokenizer.from_file(str(path))
    library.no_truncation()
    library.no_padding()
    counter = tokenizers_counter(str(path))
    exact = len(library.encode(rendered.format(text), add_special_tokens=False))
    longest_role = len(library.encode("assistant")) - len(library.encode("user"))
    assert counter.name.endswith(f":{name}")
    assert 0 <= counter.count(Message("user", text)) - exact <= max(longest_role, 6)
    assert counter.request_tokens >= 1


def test_numbers_given_for_the_framing_are_taken(file: Path) -> None:
    counter = tokenizers_counter(f"{file}?message=7&request=11")
    assert counter.count(Message("user", "Lisbon")) == 7 + counter.count_text("Lisbon")
    assert counter.request_tokens == 11
    assert tokenizers_counter(f"{file}?request=9").framing.message == 4


def test_a_tokenizer_without_known_marks_has_the_plain_framing(train) -> None:
    counter = tokenizers_counter(str(train(())))
    assert counter.name.endswith(":plain")
    assert counter.count(Message("user", "Lisbon")) == 4 + counter.count_text("Lisbon")
    assert counter.request_tokens == 3


def test_calls_and_results_are_counted_and_sums_hold(file: Path) -> None:
    counter = tokenizers_counter(str(file))
    call = ToolCallPart("c1", "weather", {"city": "里斯本"})
    messages = [
        Message("assistant", (TextPart("Let me look."), call)),
        Message("tool", ToolResultPart("c1", (TextPart("24 °C"),), name="weather")),
    ]
    counts = [counter.count(message) for message in messages]
    assert counts[0] > counter.count_text("Let me look.") + counter.count_text("里斯本")
    assert counts[1] > counter.count_text("24 °C")
    assert counts == [counter.count(message) for message in messages]


def test_counts_of_two_files_never_share_a_name(train, tmp_path: Path) -> None:
    first, other = train(size=420), train(size=300)
    copy = tmp_path / "tiny" / "tokenizer.json"
    copy.parent.mkdir()
    shutil.copy(first, copy)
    names = [tokenizers_counter(str(path)).name for path in (first, other, copy)]
    assert names[0] != names[1]
    assert names[0] == names[2], "the place of a file does not matter"
    assert str(tmp_path) not in names[2]
    assert tokenizers_counter(f"{first}?message=9").name not in names


def test_a_folder_and_the_counters_own_name_are_specs_too(file: Path) -> None:
    counter = tokenizers_counter(str(file))
    assert tokenizers_counter(str(file.parent)) is counter
    registry = Registry(Plugins(environ={"CTXPLUG_PLUGINS": "tokenizers", "CTXPLUG_STRICT": "1"}))
    found = registry.resolve("token counter", counter.name)
    assert found is counter
    assert isinstance(found, TokenCounter)


def test_a_memory_counts_with_it_and_a_log_goes_on_after_the_file_moved(
    train, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere" / "tiny" / "tokenizer.json"
    moved.parent.mkdir(parents=True)
    path = train(size=430)
    place = {"namespace": "acme/陈伟", "session": "trip", "budget": 300}
    with AgentMemory.open(tmp_path / "a.db", counter=f"tokenizers:{path}", **place) as memory:
        memory.add("user", "我搬到了里斯本。")
        before = memory.context()
    shutil.move(path, moved)
    with AgentMemory.open(tmp_path / "a.db", counter=f"tokenizers:{moved}", **place) as memory:
        assert memory.context().tokens == before.tokens
        assert before.report.counter == memory.counter.name


def test_a_missing_file_is_unknown_and_nothing_is_downloaded() -> None:
    with pytest.raises(UnknownComponentError, match=r"no tokenizer file 'nowhere/t\.json'.*save"):
        tokenizers_counter("nowhere/t.json")
    with pytest.raises(UnknownComponentError, match="nothing is downloaded"):
        tokenizers_counter("Qwen/Qwen3-8B")


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"version": "1.0"}', "[1]", "\ufeff{}"])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "vocab.json").write_text(text, encoding="utf-8")
    with pytest.raises(PluginError, match=r"vocab\.json' is no file of the tokenizers library"):
        tokenizers_counter(str(tmp_path / "vocab.json"))


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"\x0a\xff\xfe\x80")
    with pytest.raises(PluginError, match=r"tokenizer\.model' is no file"):
        tokenizers_counter(str(tmp_path / "tokenizer.model"))


@pytest.mark.parametrize(
    "options",
    [
        "?framing=unheard",
        "?message=x",
        "?message=-1",
        "?colour=red",
        "?framing=chatml&message=4",
        "?message=1&message=2",
    ],
)
def test_options_that_make_no_sense_are_refused(file: Path, options: str) -> None:
    with pytest.raises(InvalidValueError, match="message=5&request=3"):
        tokenizers_counter(f"{file}{options}")


def test_a_spec_without_a_file_is_refused_with_a_right_one() -> None:
    plugins = Plugins(load_entry_points=False)
    plugins.register(ctxplug_tokenizers, "tokenizers")
    with pytest.raises(InvalidValueError, match=r"models/qwen3/tokenizer\.json"):
        Registry(plugins).resolve("token counter", "tokenizers")


def test_threads_count_alike(file: Path) -> None:
    counter = tokenizers_counter(str(file))
    texts = [f"里斯本 {n} Lisbon " * 9 for n in range(40)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(counter.count_text, texts)) == list(map(counter.count_text, texts))


def test_importing_the_plugin_imports_no_library() -> None:
    [point] = entry_points(group="ctxplug", name="tokenizers")
    assert point.load() is ctxplug_tokenizers
    code = "import sys, ctxplug_tokenizers; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tokenizers", "huggingface_hub"} & set(done.stdout.split())


def test_a_file_that_asks_for_cutting_really_does(file: Path) -> None:
    """The fixture's file would spoil counts, so the tests above can fail."""
    asked = json.loads(file.read_text(encoding="utf-8"))
    assert asked["truncation"] and asked["padding"]
