"""Rebuilding: windows of the past, made again for whoever asks what a model was sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from ctxplug.context import recorded
from ctxplug.context.components import Components
from ctxplug.context.policy import ContextPolicy
from ctxplug.context.recorded import Replayed
from ctxplug.errors import PluginError, UnknownComponentError
from ctxplug.messages import Logged
from ctxplug.registry import Registry
from ctxplug.storage import Backend, Stream
from ctxplug.tokens import TokenCounter


@dataclass(frozen=True)
class Rebuilding:
    """What the windows of a namespace were made with; those of another counter are found."""

    backend: Backend
    counter: TokenCounter
    policy: ContextPolicy
    components: Components
    registry: Registry
    logged: Callable[..., Logged]  # of an entry, by a counter

    def rebuilt(
        self, stream: Stream, data: Mapping[str, Any], parts: Mapping[str, Any]
    ) -> Replayed:
        """Return the window of a session that `data` tells of; see `recorded`."""
        counter = self.counter
        if data["counter"] != counter.name:
            with suppress(PluginError, UnknownComponentError):  # else tokens are by its own
                counter = self.registry.resolve("token counter", data["counter"])
        return recorded.rebuilt(
            data,
            parts,
            backend=self.backend,
            stream=stream,
            counter=counter,
            policy=self.policy,
            components=self.components,
            logged=partial(self.logged, counter=counter),
        )
