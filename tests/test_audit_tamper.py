"""Whatever is changed in an audit log is found: any byte, any line, any entry, or its end."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from typer.testing import CliRunner

from ctxplug import AgentMemory
from ctxplug.audit import AuditPolicy, AuditReport
from ctxplug.audit.chain import hash_of
from ctxplug.audit.entry import CHAINS, STREAM, canonical, digest_of
from ctxplug.audit.exports import verify_export
from ctxplug.audit.verify import verify_store
from ctxplug.cli.app import app
from ctxplug.errors import CtxplugError, InvalidValueError
from ctxplug.storage import Entry, Stream
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend

NS = ("acme", "alice")


def filled(target: Any, *, sealed: int = 6, unsealed: int = 0) -> dict[str, Any]:
    """Write a log with links of two entries; return its anchor."""
    policy = AuditPolicy(seal_every=2)
    with AgentMemory.open(
        target, namespace=NS, session="trip", agent="计划", counter="estimate", audit=policy
    ) as memory:
        for number in range(sealed):
            with memory.audit.purpose(f"case {number}"):
                memory.remember(f"Number {number} is a thing of its own")
    anchor = memory.audit.anchor() if target is not None and not isinstance(target, Path) else {}
    if not anchor:
        with AgentMemory.open(target, namespace=NS, counter="estimate") as memory:
            anchor = memory.audit.anchor()
    if unsealed:
        with AgentMemory.open(target, namespace=NS, counter="estimate") as late:
            for number in range(unsealed):
                late.audit.note(f"later {number}")
            late._seal_audit = lambda: None  # type: ignore[method-assign]  # as if it were killed
    return anchor


@pytest.fixture
def export(tmp_path: Path) -> bytes:
    path = tmp_path / "agent.db"
    filled(path)
    with AgentMemory.open(path, namespace=NS, counter="estimate") as memory:
        memory.audit.export(tmp_path / "export.jsonl")
    data = (tmp_path / "export.jsonl").read_bytes()
    assert verify_export(data).ok
    return data


def is_found(data: bytes) -> bool:
    try:
        return not verify_export(data).ok
    except InvalidValueError:  # it is not even taken for an export
        return True


# -- an export -----------------------------------------------------------------------------


def test_any_byte_of_an_export_that_is_changed_is_found(export: bytes) -> None:
    for position in range(len(export)):
        changed = bytearray(export)
        changed[position] ^= 1 << position % 8
        assert is_found(bytes(changed)), (position, export[position - 20 : position + 20])


def with_checksum(lines: list[bytes]) -> bytes:
    """Return the lines as an export, with the checksum that a forger would compute."""
    last = canonical({"sha256": hashlib.sha256(b"".join(lines)).hexdigest()}) + b"\n"
    return b"".join([*lines, last])


def test_lines_that_are_removed_swapped_or_added_are_found(export: bytes) -> None:
    lines = export.splitlines(keepends=True)[:-1]
    assert with_checksum(lines) == export
    for number in range(len(lines)):
        assert is_found(with_checksum(lines[:number] + lines[number + 1 :])), number
        assert is_found(with_checksum(lines[:number])), number
        assert is_found(with_checksum([*lines[: number + 1], lines[number], *lines[number + 1 :]]))
        for other in range(number):
            swapped = list(lines)
            swapped[number], swapped[other] = lines[other], lines[number]
            assert is_found(with_checksum(swapped)), (number, other)


def forged(lines: list[bytes], number: int, change: Callable[[dict[str, Any]], None]) -> bytes:
    row = json.loads(lines[number])
    change(row)
    return with_checksum([*lines[:number], canonical(row) + b"\n", *lines[number + 1 :]])


def test_a_value_that_is_changed_with_all_that_is_beside_it_is_found(export: bytes) -> None:
    lines = export.splitlines(keepends=True)[:-1]
    kinds = [{"payload", "hash"} & json.loads(line).keys() for line in lines]
    entry = kinds.index({"payload"})
    link = kinds.index({"hash"})

    def resalted(row: dict[str, Any]) -> None:
        row["payload"]["agent"] = "other"
        row["digest"] = digest_of(row["salt"], row["payload"])

    def rehashed(row: dict[str, Any]) -> None:
        row["digests"][0] = "00" * 32
        row["hash"] = hash_of(row, row["prev"])

    for number, change in ((entry, resalted), (link, rehashed), (link + 1, rehashed)):
        report = verify_export(forged(lines, number, change))
        assert not report.ok
        assert {problem.seq for problem in report.problems} & {1, 2, 3}


def test_an_anchor_finds_what_was_cut_or_rewritten_as_a_whole(tmp_path: Path) -> None:
    old, new = InMemoryBackend(), InMemoryBackend()
    anchor = filled(old)
    filled(new)
    for backend in (old, new):
        assert verify_store(backend).ok
    assert verify_store(old, anchor).ok
    (problem,) = verify_store(new, anchor).problems
    assert "is not here any more" in problem.text
    ((chain, head),) = anchor["chains"].items()
    cut = {**anchor, "chains": {chain: {**head, "links": head["links"] + 1}}}
    (problem,) = verify_store(old, cut).problems
    assert (problem.seq, "it was cut" in problem.text) == (head["links"], True)
    other = {**anchor, "chains": {chain: {**head, "hash": "00" * 32}}}
    (problem,) = verify_store(old, other).problems
    assert (problem.seq, "rewritten" in problem.text) == (head["links"], True)
    with AgentMemory.open(old, namespace=NS, counter="estimate") as memory:
        memory.remember("Links that are added later do no harm")
        assert memory.audit.verify(anchor).ok
        for wrong in ({}, {"chains": {}}, {**anchor, "chains": {chain: {"links": "3"}}}):
            with pytest.raises(InvalidValueError, match="no anchor"):
                memory.audit.verify(wrong)


# -- a store -------------------------------------------------------------------------------


def verdict(path: Path) -> AuditReport | None:
    """Return what verifying says of a copied file; None if it cannot even be read."""
    try:
        with SqliteBackend(path, read_only=True) as backend:
            return verify_store(backend)
    except CtxplugError:
        return None


def audit_rows(path: Path) -> list[tuple[int, str, bytes]]:
    """Return the rowids, kinds and bodies of the audit's entries."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        rows = connection.execute(
            """SELECT e.id, e.kind, e.body FROM entries e JOIN streams s ON s.id = e.id >> 32
            JOIN namespaces n ON n.id = s.namespace
            WHERE s.session = ?1 OR n.key = ?1 ORDER BY e.id""",
            (STREAM,),
        ).fetchall()
    connection.close()
    return [(row, kind, bytes(body)) for row, kind, body in rows]


@pytest.mark.parametrize("step", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_any_byte_of_a_stored_entry_that_is_changed_is_found(tmp_path: Path, step: int) -> None:
    """In the file itself; the default run takes one byte in 23, the slow one every byte."""
    path = tmp_path / "agent.db"
    filled(path, sealed=3, unsealed=2)
    rows = audit_rows(path)
    data = path.read_bytes()
    report = verdict(path)
    assert report is not None
    assert report.ok
    assert (report.sealed, report.unsealed) == (4, 2)
    assert {kind for _, kind, _ in rows} == {"audit", "chain", "link"}
    copy = tmp_path / "copy.db"
    for row, _, body in rows:
        place = data.index(body)
        # The record's header and the columns before and behind the body too.
        for position in range(place - 24, place + len(body) + 4, 23 if step else 1):
            changed = bytearray(data)
            changed[position] ^= 1 << position % 8
            copy.write_bytes(changed)
            found = verdict(copy)
            assert found is None or not found.ok, (row, position - place)


def rewrite(path: Path, row: int, body: bytes | None, **columns: Any) -> None:
    """Change a row of the log as somebody would who knows of its checksum."""
    with sqlite3.connect(path) as connection:
        if body is None and not columns:
            connection.execute("DELETE FROM entries WHERE id = ?", (row,))
        for name, value in columns.items():
            connection.execute(f"UPDATE entries SET {name} = ? WHERE id = ?", (value, row))
        if body is not None:
            connection.execute("UPDATE entries SET body = ? WHERE id = ?", (body, row))
        _mend_checksum(connection, row)
    connection.close()


def _mend_checksum(connection: sqlite3.Connection, row: int) -> None:
    found = connection.execute(
        "SELECT id, kind, pinned, agent, created_at, body FROM entries WHERE id = ?", (row,)
    ).fetchone()
    if found is not None:
        *columns, body = found
        repaired = crc32(repr(tuple(columns)).encode(), crc32(bytes(body)))
        connection.execute("UPDATE entries SET crc = ? WHERE id = ?", (repaired, row))


def test_rows_that_are_rewritten_with_their_checksum_are_found(tmp_path: Path) -> None:
    path, copy = tmp_path / "agent.db", tmp_path / "copy.db"
    filled(path)
    rows = audit_rows(path)
    for row, kind, body in rows:
        value = json.loads(body)
        if kind == "link":
            value["digests"] = value["digests"][1:]
        else:
            value["payload"]["agent"] = "somebody else"
        changes: list[tuple[bytes | None, dict[str, Any]]] = [
            (json.dumps(value).encode(), {}),
            (None, {}),
            (None, {"agent": "other"}),
            (None, {"created_at": 5}),
            (None, {"kind": "other"}),
            (None, {"pinned": 1}),
        ]
        for changed, columns in changes:
            copy.write_bytes(path.read_bytes())
            rewrite(copy, row, changed, **columns)
            report = verdict(copy)
            assert report is not None
            assert not report.ok, (row, kind, columns)
            where = f"chain {value['chain']}" if kind == "link" else "acme/alice"
            assert any(problem.where == where for problem in report.problems)


def test_an_entry_that_is_replaced_with_its_digest_is_named(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    filled(path)
    row, _, body = audit_rows(path)[2]
    value = json.loads(body)
    value["payload"]["ids"] = ["another"]
    value["digest"] = digest_of(value["salt"], value["payload"])
    rewrite(path, row, json.dumps(value, ensure_ascii=False).encode())
    report = verdict(path)
    assert report is not None
    assert [(problem.where, problem.seq) for problem in report.problems] == [("acme/alice", 3)]
    assert "it was replaced" in report.problems[0].text


def test_an_entry_that_was_changed_is_never_sealed(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    filled(path, sealed=2, unsealed=3)
    row = next(row for row, _, body in audit_rows(path) if b"later 1" in body)
    body = next(body for one, _, body in audit_rows(path) if one == row)
    rewrite(path, row, body.replace(b"later 1", b"later 9"))
    with AgentMemory.open(path, namespace=NS, counter="estimate") as memory:
        memory.remember("More of it")
        before = memory.audit.verify()
        memory.audit.flush()
        after = memory.audit.verify()
    assert not before.ok
    assert [problem.seq for problem in after.problems] == [5]
    assert (after.sealed, after.unsealed) == (4, 3)


def test_a_chain_that_is_missing_or_cut_is_found(tmp_path: Path) -> None:
    for cut in (False, True):
        backend = InMemoryBackend()
        anchor = filled(backend)
        (chain,) = anchor["chains"]
        entries = backend.read(Stream(CHAINS, chain))
        backend.erase(CHAINS)
        with AgentMemory.open(backend, namespace=NS, counter="estimate", audit=False) as memory:
            if cut:  # the last link is gone, with which entries were sealed
                from ctxplug.storage import Append

                for entry in entries[:-1]:
                    backend.write(
                        Append(
                            stream=entry.stream,
                            kind=entry.kind,
                            body=entry.body,
                            created_at=entry.created_at,
                        )
                    )
                assert memory.audit._backend is memory.backend
                assert [p.text[:20] for p in verify_store(backend, anchor).problems] == [
                    "the chain ends here;"
                ]
            else:
                assert "is missing" in verify_store(backend).problems[0].text


# -- the command line ----------------------------------------------------------------------


def run(*arguments: object) -> tuple[int, Any]:
    result = CliRunner().invoke(app, ["audit", *map(str, arguments), "--json"])
    try:
        return result.exit_code, json.loads(result.stdout)
    except ValueError:
        return result.exit_code, result.output


def test_the_commands_verify_anchor_export_and_report(tmp_path: Path) -> None:
    path, lines, anchor = tmp_path / "a.db", tmp_path / "e.jsonl", tmp_path / "anchor.json"
    filled(path, unsealed=1)
    assert run("verify", path) == (
        0,
        {"ok": True, "sealed": 7, "unsealed": 1, "erased": 0, "chains": 1, "problems": []},
    )
    assert run("anchor", path, anchor)[0] == 0
    assert run("verify", path, "--anchor", anchor)[1]["unsealed"] == 0
    assert run("export", path, lines) == (
        0,
        {"file": f"{lines}", "namespace": ["acme", "alice"], "lines": 14},
    )
    assert run("export", path, lines)[0] == 1
    assert run("verify", lines, "-a", anchor)[1]["sealed"] == 8
    code, report = run("report", path, "-n", "acme/alice")
    assert (code, report["by_agent"]) == (0, {"计划": 6, "(none)": 1})
    code, listed = run("list", path, "--what", "remember", "-k", "2")
    assert [(entry["seq"], entry["purpose"]) for entry in listed] == [(6, "case 4"), (7, "case 5")]
    for plain in ("verify", "list", "report", "anchor"):
        result = CliRunner().invoke(app, ["audit", plain, str(path)])
        assert result.exit_code == 0, result.output

    row, _, body = audit_rows(path)[1]
    rewrite(path, row, body.replace(b"case 1", b"case 9"))
    code, report = run("verify", path)
    assert code == 1
    assert [problem["seq"] for problem in report["problems"]] == [2]
    assert run("report", path)[0] == 1
    assert CliRunner().invoke(app, ["audit", "verify", str(path)]).exit_code == 1
    lines.write_bytes(lines.read_bytes().replace(b"case 1", b"case 9"))
    assert run("verify", lines)[0] == 1
    assert run("verify", tmp_path / "none.db")[0] == 1
    assert run("verify", path, "--anchor", tmp_path / "none.json")[0] == 1


def test_a_chain_is_not_hidden_by_another_kind_of_the_entry_that_names_it(tmp_path: Path) -> None:
    """Else the log would look as if nothing had been sealed, and could be written anew."""
    path = tmp_path / "agent.db"
    filled(path, sealed=3)
    (row,) = [row for row, kind, _ in audit_rows(path) if kind == "chain"]
    rewrite(path, row, None, kind="audit")
    with AgentMemory.open(path, namespace=NS, counter="estimate") as memory:
        (problem,) = memory.audit.verify().problems
        assert "its kind" in problem.text


def test_bytes_between_salt_and_payload_and_parts_of_no_digest_are_found(export: bytes) -> None:
    lines = export.splitlines(keepends=True)[:-1]
    entry = next(n for n, line in enumerate(lines) if "payload" in json.loads(line))

    def spaced(row: dict[str, Any]) -> None:
        row["salt"] = row["salt"][:2] + " " + row["salt"][2:]

    def shortened(row: dict[str, Any]) -> None:
        row["salt"] = ""
        row["digest"] = hashlib.sha256(canonical(row["payload"])).hexdigest()

    def added(row: dict[str, Any]) -> None:
        row["approved"] = "by the board"

    for change in (spaced, shortened, added):
        assert is_found(forged(lines, entry, change)), change


def test_the_anchor_of_a_store_tells_of_one_namespace_and_of_one_export(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    filled(path)
    kept, export, run = tmp_path / "anchor.json", tmp_path / "alice.jsonl", CliRunner().invoke
    with AgentMemory.open(path, namespace=("acme", "bob"), counter="estimate") as bob:
        bob.remember("Lives in Porto")
    assert run(app, ["audit", "anchor", str(path), str(kept)]).exit_code == 0
    anchor = json.loads(kept.read_bytes())
    assert len(anchor["chains"]) == 2
    assert run(app, ["audit", "export", str(path), str(export), "-n", "acme/alice"]).exit_code == 0
    assert verify_export(export.read_bytes(), anchor).ok  # bob's chain is no business of it
    named = run(app, ["audit", "verify", str(export), "-n", "acme/bob"])  # it was not looked at
    assert (named.exit_code, "is an export, and of one namespace" in named.output) == (1, True)
    with AgentMemory.open(path, namespace=("acme", "eve"), counter="estimate") as late:
        late.remember("Came after the anchor")
        assert late.audit.verify(anchor).ok
        late.audit.export(tmp_path / "eve.jsonl")
    (problem,) = verify_export((tmp_path / "eve.jsonl").read_bytes(), anchor).problems
    assert "does not know the chain" in problem.text

    with sqlite3.connect(path) as connection:  # the log of alice is removed, and begins anew
        connection.execute(
            """DELETE FROM streams WHERE session = ? AND namespace =
            (SELECT id FROM namespaces WHERE key = 'acme/alice')""",
            (STREAM,),
        )
    connection.close()
    with AgentMemory.open(path, namespace=NS, counter="estimate") as memory:
        memory.remember("Was always so")
        (problem,) = memory.audit.verify(anchor).problems
        assert "tells of no erasure" in problem.text
    assert run(app, ["audit", "verify", str(path)]).exit_code == 1


@pytest.mark.parametrize("sealed", [False, True])
def test_what_is_changed_before_it_is_sealed_is_found_by_who_wrote_it(
    monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    backend = InMemoryBackend()
    memory = AgentMemory.open(backend, namespace=NS, counter="estimate")
    memory.audit.note("first")
    if sealed:
        memory.audit.flush()
    for number in range(4):
        memory.audit.note(f"note {number}")
    changed = memory.audit.entries("note 1")[0].seq
    read = backend.read

    def forged(stream: Stream, **options: Any) -> list[Entry]:
        found = read(stream, **options)
        return [forge(e) if (stream.session, e.version) == (STREAM, changed) else e for e in found]

    def forge(entry: Entry) -> Entry:
        body = {**entry.body, "payload": {**entry.body["payload"], "what": "nothing"}}
        body["digest"] = digest_of(body["salt"], body["payload"])
        return replace(entry, body=body)

    monkeypatch.setattr(backend, "read", forged)
    memory.audit.flush()
    (problem,) = memory.audit.verify().problems
    assert (problem.seq, "it was replaced" in problem.text) == (changed, True)
