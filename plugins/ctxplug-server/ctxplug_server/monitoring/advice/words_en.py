"""Advice in English."""

from __future__ import annotations

from collections.abc import Mapping

SEEN: Mapping[str, str] = {
    "cheaper_policy": "Made again under the policy {policy!r}, the {calls} calls of the session"
    " {session!r} cost as much as {after:,} plain input tokens in place of {before:,}.",
    "cache_tools": "The tools that were offered changed {times} times in {calls} calls, in"
    " {of_sessions} of the sessions; about {tokens:,} tokens were read anew.",
    "cache_system": "The system prompt changed {times} times in {calls} calls, in {of_sessions} of"
    " the sessions; about {tokens:,} tokens were read anew.",
    "cache_edits": "Messages that had been sent were edited out {times} times in {calls} calls;"
    " about {tokens:,} tokens were read anew.",
    "cache_unused": "In {calls} model calls with {tokens:,} input tokens the provider read nothing"
    " from its prompt cache.",
    "budget_tight": "Of {calls} calls, {failed} got no window at all and {close} compacted again"
    " within three calls, at a budget of up to {budget:,} tokens.",
    "budget_unused": "None of {calls} calls came above {most:,} tokens, which is {share:.0%} of"
    " their budget of {budget:,}.",
    "large_results": "{share:.0%} of the tokens of these sessions are answers of the tool {tool!r}:"
    " {answers} answers of {each:,} tokens on average.",
    "large_part": "{share:.0%} of all tokens sent were those of the part {part!r}, {each:,} at each"
    " of {calls} calls.",
    "empty_recalls": "{empty} of {recalls} recalls found nothing, with {records} memories stored.",
    "repeated_recalls": "{queries} queries were recalled {times} times with the same result each"
    " time; {spare} recalls could be spared.",
    "slow_steps": "Of the steps of the {step} {name!r}, {times} took up to {worst:.2f} s, where"
    " {usual:.2f} s is usual.",
    "retried_tool": "Of {runs} runs of the tool {tool!r}, {failed} failed, and it was tried again"
    " {again} times.",
    "unused_memories": "{unused} of {records} memories ({share:.0%}) were never recalled, and"
    " {new} were made in the last 7 days.",
    "duplicates": "{duplicates} of {records} memories say what another one says.",
    "open_sessions": "{open} of {sessions} sessions are open though nothing was said in them for a"
    " week, the oldest for {days} days.",
    "not_maintained": "Maintenance {last}; of {records} memories {expired} have expired and are"
    " still there.",
    "not_archived": "{entries:,} log entries in {cold} sessions were not touched for {days} days,"
    " and none of them is archived.",
}
NEVER, AGO = "was never done", "was last done {days} days ago"
WHY: Mapping[str, str] = {
    "cheaper_policy": "It was counted with the prices of the provider's cache, on what was really"
    " said; {out} messages would no longer be in the last window.",
    "cache_tools": "Tools stand first in a prompt, so a change makes all of it be written to the"
    " cache again.",
    "cache_system": "The system prompt stands before all messages, so a change makes them all be"
    " written to the cache again.",
    "cache_edits": "What stands behind the edit is no longer what the provider has in its cache.",
    "cache_unused": "What two calls have in common costs a fraction when it is read from the"
    " cache; either it was not marked, or each call began otherwise, or the pauses were too long.",
    "budget_tight": "A call without a window is an error in the agent, and each compaction writes"
    " the cache anew and cuts what may be needed.",
    "budget_unused": "A budget that nothing comes near stops nothing: a tool that answers with far"
    " too much would be sent, and paid, whole.",
    "large_results": "Large answers are paid at every later call, and push out what users said.",
    "large_part": "What every call carries is paid at every call.",
    "empty_recalls": "They take time at each call and bring nothing; mostly the words of the query"
    " are not those of the memories.",
    "repeated_recalls": "Each takes time, and what it finds is in the window already.",
    "slow_steps": "The user waits for them, and a tool without a limit holds up the whole turn.",
    "retried_tool": "Each failure is a model call more, and the answer comes that much later.",
    "unused_memories": "They cost room and make recall look through more, and what is useful is"
    " found less surely among them.",
    "duplicates": "They take the places of other memories in what is recalled.",
    "open_sessions": "What is open is neither retired nor told from what is still going on.",
    "not_maintained": "Without it nothing is merged, promoted or summed up, and what has expired"
    " keeps its place on the disk.",
    "not_archived": "They make the store larger and its indexes slower; the archive keeps them"
    " compressed, and every message can still be read.",
}
CHANGE: Mapping[str, str] = {
    "cheaper_policy": "Open the memory with `{setting}`, and look at what it leaves out with"
    " `ctxplug trace diff` first.",
    "cache_tools": "Give `{setting}` the same list in the same order at every call, and refuse a"
    " call rather than take its tool away.",
    "cache_system": "Take what changes, such as the time, out of the system prompt and into a"
    " section at the turn: `{setting}`.",
    "cache_edits": "Call `{setting}` between topics rather than between calls, and for several"
    " messages at once.",
    "cache_unused": "Send `{setting}`, which marks what is stable, and keep what changes at the"
    " end.",
    "budget_tight": "Set `{setting}`.",
    "budget_unused": "Set `{setting}`, half above the largest window so far.",
    "large_results": "Let {tool!r} give less (fields, rows, pages), or set `{setting}`, so that its"
    " answers are shaped before they are sent.",
    "large_part": "Shorten it: `{setting}`.",
    "empty_recalls": "{how}",
    "repeated_recalls": "Recall once in a turn; `{setting}` leaves out what the window already"
    " shows.",
    "slow_steps": "Set `{setting}`, and look at the steps that are named.",
    "retried_tool": "{how}",
    "unused_memories": "Keep less: `{setting}`, or give what is remembered a ttl:"
    " `memory.remember(text, ttl=86400)`.",
    "duplicates": "Run `ctxplug maintain` once, and then in the background: `{setting}`.",
    "open_sessions": "End them with `memory.session.complete()`, or let time do it: `{setting}`.",
    "not_maintained": "Run `ctxplug maintain`, or let it be done in the background: `{setting}`.",
    "not_archived": "Run `ctxplug archive`, or let maintenance do it: `{setting}`.",
}
HOW: Mapping[str, str] = {
    "by_meaning": "Let recall find by meaning too: `{setting}`.",
    "without_query": "Ask for a window without a query where nothing can be remembered of it:"
    " `{setting}`.",
    "idempotent": "Look at the errors of the steps; if they pass by themselves, let the tool be"
    " tried again: `{setting}`.",
    "never_works": "No run went well, so trying again does not help: look at the errors of the"
    " steps, and mend the tool, its description or what it is called with. `{setting}` keeps it"
    " from being repeated.",
    "no_retries": "It fails after all attempts too, so do not repeat it: `{setting}`, and mend the"
    " tool or its description.",
    "longer": "It goes well in the end: give it more time at the first attempt, with `{setting}`.",
}
STEPS: Mapping[str, str] = {}  # kinds of steps, which are English already
SAVED: Mapping[str, str] = {
    "counted": "It would have saved {what}, counted from what was recorded.",
    "made_again": "It would have saved {what}, as the calls were made again without a model.",
    "at_most": "It would have saved at most {what}.",
}
TOKENS, DOLLARS, SHARE = "{tokens:,} plain input tokens", "${dollars:.4f}", "{share:.0%}"
SECONDS = "{seconds:g} seconds"
NONE = "How much it saves cannot be told from what is recorded."
NOTES: Mapping[str, str] = {
    "long_session": "The messages of sessions with more than 20,000 entries were not read.",
    "rerun_failed": "A session could not be made again by another policy.",
    "no_steps": "No steps are recorded in these sessions: open memories with tracing on, which is"
    " the default, to be told more.",
    "no_usage": "No model calls are recorded: call memory.record_usage(response.usage) after each,"
    " and costs can be told.",
    "no_price": "The price of the model {model!r} is unknown, so savings are in tokens; the file"
    " named by CTXPLUG_PRICES can tell it.",
}
TITLES: Mapping[str, str] = {
    "cheaper_policy": "A cheaper policy",
    "cache_tools": "Tools that change break the cache",
    "cache_system": "A system prompt that changes breaks the cache",
    "cache_edits": "Edits break the cache",
    "cache_unused": "The prompt cache is not used",
    "budget_tight": "The budget is too tight",
    "budget_unused": "The budget is far too wide",
    "large_results": "Large tool results",
    "large_part": "A large part of every prompt",
    "empty_recalls": "Recalls that bring nothing",
    "repeated_recalls": "Recalls repeated",
    "slow_steps": "Slow steps",
    "retried_tool": "A tool that often fails",
    "unused_memories": "Memories never used",
    "duplicates": "Memories said twice",
    "open_sessions": "Sessions left open",
    "not_maintained": "Maintenance is due",
    "not_archived": "Cold history to archive",
}
LABELS: Mapping[str, str] = {
    "why": "why",
    "change": "change",
    "saving": "saves",
    "sessions": "sessions",
    "steps": "steps",
    "records": "memories",
    "nothing": "Nothing stands out in {namespace}: {sessions} sessions and {records} memories were"
    " looked at.",
    "high": "high",
    "warning": "warning",
    "info": "info",
    "more": "and {count} more",
    "and": ", ",
}
