"""The built-in components, registered through the same door as anyone's."""

from __future__ import annotations

from ctxplug.hookspecs import Register, hookimpl


@hookimpl
def register_token_counters(register: Register) -> None:
    register("estimate", "ctxplug.tokens.estimate:estimate")
    register("tiktoken", "ctxplug.tokens.tiktoken_counter:tiktoken_counter")


@hookimpl
def register_compression_strategies(register: Register) -> None:
    register("shape-tool-results", "ctxplug.compression.shape_tool_results:ShapeToolResults")
    register("clear-tool-results", "ctxplug.compression.clear_tool_results:ClearToolResults")
    register("dedupe", "ctxplug.compression.dedupe:Dedupe")
    register("merge-similar", "ctxplug.compression.merge_similar:MergeSimilar")
    register("extractive", "ctxplug.compression.extractive:Extractive")
    register("digest", "ctxplug.compression.digest:Digest")
    register("summarize", "ctxplug.compression.summarize:Summarize")
    register("drop-low-priority", "ctxplug.compression.drop_low_priority:DropLowPriority")


@hookimpl
def register_summarizers(register: Register) -> None:
    register("extractive", "ctxplug.compression.extractive_summarizer:ExtractiveSummarizer")


@hookimpl
def register_importance_scorers(register: Register) -> None:
    register("recency", "ctxplug.scoring.recency:recency")
    register("role", "ctxplug.scoring.role:Role")
    register("content", "ctxplug.scoring.content:Content")
    register("access", "ctxplug.scoring.access:Access")
    register("kind", "ctxplug.scoring.kind:Kind")
    register("reference", "ctxplug.scoring.reference:Reference")
    register("feedback", "ctxplug.scoring.feedback:Feedback")


@hookimpl
def register_memory_backends(register: Register) -> None:
    register("memory", "ctxplug.storage.in_memory:open_memory")
    register("sqlite", "ctxplug.storage.sqlite:open_sqlite")
