"""MEMORY: what every program of ctxplug may be told of the memories it opens."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ctxplug.settings.setting import Setting

__all__ = ["ENVIRONMENT_ALONE", "MEMORY"]

_SPEC = re.compile(r"\w[\w.+-]+:")
_HERE = frozenset({"sqlite", "memory", "tiktoken", "estimate", "wordllama"})


def _elsewhere(store: str | None) -> bool:
    """Say whether a store is more than a file of this machine: a service, or another's share."""
    return store is not None and (
        store.startswith(("\\\\", "//")) or (_SPEC.match(store) is not None and _loads(store))
    )


def _loads(spec: str | None) -> bool:
    """Say whether a component is other than those that only compute: it may send, or load code."""
    return spec is not None and spec.partition(":")[0] not in _HERE


MEMORY = (
    Setting(
        "store",
        str | None,
        None,
        "The store that a command works on where none is named, such as agent.db.",
        _elsewhere,
    ),
    Setting(
        "namespace", str | None, None, "Whose memory, where a command does not say: acme/alice."
    ),
    Setting("budget", int, 8_000, "Tokens that one model call may take."),
    Setting("model", str | None, None, "The model, which picks token counter, prices and rules."),
    Setting("policy", str, "balanced", "How windows are made, where a request does not say."),
    Setting("counter", str | None, None, "What counts tokens; none: by the model.", _loads),
    Setting("embedder", str | None, None, "What finds by meaning too, such as wordllama.", _loads),
)

# Read where they are needed, by the library too, and never from a file.
ENVIRONMENT_ALONE: Mapping[str, str] = {
    "CTXPLUG_CONFIG": "The file of the settings; empty: none. Default: ctxplug.toml, if it is"
    " there.",
    "CTXPLUG_PLUGINS": "The plugins to load, by entry-point name: a,b; empty: none but the"
    " built-ins.",
    "CTXPLUG_STRICT": "1: a plugin that fails is an error, and not skipped.",
    "CTXPLUG_PRICES": "A file of prices that is laid over the built-in table.",
    "CTXPLUG_MODELS": "A file of models that is laid over the catalogue of ctxplug-anthropic.",
    "CTXPLUG_SERVER_KEY": "The key that RemoteMemory sends to a server, where none is given.",
    "CTXPLUG_DATA": "The folder of the benchmarks' data.",
}
