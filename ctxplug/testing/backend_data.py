"""What the backend suite writes: builders, adversarial texts, and strategies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from ctxplug.errors import UnsupportedError
from ctxplug.messages import Message
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import Append, Backend, Stream, Where
from ctxplug.testing.suite import from_threads

START = datetime(2026, 1, 31, 12, 30, 15, 123456, tzinfo=UTC)
NS: Namespace = ("acme", "alice")
STREAM = Stream(NS, "trip")
EACH = 10

# One backend serves all examples of a property, each in a namespace of its own.
PROPERTY = settings(
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)

# Namespaces that a careless LIKE, case folding, prefix or separator would mix up.
NAMESPACES: list[Namespace] = [
    ("a",),
    ("A",),
    ("a", "b"),
    ("a", "b", "c"),
    ("a.b",),
    ("a%",),
    ("a_",),
    ("a*",),
    ("a'--",),
    ('a"b',),
    ("ab",),
    ("a ",),
    ("a\u200b",),
    ("n1",),
    ("é",),
    ("爱丽丝",),
    ("爱丽丝", "旅行"),
    ("😀",),
]

TEXTS = [
    "",
    " ",
    "\0",
    "a\0b",
    "line\nline\r\n\u2028end",
    "\ufeffBOM",
    "\ufdd0",
    "\ufdd0d800",
    "\ud800",
    "\udfff\ud800 lone surrogates",
    "\ud83d and \ude00 apart",
    "e\u0301 is not é",
    "她住在里斯本，喜欢靠窗的座位。",
    "👩\u200d👩\u200d👧 😀",
    "{x.__class__} {{7*7}} %s '; DROP TABLE entries; --",
    '{"lc": 1, "__class__": "x"}',
    "𝒳" * 1000,
    "1 MB 一兆 " * 100_000,
]

# Words that a query language would take for its own.
ODD_TERMS = [
    'hello"',
    '"',
    '""',
    "*",
    "hel*",
    "near(",
    "-x",
    "col:x",
    "terms:x",
    "()",
    "{a}",
    "^a",
    "a+b",
    "and",
    "or",
    "not",
    "'",
    ";",
    "%",
    "\\",
    "c++",
    "里斯",
    "😀",
    "x" * 64,
]

_numbers = count(1)


def fresh_namespace() -> Namespace:
    """Return a namespace that no earlier call returned."""
    return ("fresh", f"n{next(_numbers)}")


def at(seconds: float) -> datetime:
    """Return a time that many seconds after the start."""
    return START + timedelta(seconds=seconds)


def note(number: int, stream: Stream = STREAM, **fields: Any) -> Append:
    """Return an Append of a small entry that tells which it is."""
    fields = {"kind": "note", "created_at": at(number), **fields}
    return Append(stream=stream, body={"number": number}, **fields)


def said(text: str, terms: str | None = None, stream: Stream = STREAM, **fields: Any) -> Append:
    """Return an Append of a user's message, searchable by `terms`."""
    message = Message("user", text, created_at=START, metadata=fields.pop("metadata", None))
    body = {"message": message.to_dict(), "tokens": {"estimate": 3}}
    return Append(stream=stream, kind="message", body=body, created_at=START, terms=terms, **fields)


def memory(id: str, content: str = "content", **fields: Any) -> MemoryRecord:
    """Return a record of NS unless `fields` say otherwise."""
    values = {"namespace": NS, "kind": "fact", "created_at": START, **fields}
    return MemoryRecord(id=id, content=content, **values)


def numbers(entries: list[Any]) -> list[int]:
    """Return which notes these entries are."""
    return [entry.body["number"] for entry in entries]


def elsewhere(work: Callable[[], Any]) -> None:
    """Run `work` in another thread; raise AssertionError if it raises."""
    from_threads(lambda number: work(), 1)


def require_refused(
    backend: Backend, capability: str, calls: Mapping[str, Callable[[], Any]]
) -> None:
    """Fail unless each of `calls` is refused as what `backend` does not declare (rule 8)."""
    for name, call in calls.items():
        rule = (
            f"{type(backend).__name__} does not declare {capability!r}, so {name} has to raise"
            f" UnsupportedError with capability={capability!r}"
        )
        try:
            call()
        except UnsupportedError as exc:
            assert exc.capability == capability, f"{rule}, not {exc.capability!r}"
        except Exception as exc:
            raise AssertionError(f"{rule}; it raised {exc!r:.200}") from exc
        else:
            raise AssertionError(f"{rule}; it raised nothing")


# -- strategies ----------------------------------------------------------------------

KEYS = ["a", "a.b", "$.a", "$", "a[0]", "'", '"', "\n", "", "键", "version", "a\0b", "\ud800"]
WORDS = ["lisbon", "window", "seat", "里斯", "斯本", "a-b", '"', "*", "n1", "not"]

texts = st.one_of(st.sampled_from(TEXTS[:-1]), st.text(st.characters(codec=None), max_size=20))
values = st.recursive(
    st.sampled_from([None, True, False, 0, 1, -7, 2**63 - 1, 0.5, 1e22, 1e-7, "", "1", "true"])
    | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=4,
)
metadatas = st.dictionaries(st.sampled_from(KEYS), values, max_size=3)
_moments = st.integers(0, 4).map(at)
_maybe_moment = st.none() | _moments
_names = st.sampled_from(["x", "X", "x.y", "张三", "\ud800", "\ud801"])


@st.composite
def memories(draw: st.DrawFn) -> list[tuple[MemoryRecord, str | None]]:
    """Draw records with ids 0, 1, ... and the terms of each, values from small sets."""
    drawn = []
    for number in range(draw(st.integers(0, 6))):
        fields: Mapping[str, Any] = draw(
            st.fixed_dictionaries(
                {
                    "kind": _names,
                    "tier": st.sampled_from(["short", "medium", "long"]),
                    "tags": st.lists(_names, max_size=3, unique=True).map(tuple),
                    "metadata": metadatas,
                    "created_at": _moments,
                    "expires_at": _maybe_moment,
                    "valid_from": _maybe_moment,
                    "valid_to": _maybe_moment,
                    "session": st.none() | _names,
                    "agent": st.none() | _names,
                    "content": texts,
                }
            )
        )
        terms = draw(st.none() | st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join))
        drawn.append((memory(str(number), **fields), terms))
    return drawn


@st.composite
def filters(draw: st.DrawFn) -> Where:
    """Draw a Where of NS with few conditions, so that some records are found."""
    some_names = st.lists(_names, max_size=3)
    conditions: dict[str, st.SearchStrategy[Any]] = {
        "ids": st.lists(st.sampled_from("012345"), max_size=5),
        "kinds": some_names,
        "tiers": st.lists(st.sampled_from(["short", "medium", "long"]), min_size=1),
        "tags": st.lists(_names, max_size=2),
        "session": _names,
        "agent": _names,
        "since": _moments,
        "until": _moments,
        "valid_at": _moments,
        "metadata": st.dictionaries(st.sampled_from(KEYS), values, max_size=1),
        "now": _moments,
        "not_kinds": some_names,
    }
    chosen = draw(st.lists(st.sampled_from(sorted(conditions)), max_size=3, unique=True))
    return Where(NS, **{name: draw(conditions[name]) for name in chosen})
