from __future__ import annotations

from ctxplug.compression import CompressionTools, Unit, block, total
from ctxplug.compression.extractive import Extractive
from ctxplug.compression.extractive_summarizer import ExtractiveSummarizer
from ctxplug.messages import Logged, Message, ToolCallPart
from ctxplug.tokens.estimate import estimate

COUNTER = estimate()
TOOLS = CompressionTools(COUNTER, lambda u: f"trip@{u.versions[0]}-{u.versions[-1]}")
TALK = "Wow, that sounds great! How are you doing? I am so glad. 哇，太棒了！你好吗？"


def units(*texts: str, role: str = "user") -> list[Unit]:
    said = [Message(role, text, created_at=i, id=str(i)) for i, text in enumerate(texts)]
    return [Unit((Logged(i, m, COUNTER.count(m)),)) for i, m in enumerate(said, 1)]


def test_the_sentences_with_facts_are_kept_word_for_word_and_the_talk_goes() -> None:
    facts = [
        "On 5 May we paid 1,250 euros to Dr. Chen for the boat.",
        "我们决定五月十五日搬到里斯本，不带钢琴。",
    ]
    before = units(*(f"{TALK} {fact} {TALK}" for fact in facts * 4))
    (one,) = Extractive().compress(before, int(0.6 * total(before)), TOOLS)
    said = {line.version: line for line in block.parse(one.items[0].message.text)}
    assert facts[0] in said[1].text
    assert facts[1] in said[2].text
    assert (said[1].who, said[1].day) == ("user", "1970-01-01")
    assert total([one]) <= 0.6 * total(before)


def test_a_long_answer_between_others_keeps_its_role_and_names_its_original() -> None:
    fact = "The server berlin-7 was rebooted at 03:15 because disk 4 failed."
    before = [*units("Why was it down?"), *units(f"{TALK} " * 20 + fact, role="assistant")]
    before[1] = Unit((Logged(2, before[1].items[0].message, before[1].tokens),))
    first, second = Extractive().compress(before, total(before) // 5, TOOLS)
    assert first is before[0]
    assert second.role == "assistant"
    assert fact in second.items[0].message.text
    assert second.items[0].message.text.endswith("[extract of trip@2-2]")


def test_units_with_calls_and_what_was_compressed_before_are_left_alone() -> None:
    call = Message("assistant", ToolCallPart("c1", "f", {"text": TALK * 9}), created_at=0, id="c")
    calls = Unit((Logged(1, call, COUNTER.count(call)),))
    before = units(TALK * 9, TALK * 9)
    once = Extractive().compress([calls, *before], 150, TOOLS)
    assert once[0] is calls
    assert len(once) == 2
    assert Extractive().compress(once, 0, TOOLS) == once


def test_the_best_sentences_are_kept_first_as_the_target_grows() -> None:
    before = units(
        *(
            f"We saw animal number {i} in {city}. {TALK}"
            for i, city in enumerate(
                ["Oslo", "Rome", "Paris", "Lima", "Quito", "Cairo", "Delhi", "Tokyo"] * 3
            )
        )
    )
    kept = []
    for share in (0.2, 0.4, 0.8):
        after = Extractive().compress(before, int(share * total(before)), TOOLS)
        kept.append(sum(item.message.text.count("animal") for u in after for item in u.items))
    assert 0 < kept[0] < kept[1] <= kept[2] == 24


def test_the_built_in_summarizer_keeps_to_its_tokens_and_needs_no_model() -> None:
    texts = (f"{TALK} Order {i} costs {i * 7} euros." for i in range(99))
    said = [unit.items[0].message for unit in units(*texts)]
    text = ExtractiveSummarizer().summarize(said, 200)
    assert 100 < COUNTER.count_text(text) <= 200
    assert text.startswith("user: ")
    assert "euros" in text
    assert "great" not in text
    assert ExtractiveSummarizer().summarize([], 200) == ""
    assert ExtractiveSummarizer().summarize(said, 0) == ""
