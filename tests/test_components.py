"""Every component that is registered has a conformance test, built in or of a plugin of ours.

A component of a new plugin is found by itself: what is installed is asked. Its test is a class
that inherits the suite of its kind and names the component, by its spec (`"digest"`), its
factory, or the class that this returns. Commands are exempt: they have no law.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from component_tests import ROOT, Subclass, hooks_in, makers, modules_of_tests, subclasses

from ctxplug import hookimpl, hookspecs, testing
from ctxplug.plugins import BUILTIN, KINDS, Component, Plugins, installed

SUITES = {
    "token counter": "TokenCounterSuite",
    "compression strategy": "CompressionStrategySuite",
    "importance scorer": "ImportanceScorerSuite",
    "memory backend": "MemoryBackendSuite",
    "tool": "ToolSuite",
    "embedder": "EmbedderSuite",
    "summarizer": "SummarizerSuite",
}
WITHOUT_A_LAW = {"command"}
HOOK_SUITES = {
    "redact": "GuardSuite",
    "judge_memory": "GuardSuite",
    "classify": "GuardSuite",
    "judge_audit": "GuardSuite",
    "on_event": "ObserverSuite",
}
# Their suites run, but not by default: what they need is too large to be had everywhere.
NOT_BY_DEFAULT = {("embedder", "sentence-transformers"): "needs torch and a model"}


@cache
def ours() -> dict[str, Path]:
    """Return the folders of the distributions of this repository, by entry point."""
    found = {BUILTIN: ROOT}
    for file in [
        *ROOT.glob("plugins/*/pyproject.toml"),
        *ROOT.glob("integrations/*/pyproject.toml"),
    ]:
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        points = project.get("entry-points", {}).get("ctxplug", {})
        found |= dict.fromkeys(points, file.parent)
    return found


def registered(plugins: Plugins) -> Iterator[Component]:
    """Yield what plugins of this repository register, commands apart."""
    for kind in KINDS:
        for component in plugins.components(kind).values():
            if kind not in WITHOUT_A_LAW and component.plugin in ours():
                yield component


def target_of(component: Component) -> str:
    """Return the target of a component as text."""
    target = component.target
    return target if isinstance(target, str) else f"{target.__module__}:{target.__qualname__}"


def suites_of(component: Component, suite: str = "") -> list[Subclass]:
    """Return the subclasses of its suite that test `component`, among its distribution's tests."""
    suite, known = suite or SUITES[component.kind], makers(target_of(component))
    folder = ours()[component.plugin] / "tests"
    every = [found for path in modules_of_tests() for found in subclasses(path)]
    own = [found for found in every if found.path.is_relative_to(folder)]
    return [found for found in own if found.suite == suite and found.tests(component.name, known)]


def missing(plugins: Plugins) -> list[str]:
    """Return a sentence for each component without a conformance test that runs by default."""
    found = []
    for component in registered(plugins):
        tests = suites_of(component)
        if (component.kind, component.name) not in NOT_BY_DEFAULT:
            tests = [test for test in tests if not test.marks]
        if not tests:
            found.append(
                f"The {component.kind} {component.name!r} of {component.plugin!r} has no"
                f" conformance test: subclass ctxplug.testing.{SUITES[component.kind]} in the"
                f" tests of its distribution, and return it from the fixture."
            )
    return found


# -- what is there ---------------------------------------------------------------------------


def test_every_registered_component_runs_its_suite() -> None:
    assert not missing(installed()), "\n".join(missing(installed()))


def test_every_plugin_that_guards_or_observes_runs_its_suite() -> None:
    for name, folder in ours().items():
        packages = [folder / "ctxplug"] if name == BUILTIN else [
            path for path in folder.iterdir() if (path / "__init__.py").exists()
        ]  # fmt: skip
        hooks = {h for p in packages if p.name != "testing" for h in hooks_in(p)} & set(HOOK_SUITES)
        if name == BUILTIN:  # what the kit itself tests with is no plugin
            hooks -= set(hooks_in(ROOT / "ctxplug" / "testing"))
        tests = {
            found.suite
            for path in modules_of_tests()
            for found in subclasses(path)
            if path.is_relative_to(folder / "tests") and not found.marks
        }
        for hook in hooks:
            assert HOOK_SUITES[hook] in tests, (
                f"{name!r} implements {hook}: subclass ctxplug.testing.{HOOK_SUITES[hook]} in"
                f" {folder.name}/tests"
            )


def test_every_backend_runs_the_suite_of_isolation() -> None:
    """By default or not: it takes long, and what it looks at is the same for all backends."""
    backends = [one for one in registered(installed()) if one.kind == "memory backend"]
    assert not [one.name for one in backends if not suites_of(one, "IsolationSuite")]


def test_every_plugin_of_this_repository_is_installed_where_one_is() -> None:
    plugins = {info.name: info for info in installed().list()}
    there = set(ours()) & set(plugins) - {BUILTIN}
    if not there:
        pytest.skip("the core is tested alone")
    assert set(ours()) - set(plugins) == set(), "run `python3 dev.py test`, which installs them"
    assert [info for name, info in plugins.items() if name in ours() and info.errors] == []


def test_every_kind_and_every_judging_hook_has_a_suite() -> None:
    assert set(SUITES) | WITHOUT_A_LAW == set(KINDS)
    judging = {n for n, f in vars(hookspecs).items() if hasattr(f, "ctxplug_spec")}
    assert set(HOOK_SUITES) == judging - set(KINDS.values())
    pytest.importorskip("numpy")  # of the suite of embedders
    for suite in {*SUITES.values(), *HOOK_SUITES.values()}:
        assert any(name.startswith("test_") for name in dir(getattr(testing, suite)))


def test_what_is_exempt_is_still_there_and_has_a_suite() -> None:
    components = {(c.kind, c.name): c for c in registered(installed())}
    for key in NOT_BY_DEFAULT.keys() & components.keys():
        assert suites_of(components[key]), key


# -- and what would be missed ------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(SUITES))
def test_a_component_without_a_test_is_missed(kind: str) -> None:
    def offer(register: Any) -> None:
        register("brand-new", "ctxplug.builtins:register_tools_of_nobody")

    offer.__name__ = KINDS[kind]
    plugins = Plugins(load_entry_points=False, environ={"CTXPLUG_STRICT": "1"})
    plugins.register(type("New", (), {KINDS[kind]: staticmethod(hookimpl(offer))})(), "chroma")
    if not (ROOT / "plugins" / "ctxplug-chroma").exists():
        pytest.skip("only the core is here")
    [sentence] = [s for s in missing(plugins) if "brand-new" in s]
    assert f"The {kind} 'brand-new' of 'chroma'" in sentence
    assert SUITES[kind] in sentence


WITH_FIXTURE = """
import pytest
from ctxplug.testing import CompressionStrategySuite

{marks}
class {name}({base}):
    @pytest.fixture
    def strategy(self):
        return {made}
"""


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, True),
        ({"made": "digest.Digest()"}, True),
        ({"made": "resolve('digest')"}, True),
        ({"made": "resolve('digest:90')"}, True),
        ({"made": "made()", "after": "def made():\n    return Digest()"}, True),
        ({"made": "resolve('digesting')"}, False),
        ({"made": "Dedupe()"}, False),
        ({"made": "other()  # Digest"}, False),
        ({"base": "EmbedderSuite"}, False),
        ({"name": "Digesting"}, False),
        ({"marks": "@pytest.mark.skip(reason='later')"}, False),
        ({"marks": "@pytest.mark.slow"}, False),
        ({"after": "pytestmark = [pytest.mark.skipif(True, reason='never')]"}, False),
    ],
)
def test_a_test_counts_if_it_names_the_component_and_runs(
    tmp_path: Path, change: dict[str, str], found: bool
) -> None:
    values = {"marks": "", "name": "TestIt", "base": "CompressionStrategySuite", "made": "Digest()"}
    path = tmp_path / "test_new.py"
    path.write_text(WITH_FIXTURE.format(**values | change) + change.get("after", ""))
    known = makers("ctxplug.compression.digest:Digest")
    tests = [
        test
        for test in subclasses(path)
        if test.suite == SUITES["compression strategy"]
        and test.tests("digest", known)
        and not test.marks
    ]
    assert bool(tests) == found


def test_what_makes_a_component_is_found_without_importing_it() -> None:
    assert makers("ctxplug.storage.sqlite:open_sqlite") == {"open_sqlite", "SqliteBackend"}
    assert makers("ctxplug.compression.digest:Digest") == {"Digest"}
    counter = makers("ctxplug.tokens.tiktoken_counter:tiktoken_counter")
    assert counter == {"tiktoken_counter"}, "what several factories return names none of them"
