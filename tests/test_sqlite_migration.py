"""Files of older schemas: opened, brought up to date once, and nothing of them lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from ctxplug import AgentMemory
from ctxplug.errors import NewerSchemaError, ReadOnlyError, StorageError
from ctxplug.storage import Backend, Fork, Stream, Unarchive, Where
from ctxplug.storage.sqlite import SqliteBackend, open_sqlite, schema
from ctxplug.testing.backend_data import note, numbers
from ctxplug.testing.children import start_python
from ctxplug.testing.disks import Call, FailingDisk, RecordingDisk, write_files

SCHEMAS = Path(__file__).parent / "fixtures" / "schemas"
OLD = sorted(int(path.stem) for path in SCHEMAS.glob("*.sql"))
NS = ("acme", "alice")
TRIP, CHINESE = Stream(NS, "trip"), Stream(NS, "旅行")


def lay(path: Path, version: int) -> None:
    """Make the file that a program of that time left behind."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.execute((SCHEMAS / f"{version}.sql").read_text(encoding="utf-8"))
    connection.close()


@pytest.fixture(params=OLD)
def old(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    lay(tmp_path / "agent.db", request.param)
    return tmp_path / "agent.db"


def version_of(path: Path) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    found = connection.pragma("user_version")
    connection.close()
    return int(found)


def require_all(backend: Backend) -> None:
    """Fail unless all that the fixtures hold is there, and found as it was."""
    texts = [
        entry.body["message"]["content"][0]["text"] if entry.kind == "message" else entry.body
        for stream in (TRIP, CHINESE)
        for entry in backend.read(stream)
    ]
    trip = ["I moved to Lisbon", "A window seat, please", {"number": 3}, "Fly on Monday"]
    assert texts == [*trip, "我住在里斯本"]
    assert [e.version for e in backend.read(TRIP, pinned=True)] == [3]
    found = {record.id: record.content for record in backend.find(Where(NS))}
    assert found == {"trip@4": trip[3], "旅行@1": texts[4], "m1": "Lives in Lisbon"}
    for words, id in ((["lisbon"], "m1"), (["里斯"], "旅行@1"), (["monday"], "trip@4")):
        assert [hit.record.id for hit in backend.search(Where(NS), terms=words)] == [id]
    shelved = {one.record.id for one in backend.archived(Where(NS))}
    assert shelved == {"trip@1", "trip@2", "m2"}
    assert [one.record.id for one in backend.archived(Where(NS), ["seat"])] == ["trip@2"]
    if "vector" in backend.capabilities:
        near = backend.nearest(Where(NS), [1.0, 0.0], embedder="model")
        assert [id for id, _ in near] == ["m1", "trip@4"]
    infos = [(info.version, info.archived, info.parent) for info in backend.sessions(NS)]
    assert infos[:2] == [(4, 2, None), (1, 0, None)]
    record = backend.get(NS, "m1")
    assert record is not None
    assert record.access_count == 1
    assert [record.content for record in backend.find(Where(("acme", "bob")))] == ["Bob"]
    assert backend.check().problems == ()


def test_every_older_schema_has_a_file_here() -> None:
    assert [*OLD, schema.VERSION] == list(range(1, schema.VERSION + 1))
    assert sorted(schema.MIGRATIONS) == OLD


def test_an_old_file_is_brought_up_to_date_and_used(old: Path) -> None:
    for _ in range(2):
        with SqliteBackend(old) as backend:
            require_all(backend)
    assert version_of(old) == schema.VERSION
    fork = Stream(NS, "fork")
    with SqliteBackend(old) as backend:
        backend.write(Fork(fork, "trip", 3), note(9, fork))
        assert [e.version for e in backend.read(fork)] == [1, 2, 3, 4]
        assert numbers(backend.read(fork, after=2)) == [3, 9]
        assert backend.write(Unarchive(NS, "trip"), Unarchive(NS)) == [2, 1]
        assert len(backend.read(fork)) == 4
        assert backend.check().problems == ()
        assert backend.erase(NS).entries == 6
    with AgentMemory.open(old, namespace="acme/bob", counter="estimate") as memory:
        assert [one.record.content for one in memory.recall("Bob")] == ["Bob"]


def test_it_is_laid_out_as_a_new_file_is(old: Path, tmp_path: Path) -> None:
    """But for the order of columns: those that were added stand at the end."""
    SqliteBackend(old).close()
    SqliteBackend(tmp_path / "new.db").close()
    assert layout(old) == layout(tmp_path / "new.db")


def layout(path: Path) -> dict[str, Any]:
    connection = apsw.Connection(str(path))
    things: list[Any] = connection.execute(
        "SELECT type, name, tbl_name, iif(type = 'table', '', sql) FROM sqlite_schema"
    ).fetchall()
    found: dict[str, Any] = {"things": sorted(things, key=str)}
    for kind, name, *_ in things:
        if kind == "table" and not name.startswith("words"):
            columns: list[Any] = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
            found[name] = sorted(column[1:] for column in columns)
    connection.close()
    return found


def test_an_old_file_is_not_altered_by_reading_alone(old: Path) -> None:
    before, version = old.read_bytes(), version_of(old)
    with pytest.raises(ReadOnlyError, match="open it once without mode=ro"):
        open_sqlite(f"///{old}?mode=ro")
    assert old.read_bytes() == before
    SqliteBackend(old).close()
    assert version_of(old) > version
    with open_sqlite(f"///{old}?mode=ro") as backend:
        require_all(backend)


def test_an_older_program_refuses_the_file_afterwards(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = version_of(old)
    SqliteBackend(old).close()
    before = old.read_bytes()
    monkeypatch.setattr(schema, "VERSION", version)
    with pytest.raises(NewerSchemaError, match="Upgrade ctxplug"):
        SqliteBackend(old)
    assert old.read_bytes() == before


OPENER = """
import sys
from ctxplug.storage import Stream
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.backend_data import note
sys.stdin.readline()
with SqliteBackend(sys.argv[1]) as backend:
    backend.write(note(1, Stream(("acme", "carol"), sys.argv[2])))
    assert backend.head(Stream(("acme", "alice"), "trip")) == 4
print("DONE")
"""


def test_several_processes_open_an_old_file_at_once(old: Path) -> None:
    children = [
        start_python(OPENER, str(old), f"s{n}", stdin=-1, stdout=-1, stderr=-1) for n in range(5)
    ]
    for child in children:
        assert child.stdin
        child.stdin.write(b"go\n")
        child.stdin.flush()
    for child in children:
        out, complaints = child.communicate()
        assert out == b"DONE\n", complaints
    with SqliteBackend(old) as backend:
        require_all(backend)
        assert len(backend.sessions(("acme", "carol"))) == 5


CALLS: list[set[Call]] = [{"write"}, {"sync"}, {"open", "truncate", "delete"}, {"read"}]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # while closing
@pytest.mark.parametrize("calls", CALLS, ids=lambda calls: "-".join(sorted(calls)))
@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError], ids=["error", "full"])
def test_a_failing_disk_leaves_the_old_file_or_the_new_one(
    old: Path, calls: set[Call], error: type[apsw.Error]
) -> None:
    before, version = old.read_bytes(), version_of(old)
    fired, nth, felt = True, 0, 0
    while fired:
        nth += 1
        old.write_bytes(before)
        with FailingDisk(nth, calls, error) as disk:
            try:
                SqliteBackend(old).close()
            except StorageError as exc:
                assert str(old) in str(exc)
                felt += 1
        fired = disk.fired
        assert version_of(old) in (version, schema.VERSION)
        with SqliteBackend(old) as backend:
            require_all(backend)
    assert felt, "the faults were not felt"
    assert [path.name for path in old.parent.iterdir()] == [old.name]


def test_the_power_may_fail_at_any_moment(old: Path, tmp_path: Path) -> None:
    start = {str(old): old.read_bytes()}
    with RecordingDisk() as disk:
        SqliteBackend(old).close()
    for moment in range(disk.moment + 1):
        place = tmp_path / f"{moment}"
        place.mkdir()
        write_files(disk.after_power_loss(moment, start, moment), place)
        with SqliteBackend(place / old.name) as backend:
            require_all(backend)
    assert disk.moment > 4, "nothing was written"


KILLED = """
import os, sys
from ctxplug.storage.sqlite import SqliteBackend, schema
script = schema.MIGRATIONS[1].split(";")
schema.MIGRATIONS[1] = ";".join(script[: int(sys.argv[2])]) + "; SELECT die()"
import apsw
apsw.connection_hooks.append(
    lambda c: c.create_scalar_function("die", lambda: os.kill(os.getpid(), 9))
)
SqliteBackend(sys.argv[1])
"""


@pytest.mark.parametrize("statements", [0, 1, 2, 3])
def test_a_migration_that_is_killed_is_begun_anew(tmp_path: Path, statements: int) -> None:
    path = tmp_path / "agent.db"
    lay(path, 1)
    child = start_python(KILLED, str(path), f"{statements}", stdout=-1, stderr=-1)
    complaints = child.communicate()[1]
    assert child.returncode == -9, complaints
    assert version_of(path) == 1
    with SqliteBackend(path) as backend:
        require_all(backend)
