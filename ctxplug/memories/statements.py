"""Statements: "the user lives in Lisbon" read as who, what of them, and which value.

Only what has one value at a time is read, and only a text that says nothing else: home,
employer, job, name, age, and whatever is somebody's favourite, preferred, current or default.
English and Chinese; what is not read with certainty is no statement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from ctxplug.memories.likeness import normal, text_of
from ctxplug.memories.values import Capitals, capitals_of, is_name, is_named, value_of
from ctxplug.records import MemoryRecord

LONGEST = 160  # characters
MOST_WORDS = 5  # of an English value
MOST_HAN = 14  # of a Chinese value


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WHO = r"(?:(?P<who>i|the user|user|[a-z][\w'-]*(?: [a-z][\w'-]*)??) )??"
_WHOSE = r"(?:(?P<who>my|the user's|user's|[a-z][\w-]*(?: [a-z][\w-]*)?'s) )?"
_NOW = r"(?:(?:now|currently|presently|recently|just|already|has|have|'ve|'s) )*"
_ONE = (
    "name|full name|first name|last name|surname|nickname|age|birthday|date of birth|birth date"
    "|email|e-mail|email address|phone|phone number|address|home address|job|job title"
    "|occupation|profession|employer|time ?zone|home ?town|marital status|shoe size"
)
_BEST = r"(?:favou?rite|preferred|current|default) [a-z][\w -]{0,40}?"
_ENGLISH = (
    (rf"{_WHO}{_NOW}(?:live|lives|living|am living|is living|reside|resides|based) in (?P<v>.+)",
     "home"),
    (rf"{_WHO}{_NOW}(?:moved|relocated) (?:from .+? )?to (?P<v>.+)", "home"),
    (rf"{_WHO}{_NOW}(?:works?|am working|is working) (?:at|for) (?P<v>.+)", "employer"),
    (rf"{_WHO}{_NOW}(?:works?|am working|is working) as (?P<v>.+)", "job"),
    (rf"{_WHOSE}(?P<what>{_ONE}|{_BEST}) is(?: now| currently)? (?P<v>.+)", ""),
    (rf"{_WHOSE}(?P<what>{_ONE}|{_BEST}) (?:has )?(?:changed|switched) to (?P<v>.+)", ""),
)  # fmt: skip
_TAIL = re.compile(
    r"(?:,? (?:now|nowadays|these days|currently|at the moment|again|instead|today|yesterday"
    r"|(?:last|this) (?:week|month|year|spring|summer|autumn|fall|winter)"
    r"|since .+|(?:in|as of) (?:(?:january|february|march|april|may|june|july|august|september"
    r"|october|november|december) ?)?(?:\d{4})?|for (?:now|good)))+\Z"
)
_LINKED = re.compile(
    r"\b(?:and|or|but|with|because|if|when|while|until|on|at|for|during|not|near|to|by|from|who"
    r"|which|that|where|as|both|either|also|sometimes|maybe|probably)\b|[,;:?!()\n]"
)
_NOBODY = re.compile(
    r"(?:he|she|it|they|we|you|who|someone|everyone|nobody|this|that|there|his|her|their|our|your"
    r"|its|not|never|maybe|if|when|no|used|once)\b.*|.* (?:not|never|once|also|has|had|maybe)"
)
_WHO_HAN = r"(?P<who>我|用户|本人|[\u4e00-\u9fff]{2,4}?|[a-z]+)??"
_NOW_HAN = (
    "(?:现在|目前|如今|眼下|已经|已|最近|刚刚|刚|今年|去年|上周|上个月|上月|这个月|又|正|就|一直)*"
)
_ONE_HAN = (
    "名字|姓名|全名|昵称|年龄|生日|出生日期|邮箱|电子邮箱|邮件地址|电话|电话号码|手机号|手机号码|地址|住址|家庭住址"
    "|职业|工作|职位|公司|雇主|时区|家乡|婚姻状况|鞋码"
)
_BEST_HAN = "(?:默认|首选|当前|最喜欢的|最爱的)[\u4e00-\u9fffa-z]{1,12}?"
_CHINESE = (
    (rf"{_WHO_HAN}{_NOW_HAN}(?:居住在|定居在|定居于|住在|搬家到|搬到|搬去|搬至|搬进)(?P<v>.+?)"
     "(?:居住|生活|住|去)?了?", "home"),
    (rf"{_WHO_HAN}{_NOW_HAN}在(?P<v>.+?)(?:工作|上班|任职)了?", "employer"),
    (rf"{_WHO_HAN}(?:的)?(?P<what>{_ONE_HAN}|{_BEST_HAN}){_NOW_HAN}(?:是|为|叫|改为|改成|变成|变为|换成|改用)了?"
     "(?P<v>.+?)了?", ""),
    (rf"{_WHO_HAN}最(?:喜欢|爱)的(?P<best>[\u4e00-\u9fffa-z]{{1,12}}?){_NOW_HAN}"
     "(?:是|为|改为|改成|变成|变为|换成)了?(?P<v>.+?)了?", ""),
    (rf"{_WHO_HAN}{_NOW_HAN}(?:叫做|叫|改名为|改名叫)(?P<v>.+)", "name"),
)  # fmt: skip
_LINKED_HAN = re.compile(
    r"[和或跟与及、，。；：？！,;:?!()（）\s]|不|没|如果|但|因为|可能|打算|附近|的时候|一起"
)
_NOBODY_HAN = re.compile(
    "(?:他|她|它|我们|咱们|你|您|谁|有人|大家|这|那).*|.*(?:[不没曾想要若别将]|以前|过去|打算|可能|也许|如果|现在).*"
)
_SAME = {
    "favorite": "favourite", "time zone": "timezone", "home town": "hometown",
    "e-mail": "email", "email address": "email", "phone number": "phone",
    "home address": "address", "occupation": "job", "profession": "job", "full name": "name",
    "birth date": "birthday", "date of birth": "birthday",
    "名字": "name", "姓名": "name", "全名": "name", "昵称": "nickname", "年龄": "age",
    "生日": "birthday", "出生日期": "birthday", "邮箱": "email", "电子邮箱": "email",
    "邮件地址": "email", "电话": "phone", "电话号码": "phone", "手机号": "phone",
    "手机号码": "phone", "地址": "address", "住址": "address", "家庭住址": "address",
    "职业": "job", "工作": "job", "职位": "job title", "公司": "employer", "雇主": "employer",
    "时区": "timezone", "家乡": "hometown", "婚姻状况": "marital status", "鞋码": "shoe size",
}  # fmt: skip
_USER = frozenset({"i", "my", "user", "the user", "我", "用户", "本人"})
_ENGLISH_FORMS = tuple((re.compile(pattern), what) for pattern, what in _ENGLISH)
_CHINESE_FORMS = tuple((re.compile(pattern), what) for pattern, what in _CHINESE)
_HAN = re.compile("[\u4e00-\u9fff]")
_OWNED = re.compile("current|default|默认|当前")  # say whose
_OF_MANY = re.compile(r"\b(?:live|work|reside|am)\b")  # of a third person, a plural
_ONLY_KIN = _words(
    "wife husband spouse partner fiance fiancee girlfriend boyfriend mother mom mum father dad boss"
    " 老婆 老公 妻子 丈夫 太太 爱人 妈妈 爸爸 妈 爸 母亲 父亲 女朋友 男朋友 女友 男友 老板"
)
_KIN = _words(
    "son daughter child kid brother sister sibling twin uncle aunt cousin nephew niece friend"
    " colleague coworker neighbor neighbour roommate flatmate cat dog pet grandmother grandfather"
    " grandma grandpa grandson granddaughter customer client student employee teacher doctor"
    " bestie team"
)
_NO_PERSON = re.compile(
    r"\b(?:meeting|dinner|lunch|party|call|appointment|interview|conference|wedding|event|class"
    r"|game|match|sometimes|often|usually|still|also|always|temporarily|previously|formerly)\b"
)
_PET_NAME = re.compile(
    "(?!老[师人乡外婆公爸妈爷]|小[孩偷区组学店]|阿姨)[小老阿][\u4e00-\u9fff]{1,2}"
)
_OF_THINGS = ("默认", "当前", "首选")
_FINER = re.compile(r"\A(home|hometown|timezone|name) .*")  # as `value_of` names them
_TIMES = re.compile(" (?:now|currently|presently|recently|just|already)\\Z")
# By these terms a search finds the statements about the same; a superset is no harm.
ANCHORS: Mapping[str, str] = {
    "home": "live living reside based moved relocated 住在 搬到 搬去 搬至 搬进 搬家 定居",
    "employer": "work working employer 工作 上班 任职 公司 雇主",
    "job": "work working job occupation profession 职业 工作",
    "name": "name 名字 姓名 叫 叫做 改名 全名",
}


@dataclass(frozen=True)
class Slot:
    """What can have one value at a time: `attribute` of `subject`, among one kind of memory.

    `trust` keeps apart what the user said from what a document said.
    """

    kind: str
    trust: str
    subject: str
    attribute: str


@dataclass(frozen=True)
class Statement:
    """A value of a slot, and words by which others of the slot can be searched."""

    slot: Slot
    value: str
    anchors: str

    def differs(self, other: Statement) -> bool:
        """Say whether both cannot hold at once; "Lisbon" and "Lisbon Portugal" can."""
        if self.slot.subject == "":
            return self.value != other.value
        return not (self.value in other.value or other.value in self.value)


def statement_of(record: MemoryRecord, keyed: tuple[str, ...]) -> Statement | None:
    """Return what `record` states, or None if it is not sure to be such a statement.

    Of a kind in `keyed`, a metadata `key` names the slot and the whole content is its value.
    """
    key = record.metadata.get("key")
    if record.kind in keyed and isinstance(key, str) and key:
        return Statement(Slot(record.kind, record.trust, "", key), normal(record.content), "")
    if len(record.content) > LONGEST:
        return None
    text, capitals = normal(record.content), capitals_of(record.content)
    found = _chinese(text.replace(" ", ""), capitals) if _HAN.search(text) else None
    found = found or _english(text, capitals)
    if found is None:
        return None
    who, what, value = found
    subject = "user" if who in _USER else who
    return Statement(Slot(record.kind, record.trust, subject, what), value, _anchors(what))


@cache
def _anchors(what: str) -> str:
    """Return words one of which is in every statement of an attribute."""
    what = _FINER.sub(r"\1", what)
    if what in ANCHORS:
        return ANCHORS[what]
    if _HAN.search(what):
        return what[-2:]
    american = what.replace("favourite", "favorite").replace("colour", "color")
    return " ".join([what, american, *(alias for alias in _SAME if _SAME[alias] == what)])


def _english(text: str, capitals: Capitals) -> tuple[str, str, str] | None:
    text = text.replace("’", "'").replace("i'm ", "i am ").replace("i've ", "i have ")
    for form, what in _ENGLISH_FORMS:
        match = form.fullmatch(_TAIL.sub("", text))
        who = match and _TIMES.sub("", match["who"] or "user")
        if match is None or not who or _NOBODY.fullmatch(who):
            continue
        value = match["v"].removeprefix("the ").removeprefix("a ").removeprefix("an ").strip()
        if not value or _LINKED.search(value) or len(value.split()) > MOST_WORDS:
            return None
        if not match["who"] and _OWNED.match(match.groupdict().get("what") or ""):
            return None
        what = what or match["what"].replace("favorite", "favourite").replace("color", "colour")
        what = _SAME.get(what, what)
        many = _OF_MANY.search(match.string[match.end("who") : match.start("v")])
        subject = _person(who.removesuffix("'s"), what, capitals, many is not None)
        found = value_of(what, value, capitals)
        if subject is None or found is None:
            return None
        return subject, found[0], " ".join(text_of(found[1]).tokens)
    return None


def _person(who: str, what: str, capitals: Capitals, many: bool) -> str | None:
    """Return who is spoken of, or None if there may be several of the name.

    `many` says that the verb is not one of a single third person: "live", not "lives".
    """
    if who in _USER:
        return "user"
    kin = who.removeprefix("my ").removeprefix("user's ").removeprefix("the user's ")
    if kin in _ONLY_KIN:
        return None if many else f"my {kin}"
    if what.startswith(("default ", "current ")):  # of things, which may be called anything
        return None if who.startswith("my ") or kin in _KIN else who.removeprefix("the ")
    known = is_named(who, capitals) and kin not in _KIN and not _NO_PERSON.search(who)
    return who if known and not many else None


def _chinese(text: str, capitals: Capitals) -> tuple[str, str, str] | None:
    for form, what in _CHINESE_FORMS:
        match = form.fullmatch(text)
        if match is None or _NOBODY_HAN.fullmatch(match["who"] or ""):
            continue
        value = match["v"]
        if not value or _LINKED_HAN.search(value) or len(value) > MOST_HAN:
            return None
        found = match.groupdict()
        if not match["who"] and _OWNED.match(found.get("what") or ""):
            return None
        best = found.get("best")
        what = what or (f"最喜欢的{best}" if best else match["what"].replace("最爱的", "最喜欢的"))
        who, read = match["who"] or "user", value_of(_SAME.get(what, what), value, capitals)
        if read is None or not (who in _USER or _is_person(who) or what.startswith(_OF_THINGS)):
            return None
        return who, *read
    return None


def _is_person(who: str) -> bool:
    """Say whether a Chinese text is a name, or somebody of whom the user has only one."""
    kin = who.removeprefix("我的").removeprefix("我").removeprefix("用户的")
    return kin in _ONLY_KIN or who.isascii() or _PET_NAME.fullmatch(who) is not None or is_name(who)
