"""One test for each hook: a plugin that implements it is heard, through the public door."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ctxplug import AgentMemory
from ctxplug.audit import AuditEntry
from ctxplug.errors import AuditError, GuardError, PluginWarning
from ctxplug.events import Event
from ctxplug.hookspecs import Register, hookimpl
from ctxplug.isolation import Guard, Observer
from ctxplug.plugins import KINDS, Plugins
from ctxplug.records import MemoryRecord
from ctxplug.registry import Registry
from ctxplug.scope import Scope

SCOPE = Scope(("acme", "alice"), "trip", "planner")
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def _plugins(**named: object) -> Plugins:
    plugins = Plugins(load_entry_points=False, environ={})
    for name, plugin in named.items():
        plugins.register(plugin, name)
    return plugins


class _Component:
    def __init__(self, argument: str) -> None:
        self.argument = argument


def _offering(hook: str) -> object:
    """Return a plugin whose one hook offers `sample`."""

    def implementation(self: object, register: Register) -> None:
        register("sample", _Component)

    implementation.__name__ = hook
    return type("Plugin", (), {hook: hookimpl(implementation)})()


def _resolved(hook: str) -> _Component:
    """Resolve the sample of a plugin with `hook`; no other kind may offer it."""
    registry = Registry(_plugins(sample=_offering(hook)))
    offered = {KINDS[kind] for kind in KINDS if "sample" in registry.names(kind)}
    assert {hook} == offered
    (kind,) = (kind for kind in KINDS if KINDS[kind] == hook)
    component = registry.resolve(kind, "sample:里斯本:8")
    assert isinstance(component, _Component)
    return component


def test_hook_register_token_counters() -> None:
    assert _resolved("register_token_counters").argument == "里斯本:8"


def test_hook_register_compression_strategies() -> None:
    assert _resolved("register_compression_strategies").argument == "里斯本:8"


def test_hook_register_importance_scorers() -> None:
    assert _resolved("register_importance_scorers").argument == "里斯本:8"


def test_hook_register_memory_backends() -> None:
    assert _resolved("register_memory_backends").argument == "里斯本:8"


def test_hook_register_tools() -> None:
    assert _resolved("register_tools").argument == "里斯本:8"


def test_hook_register_embedders() -> None:
    assert _resolved("register_embedders").argument == "里斯本:8"


def test_hook_register_summarizers() -> None:
    assert _resolved("register_summarizers").argument == "里斯本:8"


def test_hook_register_commands() -> None:
    assert _resolved("register_commands").argument == "里斯本:8"


def test_hook_on_event() -> None:
    seen: list[tuple[str, dict[str, Any]]] = []

    class Spoils:
        @hookimpl
        def on_event(self, event: Event) -> None:
            event.data["who"] = "changed"  # type: ignore[index]

    class Listens:
        @hookimpl
        def on_event(self, event: Event) -> None:
            if event.kind == "bad":
                raise SystemExit(3)
            seen.append((event.kind, dict(event.data)))

    plugins = _plugins(a=Spoils(), b=Listens())
    observers = [Observer(found) for found in plugins.implementations("on_event")]
    data = {"who": "爱丽丝"}
    for kind in ("message.added", "bad", "memory.added"):
        for observer in observers:
            observer.notify(Event(kind, SCOPE, NOW, data))
    assert all(observer.flush(30) for observer in observers)

    assert seen == [("message.added", data), ("memory.added", data)]
    assert data == {"who": "爱丽丝"}
    assert [observer.failed for observer in observers] == [0, 1]


def _record(content: str) -> MemoryRecord:
    return MemoryRecord(
        namespace=SCOPE.namespace, id="1", kind="fact", content=content, created_at=NOW
    )


def test_hook_judge_memory() -> None:
    class Judge:
        @hookimpl
        def judge_memory(self, record: MemoryRecord, scope: Scope) -> MemoryRecord | bool | None:
            if "rumour" in record.content:
                return False
            return record.evolve(tags=(scope.session,)) if "trip" in record.content else None

    (found,) = _plugins(judge=Judge()).implementations("judge_memory")
    guard = Guard(found)
    assert guard(record=_record("a rumour"), scope=SCOPE) is False
    assert guard(record=_record("a trip"), scope=SCOPE).tags == ("trip",)
    assert guard(record=_record("住在里斯本"), scope=SCOPE) is None


def test_hook_redact() -> None:
    class Redactor:
        @hookimpl
        def redact(self, text: str) -> str:  # fewer parameters than the hook has
            return text.replace("密码", "[secret]")

    class Broken:
        @hookimpl
        def redact(self, text: str, scope: Scope) -> str:
            raise ValueError(text)

    plugins = _plugins(broken=Broken(), redactor=Redactor())
    broken, redactor = (Guard(found) for found in plugins.implementations("redact"))
    assert redactor(text="我的密码", scope=SCOPE) == "我的[secret]"
    with pytest.raises(GuardError, match=r"'broken'.*nothing was stored") as caught:
        broken(text="secret", scope=SCOPE)
    assert "secret" not in str(caught.value)


def test_hook_classify() -> None:
    class Classifier:
        @hookimpl
        def classify(self, record: MemoryRecord) -> Any:
            return ("restricted", ["hipaa"]) if "胰岛素" in record.content else None

    with _audited(Classifier()) as memory:
        memory.remember("每天注射胰岛素", tags=["compliance:gdpr", "sensitivity:internal"])
        memory.remember("Prefers window seats")
        sensitive, plain = memory.audit.entries("remember")
    assert (sensitive.sensitivity, sensitive.tags) == ("restricted", ("gdpr", "hipaa"))
    assert (plain.sensitivity, plain.tags) == (None, ())


def test_hook_judge_audit() -> None:
    class Judge:
        @hookimpl
        def judge_audit(self, entry: AuditEntry, scope: Scope) -> Any:
            if entry.what == "forget":
                return bool(entry.purpose)
            return f"{scope.agent} 改了记忆" if entry.what == "update" else None

    with _audited(Judge()) as memory:
        record = memory.remember("Prefers window seats")
        memory.update(record.id, importance=0.9)
        with pytest.raises(AuditError, match="'plugin' refused 'forget'"):
            memory.forget(record.id)
        assert memory.memories() != []
        with memory.audit.purpose("asked to"):
            memory.forget(record.id)
        assert memory.memories() == []
        (alert,) = memory.audit.entries("alert")
        assert alert.data == {"rule": "plugin", "text": "planner 改了记忆", "what": "update"}
        assert [e.what for e in memory.audit.entries()] == [
            "remember",
            "update",
            "alert",
            "forget",
        ]


def _audited(plugin: object) -> AgentMemory:
    return AgentMemory.open(
        namespace=SCOPE.namespace, agent="planner", plugins=_plugins(plugin=plugin)
    )


def test_a_registering_hook_that_fails_costs_its_plugin_that_kind_only() -> None:
    class Half:
        @hookimpl
        def register_tools(self, register: Register) -> None:
            register("half", _Component)
            raise RuntimeError("no more")

        @hookimpl
        def register_embedders(self, register: Register) -> None:
            register("half", _Component)

    plugins = _plugins(half=Half(), whole=_offering("register_tools"))
    with pytest.warns(PluginWarning, match=r"half.*no more"):
        assert list(plugins.components("tool")) == ["sample"]
    assert list(plugins.components("embedder")) == ["half"]
