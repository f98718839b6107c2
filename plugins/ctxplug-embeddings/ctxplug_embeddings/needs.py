"""Import a library at first use, or say what to install."""

from __future__ import annotations

import importlib
from typing import Any

from ctxplug.errors import PluginError


def needed(module: str, install: str) -> Any:
    """Return the module, or raise PluginError that says how to `install` it."""
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise PluginError(
            f"This embedder needs {module!r}, which cannot be imported ({exc}); run"
            f" `pip install {install}`.",
            plugin="embeddings",
        ) from exc
