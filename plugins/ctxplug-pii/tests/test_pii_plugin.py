"""Off until it is asked for; then nothing personal is stored, and a wrong setting stops writes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from ctxplug_pii import Redactor
from ctxplug_pii.environment import plugin
from ctxplug_pii.kinds import KINDS, PLACEHOLDER
from typer.testing import CliRunner

from ctxplug import AgentMemory, Message
from ctxplug.audit import LEVELS
from ctxplug.errors import GuardError, InvalidValueError
from ctxplug.messages import TextPart, ToolCallPart, ToolResultPart
from ctxplug.plugins import Plugins
from ctxplug.scope import Scope
from ctxplug.testing import GuardSuite

SECRET = "a secret of sixteen bytes or more"
SAID = "我是陈伟，电话13800138000, mail wei.chen@example.com"
HOOKS = {"redact", "classify"}


class TestTheInstalledPlugin(GuardSuite):
    @pytest.fixture
    def guard(self):
        return plugin({"CTXPLUG_PII": "on"})


def plugins_for(environ: Mapping[str, str]) -> Plugins:
    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(plugin(environ), "pii")
    return plugins


def memory_with(plugins: Plugins, **options) -> AgentMemory:
    return AgentMemory.open("memory:", namespace="acme/陈伟", plugins=plugins, **options)


def hooks_of(plugins: Plugins) -> set[str]:
    return {hook for info in plugins.list() if info.name == "pii" for hook in info.hooks}


# -- off and on --------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "off", "OFF", "0", "no"])
def test_it_guards_nothing_until_it_is_asked_to(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CTXPLUG_PII", raising=False)
    if value is not None:
        monkeypatch.setenv("CTXPLUG_PII", value)
    plugins = Plugins(environ={"CTXPLUG_PLUGINS": "pii", "CTXPLUG_STRICT": "1"})
    assert not HOOKS & hooks_of(plugins)
    assert "pii" in plugins.components("command")
    with memory_with(plugins) as memory:
        assert memory.add("user", SAID).text == SAID


def test_the_environment_turns_the_installed_plugin_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTXPLUG_PII", "on")
    plugins = Plugins(environ={"CTXPLUG_PLUGINS": "pii", "CTXPLUG_STRICT": "1"})
    assert hooks_of(plugins) >= HOOKS
    with memory_with(plugins) as memory:
        assert memory.add("user", SAID).text == "我是陈伟，电话[phone], mail [email]"


def test_kinds_regions_and_a_secret_come_from_the_environment() -> None:
    environ = {
        "CTXPLUG_PII": "phone, iban",
        "CTXPLUG_PII_REGIONS": "de",
        "CTXPLUG_PII_SECRET": SECRET,
    }
    with memory_with(plugins_for(environ)) as memory:
        text = memory.add("user", "Ruf an: 030 901820, a@example.com").text
    assert text.startswith("Ruf an: [phone-") and text.endswith("], a@example.com")


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"CTXPLUG_PII": "emial"}, "CTXPLUG_PII: .*'emial'"),
        ({"CTXPLUG_PII": ","}, "CTXPLUG_PII: .*none"),
        ({"CTXPLUG_PII": "on", "CTXPLUG_PII_REGIONS": "CN,ZZ"}, "CTXPLUG_PII_REGIONS: .*'ZZ'"),
        ({"CTXPLUG_PII": "on", "CTXPLUG_PII_SECRET": "short"}, "CTXPLUG_PII_SECRET: .*16 bytes"),
    ],
    ids=["kind", "none", "region", "secret"],
)
def test_a_setting_that_makes_no_sense_refuses_every_write(
    environ: dict[str, str], named: str
) -> None:
    with memory_with(plugins_for(environ)) as memory:
        with pytest.raises(GuardError, match="'pii' guards writes") as caught:
            memory.add("user", "你好")
        assert not memory.messages()
    assert isinstance(caught.value.__cause__, InvalidValueError)
    with pytest.raises(InvalidValueError, match=named):
        raise caught.value.__cause__


def test_importing_the_plugin_imports_no_library() -> None:
    [point] = entry_points(group="ctxplug", name="pii")
    assert point.value == "ctxplug_pii:plugin"
    code = "import sys, ctxplug_pii; ctxplug_pii.plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"phonenumbers", "stdnum", "typer"} & set(done.stdout.split())


# -- in a memory -------------------------------------------------------------------


def test_nothing_personal_reaches_the_file_wherever_it_stands(tmp_path: Path) -> None:
    plugins = plugins_for({"CTXPLUG_PII": "on"})
    call = ToolCallPart("c1", "send", {"to": ["wei.chen@example.com"], "card": "4111111111111111"})
    answer = json.dumps({"phone": 13800138000, "note": "您的身份证 11010519491231002X"})
    with AgentMemory.open(tmp_path / "a.db", namespace="acme", plugins=plugins) as memory:
        memory.add("user", SAID)
        memory.add(Message("assistant", (TextPart("Sending."), call)))
        memory.add(Message("tool", ToolResultPart("c1", (TextPart(answer),), name="send")))
        memory.remember("Card 4111 1111 1111 1111", tags=["wei.chen@example.com"])
        result = memory.messages()[2].tool_results[0].text
    assert json.loads(result) == {"phone": "[phone]", "note": "您的身份证 [cn-id]"}
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for value in ("wei.chen", "13800138000", "4111", "11010519491231002X"):
        assert value.encode() not in stored, value


def test_a_memory_of_the_application_takes_a_redactor_of_its_own() -> None:
    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Redactor(kinds=["email"]), "our-redactor")
    with memory_with(plugins) as memory:
        assert memory.add("user", SAID).text == SAID.replace("wei.chen@example.com", "[email]")


# -- pseudonyms --------------------------------------------------------------------


def test_one_value_keeps_one_name_however_it_is_written() -> None:
    clean = Redactor(secret=SECRET).clean
    for same in (
        ("alice@example.com", "Alice@Example.COM", "ａｌｉｃｅ＠example.com"),
        ("+86 138 0013 8000", "13800138000", "0086-138-0013-8000"),
        ("4111 1111 1111 1111", "4111-1111-1111-1111", "4111111111111111"),
        ("11010519491231002X", "11010519491231002x"),
    ):
        names = {clean(text) for text in same}
        assert len(names) == 1 and PLACEHOLDER.fullmatch(names.pop())
    assert clean("alice@example.com") != clean("bob@example.com")


def test_names_differ_by_secret_and_by_namespace() -> None:
    one, other = Redactor(secret=SECRET), Redactor(secret=SECRET.encode() + b"!")
    text = "alice@example.com"
    names = [one.clean(text, ("acme", "a")), one.clean(text, ("acme", "b")), other.clean(text)]
    assert len({*names, one.clean(text)}) == 4
    assert one.redact(text=text, scope=Scope(("acme", "a"), "trip")) == names[0]


def test_the_hook_says_nothing_where_there_is_nothing() -> None:
    assert Redactor().redact(text="你好", scope=Scope(("acme",), "trip")) is None


# -- classification ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("I like window seats. 喜欢靠窗。", None),
        ("mail a@example.com", ("confidential", ["pii"])),
        ("卡 4111 1111 1111 1111, a@example.com", ("restricted", ["pci", "pii"])),
        ("key ghp_" + "aB3" * 12, ("restricted", ["secret"])),
        ("mail [email-0a1b2c3d]", ("internal", ["redacted"])),
    ],
    ids=["nothing", "mail", "card", "key", "redacted"],
)
def test_a_record_is_classified_by_what_it_still_holds(content: str, expected) -> None:
    with memory_with(Plugins(load_entry_points=False, environ={})) as memory:
        record = memory.remember(content)
        extra = memory.remember("x", metadata={"who": {"phone": [content, 5]}})
    assert Redactor(kinds=["iban"]).classify(record=record) == expected
    assert Redactor().classify(record=extra) == expected


def test_every_kind_has_a_class_of_the_audit_log() -> None:
    assert all(level in LEVELS and tags for level, tags in KINDS.values())


def test_the_audit_log_carries_the_class() -> None:
    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Redactor(kinds=["iban"]), "pii")
    with memory_with(plugins, audit=True) as memory:
        memory.remember("mail a@example.com")
        entries = memory.audit.entries()
    assert ("confidential", ("pii",)) in {(e.sensitivity, tuple(e.tags)) for e in entries}


# -- wrong arguments, and the command ----------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"kinds": ["e-mail"]}, {"kinds": []}, {"regions": ["XX"]}, {"regions": "CN"}, {"secret": "x"}],
    ids=str,
)
def test_arguments_that_make_no_sense_are_refused(options) -> None:
    with pytest.raises(InvalidValueError):
        Redactor(**options)


def test_the_command_says_whether_it_is_on_and_shows_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctxplug.cli.app import app

    run = CliRunner().invoke
    monkeypatch.delenv("CTXPLUG_PII", raising=False)
    assert "Redaction is off. Set CTXPLUG_PII=on" in run(app, ["pii"]).output
    assert (
        run(app, ["pii", "-"], input=SAID + "\n").output == "我是陈伟，电话[phone], mail [email]\n"
    )
    (tmp_path / "said.txt").write_text(SAID, encoding="utf-8")
    monkeypatch.setenv("CTXPLUG_PII", "email")
    assert run(app, ["pii"]).output == "Redaction is on. It takes out: email.\n"
    assert "13800138000, mail [email]" in run(app, ["pii", str(tmp_path / "said.txt")]).output
    assert run(app, ["pii", str(tmp_path / "none.txt")]).exit_code != 0
