"""CtxplugMemory, the memory of classic chains; it needs the extra `classic`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

__all__ = ["CtxplugMemory"]

if TYPE_CHECKING or find_spec("langchain_classic") is not None:
    from langchain_ctxplug.classic_memory import CtxplugMemory
else:

    class CtxplugMemory:
        """What says that langchain-classic is missing."""

        def __init__(self, *args: Any, **options: Any) -> None:
            raise ImportError(
                "CtxplugMemory is the memory of classic chains and needs langchain-classic:"
                " pip install 'langchain-ctxplug[classic]'. New agents take CtxplugMiddleware."
            )
