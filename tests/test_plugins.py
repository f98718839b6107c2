"""Plugins as real distributions: wheels built here, installed, found by their entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import tomllib
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from ctxplug.errors import ComponentConflictError, CtxplugError, PluginError, PluginWarning
from ctxplug.hookspecs import Register, hookimpl
from ctxplug.plugins import PluginInfo, Plugins
from ctxplug.registry import Registry

SHOUT = Path(__file__).parent / "fixtures" / "ctxplug-shout"

GOOD = """
    from ctxplug import hookimpl

    class Sample:
        pass

    @hookimpl
    def register_tools(register):
        register("{name}-tool", Sample)
"""


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of a pure Python project as its pyproject.toml says, without a network."""
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    meta = table["project"]
    stem = f"{meta['name'].replace('-', '_')}-{meta['version']}"
    info = f"{stem}.dist-info"
    wheel = folder / f"{stem}-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {meta['name']}\nVersion: {meta['version']}\n"
    metadata += "".join(f"Requires-Dist: {need}\n" for need in meta.get("dependencies", ()))
    files = {
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": "".join(
            f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
            for group, points in meta["entry-points"].items()
        ),
    }
    for package in table["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        for path in sorted((project / package).rglob("*.py")):
            files[path.relative_to(project).as_posix()] = path.read_text(encoding="utf-8")
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Make, build and install a distribution `ctxplug-NAME` whose entry point is NAME."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def install(
        name: str, code: str = GOOD, *, version: str = "1.0", point: str = "", attribute: str = ""
    ) -> None:
        project = tmp_path / f"ctxplug-{name}"
        module = f"ctxplug_test_{name}"
        (project / module).mkdir(parents=True)
        source = textwrap.dedent(code).replace("{name}", name)
        (project / module / "__init__.py").write_text(source, encoding="utf-8")
        (project / "pyproject.toml").write_text(
            f'[project]\nname = "ctxplug-{name}"\nversion = "{version}"\n'
            f'[project.entry-points.ctxplug]\n{point or name} = "{module}{attribute}"\n'
            f'[tool.hatch.build.targets.wheel]\npackages = ["{module}"]\n',
            encoding="utf-8",
        )
        with zipfile.ZipFile(build_wheel(project, tmp_path)) as archive:
            archive.extractall(site)

    yield install
    for name in set(sys.modules) - before:
        if name.startswith("ctxplug_test_"):
            del sys.modules[name]


def load(chosen: str, **environ: str) -> Plugins:
    """Load the plugins named, and no others that this environment may have."""
    return Plugins(environ={"CTXPLUG_PLUGINS": chosen, **environ})


def info(plugins: Plugins, name: str) -> PluginInfo:
    (found,) = (found for found in plugins.list() if found.name == name)
    return found


def assert_host_works(plugins: Plugins) -> None:
    counter = Registry(plugins).resolve("token counter", "estimate")
    assert counter.count_text("Hello, world") > 0
    assert "sqlite" in plugins.components("memory backend")


# -- a good plugin -----------------------------------------------------------------


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, **environ},
        check=False,
    )


def test_an_installed_distribution_is_found_by_its_entry_point(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_wheel(SHOUT, tmp_path)) as archive:
        archive.extractall(tmp_path / "site")
    code = """
        import json, sys
        from dataclasses import asdict
        from ctxplug import Message
        from ctxplug.plugins import installed
        from ctxplug.registry import Registry

        plugins = installed()
        shout, = (asdict(found) for found in plugins.list() if found.name == "shout")
        lazy = "ctxplug_shout.counter" not in sys.modules
        counter = Registry(plugins).resolve("token counter", "shout:3")
        counts = [counter.name, counter.count_text("COME here NOW"), counter.count(
            Message("user", "我 SAID stop"))]
        print(json.dumps([shout, lazy, counts]))
    """
    done = run(code, PYTHONPATH=str(tmp_path / "site"), CTXPLUG_PLUGINS="shout")
    assert (done.returncode, done.stderr) == (0, "")
    found, lazy, counts = json.loads(done.stdout)
    assert found == {
        "name": "shout",
        "status": "loaded",
        "distribution": "ctxplug-shout",
        "version": "1.2.3",
        "components": {"token counter": ["shout"]},
        "hooks": ["register_token_counters"],
        "errors": [],
    }
    assert lazy
    assert counts == ["shout:3", 7, 4 + 5]


def test_plugins_load_sorted_by_name_after_the_built_ins(install: Install) -> None:
    for name in ("mike", "alpha", "zulu"):
        install(name)
    plugins = load("zulu, alpha ,mike")
    hooks = plugins.implementations("register_tools")
    assert [hook.plugin for hook in hooks if hook.plugin != "ctxplug"] == ["alpha", "mike", "zulu"]
    assert [n for n in plugins.components("tool") if n.endswith("-tool")] == [
        "alpha-tool",
        "mike-tool",
        "zulu-tool",
    ]


def test_every_component_names_the_plugin_that_offers_it(install: Install) -> None:
    install("alpha")
    install("bravo", version="2.5")
    plugins = load("alpha,bravo")
    tools = plugins.components("tool")
    assert (tools["alpha-tool"].plugin, tools["bravo-tool"].plugin) == ("alpha", "bravo")
    assert plugins.who("bravo") == "ctxplug-bravo 2.5"
    assert plugins.components("token counter")["estimate"].plugin == "ctxplug"


# -- the environment chooses -------------------------------------------------------


def test_an_empty_choice_loads_no_third_party(install: Install) -> None:
    install("alpha", "raise RuntimeError('must not be imported')")
    plugins = load("")
    found = info(plugins, "alpha")
    assert (found.status, found.distribution, found.version) == ("blocked", "ctxplug-alpha", "1.0")
    assert (found.components, found.hooks, found.errors) == ({}, (), ())
    assert info(plugins, "ctxplug").status == "loaded"
    assert "ctxplug_test_alpha" not in sys.modules
    assert_host_works(plugins)


def test_a_choice_loads_the_named_and_blocks_the_others(install: Install) -> None:
    for name in ("alpha", "bravo", "charlie"):
        install(name)
    plugins = load("charlie,alpha")
    status = {found.name: found.status for found in plugins.list()}
    assert (status["alpha"], status["bravo"], status["charlie"]) == ("loaded", "blocked", "loaded")


def test_without_a_choice_everything_installed_is_loaded(install: Install) -> None:
    install("alpha")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # whatever else is installed here
        plugins = Plugins(environ={})
    assert info(plugins, "alpha").status == "loaded"


def test_choosing_what_is_not_installed_is_warned_of() -> None:
    with pytest.warns(PluginWarning, match=r"names 'missing', which is not installed"):
        plugins = load("missing")
    assert_host_works(plugins)
    with pytest.raises(PluginError, match="'missing'"):
        load("missing", CTXPLUG_STRICT="1")


def test_strict_raises_where_a_plugin_would_be_skipped(install: Install) -> None:
    install("broken", "raise RuntimeError('boom')")
    with pytest.raises(PluginError, match=r"'broken' \(ctxplug-broken 1\.0\).*boom") as caught:
        load("broken", CTXPLUG_STRICT="1")
    assert caught.value.plugin == "broken"
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_strict_raises_when_a_registering_hook_fails(install: Install) -> None:
    install("late", CASES["a registering hook raises"][0])
    plugins = load("late", CTXPLUG_STRICT="1")
    with pytest.raises(PluginError, match=r"'late'.*no model here"):
        plugins.components("tool")


# -- broken plugins ----------------------------------------------------------------

HOOK = "from ctxplug import hookimpl\n@hookimpl\n"
# What is wrong -> the code of the plugin, and what the message says of it.
CASES: Mapping[str, tuple[str, str]] = {
    "it raises on import": ("1 / 0", "ZeroDivisionError: division by zero"),
    "it has a syntax error": ("def (", "SyntaxError"),
    "it lacks a dependency": ("import no_such_package_here", "no_such_package_here"),
    "it exits on import": ("import sys; sys.exit(3)", r"tried to exit the process.*3"),
    "a parameter is unknown": (
        HOOK + "def register_tools(register, extra): pass",
        "extra",
    ),
    "a registering hook takes nothing": (
        HOOK + "def register_tools(): pass",
        "register_tools leaves out 'register'",
    ),
    "a registering hook takes anything": (
        HOOK + "def register_tools(*args): pass",
        r"register_tools takes '\*args'",
    ),
    "a hook is misspelt": (
        HOOK + "def register_tool(register): pass",
        "unknown hook 'register_tool'",
    ),
    "a parameter has a default": (
        HOOK + "def register_tools(register=None): pass",
        "register_tools gives 'register' a default",
    ),
    "a parameter is keyword-only": (
        HOOK + "def register_tools(*, register): pass",
        "register_tools makes 'register' keyword-only",
    ),
    "a hook is async": (
        HOOK + "async def register_tools(register): pass",
        "register_tools is async",
    ),
    "a hook is a wrapper": (
        "from ctxplug import hookimpl\n@hookimpl(wrapper=True)\n"
        "def register_tools(register):\n    return (yield)",
        "register_tools is a generator",
    ),
    "no function is marked": (
        "def register_tools(register): pass",
        "implements no hook; mark its functions",
    ),
    "a registering hook raises": (
        HOOK + "def register_tools(register):\n"
        "    register('fine', dict)\n    raise OSError('no model here')",
        "OSError: no model here",
    ),
    "a registering hook exits": (
        HOOK + "def register_tools(register): raise SystemExit('bye')",
        "tried to exit the process.*bye",
    ),
    "a registering hook returns its components": (
        HOOK + "def register_tools(register): return [('fine', dict)]",
        r"returns a list.*call register\(name, target\)",
    ),
    "the name is no text": (
        HOOK + "def register_tools(register): register(7, dict)",
        "name 7; a name is made of letters",
    ),
    "the name has a colon": (
        HOOK + "def register_tools(register): register('a:b', dict)",
        "name 'a:b'; a name is made of letters",
    ),
    "the name has a space": (
        HOOK + "def register_tools(register): register('a b', dict)",
        "name 'a b'; a name is made of letters",
    ),
    "the target is no factory": (
        HOOK + "def register_tools(register): register('junk', 42)",
        "'junk' with 42; give a factory",
    ),
    "the target is half a reference": (
        HOOK + "def register_tools(register): register('junk', 'package:')",
        "'junk' with 'package:'; give a factory",
    ),
    "a name is registered twice": (
        HOOK + "def register_tools(register):\n"
        "    register('one', dict)\n    register('one', list)",
        "registers the tool 'one' twice",
    ),
}


@pytest.mark.parametrize("fault", CASES)
def test_a_broken_plugin_is_named_and_skipped(install: Install, fault: str) -> None:
    code, message = CASES[fault]
    install("broken", code)
    install("whole")
    with pytest.warns(PluginWarning, match=rf"(?s)'broken' \(ctxplug-broken 1\.0\).*{message}"):
        plugins = load("broken,whole")
        tools = plugins.components("tool")
    assert tools["whole-tool"].plugin == "whole"
    assert not [tool for tool in tools.values() if tool.plugin == "broken"]
    found = info(plugins, "broken")
    assert found.status == "failed"
    assert len(found.errors) == 1
    assert info(plugins, "whole").status == "loaded"
    assert_host_works(plugins)


def test_a_class_in_place_of_an_instance_is_refused(install: Install) -> None:
    code = """
        from ctxplug import hookimpl

        class Plugin:
            @hookimpl
            def register_tools(self, register):
                register("never", dict)
    """
    install("classy", code, attribute=":Plugin")
    with pytest.warns(PluginWarning, match="is the class Plugin; register an instance"):
        plugins = load("classy")
    assert "never" not in plugins.components("tool")


def test_an_instance_of_a_class_is_a_plugin(install: Install) -> None:
    code = """
        from ctxplug import hookimpl

        class Plugin:
            @hookimpl
            def register_tools(self, register):
                register("made", dict)

        plugin = Plugin()
    """
    install("instance", code, attribute=":plugin")
    assert load("instance").components("tool")["made"].plugin == "instance"


def test_an_entry_point_to_nothing_is_named(install: Install) -> None:
    install("gone", attribute=":nothing")
    with pytest.warns(PluginWarning, match=r"'gone'.*nothing"):
        plugins = load("gone")
    assert_host_works(plugins)


def test_a_plugin_that_exits_does_not_end_the_process(install: Install, tmp_path: Path) -> None:
    install("exits", "raise SystemExit(7)")
    code = "from ctxplug.plugins import installed; print(len(installed().list()))"
    done = run(code, PYTHONPATH=str(tmp_path / "site"), CTXPLUG_PLUGINS="exits")
    assert done.returncode == 0
    assert int(done.stdout) >= 2
    assert "'exits' (ctxplug-exits 1.0): it tried to exit" in done.stderr


def test_half_a_plugin_is_rolled_back(install: Install) -> None:
    code = HOOK + "def register_embedders(register): register('half', dict)\n"
    install("half", code + "@hookimpl\ndef register_tool(register): pass")
    with pytest.warns(PluginWarning, match="register_tool"):
        plugins = load("half")
    assert "half" not in plugins.components("embedder")
    assert not [i for i in plugins.implementations("register_embedders") if i.plugin == "half"]


# -- two claims on one name --------------------------------------------------------

CLAIM = HOOK + "def register_tools(register):\n    register('{name}-own', dict)\n"
CLAIM += "    register('clock', dict)\n    register('{name}-after', dict)"


def test_two_plugins_with_one_component_name_are_both_named(install: Install) -> None:
    install("alpha", CLAIM)
    install("bravo", CLAIM, version="2.0")
    with pytest.warns(PluginWarning, match="'clock' is offered by both"):
        plugins = load("alpha,bravo")
        tools = plugins.components("tool")
    assert {"alpha-own", "alpha-after", "bravo-own"} <= set(tools)
    with pytest.raises(ComponentConflictError) as caught:
        Registry(plugins).resolve("tool", "clock")
    assert caught.value.plugins == ("alpha", "bravo")
    for part in ("'alpha' (ctxplug-alpha 1.0)", "'bravo' (ctxplug-bravo 2.0)", "CTXPLUG_PLUGINS"):
        assert part in str(caught.value)
    assert Registry(load("bravo")).resolve("tool", "clock") == {}


def test_three_plugins_with_one_component_name_are_all_named(install: Install) -> None:
    for name in ("alpha", "bravo", "charlie"):
        install(name, CLAIM)
    with pytest.warns(PluginWarning):
        plugins = load("alpha,bravo,charlie")
        assert plugins.contested("tool", "clock") == ("alpha", "bravo", "charlie")


def test_a_built_in_name_cannot_be_taken(install: Install) -> None:
    install("thief", HOOK + "def register_token_counters(register): register('estimate', dict)")
    with pytest.warns(PluginWarning, match=r"'estimate' is offered by both 'ctxplug' \(built in\)"):
        plugins = load("thief")
        plugins.components("token counter")
    assert_host_works(plugins)
    assert info(plugins, "thief").status == "failed"


def test_two_distributions_with_one_plugin_name_are_both_named(install: Install) -> None:
    install("alpha", point="same")
    install("bravo", point="same")
    with pytest.warns(PluginWarning, match=r"(?s)named 'same'.*ctxplug-alpha.*ctxplug-bravo"):
        plugins = load("same")
    assert "alpha-tool" in plugins.components("tool")
    assert "bravo-tool" not in plugins.components("tool")


def test_a_distribution_cannot_pass_for_the_built_ins(install: Install) -> None:
    install("alpha", point="ctxplug")
    with pytest.warns(PluginWarning, match=r"named 'ctxplug': built in and ctxplug-alpha"):
        plugins = load("ctxplug")
    assert "alpha-tool" not in plugins.components("tool")
    assert_host_works(plugins)


# -- registered by hand ------------------------------------------------------------


class Offers:
    def __init__(self, name: str, fails: bool = False) -> None:
        self.name, self.fails, self.asked = name, fails, 0

    @hookimpl
    def register_tools(self, register: Register) -> None:
        self.asked += 1
        if self.fails:
            raise ValueError("not today")
        register(self.name, dict)


def test_a_plugin_registered_later_is_heard() -> None:
    plugins = load("")
    assert "late" not in plugins.components("tool")
    plugins.register(Offers("late"), "late")
    assert plugins.components("tool")["late"].plugin == "late"
    found = info(plugins, "late")
    assert (found.status, found.distribution, found.components) == (
        "loaded",
        None,
        {"tool": ("late",)},
    )


@pytest.mark.parametrize("unfit", [Offers, object(), None, 7, "text"])
def test_what_is_no_plugin_cannot_be_registered(unfit: object) -> None:
    plugins = load("")
    with pytest.raises(PluginError, match="'unfit'"):
        plugins.register(unfit, "unfit")
    assert "unfit" not in [found.name for found in plugins.list()]
    plugins.register(Offers("fit"), "unfit")
    assert "fit" in plugins.components("tool")


def test_one_name_or_one_object_cannot_be_registered_twice() -> None:
    plugins, plugin = load(""), Offers("one")
    plugins.register(plugin, "one")
    with pytest.raises(PluginError, match="named 'one' is already registered"):
        plugins.register(Offers("two"), "one")
    with pytest.raises(PluginError, match="'other'"):
        plugins.register(plugin, "other")
    assert plugins.components("tool")["one"].plugin == "one"


def test_a_failure_is_told_once_however_often_the_hooks_are_asked() -> None:
    plugins = load("")
    plugins.register(Offers("bad", fails=True), "bad")
    with pytest.warns(PluginWarning, match="not today") as told:
        plugins.components("tool")
        plugins.register(Offers("good"), "good")
        plugins.components("tool")
    assert len(told) == 1
    assert info(plugins, "bad").errors == ("ValueError: not today",)


def test_hooks_are_asked_once_and_not_per_use() -> None:
    plugins, plugin = load(""), Offers("one")
    plugins.register(plugin, "one")
    for _ in range(3):
        plugins.list()
        Registry(plugins).resolve("tool", "one")
    assert plugin.asked == 1


def test_the_list_is_sorted_and_shows_the_built_ins() -> None:
    plugins = load("")
    for name in ("zulu", "alpha"):
        plugins.register(Offers(name), name)
    names = [found.name for found in plugins.list()]
    assert names == sorted(names)
    assert {"alpha", "ctxplug", "zulu"} <= set(names)
    built_in = info(plugins, "ctxplug")
    assert {"estimate", "tiktoken"} <= set(built_in.components["token counter"])
    assert {"memory", "sqlite"} <= set(built_in.components["memory backend"])


def test_every_failure_is_of_the_family() -> None:
    assert issubclass(ComponentConflictError, PluginError)
    assert issubclass(PluginError, CtxplugError)
