"""The token counter "anthropic": Anthropic's own counting endpoint, cached, with a fallback."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctxplug import Message, anthropic_format, codec
from ctxplug.errors import InvalidValueError
from ctxplug.tokens import MessageCounter
from ctxplug.tokens.estimate import estimate

if TYPE_CHECKING:
    from anthropic import Anthropic

DEFAULT_MODEL = "claude-haiku-4-5"
SAFETY = 1.35  # an estimate takes the place of a count, and newer tokenizers yield more tokens
MARGIN, MARGIN_ESTIMATED = 0.02, 0.10  # sums of messages differ a little from the whole request
LONGEST = 2_000_000  # characters; a longer text is estimated rather than sent
_PROBE = "a"  # one token, so that what a request costs besides its text can be told

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Count:
    """The input tokens of a request; `estimated` where the endpoint did not answer."""

    tokens: int
    estimated: bool


class AnthropicCounter:
    """Count with `POST /v1/messages/count_tokens`.

    Unlike other counters it uses the network: each text that was not counted before is one
    request, of at most `timeout` seconds and not retried. The last `cache_size` counts are
    kept. Where the endpoint fails, counts are 1.35 times ctxplug's estimate, `estimated` is
    True, and for `pause` seconds the endpoint is not asked again, so that an outage costs
    one timeout and not one for each message. A fallback is never kept as a count.
    `count_request` counts a whole request exactly. Usable from any thread.
    """

    request_tokens = 3

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        client: Anthropic | None = None,
        timeout: float = 5.0,
        cache_size: int = 10_000,
        pause: float = 30.0,
    ) -> None:
        if not model or not timeout > 0 or cache_size < 1 or pause < 0:
            raise InvalidValueError(
                "The counter takes a model's name, a timeout above 0, cache_size from 1 and pause"
                f" from 0, not {model!r}, {timeout!r}, {cache_size!r} and {pause!r}."
            )
        self.model = model
        self.name = f"anthropic:{model}"
        self._client = client
        self._timeout = timeout
        self._pause = pause
        self._size = cache_size
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()
        self._down_until = 0.0
        self._failed = False
        self._estimate = estimate("claude")
        self._messages = MessageCounter(self.name, self.count_text)

    @property
    def estimated(self) -> bool:
        """Whether the newest count that the endpoint was needed for is an estimate."""
        return self._failed

    @property
    def margin(self) -> float:
        """The share of a budget to keep free."""
        return MARGIN_ESTIMATED if self._failed else MARGIN

    def count(self, message: Message) -> int:
        """Return the tokens of one message, its framing included; sums over messages hold."""
        return self._messages.count(message)

    def count_text(self, text: str) -> int:
        """Return the tokens of bare text, without any framing."""
        if not text.strip() or len(text) > LONGEST:  # the endpoint takes neither
            return self._estimate.count_text(text)
        whole, bare = self._asked(_request(text)), self._asked(_request(_PROBE))
        if whole is None or bare is None:
            return int(self._estimate.count_text(text) * SAFETY) + 1
        return max(whole - bare + 1, 1)

    def count_request(
        self,
        messages: Sequence[Message] | Sequence[Mapping[str, Any]],
        *,
        system: str | Sequence[Mapping[str, Any]] | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> Count:
        """Return the input tokens of a whole request, as the API will bill it.

        `messages` are ours or Anthropic's dicts; system messages among ours stand for
        `system` where that is left out.
        """
        ours = [m for m in messages if isinstance(m, Message)]
        wire: list[Any] = list(messages)
        if ours:
            blocks, wire = anthropic_format.to_messages(ours)
            system = system or blocks
        body: dict[str, Any] = {"messages": wire}
        if system:
            body["system"] = system if isinstance(system, str) else list(system)
        if tools:
            body["tools"] = list(tools)
        tokens = self._asked(body)
        if tokens is not None:
            return Count(tokens, False)
        text = codec.encode(codec.plain(body)).decode("utf-8", "replace")
        return Count(int(self._estimate.count_text(text) * SAFETY) + 1, True)

    def _asked(self, body: Mapping[str, Any]) -> int | None:
        """Return the endpoint's count of `body`, kept or fresh, or None."""
        key = hashlib.sha256(codec.canonical(codec.plain(body))).digest()
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
            if time.monotonic() < self._down_until:
                return None
        try:
            tokens = self._counted(body)
        except Exception as exc:  # whatever is wrong there, a count is needed here
            self._note(exc)
            return None
        with self._lock:
            self._failed = False
            self._known[key] = tokens
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return tokens

    def _counted(self, body: Mapping[str, Any]) -> int:
        if self._client is None:
            from anthropic import Anthropic

            self._client = Anthropic()
            weakref.finalize(self, self._client.close)
        client = self._client.with_options(max_retries=0, timeout=self._timeout)
        tokens = client.messages.count_tokens(model=self.model, **body).input_tokens
        if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:
            raise ValueError(f"it answered {tokens!r:.60} tokens")
        return tokens

    def _note(self, exc: Exception) -> None:
        with self._lock:
            self._down_until = time.monotonic() + self._pause
            self._failed = True
        _log.warning(
            "Anthropic's token counting failed (%s); counts are estimates for %g seconds.",
            type(exc).__name__,
            self._pause,
        )


def anthropic_counter(model: str | None = None) -> AnthropicCounter:
    """Return the counter of the spec "anthropic:MODEL"; the key is in ANTHROPIC_API_KEY."""
    return AnthropicCounter(model or DEFAULT_MODEL)


def _request(text: str) -> dict[str, Any]:
    clean = text.encode("utf-8", "replace").decode()
    return {"messages": [{"role": "user", "content": clean}]}
