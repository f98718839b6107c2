"""Traits: what a text is like, whatever is asked, in a few bits.

Questions about a conversation are answered by turns that state something: that name a
time, a number, a name, a title, or say something of the speaker; seldom by questions and
greetings. The bits are found once, when a text is stored, and kept beside it.
"""

from __future__ import annotations

import re
from enum import IntFlag

READ = 4_000  # characters; what a text is like shows at its beginning


class Traits(IntFlag):
    """What a text holds. The values are stored: never change them, only add."""

    NONE = 0
    TIME = 1
    NUMBER = 2
    NAME = 4
    TITLE = 8
    FIRST_PERSON = 16
    ASKS = 32  # a question somewhere
    ENDS_ASKING = 64
    GREETING = 128
    SILENT = 256  # no text at all: a call without a word, an image
    PLACE = 512


_TIMES = frozenset(
    """
    yesterday today tonight tomorrow ago last next since recently day days week weeks weekend
    month months year years morning afternoon evening night summer winter spring fall autumn
    january february march april june july august september october november december
    jan feb mar apr jun jul aug sep sept oct nov dec
    monday tuesday wednesday thursday friday saturday sunday
    """.split()  # noqa: SIM905
)
_NUMBERS = frozenset(
    """
    one two three four five six seven eight nine ten twice once first second third couple few
    dozen hundred thousand
    """.split()  # noqa: SIM905
)
_FIRST = frozenset(("i", "my", "we", "our", "me", "us"))
_CALLED = frozenset(("hey", "hi", "hello", "thanks", "bye", "dear"))  # "Hey Ann": a call
_WORDS = re.compile("[a-z]+")
_DIGIT = re.compile("[0-9]")
_NAME = re.compile("([A-Za-z]*[a-z0-9;]) [A-Z][a-z]")  # a capital inside a sentence
_MAY = re.compile(r"\bMay\b")
_PLACE = re.compile(
    r"\b(?:[Ii]n|[Aa]t|to|from|[Nn]ear|around|visit(?:ed|ing)?)\s+(?:the\s+)?"
    r"(?!(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\b)"
    r"[A-Z][a-z]"
)
_TITLE = re.compile('"[^"\n]{2,80}"|“[^”\n]{2,80}”|《[^》\n]+》|「[^」\n]{2,80}」')
_GREETING = re.compile(
    r"\W*(?:(?:hey|hi|hello|wow|thanks|thank you|bye|that's|sounds|yeah|absolutely|definitely"
    r"|cool|awesome|great|congrats|congratulations)\b|你好|您好|大家好|嗨|哈喽|谢谢|多谢|再见|拜拜"
    r"|哈哈|太棒了|真棒|加油|恭喜|好的|当然|没问题|早安|晚安|太好了|嗯|哇|哦)",
    re.IGNORECASE,
)
_CHINESE = (
    (
        Traits.TIME,
        re.compile(
            "[今昨明前后]天|[今去明前后]年|[上下这本]个?[周月次]|星期|礼拜|周[一二三四五六日末]|早上|上午"
            "|中午|下午|晚上|凌晨|[0-9一二三四五六七八九十]+[年月日号点]|小时|分钟|最近|以前|以后|之前"
            "|之后|刚才"
        ),
    ),
    (Traits.NUMBER, re.compile("[二三四五六七八九十百千万两几][个次岁只本块元人位]")),
    (Traits.FIRST_PERSON, re.compile("[我俺咱]")),
    (
        Traits.PLACE,
        re.compile(
            "[\u4e00-\u9fff](?:[市省县国镇村岛州]|公园|机场|车站|大学|医院|餐厅|酒店|博物馆)"
        ),
    ),
)
_ENDINGS = ("?", "？", "吗", "呢")


def traits(text: str) -> Traits:
    """Return the traits of `text`; captions in brackets on lines of their own do not end it."""
    if not text or text.isspace():
        return Traits.SILENT
    text = text[:READ]
    words = _WORDS.findall(text.lower())
    held = (
        (Traits.TIME, not _TIMES.isdisjoint(words) or _MAY.search(text)),
        (Traits.NUMBER, _DIGIT.search(text) or not _NUMBERS.isdisjoint(words)),
        (Traits.NAME, any(w.lower() not in _CALLED for w in _NAME.findall(text))),
        (Traits.TITLE, _TITLE.search(text)),
        (Traits.PLACE, _PLACE.search(text)),
        (Traits.FIRST_PERSON, not _FIRST.isdisjoint(words)),
        (Traits.ASKS, "?" in text or "？" in text),
        (Traits.GREETING, _GREETING.match(text)),
    )
    found = sum(int(trait) for trait, holds in held if holds)
    if not text.isascii():
        for trait, pattern in _CHINESE:
            if pattern.search(text):
                found |= int(trait)
    if text.split("\n[", 1)[0].rstrip("\"'”’」 \n").endswith(_ENDINGS):
        found |= int(Traits.ASKS) | int(Traits.ENDS_ASKING)
    return Traits(found)
