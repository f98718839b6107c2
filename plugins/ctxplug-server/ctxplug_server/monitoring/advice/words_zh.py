"""Advice in Chinese."""

# ruff: noqa: E501  (a table of sentences, one to a line)

from __future__ import annotations

from collections.abc import Mapping

SEEN: Mapping[str, str] = {
    "cheaper_policy": "按策略 {policy!r} 重算会话 {session!r} 的 {calls} 次调用，费用相当于 {after:,} 个普通输入词元，"
    "而原来是 {before:,} 个。",
    "cache_tools": "在 {calls} 次调用中，提供的工具变了 {times} 次，涉及 {of_sessions} 个会话；约 {tokens:,} 个词元被重新读入。",
    "cache_system": "在 {calls} 次调用中，系统提示变了 {times} 次，涉及 {of_sessions} 个会话；约 {tokens:,} 个词元被重新读入。",
    "cache_edits": "在 {calls} 次调用中，有 {times} 次把已发送的消息删改掉；约 {tokens:,} 个词元被重新读入。",
    "cache_unused": "{calls} 次模型调用共 {tokens:,} 个输入词元，供应商的提示缓存一次也没有命中。",
    "budget_tight": "{calls} 次调用中，有 {failed} 次根本得不到窗口，{close} 次在三次调用之内又压缩了一次，当时的预算最高为 {budget:,} 词元。",
    "budget_unused": "{calls} 次调用都没有超过 {most:,} 词元，只是预算 {budget:,} 的 {share:.0%}。",
    "large_results": "这些会话中 {share:.0%} 的词元是工具 {tool!r} 的结果：{answers} 个结果，平均每个 {each:,} 词元。",
    "large_part": "发送的词元中有 {share:.0%} 属于 {part!r} 部分，{calls} 次调用每次 {each:,} 个。",
    "empty_recalls": "{recalls} 次召回中有 {empty} 次什么也没找到，而存储中有 {records} 条记忆。",
    "repeated_recalls": "{queries} 个查询被召回了 {times} 次，每次结果都一样；其中 {spare} 次可以省去。",
    "slow_steps": "{step} {name!r} 有 {times} 个步骤用时高达 {worst:.2f} 秒，而通常是 {usual:.2f} 秒。",
    "retried_tool": "工具 {tool!r} 运行 {runs} 次，失败 {failed} 次，重试 {again} 次。",
    "unused_memories": "{records} 条记忆中有 {unused} 条（{share:.0%}）从未被召回，最近 7 天又新增了 {new} 条。",
    "duplicates": "{records} 条记忆中有 {duplicates} 条与别的记忆说的是同一件事。",
    "open_sessions": "{sessions} 个会话中有 {open} 个仍然开着，却已一周没有内容，最久的已有 {days} 天。",
    "not_maintained": "维护{last}；{records} 条记忆中有 {expired} 条已过期却仍然留着。",
    "not_archived": "{cold} 个会话中的 {entries:,} 条日志已有 {days} 天没有动过，都没有归档。",
}
NEVER, AGO = "从未进行过", "上次是在 {days} 天前"
WHY: Mapping[str, str] = {
    "cheaper_policy": "这是按供应商的缓存价格、用真实的对话算出来的；最后一个窗口里会少 {out} 条消息。",
    "cache_tools": "工具排在提示的最前面，一旦改变，整个提示都要重新写入缓存。",
    "cache_system": "系统提示排在所有消息之前，一旦改变，所有消息都要重新写入缓存。",
    "cache_edits": "删改之后的内容不再是供应商缓存中的内容。",
    "cache_unused": "两次调用的相同部分若从缓存读取，只需一小部分费用；要么没有做标记，要么每次开头都不同，要么间隔太久。",
    "budget_tight": "得不到窗口的调用就是智能体的一次错误；每次压缩都要重写缓存，还会切掉可能需要的内容。",
    "budget_unused": "谁也碰不到的预算什么也拦不住：一个工具若返回过多内容，就会原样发送并全额付费。",
    "large_results": "大的结果在之后的每次调用中都要付费，还会挤掉用户说过的话。",
    "large_part": "每次调用都带着的内容，每次调用都要付费。",
    "empty_recalls": "每次调用都花时间却一无所得；多半是查询的用词与记忆的用词不同。",
    "repeated_recalls": "每次都花时间，而找到的内容早已在窗口里。",
    "slow_steps": "用户要等它们；没有时限的工具会拖住整个轮次。",
    "retried_tool": "每次失败都要多一次模型调用，答复也就来得更晚。",
    "unused_memories": "它们占地方，使召回要查看更多内容，有用的反而更难找到。",
    "duplicates": "它们在召回结果中占去了其他记忆的位置。",
    "open_sessions": "开着的会话既不会被清退，也无法与仍在进行的会话区分。",
    "not_maintained": "不维护，就没有合并、提升和总结，过期的内容也一直占着磁盘。",
    "not_archived": "它们使存储变大、索引变慢；归档会压缩保存，每条消息仍然可以读到。",
}
CHANGE: Mapping[str, str] = {
    "cheaper_policy": "用 `{setting}` 打开记忆，事先用 `ctxplug trace diff` 看看它会略去什么。",
    "cache_tools": "每次调用都给 `{setting}` 同样顺序的同一份列表；宁可拒绝某次调用，也不要撤走工具。",
    "cache_system": "把会变的内容（如时间）移出系统提示，放进当前轮次的段落：`{setting}`。",
    "cache_edits": "在话题之间而不是调用之间使用 `{setting}`，并且一次处理多条消息。",
    "cache_unused": "发送 `{setting}`，它会标记稳定的部分；把会变的内容放在最后。",
    "budget_tight": "设置 `{setting}`。",
    "budget_unused": "设置 `{setting}`，即迄今最大窗口再加一半。",
    "large_results": "让 {tool!r} 少返回一些（字段、行、页），或设置 `{setting}`，使其结果在发送前先被整形。",
    "large_part": "缩短它：`{setting}`。",
    "empty_recalls": "{how}",
    "repeated_recalls": "每个轮次只召回一次；`{setting}` 会略去窗口里已有的内容。",
    "slow_steps": "设置 `{setting}`，并查看所列的步骤。",
    "retried_tool": "{how}",
    "unused_memories": "少留一些：`{setting}`，或给记忆设定期限：`memory.remember(text, ttl=86400)`。",
    "duplicates": "先运行一次 `ctxplug maintain`，以后在后台进行：`{setting}`。",
    "open_sessions": "用 `memory.session.complete()` 结束它们，或让时间来处理：`{setting}`。",
    "not_maintained": "运行 `ctxplug maintain`，或在后台进行：`{setting}`。",
    "not_archived": "运行 `ctxplug archive`，或交给维护来做：`{setting}`。",
}
HOW: Mapping[str, str] = {
    "by_meaning": "让召回也按含义查找：`{setting}`。",
    "without_query": "在不可能记得什么的地方，请求窗口时不要带查询：`{setting}`。",
    "idempotent": "查看这些步骤的错误；如果错误会自行消失，就允许重试该工具：`{setting}`。",
    "never_works": "没有一次运行成功，重试也没有用：查看这些步骤的错误，修好这个工具、它的说明或调用它的参数。`{setting}` 使它不再被重复运行。",
    "no_retries": "尝试多次仍然失败，所以不要再重复：`{setting}`，并修好这个工具或它的说明。",
    "longer": "它最终会成功：第一次就给它更多时间，用 `{setting}`。",
}
STEPS: Mapping[str, str] = {
    "window": "窗口",
    "compaction": "压缩",
    "model": "模型",
    "tool": "工具",
    "recall": "检索",
    "remember": "记忆",
    "span": "过程",
}
SAVED: Mapping[str, str] = {
    "counted": "本可省下 {what}，这是从记录中数出来的。",
    "made_again": "本可省下 {what}，这是不经模型把这些调用重算一遍得出的。",
    "at_most": "最多可省下 {what}。",
}
TOKENS, DOLLARS, SHARE = "{tokens:,} 个普通输入词元", "{dollars:.4f} 美元", "{share:.0%}"
SECONDS = "{seconds:g} 秒"
NONE = "能省多少，无法从记录中得知。"
NOTES: Mapping[str, str] = {
    "long_session": "超过 20,000 条的会话没有读取其消息。",
    "rerun_failed": "有一个会话无法按另一策略重算。",
    "no_steps": "这些会话没有记录步骤：打开记忆时保持跟踪（默认开启），就能说得更多。",
    "no_usage": "没有记录模型调用：每次调用之后执行 memory.record_usage(response.usage)，就能算出费用。",
    "no_price": "模型 {model!r} 的价格未知，所以只能用词元表示节省；可用 CTXPLUG_PRICES 指定的文件给出价格。",
}
TITLES: Mapping[str, str] = {
    "cheaper_policy": "更省的策略",
    "cache_tools": "变动的工具破坏了缓存",
    "cache_system": "变动的系统提示破坏了缓存",
    "cache_edits": "删改破坏了缓存",
    "cache_unused": "没有用上提示缓存",
    "budget_tight": "预算太紧",
    "budget_unused": "预算过宽",
    "large_results": "工具结果太大",
    "large_part": "每次提示中都很大的部分",
    "empty_recalls": "一无所得的召回",
    "repeated_recalls": "重复的召回",
    "slow_steps": "缓慢的步骤",
    "retried_tool": "经常失败的工具",
    "unused_memories": "从未使用的记忆",
    "duplicates": "重复的记忆",
    "open_sessions": "没有结束的会话",
    "not_maintained": "该做维护了",
    "not_archived": "该归档的旧内容",
}
LABELS: Mapping[str, str] = {
    "why": "原因",
    "change": "更改",
    "saving": "节省",
    "sessions": "会话",
    "steps": "步骤",
    "records": "记忆",
    "nothing": "{namespace} 没有什么需要改的：查看了 {sessions} 个会话和 {records} 条记忆。",
    "high": "严重",
    "warning": "警告",
    "info": "提示",
    "more": "另有 {count} 个",
    "and": "，",
}
