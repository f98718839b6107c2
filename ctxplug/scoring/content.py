"""content: names, numbers, dates, promises, code and negation carry what cannot be guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ctxplug.scoring.said import CJK, length, said
from ctxplug.scoring.scorer import History, Item

FULL_LENGTH = 600  # Latin characters; more of them say no more by themselves

_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_DATES = (
    r"\b[12][0-9]{3}[-/.][01]?[0-9][-/.][0-3]?[0-9]\b|\b[01]?[0-9]/[0-3]?[0-9](?:/[0-9]{2,4})?\b"
    rf"|\b{_MONTH} [0-3]?[0-9](?:st|nd|rd|th)?\b|\b[0-3]?[0-9](?:st|nd|rd|th)? (?:of )?{_MONTH}\b"
    r"|\b[0-2]?[0-9]:[0-5][0-9]\b|\b[0-9]{1,2} ?[ap]m\b"
    r"|\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|today|tonight|tomorrow|yesterday|deadline)\b"
    "|[0-9一二三四五六七八九十〇零两]{1,4}[年月日号点](?!名)|(?:星期|周|礼拜)[一二三四五六日天]"
    "|今天|明天|后天|昨天|今晚|下周|上周|下个月|上个月|截止"
)
_NUMBERS = (
    r"[$€£¥￥]\s?[0-9]|\b[0-9][0-9.,]*(?:\s?%|\b)|\b[A-Za-z]+[-_]?[0-9][\w-]*"
    "|[一二三四五六七八九十百千万亿两]{1,8}(?:元|块|个|人|位|张|次|天|小时|分钟|公里|万|亿|号|楼|层|岁|折)"
)
# A capital inside a sentence, or two in a row. In Chinese: a surname's title, a place's or
# an organisation's ending, or what stands in quotation marks.
_NAMES = (
    r"(?<=[a-z0-9,;:'\")] )[A-Z][a-zà-ž]+(?: [A-Z][a-zà-ž]+)*|\b[A-Z][a-zà-ž]+(?: [A-Z][a-zà-ž]+)+"
    r"|\b(?!OK\b)[A-Z]{2}[A-Z0-9]*\b|(?<=\w)@[\w-]{1,64}\.\w|https?://"
    rf"|《[^》]{{1,40}}》|「[^」]{{1,40}}」|“[^”]{{1,20}}”"
    rf"|[{CJK}]{{1,3}}(?:先生|女士|小姐|老师|教授|医生|经理|公司|大学|银行|酒店|医院|机场|航空|餐厅|车站)"
    rf"|[{CJK}]{{1,3}}(?:[省市县区路街](?![{CJK}]?场))|(?:叫|名字是|姓名[:：]?)[{CJK}]{{2,4}}"
    "|北京|上海|广州|深圳|杭州|成都|香港|台北|东京|巴黎|伦敦|纽约|里斯本"
)
_PROMISES = (
    r"\b(?:i(?:'ll| will| shall| promise| am going to|'m going to)|we(?:'ll| will| shall)|must"
    r"|have to|need(?:s)? to|remember to|make sure|don'?t forget|promised?|committed|guaranteed?"
    r"|always|by (?:tomorrow|tonight|monday|friday|the end)|due|agreed|prefers?|allergic)\b"
    "|我会|我们会|我将|保证|答应|承诺|务必|必须|一定要|记得|别忘|不要忘|需要|总是|每次都|到期|约定|喜欢|偏好|过敏"
)
_CODE = (
    r"```|`[^`\n]{1,200}`|=>|->|::|&&|\|\||[!=]=|[{};]\s*$|\b\w+\.\w+\(|[\w)\]]\(\)"
    r"|\b(?:def|class|function|return|import|select|insert|update|create table)\b(?=[ (]\S)"
    r"|(?:^|\s)/(?:[\w.-]+/)+[\w.-]+"
)
_NEGATION = (
    r"\b(?:not|never|no longer|none|cannot|without|except|unless|instead|neither|nor)\b|n't\b"
    "|不[^过少同错久断管论仅但只]|没有|没|别|勿|未|无法|禁止|除了|除非|而不是|从不|绝不"
)


@dataclass(frozen=True)
class _Sign:
    pattern: re.Pattern[str]
    weight: float  # what it adds at most, as a share of what is left to 1.0
    half: float  # how many of them give half of that


def _sign(pattern: str, weight: float, half: float, flags: re.RegexFlag = re.IGNORECASE) -> _Sign:
    # ASCII: otherwise there is no word boundary between a Chinese character and a digit.
    return _Sign(re.compile(pattern, flags | re.ASCII), weight, half)


SIGNS: Sequence[_Sign] = (
    _sign(_NUMBERS, 0.45, 1.5),
    _sign(_NAMES, 0.40, 1.5, flags=re.NOFLAG),
    _sign(_DATES, 0.35, 1.0),
    _sign(_PROMISES, 0.40, 1.0),
    _sign(_CODE, 0.25, 2.0, flags=re.IGNORECASE | re.MULTILINE),
    _sign(_NEGATION, 0.20, 1.0),
)
LENGTH_WEIGHT = 0.20


@dataclass(frozen=True)
class Content:
    """What the words themselves tell of an item's worth, in English and Chinese.

    Each sign (numbers, names, dates, promises and preferences, code, negation, length)
    closes a share of the gap to 1.0, and more of one sign adds less and less. "OK" comes
    out near 0.0, a sentence with a name, an amount and a date above 0.5.
    """

    name: str = field(default="content", init=False)

    def score(self, item: Item, now: datetime, history: History) -> float:
        """Return how much of what cannot be guessed `item` holds."""
        text = said(item)
        missing = 1.0 - LENGTH_WEIGHT * min(1.0, length(text) / FULL_LENGTH)
        for sign in SIGNS:
            count = sum(1 for _ in sign.pattern.finditer(text))
            missing *= 1.0 - sign.weight * count / (count + sign.half)
        return 1.0 - missing
