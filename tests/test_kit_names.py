"""What ctxplug.testing exports, what of it needs no pytest, and how its suites are subclassed."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from kit_runner import laws

import ctxplug.testing as kit
from ctxplug.testing import ToolSuite
from ctxplug.testing.suite import Suite

SUITES = sorted(name for name in kit.__all__ if name.endswith("Suite"))


def test_all_is_sorted_and_every_name_is_there() -> None:
    assert kit.__all__ == sorted(set(kit.__all__))
    assert set(kit.__all__) <= set(dir(kit))
    with pytest.raises(AttributeError, match="NoSuchSuite"):
        kit.NoSuchSuite  # noqa: B018
    for name in kit.__all__:
        assert getattr(kit, name).__name__ == name


def test_every_suite_of_the_package_is_exported() -> None:
    defined = set()
    for module in pkgutil.iter_modules(kit.__path__):
        if module.name.endswith("_suite"):
            text = (Path(kit.__path__[0]) / f"{module.name}.py").read_text(encoding="utf-8")
            defined |= {
                line.split()[1].split("(")[0].rstrip(":")
                for line in text.splitlines()
                if line.startswith("class ") and "Suite" in line.split("(")[0]
            }
    assert defined == set(SUITES)


def test_the_fakes_and_the_server_need_neither_pytest_nor_hypothesis_nor_numpy() -> None:
    code = """
import sys
for name in ("pytest", "hypothesis", "numpy"):
    sys.modules[name] = None
from ctxplug import Message
from ctxplug.testing import Broken, Failure, ModelServer, Reply
from ctxplug.testing import FakeClock, FakeEmbedder, FakeSummarizer
print(FakeSummarizer().summarize([Message("user", "Hello. 你好。")], 50), FakeClock().now.year)
print(FakeEmbedder().name, ModelServer.__name__)
try:
    FakeEmbedder().embed(["x"])
except ImportError:
    print("no numpy")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["Hello. 2026", "fake:256 ModelServer", "no numpy"]


def test_importing_the_package_loads_no_suite() -> None:
    code = "import sys, ctxplug.testing; print([m for m in sys.modules if 'suite' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


EMPTY = "from ctxplug.testing import {names}\n\n\n{classes}\n"


def test_a_fixture_that_is_left_as_it_is_says_what_to_do(tmp_path: Path) -> None:
    """One run of pytest, with a subclass of each suite that overrides nothing."""
    classes = "\n".join(f"class Test{name}({name}):\n    pass\n\n" for name in SUITES)
    file = tmp_path / "test_empty.py"
    file.write_text(EMPTY.format(names=", ".join(SUITES), classes=classes), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line"]
    command += ["--junitxml=out.xml", "-o", "markers=slow: slow", "--rootdir=."]
    for name in SUITES:
        command += [f"{file}::Test{name}::{law}" for law in laws(getattr(kit, name))[-1:]]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=alone)
    assert done.returncode == 1, done.stdout[-2000:]
    told: dict[str, set[str]] = {}
    for case in ElementTree.parse(tmp_path / "out.xml").iter("testcase"):
        name = case.attrib["classname"].rpartition(".Test")[2]
        for error in case.iter("error"):
            told.setdefault(name, set()).add(error.attrib["message"])
    assert sorted(told) == SUITES
    for name, messages in told.items():
        assert len(messages) == 1, name
        assert "verride the fixture" in messages.pop(), name


def test_a_law_is_given_up_with_a_reason_or_not_at_all() -> None:
    with pytest.raises(TypeError, match=r"Quiet replaces test_a_model_is_told_what_it_does.*xfail"):

        class Quiet(ToolSuite):
            def test_a_model_is_told_what_it_does(self) -> None:
                pass

    class Says(ToolSuite):
        @pytest.mark.xfail(reason="the description comes from a server")
        def test_a_model_is_told_what_it_does(self) -> None:
            pass

        def test_one_of_its_own(self) -> None:
            pass

    with pytest.raises(TypeError, match="again"):
        type("again", (Says,), {"test_valid_arguments_are_taken": None})
    assert issubclass(Says, Suite)
