"""Text to SQL: table schemas as memories, and the right ones in the window for each question.

    python examples/text2sql.py                    # offline: a script answers, a real database
    python examples/text2sql.py --memory shop.db   # keeps what it knows; run it twice
    ANTHROPIC_API_KEY=... python examples/text2sql.py    # Claude answers (pip install anthropic)

A shop has more tables than a small window should hold. Each table's schema is remembered
once, as a memory of the kind "schema", which the long tier keeps. Three sections make the
window: rules and examples, the same bytes in every call, so that the provider caches them; and
the tables that are recalled for the question, with those that they refer to, as data in its
turn. A follow-up finds the tables of the question before it still in the window.
"""

from __future__ import annotations

import argparse
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from typing import Any

from ctxplug import AgentMemory, ContextWindow, MemoryRecord
from ctxplug.testing.model_server import ModelServer

TODAY = "2026-03-31"
TABLES = {  # columns, and what the table is for
    "customers": (
        "id INTEGER PRIMARY KEY, name TEXT, city TEXT, joined DATE",
        "Customers: their name, the city they live in, since when. 客户：姓名、城市、注册日期。",
    ),
    "orders": (
        "id INTEGER PRIMARY KEY, customer_id REFERENCES customers, placed DATE, status TEXT",
        "Orders that customers placed: date and status. 订单：客户、下单日期、状态。",
    ),
    "order_lines": (
        "order_id REFERENCES orders, product_id REFERENCES products, pieces INTEGER, cents INTEGER",
        "Lines of an order: which product was sold, how many pieces. 订单明细：商品、数量、价格。",
    ),
    "products": (
        "id INTEGER PRIMARY KEY, name TEXT, supplier_id REFERENCES suppliers, category TEXT",
        "Products that the shop sells: name, supplier, category. 商品：名称、供应商、类别。",
    ),
    "suppliers": (
        "id INTEGER PRIMARY KEY, name TEXT, country TEXT",
        "Suppliers of products and their country. 供应商：名称、国家。",
    ),
    "stock": (
        "product_id REFERENCES products, warehouse TEXT, pieces INTEGER",
        "Stock: pieces of each product in each warehouse. 库存：每个仓库里商品的件数。",
    ),
    "invoices": (
        "id INTEGER PRIMARY KEY, order_id REFERENCES orders, issued DATE, cents INTEGER, paid DATE",
        "Invoices: amount, when issued, when paid (NULL: unpaid). 发票：金额、开票和付款日期。",
    ),
    "returns": (
        "id INTEGER PRIMARY KEY, order_id REFERENCES orders, reason TEXT, returned DATE",
        "Goods that customers sent back, and the reason. 退货：订单、原因、日期。",
    ),
    "employees": (
        "id INTEGER PRIMARY KEY, name TEXT, department TEXT, hired DATE",
        "Employees: name, department, date of hiring. 员工：姓名、部门、入职日期。",
    ),
    "tickets": (
        "id INTEGER PRIMARY KEY, customer_id REFERENCES customers,"
        " employee_id REFERENCES employees, topic TEXT, closed DATE",
        "Support tickets: who handles it, topic, when closed (NULL: open)."
        " 客服工单：负责的员工、主题、关闭日期。",
    ),
    "campaigns": (
        "id INTEGER PRIMARY KEY, name TEXT, started DATE, cents INTEGER",
        "Advertising campaigns and their cost. 广告活动：名称、开始日期、费用。",
    ),
    "visits": (
        "day DATE, page TEXT, visitors INTEGER",
        "Visitors of the web site by page and day. 网站访问量：日期、页面、人数。",
    ),
    "shipments": (
        "id INTEGER PRIMARY KEY, order_id REFERENCES orders, carrier TEXT, delivered DATE",
        "Parcels: carrier and day of delivery. 物流：承运人、送达日期。",
    ),
    "ratings": (
        "product_id REFERENCES products, customer_id REFERENCES customers, stars INTEGER",
        "Ratings that customers gave products, one to five stars. 商品评分：一到五星。",
    ),
}
RULES = f"""You write SQL for a shop's SQLite database. 你为一家商店的 SQLite 数据库写 SQL。
Answer with one SELECT statement in a ```sql block, in the language of the question.
Use only the tables that are shown. If one is missing, name it instead of guessing.
Money is in cents. Dates are texts such as '{TODAY}', which is today."""
EXAMPLES = (
    "Q: How many suppliers are there?\n```sql\nSELECT count(*) FROM suppliers\n```",
    "问：有多少张没付款的发票？\n```sql\nSELECT count(*) FROM invoices WHERE paid IS NULL\n```",
)
# What the scripted model answers, and the tables it must see to do so.
SCRIPT: dict[str, tuple[str, tuple[str, ...]]] = {
    "How many customers live in Lisbon?": (
        "SELECT count(*) FROM customers WHERE city = 'Lisbon'",
        ("customers",),
    ),
    "哪个城市的客户最多？": (
        "SELECT city, count(*) FROM customers GROUP BY city ORDER BY 2 DESC LIMIT 1",
        ("customers",),
    ),
    "Which product sold the most pieces?": (
        "SELECT p.name, sum(l.pieces) FROM order_lines l JOIN products p ON p.id = l.product_id"
        " GROUP BY p.id ORDER BY 2 DESC LIMIT 1",
        ("order_lines", "products"),
    ),
    "每个供应商有多少种商品？": (
        "SELECT s.name, count(p.id) FROM suppliers s LEFT JOIN products p ON p.supplier_id = s.id"
        " GROUP BY s.id ORDER BY s.id",
        ("suppliers", "products"),
    ),
    "What is the total amount of the invoices paid in March 2026?": (
        "SELECT sum(cents) / 100.0 FROM invoices WHERE paid LIKE '2026-03-%'",
        ("invoices",),
    ),
    "退货最多的原因是什么？": (
        "SELECT reason, count(*) FROM returns GROUP BY reason ORDER BY 2 DESC LIMIT 1",
        ("returns",),
    ),
    "Which employee handles the most support tickets?": (
        "SELECT e.name, count(*) FROM tickets t JOIN employees e ON e.id = t.employee_id"
        " GROUP BY e.id ORDER BY 2 DESC LIMIT 1",
        ("tickets", "employees"),
    ),
    "其中有多少还没有关闭？": (  # a follow-up: "How many of those are still open?"
        "SELECT count(*) FROM tickets WHERE closed IS NULL AND employee_id = (SELECT employee_id"
        " FROM tickets GROUP BY employee_id ORDER BY count(*) DESC LIMIT 1)",
        ("tickets",),
    ),
    "Which products have fewer than ten pieces in stock?": (
        "SELECT p.name, sum(s.pieces) FROM stock s JOIN products p ON p.id = s.product_id"
        " GROUP BY p.id HAVING sum(s.pieces) < 10",
        ("stock", "products"),
    ),
}
AFTER_CHANGE = {
    "多少客户留了电子邮件地址？": (
        "SELECT count(email) FROM customers",
        ("customers",),
    ),
}


def schema(table: str) -> str:
    """Return what is remembered of a table."""
    columns, purpose = TABLES[table]
    return f"CREATE TABLE {table} ({columns});\n-- {purpose}"


def shop() -> sqlite3.Connection:
    """Return a database with a little of everything in it."""
    database = sqlite3.connect(":memory:")
    database.executescript("".join(schema(table) + "\n" for table in TABLES))
    cities, employees = ("Lisbon", "上海", "Berlin", "上海", "成都"), ("Ana", "李雷", "Tom")
    goods = ("violin", "小提琴弓", "rosin", "琴弦", "metronome")
    reasons = ("broken", "too late", "broken", "wrong size")
    rows: dict[str, list[tuple[Any, ...]]] = {
        "customers": [(n, f"Customer {n}", cities[n % 5], "2026-01-15") for n in range(30)],
        "orders": [(n, n % 17, f"2026-03-{10 + n % 20}", "sent") for n in range(30)],
        "order_lines": [(n, n % 5, 1 + n % 5 * (n % 2), 990) for n in range(30)],
        "products": [(n, name, n % 3, "music") for n, name in enumerate(goods)],
        "suppliers": [(0, "Costa", "PT"), (1, "王氏", "CN"), (2, "Weber", "DE")],
        "stock": [(n, "north", pieces) for n, pieces in enumerate((40, 7, 0, 12, 90))],
        "invoices": [(n, n, "2026-02-20", 1_050 * n, f"2026-03-0{n}") for n in range(1, 9)],
        "returns": [(n, n, reasons[n % 4], TODAY) for n in range(20)],
        "employees": [(n, name, "support", "2020-01-01") for n, name in enumerate(employees)],
        "tickets": [(n, n, min(n % 4, 2), "delivery", TODAY if n % 3 else None) for n in range(30)],
    }
    for table, values in rows.items():
        places = ", ".join("?" * len(values[0]))
        database.executemany(f"INSERT INTO {table} VALUES ({places})", values)
    database.commit()
    return database


def run(database: sqlite3.Connection, answer: str) -> list[tuple[Any, ...]]:
    """Return the rows of the SELECT in an answer; nothing else may run."""
    found = re.search(r"```sql\s+(.*?)```", answer, re.DOTALL)
    if found is None:
        raise ValueError(f"there is no SQL in the answer: {answer}")
    allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
    database.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY
    )
    try:
        return database.execute(found[1]).fetchmany(20)
    finally:
        database.set_authorizer(None)


def learn(memory: AgentMemory, tables: Sequence[str]) -> None:
    """Remember schemas; the key makes a changed one supersede the one before."""
    known = {record.content for record in memory.memories(kinds="schema")}
    for table in tables:
        if schema(table) not in known:
            memory.remember(schema(table), kind="schema", metadata={"key": table})


def tables_for(memory: AgentMemory, question: str | None) -> list[MemoryRecord]:
    """Return the schemas that a question needs: what is recalled for it, and what that joins."""
    found = [one.record for one in memory.recall(question or "", kinds="schema", k=3)]
    known = {record.metadata["key"]: record for record in memory.memories(kinds="schema")}
    names = dict.fromkeys(record.metadata["key"] for record in found)
    for record in found:
        names.update(dict.fromkeys(re.findall(r"REFERENCES (\w+)", record.content)))
    return [known[name] for name in names]


def add_sections(memory: AgentMemory) -> None:
    """Say what stands in every window besides the conversation."""
    memory.sections.add("rules", RULES, priority=0.9)
    memory.sections.add("examples", EXAMPLES, priority=0.2, budget=200)
    memory.sections.add("tables", tables_for, priority=0.8, budget=500)


def scripted(request: Mapping[str, Any]) -> str:
    """Answer as a model would that has seen nothing but the request."""
    asked = request["messages"][-1]["content"][0]["text"]
    sql, tables = {**SCRIPT, **AFTER_CHANGE}[asked]
    missing = [table for table in tables if f"CREATE TABLE {table} (" not in repr(request)]
    return f"I do not see {', '.join(missing)}." if missing else f"```sql\n{sql}\n```"


@contextmanager
def answers(model: str) -> Iterator[Callable[[ContextWindow], str]]:
    """Yield what answers a window: Claude with a key, else the script, and say which."""
    live = bool(os.environ.get("ANTHROPIC_API_KEY"))
    if not live and find_spec("anthropic") is None:
        print("Answers: scripted (there is neither an ANTHROPIC_API_KEY nor the anthropic SDK)")
        yield lambda window: scripted(window.to_anthropic())
        return
    import anthropic

    def answer(window: ContextWindow) -> str:
        reply = client.messages.create(model=model, max_tokens=1_000, **window.to_anthropic())
        return "".join(block.text for block in reply.content if block.type == "text")

    if live:
        print(f"Answers: {model}")
        client = anthropic.Anthropic()
        yield answer
        return
    print("Answers: scripted, from a local server (no ANTHROPIC_API_KEY is set)")
    with ModelServer(lambda request: scripted(request.body)) as server:
        client = anthropic.Anthropic(base_url=server.url, api_key="none")
        yield answer


def ask(
    memory: AgentMemory,
    database: sqlite3.Connection,
    question: str,
    answer: Callable[[ContextWindow], str],
) -> None:
    """Put one question, and show what came of it."""
    memory.add("user", question)
    window = memory.context()
    reply = answer(window)
    tables = next(told for told in window.report.sections if told.name == "tables")
    shown = re.findall(r"CREATE TABLE (\w+)", window.messages[-1].text)
    print(f"\n{question}\n  tables: {', '.join(shown)} ({tables.tokens} tokens)")
    try:
        rows = run(database, reply)
    except (ValueError, sqlite3.Error) as exc:
        memory.add("assistant", f"{reply}\nFailed: {exc}")
        print(f"  failed: {exc}")
        return
    memory.add("assistant", f"{reply}\nRows: {rows}")
    print(f"  {' '.join(reply.strip('`').removeprefix('sql').split())}\n  -> {rows}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--memory", default="memory:", help="where to keep what it knows")
    options.add_argument("--model", default="claude-sonnet-4-6")
    given = options.parse_args()
    kept = {"namespace": "shop/analyst", "session": "questions"}
    with (
        answers(given.model) as answer,
        closing(shop()) as database,
        AgentMemory.open(given.memory, **kept, budget=3_000, model=given.model) as memory,
    ):
        add_sections(memory)
        learn(memory, list(TABLES))
        for question in SCRIPT:
            ask(memory, database, question, answer)
        print("\nA table changes: customers get an e-mail address.")
        columns, purpose = TABLES["customers"]
        TABLES["customers"] = f"{columns}, email TEXT", f"{purpose} E-mail address. 电子邮件地址。"
        database.execute("ALTER TABLE customers ADD COLUMN email TEXT")
        database.execute("UPDATE customers SET email = name || '@example.org' WHERE id % 2")
        database.commit()
        learn(memory, ["customers"])
        for question in AFTER_CHANGE:
            ask(memory, database, question, answer)
        print(f"\n{len(memory.memories(kinds='schema'))} tables known. The last window:")
        print(memory.context().report)


if __name__ == "__main__":
    main()
