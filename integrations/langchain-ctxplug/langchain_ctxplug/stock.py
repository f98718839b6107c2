"""ctxplug inside LangChain's own middleware: a context edit, a summarizer, a token counter.

`CtxplugMiddleware` does all of it by itself; these are for agents that stay with
ContextEditingMiddleware, SummarizationMiddleware or trim_messages.
"""

from __future__ import annotations

from langchain_ctxplug.context_edit import CtxplugContextEdit
from langchain_ctxplug.counting import LangChainTokenCounter, ctxplug_token_counter
from langchain_ctxplug.expanding import expand_tool
from langchain_ctxplug.summarizing import ctxplug_summarizer

__all__ = [
    "CtxplugContextEdit",
    "LangChainTokenCounter",
    "ctxplug_summarizer",
    "ctxplug_token_counter",
    "expand_tool",
]
