"""role: who spoke, and whether it was a decision, a question or an error."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from ctxplug.messages import Message
from ctxplug.scoring.said import spoken
from ctxplug.scoring.scorer import History, Item

SPEAKERS = {"system": 1.0, "user": 0.6, "document": 0.5, "assistant": 0.4, "tool": 0.3}
UNKNOWN_SPEAKER = 0.4
# Each sign takes this share of what is left to 1.0.
DECISION, QUESTION, ERROR = 0.5, 0.25, 0.4

_DECISION = re.compile(
    r"\b(?:decided?|decision|agreed?|approved?|confirm(?:ed|s)?|chose|chosen|settled? on"
    r"|(?:go|going|went) (?:ahead|with)|let'?s (?:go|use|do|take|book|keep)|final(?:ised|ized)?"
    r"|from now on|rejected|cancel(?:led|ed)?|we(?:'ll| will| shall) (?:use|take|go|keep))\b"
    "|决定|确定|确认|选定|选择了|同意|批准|就这样|就这么|就用|就选|敲定|定下|定为|采用|取消|拒绝了|从现在起|以后都",
    re.IGNORECASE | re.ASCII,
)
_QUESTION = re.compile(
    r"[?？]|[吗呢](?:[。！!\s]|\Z)|(?:什么|怎么|为什么|哪里|哪个|多少|是否|能不能|可不可以)"
    r"|(?:\A|[.!\n] ?)(?:who|what|when|where|why|which|how|(?:could|can|would|do) you|is there)\b",
    re.IGNORECASE | re.ASCII,
)
_ERROR = re.compile(
    r"\b(?:error|exception|traceback|failed|failure|fatal|denied|forbidden|not found|timed? ?out"
    r"|unauthori[sz]ed|invalid|refused)\b|错误|失败|异常|超时|拒绝|无效|未找到|不存在|无权|报错",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True)
class Role:
    """The speaker's weight, raised by signs of a decision, a question or a tool's error.

    The system prompt counts 1.0, the user 0.6, a document 0.5, the assistant 0.4, a tool
    0.3. Signs are read in English and Chinese.
    """

    name: str = field(default="role", init=False)

    def score(self, item: Item, now: datetime, history: History) -> float:
        """Return the weight of what was said by whom."""
        speaker = item.role if isinstance(item, Message) else item.origin.partition(":")[0]
        weight = SPEAKERS.get(speaker, UNKNOWN_SPEAKER)
        text = spoken(item)
        if speaker == "tool":
            return _raised(weight, ERROR) if _is_error(item, text) else weight
        if _DECISION.search(text):
            weight = _raised(weight, DECISION)
        if _QUESTION.search(text):
            weight = _raised(weight, QUESTION)
        return weight


def _is_error(item: Item, text: str) -> bool:
    flagged = isinstance(item, Message) and any(r.is_error for r in item.tool_results)
    # Further in, "error" is as likely a field's name or a line of a log.
    return flagged or _ERROR.search(text[:200]) is not None


def _raised(weight: float, share: float) -> float:
    return weight + (1.0 - weight) * share
