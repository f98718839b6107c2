"""The worked example of context sections runs offline, and answers from the right tables."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ctxplug import AgentMemory
from ctxplug.context.validity import check_anthropic

EXAMPLE = Path(__file__).parents[1] / "examples" / "text2sql.py"
ANSWERS = {
    "How many customers live in Lisbon?": "[(6,)]",
    "哪个城市的客户最多？": "[('上海', 12)]",
    "Which product sold the most pieces?": "[('metronome', 18)]",
    "每个供应商有多少种商品？": "[('Costa', 2), ('王氏', 2), ('Weber', 1)]",
    "What is the total amount of the invoices paid in March 2026?": "[(378.0,)]",
    "退货最多的原因是什么？": "[('broken', 10)]",
    "Which employee handles the most support tickets?": "[('Tom', 14)]",
    "其中有多少还没有关闭？": "[(5,)]",
    "Which products have fewer than ten pieces in stock?": "[('小提琴弓', 7), ('rosin', 0)]",
    "多少客户留了电子邮件地址？": "[(15,)]",
}


def run(*arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "ANTHROPIC_API_KEY"}
    environment["PYTHONIOENCODING"] = "utf-8"
    command = [sys.executable, str(EXAMPLE), *arguments]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", check=True, env=environment, timeout=120
    )
    return done.stdout


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("text2sql", EXAMPLE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_says_who_answers_and_every_answer_is_right(tmp_path: Path) -> None:
    for _ in range(2):  # the second run goes on from what the first one stored
        printed = run("--memory", str(tmp_path / "shop.db"))
        assert printed.startswith("Answers: scripted")
        assert "failed" not in printed
        for question, rows in ANSWERS.items():
            told = printed[printed.index(f"\n{question}\n") :]
            assert told.split("-> ", 1)[1].split("\n", 1)[0] == rows, question
        assert "14 tables known" in printed


def test_each_window_holds_a_few_of_the_tables_and_the_same_rules(example: ModuleType) -> None:
    with AgentMemory.open("memory:", namespace="shop", session="s", budget=3_000) as memory:
        example.add_sections(memory)
        example.learn(memory, list(example.TABLES))
        assert {record.tier for record in memory.memories(kinds="schema")} == {"long"}
        systems, shown = set(), []
        for question, (_, needed) in example.SCRIPT.items():
            own = memory.beside()  # none of the questions before is in this window
            own.add("user", question)
            window = own.context()
            assert check_anthropic(window.to_anthropic()) == []
            systems.add(repr(window.to_anthropic()["system"]))
            tables = [
                t for t in example.TABLES if f"CREATE TABLE {t} (" in window.messages[-1].text
            ]
            assert question.startswith("其中") or set(needed) <= set(tables), question
            shown.append(len(tables))
        assert len(systems) == 1
        assert max(shown) < len(example.TABLES) / 2


def test_a_changed_table_supersedes_what_was_known(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AgentMemory.open("memory:", namespace="shop") as memory:
        example.learn(memory, ["customers", "orders"])
        example.learn(memory, ["customers", "orders"])
        monkeypatch.setitem(example.TABLES, "customers", ("id INTEGER", "客户"))
        example.learn(memory, ["customers"])
        known = {record.content for record in memory.memories(kinds="schema")}
        assert known == {example.schema("customers"), example.schema("orders")}


@pytest.mark.parametrize(
    "answer",
    [
        "```sql\nDROP TABLE customers\n```",
        "```sql\nATTACH 'x.db' AS x\n```",
        "```sql\nINSERT INTO customers SELECT * FROM customers\n```",
        "I do not know.",
        "我不知道。",
    ],
)
def test_nothing_but_a_query_runs(example: ModuleType, answer: str) -> None:
    database = example.shop()
    with pytest.raises((ValueError, sqlite3.Error)):
        example.run(database, answer)
    assert example.run(database, "```sql\nSELECT count(*) FROM customers\n```") == [(30,)]
    database.close()
