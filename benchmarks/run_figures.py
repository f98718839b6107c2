"""What each benchmark is run with, and which of its figures are watched.

`Benchmark.figures` reads the JSON that a benchmark prints. Only what is ctxplug's own, or
ctxplug against something beside it, is a figure: how a peer does is in the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratios import Figure

Figures = dict[str, Figure]


@dataclass(frozen=True)
class Benchmark:
    """One script of this folder; `small` is None where the small run leaves it out.

    `full` is what it is run with by run_all.py: the larger benchmarks are cut to what takes
    minutes, and their own pages say what more of it shows.
    """

    name: str
    asks: str
    figures: Callable[[Any], Figures]
    full: tuple[str, ...] = ()
    small: tuple[str, ...] | None = None
    data: bool = False


def _row(rows: Iterable[Mapping[str, Any]], **wanted: Any) -> Mapping[str, Any]:
    for row in rows:
        if all(row.get(key) == value for key, value in wanted.items()):
            return row
    raise LookupError(f"there is no row of {wanted}")


def windows(data: Any) -> Figures:
    """Tokens, cost, validity and time beside trim_messages, in each session."""
    found: Figures = {}
    for session, part in data.items():
        if session == "kept for later":
            for name, row in part["rows"].items():
                if name.startswith("ctxplug") and "known" in row:
                    found[f"{name}, evidence kept"] = Figure(row["known"], "share", lower=False)
            continue
        ours = _row(part["rows"], sender="ctxplug, balanced")
        trim = _row(part["rows"], sender="LangChain trim_messages")
        short = session.partition(",")[0]
        found[f"{short}, invalid windows"] = Figure(ours["invalid"], "share")
        found[f"{short}, over budget"] = Figure(ours["over"], "share")
        found[f"{short}, cost by trim_messages"] = Figure(ours["cost"], "count")
        if ours["needed"]:
            found[f"{short}, values lost"] = Figure(ours["lost"] / ours["needed"], "share")
        found[f"{short}, time by trim_messages"] = Figure(1 / trim["x"], "time")
    return found


def recall_beside(data: Any) -> Figures:
    """Shares found, and processor time beside plain BM25."""
    found: Figures = {}
    for name, part in data.items():
        ours, plain = (_row(part["rows"], store=store) for store in ("ctxplug", "plain BM25"))
        both = _row(part["rows"], store="ctxplug + vectors")
        found[f"{name}, found @10"] = Figure(ours["share"], "share", lower=False)
        found[f"{name}, found @10 with vectors"] = Figure(both["share"], "share", lower=False)
        found[f"{name}, processor by plain BM25's"] = Figure(1 / plain["x"], "time")
    return found


def store(data: Any) -> Figures:
    """Adds, gets, memory and import beside LangGraph's stores."""
    rows = data["stores"]["rows"]
    ours = _row(rows, store="ctxplug, a message")
    found = {"add by one row in SQLite": Figure(ours["x_floor"], "disk")}
    for row in rows:
        if row["store"] == "LangGraph SqliteStore":
            ratio = ours["add_cpu_ms"] / row["add_cpu_ms"]
            found["processor of an add by SqliteStore's"] = Figure(ratio, "time")
            found["get by SqliteStore's"] = Figure(1 / row["x_get"], "time")
            found["memory by SqliteStore's"] = Figure(ours["held_mb"] / row["held_mb"], "size")
    imports = data["imports"]["rows"]
    for row in imports:
        if row["import"] == "LangGraph's store":
            found["import by LangGraph's store"] = Figure(1 / row["x"], "time")
    return found


def turn_cost(data: Any) -> Figures:
    return {
        "turn by its floor, most messages": Figure(data["rows"][-1]["multiple"], "disk"),
        "growth of that with the session": Figure(data["growth"], "disk"),
    }


def trace_overhead(data: Any) -> Figures:
    largest = max(row["messages"] for row in data)
    row = _row(data, messages=largest, sample=1.0, recall=False)
    return {"processor of a traced turn by an untraced": Figure(1 + row["more_cpu"], "time")}


def access_cost(data: Any) -> Figures:
    owner = _row(data, who="the owner")
    ruled = _row(data, who="an agent who may everything")
    ratio = ruled["cpu_ms"] / owner["cpu_ms"]
    return {"processor of a turn under rules by the owner's": Figure(ratio, "time")}


def argument_survival(data: Any) -> Figures:
    row = _row(data["scores"], policy="shape, dedupe, then clear")
    return {
        "values lost": Figure(row["loss"], "share"),
        "tokens of tool results removed": Figure(row["reduction"], "share", lower=False),
    }


def cache_cost(data: Any) -> Figures:
    found: Figures = {}
    for part in data:
        rows = {row["policy"]: row for row in part["rows"]}
        ratio = rows["balanced"]["cost"] / rows["sliding window"]["cost"]
        name = f"{part['session'].partition(',')[0]} at {part['budget']:,}"
        found[f"{name}, cost by a sliding window"] = Figure(ratio, "count")
        found[f"{name}, from cache"] = Figure(rows["balanced"]["hit_share"], "share", lower=False)
    return found


def failure_analysis(data: Any) -> Figures:
    part = data["all, each in a namespace alone"]
    cases = sum(fault["cases"] for fault in part["faults"].values())
    named = sum(fault["named"] for fault in part["faults"].values())
    wrong = max(len(runs) for runs in part["false"].values()) / part["untouched"]
    return {
        "faults named": Figure(named / cases, "share", lower=False),
        "false alarms, of the worst kind": Figure(wrong, "share"),
    }


def langchain_overhead(data: Any) -> Figures:
    largest = max(row["messages"] for row in data)
    ours, trim = (
        _row(data, messages=largest, middleware=name)["median_ms"]
        for name in ("ctxplug", "trim_messages")
    )
    return {"a call by trim_messages'": Figure(ours / trim, "time")}


def llamaindex_overhead(data: Any) -> Figures:
    largest = max(row["messages"] for row in data)
    rows = [_row(data, messages=largest, memory=name) for name in ("ctxplug", "Memory")]
    ours, stock = (sorted(row["turns_ms"])[len(row["turns_ms"]) // 2] for row in rows)
    calls = max(rows[0]["tokenizer_calls"]) / max(rows[1]["tokenizer_calls"])
    return {
        "a turn by Memory's": Figure(ours / stock, "time"),
        "calls of the tokenizer by Memory's": Figure(calls, "count"),
    }


def long_session(data: Any) -> Figures:
    first, last = data["rows"][1], data["rows"][-1]
    return {
        "a call, last tenth by second tenth": Figure(last["p50_ms"] / first["p50_ms"], "time"),
        "memory, the same": Figure(last["rss_mb"] / first["rss_mb"], "size"),
    }


def recall(data: Any) -> Figures:
    english, chinese = data["english"], data["chinese"]
    turns = english["recall"]["@10"]
    fits = chinese["recall, a namespace each"]["any @10"]
    return {
        "English, evidence turns @10": Figure(turns, "share", lower=False),
        "Chinese, a relevant memory @10": Figure(fits, "share", lower=False),
    }


def recall_latency(data: Any) -> Figures:
    largest = max(row["messages"] for row in data["rows"])
    rows = {row["store"]: row for row in data["rows"] if row["messages"] == largest}
    found = {
        "found @10": Figure(rows["ctxplug"]["found_at_10"], "share", lower=False),
        "an add with its index by one without": Figure(data["add"]["ratio"], "disk"),
    }
    if "chroma" in rows:
        ratio = rows["ctxplug"]["p50_ms"] / rows["chroma"]["p50_ms"]
        found["a search by Chroma's"] = Figure(ratio, "time")
    return found


def retention(data: Any) -> Figures:
    digest = _row(data["rows"], method="digest", share=0.3)
    found = {
        "answer words in 30 %": Figure(digest["all"]["anywhere"] / 100, "share", lower=False),
        "in the evidence": Figure(digest["all"]["in_evidence"] / 100, "share", lower=False),
    }
    for row in data.get("chinese", ()):
        if row["method"] == "digest" and row["share"] == 0.3:
            found["Chinese, in 30 %"] = Figure(row["kept"] / 100, "share", lower=False)
    return found


def retention_known(data: Any) -> Figures:
    tenth = data["shares"].index(0.1)
    return {
        f"{policy}, evidence in 10 %": Figure(data["rows"][policy][tenth], "share", lower=False)
        for policy in ("question", "balanced")
    }


def server_load(data: Any) -> Figures:
    wrong = sum(r["lost"] + r["doubled"] + r["disordered"] + r["foreign"] for r in data["rows"])
    stored = sum(row["stored"] for row in data["rows"])
    return {"lost, doubled, out of order or foreign": Figure(wrong / max(1, stored), "share")}


def tool_overhead(data: Any) -> Figures:
    return {
        f"{row['what']}, by bare": Figure(row["ratio"], "disk")
        for row in data["rows"]
        if "," not in row["what"]
    }


def viewer_first_view(data: Any) -> Figures:
    few, many = data["rows"]
    return {
        "a view of most messages by one of few": Figure(many["page_ms"] / few["page_ms"], "time")
    }


def code_outline(data: Any) -> Figures:
    row = next(row for way, row in data.items() if way.startswith("`code`"))
    return {
        "tokens left": Figure(row["tokens"], "share"),
        "names kept": Figure(row["names"], "share", lower=False),
        "signatures kept": Figure(row["signatures"], "share", lower=False),
    }


def pii_false_positives(data: Any) -> Figures:
    return {
        f"{name.partition(' ')[0]}, finds by text": Figure(
            sum(row["taken"].values()) / row["texts"], "share"
        )
        for name, row in data.items()
    }


BENCHMARKS: Sequence[Benchmark] = (
    Benchmark("peer_windows", "what a model is sent, beside frameworks", windows, (), ("--small",)),
    Benchmark("peer_recall", "what is found, beside stores", recall_beside, (), ("--small",)),
    Benchmark("peer_store", "what keeping costs, beside stores", store, (), ("--small",)),
    Benchmark(
        "turn_cost", "what a turn costs as a session grows", turn_cost,
        ("--sizes", "100", "1000", "10000", "--turns", "200"),
        ("--sizes", "100", "1000", "--turns", "60"),
    ),
    Benchmark(
        "trace_overhead", "what tracing adds to a turn", trace_overhead,
        ("--sizes", "100", "1000", "--turns", "200"), ("--sizes", "100", "--turns", "40"),
    ),
    Benchmark(
        "access_cost", "what access rules add to a turn", access_cost,
        ("--messages", "4000", "--turns", "100"),
    ),
    Benchmark("cache_cost", "what a long session costs", cache_cost,
              ("--budgets", "8000", "32000", "--runs", "50"), data=True),
    Benchmark("argument_survival", "do later tool calls find their values", argument_survival,
              data=True),
    Benchmark("retention", "what compression keeps", retention, data=True),
    Benchmark("retention_known", "what a window holds, the question known", retention_known,
              ("--every", "4"), data=True),
    Benchmark("recall", "is the answer among the first ten", recall, data=True),
    Benchmark("recall_latency", "how soon it is found", recall_latency,
              ("--sizes", "10000", "--queries", "200", "--adds", "200")),
    Benchmark("long_session", "is the 2,000th turn as quick as the first", long_session,
              ("--turns", "2000")),
    Benchmark("langchain_overhead", "middleware beside LangChain's", langchain_overhead,
              ("--sizes", "100,1000", "--calls", "20")),
    Benchmark("llamaindex_overhead", "a turn beside LlamaIndex's memories", llamaindex_overhead,
              ("--sizes", "100,1000", "--turns", "10", "--repeat", "2", "--patience", "20")),
    Benchmark("tool_overhead", "what running tools costs", tool_overhead, ("--rounds", "5")),
    Benchmark("failure_analysis", "which failures are explained", failure_analysis,
              ("--runs", "20"), data=True),
    Benchmark("code_outline", "what an outline of source code keeps", code_outline),
    Benchmark("pii_false_positives", "what a redactor takes out in vain", pii_false_positives,
              data=True),
    Benchmark("server_load", "many agents on one server that is killed", server_load,
              ("--clients", "20", "--seconds", "15", "--paces", "1.0")),
    Benchmark("viewer_first_view", "how soon the viewer shows something", viewer_first_view,
              ("--messages", "10000", "--servers", "1")),
)  # fmt: skip
