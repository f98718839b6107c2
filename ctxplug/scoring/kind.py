"""kind: a schema outlives an event."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ctxplug.messages import Message
from ctxplug.scoring.scorer import History, Item

NEUTRAL = 0.5
# What is stated once and holds from then on stands above what merely happened.
KINDS: dict[str, float] = {
    **dict.fromkeys(("schema", "instruction", "rule", "模式", "结构", "指令", "规则"), 1.0),
    **dict.fromkeys(("config", "configuration", "配置", "设置"), 0.95),
    **dict.fromkeys(("preference", "constraint", "偏好", "约束", "限制"), 0.9),
    **dict.fromkeys(("decision", "goal", "commitment", "决定", "目标", "承诺"), 0.85),
    **dict.fromkeys(("procedure", "skill", "lesson", "步骤", "技能", "经验"), 0.75),
    **dict.fromkeys(("fact", "profile", "entity", "relation", "事实", "档案", "实体"), 0.7),
    **dict.fromkeys(("summary", "insight", "摘要", "总结"), 0.6),
    **dict.fromkeys(("event", "episode", "task", "事件", "经历", "任务"), 0.45),
    **dict.fromkeys(("observation", "tool_result", "观察", "工具结果"), 0.35),
    **dict.fromkeys(("note", "scratch", "thought", "笔记", "草稿"), 0.3),
    **dict.fromkeys(("log", "trace", "debug", "日志", "调试"), 0.15),
}


@dataclass(frozen=True)
class Kind:
    """A fixed weight for each kind of record; messages and unknown kinds are neutral, 0.5."""

    name: str = field(default="kind", init=False)

    def score(self, item: Item, now: datetime, history: History) -> float:
        """Return the weight of the kind of `item`."""
        if isinstance(item, Message):
            return NEUTRAL
        return KINDS.get(item.kind.strip().casefold(), NEUTRAL)
