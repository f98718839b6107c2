"""How tools tell of an error, in English and Chinese: by a mark, in JSON, or in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ctxplug import codec
from ctxplug.errors import CtxplugError

LINE = 300  # characters of an error that are looked at, and told
SHORT = 240  # characters of a text in which a phrase alone tells of an error

PASSING, ARGUMENT, PERMISSION, OTHER = "passing", "argument", "permission", "other"


@dataclass(frozen=True, slots=True)
class Problem:
    """An error that a tool told of: in one line, and of which sort.

    "passing" ends by itself, "argument" by another argument, "permission" by a right.
    """

    sort: str
    text: str


_SORTS = (
    (
        PASSING,
        re.compile(
            r"tim(?:ed?|ing)[ -]?out|unavailable|rate.?limit|too many requests|overload|busy"
            r"|temporar|try again|connect|network|unreachable|did not answer|no answer|reset by"
            r"|internal (?:server )?error|upstream|gateway|\b(?:429|50[0-9]|529)\b"
            r"|超时|不可用|繁忙|稍后|限流|频繁|网络|连接|断开|无响应|维护中|内部错误|系统错误",
            re.IGNORECASE,
        ),
    ),
    (
        PERMISSION,
        re.compile(
            r"denied|forbidden|unauthori[sz]ed|not authori[sz]ed|permission|not permitted"
            r"|\b40[13]\b|权限|未授权|禁止|拒绝访问|无权",
            re.IGNORECASE,
        ),
    ),
    (
        ARGUMENT,
        re.compile(
            r"not found|no such|not exist|invalid|missing|required|unknown|must\b|mismatch"
            r"|not match|no \w+ match|not enough|insufficient"
            r"|out of range|expected|unexpected|cannot|can't"
            r"|does not|not add up|malformed|parse|\b(?:400|404|409|422)\b"
            r"|找不到|不存在|没有找到|未找到|查无|无效|缺少|必填|格式|参数|不匹配|不足|不能|不可|不支持|不允许|有误|不正确|不符",
            re.IGNORECASE,
        ),
    ),
)
_BEGINS = re.compile(
    r"\W{0,4}(?:"
    r"(?:[\w.]+\.)?[A-Z]\w*(?:Error|Exception|Failure|Timeout)\b"
    r"|(?i:(?:\w+ ){0,3}?(?:error|failure|exception|fatal|failed)(?: code)?"
    r"\s*(?:[:：(\[]|[-–—]\s|\d|$))"
    r"|(?i:traceback \(most recent call last\))"
    r"|(?i:http(?:/[\d.]+)?\s*(?:status|error|code)?\s*:?\s*[45]\d\d\b)|[45]\d\d: "
    r"|(?i:[\w:-]*(?:error|exception)[\w:-]*>)"
    r"|(?i:(?:request|call|query|operation|command|connection|execution|lookup|upload|download)"
    r"\b.{0,40}\b(?:failed|refused|timed out|was denied|was rejected|aborted))"
    r"|(?i:(?:failed|unable) to\b|could not\b|cannot\b|access denied|permission denied"
    r"|invalid \w+|missing (?:\w+ ){0,2}(?:argument|parameter|field|value)s?\b"
    r"|no such \w+|(?:the )?\w+ (?:\w+ )?(?:was )?not found\b|not found\b|timed out)"
    r"|(?:错误|失败|异常|出错|报错|警告)\s*(?:[:：(（，,!！\d】\]]|$)"
    r"|[^\s:：，。]{0,12}(?:错误|失败|异常|出错|超时)\s*(?:[:：，,。!！(（]|$)"
    r"|(?:无法|找不到|未找到|没有找到|查无)(?!.{0,6}(?:结果|内容|匹配|符合|相关))"
    r"|(?:缺少|缺失|无效的?)(?:\w{0,4}参数|字段|必填)|(?:没有权限|权限不足|无权|拒绝访问|系统繁忙|服务不可用|请求超时)"
    r")"
)
_PHRASE = re.compile(
    r"timed out|service (?:temporarily )?unavailable|internal server error|rate limit exceeded"
    r"|too many requests|connection (?:refused|reset|closed)|status(?: code)?:? ?[45]\d\d\b"
    r"|permission denied|access denied"
    r"|服务(?:暂时|暂)?不可用|系统繁忙|请求超时|连接(?:超时|失败|被拒绝)|请稍后(?:再试|重试)|出现异常",
    re.IGNORECASE,
)
_BROKE = re.compile(  # how a sentence begins that says what did not work
    r"(?:\w+,? ){0,3}(?:something went wrong|(?:error|exception|failure)s? (?:has |have )?"
    r"(?:occurred|happened))"
    r"|(?:the |our |this |that )?(?:\w+ ){0,3}(?:is|are|was|were|has|have|could|can|did|does)"
    r"(?: not|n['’]t) (?:be |been )?(?:\w+ )?(?:completed?|processed|reached?|loaded|executed?"
    r"|respond(?:ed|ing)?|connect(?:ed)?|available)\b"
    r"|(?:the |our |this |that )?(?:\w+ ){0,2}(?:server|service|system|api|database|backend|host"
    r"|network|tool|gateway)s? (?:is|are|was|has) (?:\w+ )?"
    r"(?:down|unavailable|unreachable|offline|overloaded|locked|crashed|timed out)\b"
    r"|(?:(?:抱歉|对不起|很遗憾)[，,!！]?)?[^，。]{0,12}(?:出现|发生|遇到)了?[^，。]{0,6}(?:故障|错误|异常)"
    r"|[^，。]{0,8}(?:服务|系统|接口|网络|数据库)[^，。]{0,6}(?:失败|超时|中断|异常|故障|崩溃|繁忙|不可用|无响应|错误)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"|“[^”]*”|「[^」]*」|‘[^’]*’")
_SUPPOSED = re.compile(
    r"\s*(?:if|when|whenever|in case|should)\b|\s*(?:如果|如|若|假如|当|一旦)", re.IGNORECASE
)
_DENIED = re.compile(
    r"\b(?:no|without|zero|0)\b|没有|无(?!法|响|权|效)|未(?:出现|发生|发现)", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；\n])")
_ERROR_KEYS = {"error", "errors", "exception", "errormessage", "err", "错误", "异常", "错误信息"}
_FLAGS = {"success", "ok", "succeeded", "issuccess", "成功", "是否成功"}
_STATES = {"status", "state", "result", "outcome", "状态", "结果"}
_BAD = re.compile(
    r"(?:error|err|fail(?:ed|ure)?|exception|denied|refused|rejected|timeout|timed.?out|aborted"
    r"|失败|错误|异常|超时|拒绝|出错|[45]\d\d)\Z",
    re.IGNORECASE,
)
_CODES = {"code", "statuscode", "status", "httpstatus", "errorcode", "errcode", "状态码", "错误码"}
_OF_HTTP = {"statuscode", "httpstatus", "httpcode", "状态码"}
_TOLD = (
    "message",
    "msg",
    "detail",
    "details",
    "reason",
    "error_description",
    "原因",
    "消息",
    "信息",
)
_NOTHING = {"", "0", "none", "null", "false", "ok", "无", "没有"}


def problem_of(text: str, *, is_error: bool = False, outcome: str = "ok") -> Problem | None:
    """Return the error that a result tells of; None if it is none."""
    told = text.strip()
    if is_error or outcome not in ("ok", "cancelled"):
        line = _first(told) or (outcome if outcome not in ("ok", "error") else "no text")
        return Problem(_sort(f"{outcome} {line}" if outcome == "timeout" else line), line)
    if not told:
        return None
    if told[0] in "{[":
        try:
            value = codec.decode(told)
        except (CtxplugError, ValueError):
            return None
        said = _in_json(value)
        return None if said is None else Problem(_sort(said), said[:LINE])
    if _BEGINS.match(told[:LINE]) or (len(told) <= SHORT and _tells(told)):
        line = _last(told) if told.startswith("Traceback") else _first(told)
        return Problem(_sort(told[:LINE]), line)
    return None


def _tells(text: str) -> bool:
    """Say whether a short text tells of an error that happened, and not of one that might."""
    sentences = _SENTENCE.split(_QUOTED.sub("", text))
    happened = [one for one in sentences if not _SUPPOSED.match(one) and not _DENIED.search(one)]
    if any(_PHRASE.search(one) for one in happened):
        return True
    return bool(happened[:1]) and sentences[0] is happened[0] and bool(_BROKE.match(happened[0]))


def _in_json(value: Any) -> str | None:
    """Return what a JSON answer says of an error; None if it says none."""
    if not isinstance(value, Mapping):
        return None
    fields = {"".join(filter(str.isalnum, str(k).lower())): v for k, v in value.items()}
    for key in _ERROR_KEYS & fields.keys():
        said = fields[key]
        if said is True or (said and _text(said).strip().lower() not in _NOTHING):
            return _text(said) if said is not True else _explained(value)
    flags = [fields[key] for key in _FLAGS & fields.keys()]
    if any(flag is False or _text(flag).lower() in ("false", "否") for flag in flags):
        return _explained(value)
    if fields.get("iserror") is True:
        return _explained(value)
    bad = any(_BAD.match(_text(fields[key]).strip()) for key in _STATES & fields.keys())
    if bad and not _is_record(fields):
        return _explained(value)
    sure = any(key in value for key in _TOLD)
    codes = [_text(fields[key]) for key in (_CODES if sure else _OF_HTTP) & fields.keys()]
    code = next((code for code in codes if re.fullmatch(r"[45]\d\d", code)), None)
    return code and f"{code} {_explained(value)}"


def _is_record(fields: Mapping[str, Any]) -> bool:
    """Say whether an answer is of a thing that has a state, rather than of the call's own end."""
    filled = {key for key, item in fields.items() if item not in (None, "", [], {})}
    telling = _STATES | _CODES | _FLAGS | {key.replace("_", "") for key in _TOLD}
    return len(filled - telling) > len(filled & telling)


def _explained(value: Mapping[str, Any]) -> str:
    """Return what stands beside the mark of an error."""
    said = [_text(value[key]) for key in _TOLD if value.get(key)]
    return "; ".join(said) or _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        said = [_text(value[key]) for key in ("code", *_TOLD) if value.get(key)]
        return " ".join(said) or codec.encode(value).decode()[:LINE]
    return str(value)


def _sort(text: str) -> str:
    return next((sort for sort, pattern in _SORTS if pattern.search(text)), OTHER)


def _first(text: str) -> str:
    return text.split("\n", 1)[0].strip()[:LINE]


def _last(text: str) -> str:
    return text.rstrip().rsplit("\n", 1)[-1].strip()[:LINE]
