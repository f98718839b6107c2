"""docs/stability.md, held: the public API as committed, hooks that grow, names that go slowly."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import re
import sys
import tomllib
import types
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from public_api import SNAPSHOT, of_the_examples, public_names, snapshot

import ctxplug
from ctxplug import AgentMemory, hookspecs
from ctxplug.context.policy import ContextPolicy
from ctxplug.deprecation import CtxplugDeprecationWarning, notice, renamed
from ctxplug.errors import PluginError
from ctxplug.hookspecs import hookimpl, hookspec
from ctxplug.plugins import KINDS, Plugins
from ctxplug.registry import Registry
from ctxplug.scaffold import KINDS as SCAFFOLDS
from ctxplug.scaffold import files_of, names_of

ROOT = Path(__file__).parents[1]
OLD = sorted((Path(__file__).parent / "fixtures").glob("plugin_of_*.py"))
HOOKS = sorted(n for n, f in vars(hookspecs).items() if hasattr(f, "ctxplug_spec"))
# Each hook with every choice of its arguments; one that registers must take its callback.
CHOICES = [
    (hook, chosen)
    for hook in HOOKS
    for n in range(4)
    for chosen in combinations(inspect.signature(getattr(hookspecs, hook)).parameters, n)
    if not hook.startswith("register_") or chosen
]


def alone(plugin: object, name: str = "old") -> Plugins:
    """Return plugins of which `plugin` is the only one that is not built in."""
    plugins = Plugins(load_entry_points=False, environ={"CTXPLUG_STRICT": "1"})
    plugins.register(plugin, name)
    return plugins


# -- the public API ----------------------------------------------------------------


def test_the_public_api_is_as_committed() -> None:
    """If this fails and the change is meant: `python tests/public_api.py`, and a line of
    CHANGELOG.md. What others may have used is deprecated first (docs/stability.md)."""
    pytest.importorskip("numpy")  # the embedder's suite
    committed = SNAPSHOT.read_text("utf-8").splitlines()
    changes = difflib.unified_diff(committed, snapshot().splitlines(), "committed", "now", n=1)
    shown = "\n".join(changes)
    assert not shown, (
        f"The public API is not as committed:\n{shown}\nIf that is meant, run"
        " `python tests/public_api.py` and commit tests/fixtures/public_api.txt with it."
    )


def test_what_examples_and_new_plugins_import_is_listed() -> None:
    sections = re.split(r"^\[(\S+)\]\n", SNAPSHOT.read_text("utf-8"), flags=re.MULTILINE)
    listed = dict(zip(sections[1::2], sections[2::2], strict=True))
    public = public_names()
    for module, names in of_the_examples():
        for name in sorted(names & public[module]):
            assert re.search(rf"^(class |def )?{name}\b", listed.get(module, ""), re.MULTILINE), (
                f"An example imports {module}.{name}: run `python tests/public_api.py`."
            )


def test_a_change_of_the_api_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numpy")
    before = snapshot()

    def forget(self: AgentMemory, id: str) -> None:
        """The verb, with its argument renamed."""

    with monkeypatch.context() as patched:
        patched.setattr(AgentMemory, "forget", forget)
        assert changed(before, snapshot()) == {"    forget(record_id: str)", "    forget(id: str)"}
    with monkeypatch.context() as patched:
        patched.setattr(hookspecs, "redact", hookspecs.on_event)
        gone = "def redact(text: str, scope: Scope) -> str | None"
        assert changed(before, snapshot()) == {gone, "def redact(event: Event)"}
    assert snapshot() == before, "it says nothing that changes by itself"


def changed(before: str, after: str) -> set[str]:
    """Return the lines that are in one of two texts."""
    return set(before.splitlines()) ^ set(after.splitlines())


@pytest.mark.parametrize("name", sorted(public_names()))
def test_public_modules_are_importable_by_their_own_name(name: str) -> None:
    assert pytest.importorskip(name, exc_type=ImportError).__name__ == name
    assert not any(part.startswith("_") for part in name.split("."))


# -- plugins and versions ----------------------------------------------------------


def needs() -> Iterator[tuple[str, str]]:
    """Yield who depends on ctxplug, and how: ours, and what the scaffold writes."""
    for path in sorted(ROOT.glob("*/*/pyproject.toml")):
        project = tomllib.loads(path.read_text("utf-8"))["project"]
        yield from ((project["name"], need) for need in project.get("dependencies", ()))
    for kind in SCAFFOLDS:
        project = tomllib.loads(files_of(names_of("mine"), kind)["pyproject.toml"])["project"]
        yield from ((kind, need) for need in project["dependencies"])


def test_plugins_take_every_later_version_before_1() -> None:
    """A cap at the next minor version would keep users from updating anything."""
    found = [(who, need) for who, need in needs() if re.match(r"ctxplug\b(?!-)", need)]
    assert len(found) > len(SCAFFOLDS)
    assert not [one for one in found if not re.fullmatch(r"ctxplug>=0\.\d+,<1", one[1])]


# -- hooks grow --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "chosen"), CHOICES, ids=[f"{hook}-{'-'.join(chosen)}" for hook, chosen in CHOICES]
)
def test_an_implementation_may_name_fewer_arguments_than_the_hook(
    hook: str, chosen: Sequence[str]
) -> None:
    seen: list[tuple[Any, ...]] = []
    namespace: dict[str, Any] = {"seen": seen}
    code = f"def {hook}({', '.join(chosen)}): seen.append(({''.join(f'{c}, ' for c in chosen)}))"
    exec(code, namespace)
    plugin = types.SimpleNamespace(**{hook: hookimpl(namespace[hook])})
    plugins = alone(plugin)
    (found,) = (i for i in plugins.implementations(hook) if i.plugin == "old")
    arguments = {name: object() for name in inspect.signature(getattr(hookspecs, hook)).parameters}
    found(**arguments)
    assert seen == [tuple(arguments[name] for name in chosen)]


@pytest.mark.parametrize("hook", [h for h in HOOKS if not h.startswith("register_")])
def test_a_hook_that_gains_an_argument_keeps_its_old_implementations(
    hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    namespace: dict[str, Any] = {}
    exec(
        f"def {hook}({', '.join([*known, 'added_later'])}): 'The hook of a later version.'",
        namespace,
    )
    monkeypatch.setattr(hookspecs, hook, hookspec(namespace[hook]))
    exec(f"def {hook}({', '.join(known)}): return ({', '.join(known)},)", namespace)
    plugins = alone(types.SimpleNamespace(**{hook: hookimpl(namespace[hook])}))
    (found,) = plugins.implementations(hook)
    arguments = {name: object() for name in known}
    assert found(**arguments, added_later=object()) == tuple(arguments.values())


def test_an_argument_that_the_hook_does_not_have_is_refused() -> None:
    def redact(text: str, added_later: object) -> str:
        return text

    with pytest.raises(PluginError, match="added_later"):
        alone(types.SimpleNamespace(redact=hookimpl(redact)))


# -- plugins of older versions -----------------------------------------------------


@pytest.fixture(params=OLD, ids=lambda path: path.stem)
def old(request: pytest.FixtureRequest) -> Any:
    """Return a plugin as it was written for an older version, newly imported."""
    spec = importlib.util.spec_from_file_location(request.param.stem, request.param)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_old_plugin_has_every_component_it_offers(old: Any) -> None:
    plugins = alone(old)
    registry = Registry(plugins)
    (found,) = (info for info in plugins.list() if info.name == "old")
    assert (found.status, found.errors) == ("loaded", ())
    assert set(found.components) == set(KINDS), "it offers one of each kind"
    for kind, names in found.components.items():
        for name in names:
            argument = ":" if kind == "memory backend" else ""
            assert registry.resolve(kind, name + argument) is not None


def test_an_old_plugin_works_in_a_memory(old: Any) -> None:
    pytest.importorskip("numpy")
    plugins = alone(old)
    version = old.__name__.removeprefix("plugin_of_").replace("_", "-")
    policy = ContextPolicy(
        scorers={f"questions-{version}": 0.5, "recency": 0.5},
        strategies=(f"keep-newest-{version}", "summarize", "drop-low-priority"),
        summarizer=f"first-sentences-{version}",
        keep_last=1,
    )
    with AgentMemory.open(
        f"scratch-{version}:",
        namespace="acme/alice",
        budget=1_500,
        policy=policy,
        counter=f"characters-{version}",
        embedder=f"vowels-{version}",
        plugins=plugins,
        audit="all",
    ) as memory:
        memory.add("user", "My card is 4111 1111 1111 1111. 卡号是 4111 1111 1111 1111。")
        for n in range(6):
            memory.add("user", f"Day {n}. We walked to the old town. " * 6)
            memory.add("assistant", f"第{n}天，我记下了。" * 20)
        memory.add("user", "Which seat does she like? 她喜欢哪个座位？")
        record = memory.remember("She needs 胰岛素 every day", importance=1.0)
        window = memory.context()
        assert "4111" not in str([m.text for m in memory.messages()])
        assert memory.counter.count_text("里斯本") == 3
        assert window.tokens <= 1_500
        assert any("Day 0" in m.text for m in window.messages), "its summarizer was asked"
        assert memory.recall("胰岛素", kinds="fact")[0].record.importance == 0.9
        assert memory.tools.call("convert", {"amount": 2.5}).text == "5.0"
        memory.forget(record.id)
        assert "A memory was removed." in str([e for e in memory.audit.entries()])
    assert {"message.added", "memory.remembered"} <= {kind for kind, *_ in old.SEEN}


# -- names that go -----------------------------------------------------------------


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Return a module of which a name was renamed."""
    module = types.ModuleType("rooms.old_place")
    names = {"OldMessage": "ctxplug.messages:Message"}
    module.__getattr__ = renamed(module.__name__, names, since="0.3", until="0.5")  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_a_renamed_name_warns_and_still_works(moved: types.ModuleType) -> None:
    text = r"rooms\.old_place\.OldMessage is deprecated since ctxplug 0\.3 and will be gone in 0\.5"
    with pytest.warns(CtxplugDeprecationWarning, match=text) as told:
        assert moved.OldMessage is ctxplug.Message
    assert "use ctxplug.messages.Message instead" in str(told[0].message)
    assert told[0].filename == __file__, "it points at the line that is to be changed"
    with pytest.raises(AttributeError, match=r"'rooms\.old_place' has no attribute 'Other'"):
        _ = moved.Other


def test_deprecation_is_shown_where_python_shows_it() -> None:
    """In tests by default, and to those who run the program only where they ask for it."""
    assert issubclass(CtxplugDeprecationWarning, DeprecationWarning)


def test_a_deprecated_hook_warns_its_plugin_and_still_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = notice("The hook redact", since="0.3", until="0.5", instead="judge_text")
    monkeypatch.setattr(hookspecs, "redact", hookspec(warn_on_impl=text)(_old_redact))
    plugin = types.SimpleNamespace(redact=hookimpl(_without_numbers))
    with pytest.warns(CtxplugDeprecationWarning, match="The hook redact is deprecated since"):
        plugins = alone(plugin)
    with AgentMemory.open("memory:", namespace="acme/alice", plugins=plugins) as memory:
        assert memory.add("user", "座位 11A").text == "座位 ##A"


def redact(text: str, scope: Any) -> None:
    """Stand for the hook as it was."""


_old_redact = redact


def _without_numbers(text: str) -> str:
    return re.sub(r"\d", "#", text)
