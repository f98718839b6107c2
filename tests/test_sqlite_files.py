"""What the SQLite backend does with files that are damaged, foreign, locked up or copied."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from ctxplug import AgentMemory
from ctxplug.errors import (
    CannotOpenError,
    CorruptStoreError,
    ForeignFileError,
    NewerSchemaError,
    ReadOnlyError,
    StorageBusyError,
    StorageError,
    UnknownComponentError,
)
from ctxplug.storage import ArchiveLog, ArchiveRecords, Put, Stream, Where
from ctxplug.storage.sqlite import SqliteBackend, open_sqlite
from ctxplug.testing.backend_data import NS, STREAM, memory, note, numbers, said
from ctxplug.testing.children import run_python, start_python

PAGE = 4096


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A sound, closed store of some fifty pages."""
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as backend:
        for i in range(40):
            text = f"message {i} {random.Random(i).randbytes(1500).hex()}"
            backend.write(said(text, f"word{i} 消息"), Put(memory(f"m{i}", text), f"w{i} 记忆"))
    assert path.stat().st_size > 50 * PAGE
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def truncate(path: Path, size: int) -> None:
    os.truncate(path, size)


def become_another_programs(path: Path) -> None:
    path.unlink()
    connection = apsw.Connection(str(path))
    make_foreign(connection)
    connection.close()


def make_foreign(connection: apsw.Connection) -> None:
    connection.pragma("journal_mode", "wal")
    connection.execute("CREATE TABLE t (x); INSERT INTO t VALUES (1)")


def set_user_version(path: Path, version: int) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", version)
    connection.close()


DAMAGES: dict[str, tuple[Callable[[Path], object], type[StorageError], str]] = {
    "zero length": (lambda p: truncate(p, 0), CorruptStoreError, "Restore a backup"),
    "one byte": (lambda p: truncate(p, 1), CorruptStoreError, "Restore a backup"),
    "two bytes": (lambda p: truncate(p, 2), ForeignFileError, "Choose another path"),
    "half of it": (lambda p: truncate(p, 25 * PAGE), CorruptStoreError, "Restore a backup"),
    "an odd size": (lambda p: truncate(p, 30 * PAGE + 77), CorruptStoreError, "Restore a backup"),
    "last byte gone": (
        lambda p: truncate(p, p.stat().st_size - 1),
        CorruptStoreError,
        "Restore a backup",
    ),
    "magic overwritten": (
        lambda p: overwrite(p, 0, b"\xab" * 16),
        CorruptStoreError,
        "Restore a backup",
    ),
    "header overwritten": (
        lambda p: overwrite(p, 0, b"\xab" * 100),
        ForeignFileError,
        "restore a backup",
    ),
    "page size overwritten": (
        lambda p: overwrite(p, 16, b"\xab" * 4),
        CorruptStoreError,
        "(?i)restore a backup",
    ),
    "text": (lambda p: p.write_text("dear diary\n" * 500), ForeignFileError, "another path"),
    "another program's": (become_another_programs, ForeignFileError, "another path"),
    "newer schema": (lambda p: set_user_version(p, 99), NewerSchemaError, "Upgrade ctxplug"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_a_file_that_is_no_sound_store_is_refused_and_left_alone(
    store: Path, damage: str, mode: str
) -> None:
    spoil, error, advice = DAMAGES[damage]
    spoil(store)
    before = contents(store.parent)
    with pytest.raises(error, match=advice) as caught:
        open_sqlite(f"///{store}?mode={mode}")
    assert repr(str(store)) in str(caught.value)
    assert caught.value.target == str(store)
    with pytest.raises(error):
        AgentMemory.open(store, namespace="acme/alice")
    assert contents(store.parent) == before


def test_any_page_overwritten_is_noticed_before_a_write(store: Path) -> None:
    """A random page lets SELECT count(*) and INSERT succeed; only a whole check sees it."""
    sound = store.read_bytes()
    for page in range(1, len(sound) // PAGE):
        store.write_bytes(sound)
        overwrite(store, page * PAGE, random.Random(page).randbytes(PAGE))
        before = contents(store.parent)
        with pytest.raises(CorruptStoreError, match=r"Restore a backup.*\.recover on the copy"):
            SqliteBackend(store)
        assert contents(store.parent) == before, page


def test_a_damaged_file_with_waiting_writes_keeps_both_files(store: Path) -> None:
    """Closing after a refusal must not merge the -wal file into the damaged one."""
    leave_unmerged(store)
    for damage in range(2):
        overwrite(store, 7 * PAGE, b"\xab" * PAGE)
        if damage:
            truncate(store, 9)
        wal = Path(f"{store}-wal").read_bytes()
        before = store.read_bytes()
        assert len(wal) > PAGE
        with pytest.raises((CorruptStoreError, ForeignFileError)):
            SqliteBackend(store)
        assert store.read_bytes() == before
        assert Path(f"{store}-wal").read_bytes() == wal


def leave_unmerged(store: Path) -> None:
    """Append a note from a process that ends without closing the store."""
    run_python(
        "import os, sys\n"
        "from ctxplug.storage.sqlite import SqliteBackend\n"
        "from ctxplug.testing.backend_data import note\n"
        "SqliteBackend(sys.argv[1]).write(note(77))\n"
        "os._exit(0)",
        str(store),
    )


def test_another_programs_open_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    theirs = apsw.Connection(str(path))
    make_foreign(theirs)
    before = contents(tmp_path)
    assert len(before) == 3
    with pytest.raises(ForeignFileError):
        SqliteBackend(path)
    assert contents(tmp_path) == before
    theirs.close()


def test_a_store_left_by_a_dying_process_opens_with_everything(store: Path) -> None:
    leave_unmerged(store)
    assert Path(f"{store}-wal").stat().st_size > 0
    with SqliteBackend(store) as backend:
        assert numbers(backend.read(STREAM, kinds=["note"])) == [77]
        assert backend.check().ok
    assert not Path(f"{store}-wal").exists()


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("", "give the path of a file"),
        ("a\0b.db", "give the path of a file"),
        ("a\ud800.db", "rename the file"),
        (".", "give the path of a file in it"),
        ("no/such/folder/agent.db", "create the folder first"),
        ("a" * 300, "Check the folder"),
    ],
    ids=["empty", "NUL", "surrogate", "folder", "no parent", "too long"],
)
def test_a_path_that_cannot_be_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, advice: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CannotOpenError, match=advice):
        SqliteBackend(path)
    assert contents(tmp_path) == {}


def test_unknown_options_are_refused(tmp_path: Path) -> None:
    for option in ("mode=rx", "busy=soon", "busy=-1", "busy=inf", "sync=full", "synchronous=off"):
        with pytest.raises(UnknownComponentError, match="options"):
            open_sqlite(f"///{tmp_path}/agent.db?{option}")
    with pytest.raises(CannotOpenError, match="mode=ro"):
        open_sqlite(f"///{tmp_path}/agent.db?mode=ro")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("name", [":memory:", "file:x.db?mode=memory", "日记 📓.db", "a%20b.db"])
def test_any_name_is_a_name(tmp_path: Path, name: str) -> None:
    with SqliteBackend(tmp_path / name) as backend:
        backend.write(note(1))
        assert [path.name for path in tmp_path.iterdir() if path.stat().st_mode & 0o077] == []
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_relative_path_stays_the_same_file_when_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with SqliteBackend("agent.db") as backend:
        monkeypatch.chdir("elsewhere")
        backend.write(note(1))
        assert numbers(backend.read(STREAM)) == [1]
        assert backend.check().ok
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["agent.db"]


def test_writing_to_a_file_that_was_deleted_or_replaced_is_refused(tmp_path: Path) -> None:
    """A write into a file without a name would be acknowledged and lost."""
    path, kept = tmp_path / "agent.db", tmp_path / "kept.db"
    with SqliteBackend(path) as backend:
        backend.write(note(1))
        path.rename(kept)
        for replacement in (b"", b"something else"):
            path.write_bytes(replacement)
            with pytest.raises(CannotOpenError, match="Put the file back"):
                backend.write(note(2))
            path.unlink()
            with pytest.raises(CannotOpenError, match="was deleted"):
                backend.write(note(2))
        kept.rename(path)
        backend.write(note(3))
        assert numbers(backend.read(STREAM)) == [1, 3]


def test_no_new_store_is_made_beside_the_last_writes_of_a_lost_one(store: Path) -> None:
    """SQLite would merge the old -wal file into the new store."""
    leave_unmerged(store)
    kept = store.rename(store.with_suffix(".kept"))
    before = contents(store.parent)
    with pytest.raises(CorruptStoreError, match="remove the -wal file too"):
        SqliteBackend(store)
    assert contents(store.parent) == before
    kept.rename(store)
    with SqliteBackend(store) as backend:
        assert numbers(backend.read(STREAM, kinds=["note"])) == [77]


# -- read-only -----------------------------------------------------------------------------


def test_mode_ro_reads_what_others_write_and_writes_nothing(store: Path) -> None:
    with SqliteBackend(store) as writer, open_sqlite(f"///{store}?mode=ro") as reader:
        writer.write(note(1))
        assert numbers(reader.read(STREAM, kinds=["note"])) == [1]
        assert len(reader.search(Where(NS), terms=["word7"])) == 1
        assert reader.check().ok
        for attempt in (lambda: reader.write(note(2)), lambda: reader.erase(NS)):
            with pytest.raises(ReadOnlyError, match="open it without"):
                attempt()
        assert numbers(writer.read(STREAM, kinds=["note"])) == [1]
    before = store.read_bytes()
    with open_sqlite(f"///{store}?mode=ro") as reader:
        assert reader.head(STREAM) == 41
    assert store.read_bytes() == before


READ_ONLY = """
import os, sys
from pathlib import Path
from ctxplug.errors import CannotOpenError, ReadOnlyError, StorageError
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.backend_data import STREAM, note
folder = Path(sys.argv[1])
if os.geteuid() == 0:  # root may write anywhere
    try:
        os.setgid(65534); os.setuid(65534)
    except OSError as exc:
        print(f"SKIP: cannot give up root: {exc}"); sys.exit()
path = folder / "agent.db"
with SqliteBackend(path) as backend:
    backend.write(note(1))
content = path.read_bytes()

def refused(error, *words, **options):
    try:
        SqliteBackend(path, **options).close()
    except StorageError as exc:
        assert type(exc) is error and all(word in str(exc) for word in words), repr(exc)
    else:
        raise AssertionError("it was opened")

def readable():
    with SqliteBackend(path, read_only=True) as backend:
        assert backend.read(STREAM)[0].body == {"number": 1}
        assert backend.check().ok
        try:
            backend.write(note(2))
        except ReadOnlyError as exc:
            assert "mode=ro" in str(exc)
        else:
            raise AssertionError("it was written")
    assert path.read_bytes() == content

path.chmod(0o444)
refused(ReadOnlyError, "the file is read-only", "mode=ro")
readable()
for extra in folder.glob("agent.db-*"):
    extra.unlink()
folder.chmod(0o555)
refused(ReadOnlyError, "mode=ro")
readable()
path.chmod(0o644)
refused(ReadOnlyError, "folder is read-only", "mode=ro")
readable()
assert [p.name for p in folder.iterdir()] == ["agent.db"]
path, kept = folder / "new.db", path
refused(CannotOpenError, "Check the folder's permissions")
path = kept
folder.chmod(0o755)
path.chmod(0)
refused(CannotOpenError, "permissions")
refused(CannotOpenError, "permissions", read_only=True)
path.chmod(0o644)
assert path.read_bytes() == content

# Writes that wait in a -wal file can be read as long as its index is there.
if os.fork() == 0:
    SqliteBackend(path).write(note(2))
    os._exit(0)
os.wait()
content = path.read_bytes()
folder.chmod(0o555)
with SqliteBackend(path, read_only=True) as backend:
    assert [e.version for e in backend.read(STREAM)] == [1, 2]
folder.chmod(0o755)
(folder / "agent.db-shm").unlink()
folder.chmod(0o555)
refused(ReadOnlyError, "-wal", "copy", read_only=True)
folder.chmod(0o755)
with SqliteBackend(path) as backend:
    assert backend.head(STREAM) == 2
print("DONE")
"""


def test_read_only_files_and_folders_are_named_and_can_be_read() -> None:
    with tempfile.TemporaryDirectory() as folder:  # one that others than root can reach
        os.chmod(folder, 0o755)
        place = Path(folder, "stores")
        place.mkdir()
        place.chmod(0o777)
        if os.geteuid() == 0:
            os.chown(place, 65534, 65534)
        printed = run_python(READ_ONLY, str(place)).strip()
    if printed.startswith("SKIP"):
        pytest.skip(printed)
    assert printed == "DONE"


# -- backup --------------------------------------------------------------------------------


def test_a_backup_taken_while_threads_write_is_a_sound_prefix(tmp_path: Path) -> None:
    stop = threading.Event()
    copies = [tmp_path / f"copy{i}.db" for i in range(4)]
    acknowledged = []
    with SqliteBackend(tmp_path / "agent.db", synchronous="normal") as backend:

        def append() -> None:
            while not stop.is_set():
                acknowledged.append(backend.write(said("x" * 500, "word 文字"), note(1))[-1])

        threads = [threading.Thread(target=append) for _ in range(3)]
        for thread in threads:
            thread.start()
        before: list[int] = []
        for copy in copies:
            while len(acknowledged) < 20 * (len(before) + 1):
                stop.wait(0.001)
            before.append(max(acknowledged))
            backend.backup(str(copy))
        stop.set()
        for thread in threads:
            thread.join()
        whole = backend.read(STREAM)
    for copy, least in zip(copies, before, strict=True):
        assert copy.stat().st_mode & 0o077 == 0
        with SqliteBackend(copy) as backend:
            assert backend.check().problems == ()
            found = backend.read(STREAM)
            assert found == whole[: len(found)]
            assert len(found) % 2 == 0
            assert len(found) >= least
            backend.write(note(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "agent.db",
        *(copy.name for copy in copies),
    ]


def test_a_backup_never_overwrites(tmp_path: Path) -> None:
    with SqliteBackend(tmp_path / "agent.db") as backend:
        backend.write(note(1))
        (tmp_path / "mine.txt").write_text("mine")
        (tmp_path / "empty").touch()
        before = contents(tmp_path)
        del before["agent.db-shm"]  # where readers note what they read
        for name, advice in [
            ("mine.txt", "another name"),
            ("empty", "another name"),
            ("agent.db", "another name"),
            (".", "path of a file"),
            ("no/folder.db", "create the folder"),
            ("a\0b", "path of a file"),
        ]:
            with pytest.raises(CannotOpenError, match=advice):
                backend.backup(f"{tmp_path}/{name}")
        after = contents(tmp_path)
        del after["agent.db-shm"]
        assert after == before


# -- erase -----------------------------------------------------------------------------------

SECRETS = [f"zq{i}vkanarie{i}x" for i in range(6)]
WORDS = [f"qj{i}zifferwort" for i in range(6)]  # in the word index and nowhere else
CHINESE, BIGRAMS = "驤麤龘靐齉", ["驤麤", "麤龘", "龘靐", "靐齉"]


def occurrences(path: Path) -> dict[str, int]:
    """Return how often each secret is in the raw bytes of the store's files."""
    files = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
    raw = b"".join(file.read_bytes() for file in files if file.exists())
    # Sorted words are stored without the bytes that they share with the word before.
    found = {text: raw.count(text.encode()[2:]) for text in (*SECRETS, *WORDS, CHINESE, *BIGRAMS)}
    return {text: count for text, count in found.items() if count}


def keep_secrets(backend: SqliteBackend) -> None:
    """Write secrets to one namespace and much else to others, in many small commits."""
    secret = Stream(("acme", "secret"), SECRETS[0])
    for i in range(60):
        text = f"{SECRETS[1]} {i} {CHINESE}"
        backend.write(
            said(text, f"{WORDS[i % 3]} {' '.join(BIGRAMS)} n{i}", secret, agent=SECRETS[2])
        )
        record = memory(
            f"{SECRETS[3]}{i}",
            text * (1 + 40 * (i % 7 == 0)),
            namespace=secret.namespace,
            kind=SECRETS[4],
            tags=(SECRETS[5],),
            metadata={SECRETS[0]: {CHINESE: SECRETS[1]}},
        )
        backend.write(Put(record, f"{WORDS[3 + i % 3]} {BIGRAMS[0]}"))
        other = ("acme", f"other{i % 5}")
        backend.write(
            said(f"plain {i}", f"plain{i} 里斯 {i}", Stream(other, "s")),
            Put(memory(f"m{i}", f"plain {i}", namespace=other), f"plain{i} 斯本"),
        )


def require_others(backend: SqliteBackend) -> None:
    for i in range(60):
        where = Where(("acme", f"other{i % 5}"))
        hits = backend.search(where, terms=[f"plain{i}"])
        assert [hit.record.metadata.get("role", hit.record.id) for hit in hits].count("user") == 1
        assert len(hits) == 2
    for number in range(5):
        where = Where(("acme", f"other{number}"))
        assert len(backend.search(where, terms=["里斯"], limit=99)) == 12
        assert len(backend.search(where, terms=["斯本"], limit=99)) == 12


def test_erase_leaves_no_copy_in_the_raw_bytes(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with SqliteBackend(path, synchronous="normal") as backend:
        keep_secrets(backend)
        assert set(occurrences(path)) == {*SECRETS, *WORDS, CHINESE, *BIGRAMS}
        receipt = backend.erase(("acme", "secret"))
        assert (receipt.entries, receipt.records, receipt.remaining) == (60, 120, 0)
        assert occurrences(path) == {}
        require_others(backend)
        assert backend.check().problems == ()
    assert occurrences(path) == {}


def test_what_was_deleted_or_replaced_before_goes_with_the_erasure(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as backend:
        backend.write(Put(memory("m", SECRETS[0]), WORDS[0]), said(SECRETS[1], WORDS[1]))
        backend.write(Put(memory("m", "mended"), "mended"))
        backend.erase(NS)
        assert occurrences(path) == {}


def test_words_that_are_few_in_a_large_index_go_too(tmp_path: Path) -> None:
    """FTS5 rewrites its index by itself only when a tenth of it was deleted."""
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as backend:
        for batch in range(3):
            secrets = [Put(memory(f"s{batch}", "x"), f"{WORDS[batch]} {BIGRAMS[batch]}")]
            others = [
                Put(memory(f"m{batch}x{i}", "y", namespace=("other",)), f"plain{i} 里斯")
                for i in range(300)
            ]
            backend.write(*others[:150], *secrets, *others[150:])
        assert set(occurrences(path)) == {*WORDS[:3], *BIGRAMS[:3]}
        backend.erase(NS)
        assert occurrences(path) == {}
        assert len(backend.search(Where(("other",)), terms=["里斯"], limit=999)) == 900
        assert len(backend.search(Where(("other",)), terms=["plain7"])) == 3
        assert backend.check().problems == ()


@pytest.mark.parametrize("name", ["look_up", "find_namespace"])
def test_who_looked_up_a_log_just_before_an_erasure_reads_nothing_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The row ids of what was erased are never given to another."""
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as backend, SqliteBackend(path) as elsewhere:
        other = Stream(("other",), "trip")
        backend.write(note(1), Put(memory("m")))

        module = "log" if name == "look_up" else "backend"
        place = sys.modules[f"ctxplug.storage.sqlite.{module}"]
        lookup = getattr(place, name)

        def then_erase(*args: object) -> object:
            number = lookup(*args)
            monkeypatch.undo()
            elsewhere.erase(NS)
            elsewhere.write(note(2, other), Put(memory("m", namespace=other.namespace)))
            return number

        monkeypatch.setattr(place, name, then_erase)
        assert (backend.read(STREAM) if name == "look_up" else backend.find(Where(NS))) == []
        assert numbers(backend.read(other)) == [2]


def test_erase_says_so_while_a_reader_elsewhere_holds_on_to_old_pages(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with SqliteBackend(path, busy_seconds=0.2, synchronous="normal") as backend:
        keep_secrets(backend)
        reader = apsw.Connection(str(path))
        reader.execute("BEGIN; SELECT count(*) FROM entries").fetchall()
        with pytest.raises(StorageBusyError, match="Erase once more"):
            backend.erase(("acme", "secret"))
        assert backend.find(Where(("acme", "secret"))) == []
        reader.execute("COMMIT")
        reader.close()
        receipt = backend.erase(("acme", "secret"))  # of what the first one deleted
        assert (receipt.remaining, receipt.records > 0, len(receipt.marks) > 0) == (0, True, True)
        assert backend.erase(("acme", "secret")).records == 0
        assert occurrences(path) == {}
        require_others(backend)


@pytest.mark.parametrize("again", [False, True], ids=["opened", "opened and erased"])
def test_an_erasure_that_was_cut_short_is_finished_by_the_next_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """The rows were gone, but not their text, when the process ended; its receipt is not lost."""
    path, secret = tmp_path / "agent.db", ("acme", "secret")
    with SqliteBackend(path) as backend:
        keep_secrets(backend)

        def killed(*args: object, **options: object) -> None:
            raise SystemExit

        monkeypatch.setattr("ctxplug.storage.sqlite.integrity.scrub", killed)
        with pytest.raises(SystemExit):
            backend.erase(secret)
        monkeypatch.undo()
        assert backend.namespaces(secret) == []
    assert occurrences(path) != {}
    with SqliteBackend(path, read_only=True) as backend:
        assert backend.check().problems == ()
    assert occurrences(path) != {}
    with SqliteBackend(path) as backend:
        if again:
            keep_secrets(backend)
            once = backend.count(Where(secret))
            receipt = backend.erase(secret)
            assert (receipt.records, len(receipt.marks) // 8) >= (2 * once, 2)
            assert backend.erase(secret).marks == b""
        assert occurrences(path) == {}
        assert backend.check().problems == ()
    assert occurrences(path) == {}
    assert b"acme/secret" not in path.read_bytes()


# -- check ---------------------------------------------------------------------------------

TAMPERINGS = {
    "gaps": "DELETE FROM entries WHERE id & 0xFFFFFFFF = 7",
    "entries of no session": "DELETE FROM streams",
    "wrong newest version": "UPDATE streams SET version = version + 1",
    "log entry is missing": "UPDATE records SET entry = entry + 9999 WHERE entry IS NOT NULL",
    "without content": "UPDATE records SET body = NULL",
    "missing from the word index": "DELETE FROM words WHERE rowid = (SELECT max(rowid) FROM words)",
    "words of no searchable record": "DELETE FROM records WHERE rowid = 3",
    "searchable records wrongly": "UPDATE namespaces SET searchable = searchable + 1",
    "of no namespace": "DELETE FROM namespaces",
    "entries that are damaged": "UPDATE entries SET pinned = 1 - pinned WHERE id % 9 = 1",
    "records that are damaged": "UPDATE records SET crc = crc + 1 WHERE rowid = 4",
    "they do not hold: 'm3'": "UPDATE records SET kind = 'other' WHERE id = 'm3'",
    "they do not hold: 'm4'": "UPDATE records SET expires_at = 9 WHERE id = 'm4'",
    "fts5": "UPDATE words_data SET block = zeroblob(40) WHERE id > 1000",
}


@pytest.mark.parametrize("problem", TAMPERINGS)
def test_check_names_what_is_wrong(store: Path, problem: str) -> None:
    with SqliteBackend(store) as backend:
        connection = apsw.Connection(str(store))
        connection.execute(TAMPERINGS[problem])
        assert connection.changes()
        connection.close()
        report = backend.check()
    assert not report.ok
    assert problem in "; ".join(report.problems)


def test_a_byte_that_changed_within_a_row_is_refused_and_named(tmp_path: Path) -> None:
    """SQLite itself would return it: what it holds is no tree, and any text will do."""
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as backend:
        backend.write(said("the canary sings", "canary"), Put(memory("m", "the canary sings")))
        backend.write(said("shelved", "canary", Stream(NS, "old")), Put(memory("n", "shelved")))
        log = ArchiveLog(Stream(NS, "old"), 1, {1: "canary"})
        backend.write(log, ArchiveRecords(NS, (memory("n", "shelved"),), {}))
    sound = path.read_bytes()
    assert sound.count(b"canary sings") == 2
    places = [place for place in range(len(sound)) if sound.startswith(b"canary sings", place)]
    zipped = [place for place in range(len(sound)) if sound.startswith(b"\x78\x9c", place)]
    assert len(zipped) == 4  # the words and the data of two segments
    for place in [*places, *(start + 10 for start in zipped)]:
        path.write_bytes(sound)
        overwrite(path, place, bytes([sound[place] ^ 1]))
        with SqliteBackend(path) as backend:
            assert not backend.check().ok
            with pytest.raises(CorruptStoreError):
                backend.find(Where(NS))
                backend.archived(Where(NS), ["canary"])
                backend.archived(Where(NS))
            backend.write(note(1))


def test_check_reports_damage_that_came_while_the_store_was_open(store: Path) -> None:
    with SqliteBackend(store) as backend:
        assert backend.check().ok
        for page in range(2, 50):
            overwrite(store, page * PAGE, b"\xab" * PAGE)
        report = backend.check()
        assert not report.ok
        assert "SQLite" in report.problems[0]


def test_another_process_that_holds_the_lock_can_be_waited_for(store: Path) -> None:
    child = start_python(
        "import apsw, sys\n"
        "c = apsw.Connection(sys.argv[1]); c.execute('BEGIN IMMEDIATE')\n"
        "print('held', flush=True); sys.stdin.readline(); c.execute('ROLLBACK')\n",
        str(store),
        stdin=-1,
        stdout=-1,
    )
    assert child.stdout
    assert child.stdout.readline() == b"held\n"
    with SqliteBackend(store, busy_seconds=0.2) as backend:
        with pytest.raises(StorageBusyError, match="Try again") as caught:
            backend.write(note(1))
        assert caught.value.waited == 0.2
        assert backend.head(STREAM) == 40  # readers do not wait
        assert len(backend.search(Where(NS), terms=["word7"])) == 1
        child.communicate(b"\n", timeout=30)
        assert backend.write(note(1)) == [41]
        assert backend.check().ok
