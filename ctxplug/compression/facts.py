"""What later steps of an agent use of a text: identifiers, numbers, dates, names, paths.

English and Chinese. General forms only: there is no list of a domain's words here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ctxplug.compression.cutting import ALARM

LINE = 80  # characters of a `key: value` line that is kept whole
LONGEST = 200  # characters of one fact; what is longer is no name but data
_HAN = "\u3400-\u9fff\uf900-\ufaff"
_MONTH = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    "|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁"
    "任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴"
    "莫孔向汤欧阳司马上官诸葛"
)
_TITLES = "先生|女士|小姐|太太|老师|经理|医生|教授|同学|师傅|主任|律师|总监"
_PLACES = "省|市|区|县|镇|村|路|街|大道|大学|医院|公司|机场|车站|酒店|银行|大厦"
_DIGITS = "〇零一二三四五六七八九十"
_CHINESE_NUMBER = f"[{_DIGITS}百千万亿两]"

_DATE = (
    rf"{_MONTH}\.? [0-9]{{1,2}}(?:st|nd|rd|th)?\b(?:,? [0-9]{{4}})?"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}\b(?:,? [0-9]{{4}})?|{_MONTH} [0-9]{{4}}\b"
    rf"|(?:[0-9]{{2,4}} ?年)? ?[0-9]{{1,2}} ?月(?: ?[0-9]{{1,2}} ?[日号])?"
    rf"|(?:[{_DIGITS}]{{2,4}}年)?[{_DIGITS}]{{1,2}}月[{_DIGITS}]{{1,3}}[日号]"
)
_FACT = re.compile(
    rf"(?P<url>[A-Za-z][A-Za-z0-9+.-]{{1,15}}://[^\s<>\"'，。；）】」]+)"
    rf"|(?P<email>[A-Za-z0-9_.+-]{{1,64}}+@[\w-]{{1,63}}+(?:\.[\w-]{{1,63}}+)++)"
    rf"|(?P<date>{_DATE})"
    rf"|(?P<path>(?:[A-Za-z]:\\|\\\\|~?/|\.{{1,2}}/)"
    rf"[\w.@%+~-]{{1,80}}+(?:[/\\][\w.@%+~-]{{1,80}}+)*+/?"
    rf"|(?<![A-Za-z0-9_])[A-Za-z0-9_.@%+-]{{1,80}}+(?:/[\w.@%+-]{{1,80}}+)++)"
    rf"|(?P<number>(?:(?<![A-Za-z])(?P<before>[a-z]{{2,15}}|[{_HAN}]{{1,2}})[ #:：]{{0,2}}"
    rf"(?!{_DATE}))?"
    rf"(?<![A-Za-z0-9_])[-+]?[$€£¥￥₹]? ?[0-9][0-9,.:/-]{{0,40}}(?![A-Za-z_0-9])"
    rf"(?: ?(?:%|％|°C|°F|[{_HAN}]{{1,2}}(?![{_HAN}])|[元块件个人天年月日号点分秒万亿])"
    rf"|(?:[a-zA-Z]{{1,3}}\b))?)"
    rf"|(?P<code>[#@$]?[A-Za-z0-9_](?:[A-Za-z0-9_]|[-.:#+](?=[A-Za-z0-9_]))*)"
    rf"|(?P<quoted>“[^“”\n]{{1,40}}”|「[^「」\n]{{1,40}}」|《[^《》\n]{{1,40}}》|\"[^\"\n]{{1,40}}\")"
    rf"|(?P<person>[{_SURNAMES}][{_HAN}]{{0,2}}?(?:{_TITLES}))"
    rf"|(?P<amount>{_CHINESE_NUMBER}{{1,10}}(?:元|块|人|天|个|件|岁|点|号|%|小时|分钟|公里))"
    rf"|(?P<place>[{_HAN}]{{2,5}}?(?:{_PLACES}))"
)
_CAPITALISED = r"[A-Z\u00c0-\u00de][\w'’-]{0,40}+"
_NAME = re.compile(
    rf"(?<![\w'’-]){_CAPITALISED}(?: (?:(?:of|de|van|von|da) )?{_CAPITALISED}){{1,5}}"
)
_KEYED = re.compile(rf"[^\n:：=]{{1,30}}(?:[:：=][ \t]*)\S[^\n]{{0,{LINE}}}")
_COMMON = frozenset(
    """
    a about after all also an and any are as at be because before but by can could did do does each
    for from had has have he her here his how however i if in into is it its let may more most my
    no not now of on once only or our please she so some such than that the their then there these
    they this those to was we were what when where which while who whom why will with would yes
    you your
    """.split()  # noqa: SIM905
)


def facts(text: str) -> str:
    """Return the facts of `text`, each once, in the order in which they come.

    A short line that says `key: value` or names an error is kept whole; of other lines,
    what has the form of an identifier, number, date, name, address or quotation.
    """
    found: dict[str, None] = {}
    lines = []
    for line in text.split("\n"):
        stripped = line.strip()
        if len(stripped) <= LINE and (_KEYED.fullmatch(stripped) or ALARM.search(line)):
            kept = [] if stripped in found else [stripped]
        else:
            kept = [fact for fact in _facts(stripped) if fact not in found]
        found.update(dict.fromkeys(kept))
        if kept:
            lines.append(" ".join(dict.fromkeys(kept)))
    return "\n".join(lines)


def _facts(line: str) -> Iterator[str]:
    position = 0
    while position < len(line):
        name = _NAME.search(line, position)
        end = name.start() if name else len(line)
        yield from _forms(line, position, end)
        if name is None:
            return
        words = name[0].split(" ")
        while words and words[0].lower() in _COMMON:
            words.pop(0)
        if words:
            yield " ".join(words)
        position = name.end()


def _forms(line: str, start: int, end: int) -> Iterator[str]:
    for match in _FACT.finditer(line, start, end):
        form, text = match.lastgroup, match[0].strip()
        if len(text) > LONGEST or (match["code"] and not _is_code(text)):
            continue
        if form == "before" or match["number"]:
            text = _number(match)
        yield text.rstrip(".,:;/") if not match["quoted"] else text


def _number(match: re.Match[str]) -> str:
    before = match["before"]
    text = match["number"].strip()
    if before and before in _COMMON:
        text = text[len(before) :].lstrip(" #:：")
    return text


def _is_code(word: str) -> bool:
    """Return whether a word has the form of an identifier or of a name."""
    if word.lower() in _COMMON:
        return False
    mixed = any(c.isdigit() for c in word) and any(c.isalpha() for c in word)
    inner = any(c in "_@#.:" for c in word)
    return mixed or inner or any(c.isupper() for c in word)
