"""From a spec string to a component."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

import pytest

from ctxplug.errors import (
    ComponentConflictError,
    NotFoundError,
    PluginError,
    UnknownComponentError,
)
from ctxplug.hookspecs import Register, hookimpl
from ctxplug.messages import Message
from ctxplug.plugins import KINDS, Plugins
from ctxplug.registry import Registry, is_spec


class Tools:
    """A plugin that offers the given targets as tools."""

    def __init__(self, **targets: Any) -> None:
        self.targets = targets

    @hookimpl
    def register_tools(self, register: Register) -> None:
        for name, target in self.targets.items():
            register(name, target)


def registry_of(**targets: Any) -> Registry:
    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Tools(**targets), "sample")
    return Registry(plugins)


def lazy(monkeypatch: pytest.MonkeyPatch, **attributes: object) -> str:
    """Make the attributes importable from a module and return the module's name."""
    module = types.ModuleType("ctxplug_lazy_sample")
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


def test_a_factory_that_takes_a_parameter_gets_all_after_the_first_colon() -> None:
    registry = registry_of(echo=lambda argument: ["echo", argument])
    assert registry.resolve("tool", "echo:a:b//里斯本") == ["echo", "a:b//里斯本"]
    assert registry.resolve("tool", "echo:") == ["echo", ""]
    assert registry.resolve("tool", "echo") == ["echo", ""]


def test_a_factory_without_parameters_is_called_bare() -> None:
    registry = registry_of(plain=lambda: ["made"], named=lambda *, size=3: [size])
    assert registry.resolve("tool", "plain") == ["made"]
    assert registry.resolve("tool", "plain:") == ["made"]
    assert registry.resolve("tool", "named") == [3]


def test_an_argument_for_a_factory_that_takes_none_is_refused() -> None:
    message = r"'plain:7' has an argument, but the tool 'plain' takes none"
    with pytest.raises(UnknownComponentError, match=message) as caught:
        registry_of(plain=lambda: []).resolve("tool", "plain:7")
    assert (caught.value.kind, caught.value.known) == ("tool", ("plain",))


def test_what_is_no_text_is_the_component_itself() -> None:
    component = object()
    assert registry_of().resolve("tool", component) is component


def test_every_use_makes_a_new_component() -> None:
    registry = registry_of(fresh=lambda: [])
    assert registry.resolve("tool", "fresh") is not registry.resolve("tool", "fresh")


def test_a_text_target_is_imported_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kit:
        @staticmethod
        def make(argument: str) -> list[str]:
            return [argument]

    registry = registry_of(nested="ctxplug_lazy_sample:Kit.make")
    assert "nested" in registry.names("tool")  # though the module is not there yet
    lazy(monkeypatch, Kit=Kit)
    assert registry.resolve("tool", "nested:7") == ["7"]


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    registry = registry_of(alpha=list, bravo=list)
    with pytest.raises(UnknownComponentError) as caught:
        registry.resolve("tool", "charlie:7")
    error = caught.value
    assert (error.kind, error.name, error.known) == (
        "tool",
        "charlie",
        tuple(registry.names("tool")),
    )
    assert {"alpha", "bravo"} <= set(error.known)
    for part in (
        "'charlie'",
        "'charlie:7'",
        "alpha, bravo",
        "`ctxplug plugins`",
        "ctxplug-charlie",
    ):
        assert part in str(error)
    assert isinstance(error, LookupError)


@pytest.mark.parametrize("spec", ["", ":", ":memory:", "no such"])
def test_a_spec_without_a_name_is_unknown(spec: str) -> None:
    with pytest.raises(UnknownComponentError):
        registry_of(alpha=list).resolve("tool", spec)


def test_an_unknown_kind_is_answered_with_the_kinds() -> None:
    with pytest.raises(UnknownComponentError, match="'tokens' is no extension point") as caught:
        registry_of().resolve("tokens", "estimate")
    assert caught.value.known == tuple(KINDS)


def test_a_contested_name_is_refused_and_its_claimants_named() -> None:
    registry = registry_of(clock=list)
    registry.plugins.register(Tools(clock=dict), "second")
    with (
        pytest.warns(UserWarning, match="'clock' is offered by both"),
        pytest.raises(ComponentConflictError, match=r"'sample'.*'second'") as caught,
    ):
        registry.resolve("tool", "clock")
    assert caught.value.plugins == ("sample", "second")


def raises(error: BaseException) -> Any:
    def factory() -> None:
        raise error

    return factory


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("No module named 'torch'"), "needs a package that is not installed.*torch"),
        (ValueError("bad size"), "could not be made: ValueError: bad size"),
        (SystemExit(2), "could not be made: SystemExit: 2"),
    ],
)
def test_a_factory_that_fails_is_charged_to_its_plugin(error: BaseException, message: str) -> None:
    with pytest.raises(PluginError, match=rf"'broken:?' of plugin 'sample' {message}") as caught:
        registry_of(broken=raises(error)).resolve("tool", "broken")
    assert caught.value.plugin == "sample"
    assert caught.value.__cause__ is error


def test_an_error_that_a_factory_raises_on_purpose_passes() -> None:
    error = NotFoundError("There is no such place.")
    with pytest.raises(NotFoundError) as caught:
        registry_of(broken=raises(error)).resolve("tool", "broken")
    assert caught.value is error


def test_an_interrupt_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        registry_of(slow=raises(KeyboardInterrupt())).resolve("tool", "slow")


def test_a_factory_with_too_many_parameters_is_charged_to_its_plugin() -> None:
    with pytest.raises(PluginError, match=r"'sample' could not be made: TypeError"):
        registry_of(greedy=lambda one, two: [one, two]).resolve("tool", "greedy:1")


@pytest.mark.parametrize(
    "target", ["no_such_module_here:make", "json:no_such_name", "ctxplug_exits_sample:make"]
)
def test_a_text_target_that_cannot_be_imported_is_charged_to_its_plugin(
    target: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ctxplug_exits_sample.py").write_text("raise SystemExit(1)")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError, match=rf"'far' of plugin 'sample' could not.*'{target}'"):
        registry_of(far=target).resolve("tool", "far")


def test_a_text_target_must_lead_to_a_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    module = lazy(monkeypatch, number=7)
    with pytest.raises(PluginError, match="which is a int and cannot be called"):
        registry_of(junk=f"{module}:number").resolve("tool", "junk")


def test_a_factory_that_gives_nothing_is_charged_to_its_plugin() -> None:
    with pytest.raises(PluginError, match="gave None instead of a component"):
        registry_of(empty=lambda: None).resolve("tool", "empty")


def test_an_async_factory_is_charged_to_its_plugin() -> None:
    async def later() -> int:
        return 7

    made = []

    def factory() -> Any:
        made.append(later())
        return made[0]

    with pytest.raises(PluginError, match="factories are plain functions"):
        registry_of(later=factory).resolve("tool", "later")
    made[0].close()


def test_names_are_sorted_and_hold_the_built_ins() -> None:
    names = registry_of(zulu=list, alpha=list).names("tool")
    assert names == sorted(names)
    assert {"alpha", "zulu"} <= set(names)
    assert {"estimate", "tiktoken"} <= set(registry_of().names("token counter"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_built_in_component_can_be_imported(kind: str) -> None:
    registry = Registry(Plugins(load_entry_points=False, environ={}))
    for name, component in registry.plugins.components(kind).items():
        assert component.plugin == "ctxplug"
        if isinstance(component.target, str):
            module, _, attribute = component.target.partition(":")
            assert callable(getattr(importlib.import_module(module), attribute)), name


def test_using_a_resolved_component_calls_no_hook() -> None:
    asked: list[str] = []

    class Counters:
        @hookimpl
        def register_token_counters(self, register: Register) -> None:
            asked.append("hook")
            register("other", list)

    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Counters(), "counters")
    counter = Registry(plugins).resolve("token counter", "estimate")
    message = Message("user", "I moved to Lisbon last week. 我上周搬到了里斯本。")
    entered: set[str] = set()

    def profile(frame: types.FrameType, event: str, argument: object) -> None:
        entered.add(frame.f_globals.get("__name__", ""))

    sys.setprofile(profile)
    try:
        counts = [counter.count(message) for _ in range(100)]
    finally:
        sys.setprofile(None)
    assert len(set(counts)) == 1
    assert asked == ["hook"]
    assert "ctxplug.tokens.estimate" in entered
    doors = {"ctxplug.plugins", "ctxplug.registry", "ctxplug.implementation", "ctxplug.hookspecs"}
    assert not {name for name in entered if name in doors or name.partition(".")[0] == "pluggy"}


@pytest.mark.parametrize(
    "text", ["memory:", "sqlite:///agent.db", "tiktoken:o200k_base", "a.b+c-d:x", "数据库:x"]
)
def test_a_name_and_a_colon_make_a_spec(text: str) -> None:
    assert is_spec(text)


@pytest.mark.parametrize(
    "text", ["agent.db", r"C:\data\agent.db", "c:agent.db", "./a:b", "a/b:c", "", ":", "-x:y"]
)
def test_a_path_is_no_spec(text: str) -> None:
    assert not is_spec(text)
