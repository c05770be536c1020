"""What only the SQLite store promises; the contract is in test_store_contract."""

from __future__ import annotations

import errno
import gc
import logging
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import filelock
import pytest

from trakt_auth.errors import (
    LockTimeout,
    StoreConflict,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
    UsageError,
)
from trakt_auth.stores import open_store
from trakt_auth.stores.engines import forks, sqlite_errors, sqlite_schema
from trakt_auth.stores.engines import sqlite_connection as connections
from trakt_auth.stores.record import AccountKey
from trakt_auth.stores.sqlite import SqliteStore

KEY = AccountKey("client", "default")
END = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.db"


def put(store: SqliteStore, text: str, *, replacing: int | None = None) -> int:
    return store.save(KEY, text, expires_at=END, replacing=replacing)


def payload(store: SqliteStore) -> str:
    stored = store.load(KEY)
    assert stored is not None
    return stored.payload


def made(path: Path, text: str = "tok-3n") -> SqliteStore:
    store = SqliteStore(str(path))
    put(store, text)
    store.close()
    return store


def run_sql(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)


def calls_of(store: SqliteStore) -> list[Callable[[], object]]:
    return [
        lambda: store.load(KEY),
        lambda: store.accounts("client"),
        lambda: put(store, "x", replacing=1),
        lambda: store.delete(KEY),
    ]


# -- names and modes -----------------------------------------------------------------------------


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.chdir(tmp_path)
    for url, path in {
        "sqlite:/x/t.db": "/x/t.db",
        "sqlite:///x/t.db": "/x/t.db",
        "sqlite:////x/t.db": "/x/t.db",
        "SQLite:t.db": f"{tmp_path}/t.db",
        "sqlite:~/t.db": "/somewhere/t.db",
    }.items():
        store = open_store(url)
        assert isinstance(store, SqliteStore)
        assert store.path == path
    assert not list(tmp_path.iterdir())
    for url in ("sqlite:", "sqlite://", "sqlite::memory:", "sqlite://:memory:", "sqlite:a\0b"):
        with pytest.raises(UsageError, match="names no store"):
            open_store(url)


@pytest.mark.parametrize("name", ["a b?c#d%41.db", "é.db", "\udcff.db"])
def test_any_file_name(tmp_path: Path, name: str) -> None:
    store = made(tmp_path / name)
    assert payload(store) == "tok-3n"
    store.close()
    assert {p.name for p in tmp_path.iterdir()} == {name, f"{name}.lock"}


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_files_are_private_when_they_are_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    born: set[int] = set()
    connect = sqlite3.connect

    def watched(*arguments: object, **more: object) -> sqlite3.Connection:
        born.update(stat.S_IMODE(p.stat().st_mode) for p in tmp_path.glob("new/*"))
        return connect(*arguments, **more)

    monkeypatch.setattr(sqlite3, "connect", watched)
    before = os.umask(umask)
    try:
        store = SqliteStore(f"{tmp_path}/new/tokens.db")
        put(store, "x")
        assert store.lock(KEY).acquire()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    files = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.glob("new/*")}
    assert {"tokens.db", "tokens.db-wal", "tokens.db-shm"} < set(files)
    assert set(files.values()) == born == {0o600}
    store.close()


@pytest.mark.parametrize("content", [None, b"127.0.0.1 localhost\n", "sqlite"])
def test_files_of_other_programs_keep_their_mode(path: Path, content: bytes | str | None) -> None:
    if content is None:
        path.mkdir()
    elif isinstance(content, str):
        with closing(sqlite3.connect(path)) as foreign:
            foreign.execute("CREATE TABLE theirs (x)")
    else:
        path.write_bytes(content)
    path.chmod(0o755)
    with pytest.raises(StoreError):
        SqliteStore(str(path)).load(KEY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_database_of_another_mode_is_private_after_its_opening(path: Path) -> None:
    store = made(path)
    path.chmod(0o644)
    assert payload(store) == "tok-3n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_reading_makes_no_file(path: Path) -> None:
    store = SqliteStore(str(path))
    assert store.load(KEY) is None
    assert store.accounts("client") == []
    store.delete(KEY)
    with pytest.raises(StoreConflict):
        put(store, "x", replacing=1)
    assert not list(path.parent.iterdir())


def test_the_settings(path: Path) -> None:
    store = made(path)
    database = store._writer.use(lambda database: database)
    assert database is not None
    for name, value in (("journal_mode", "wal"), ("synchronous", 2), ("busy_timeout", 10_000)):
        assert database.execute(f"PRAGMA {name}").fetchone() == (value,)
    plan = "EXPLAIN QUERY PLAN SELECT account FROM records"
    due = " WHERE client_id = x'00' AND expires_at < 5 ORDER BY expires_at LIMIT 9"
    ((*_, told),) = database.execute(plan + due)
    assert "records_by_end" in told


def test_a_store_that_is_collected_closes_itself(path: Path) -> None:
    store = made(path)
    assert payload(store) == "tok-3n"
    assert path.with_name("tokens.db-wal").exists()
    del store
    gc.collect()
    assert not path.with_name("tokens.db-wal").exists()


# -- what cannot be read -------------------------------------------------------------------------


def sql(script: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        made(path)
        run_sql(path, script)

    return spoil


def garbage(path: Path) -> None:
    path.write_bytes(b"tok-3n" * 2000)


def truncated(path: Path) -> None:
    made(path, "tok-3n" * 9000)
    os.truncate(path, 4096)


def overwritten(path: Path) -> None:
    made(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


def foreign(path: Path) -> None:
    run_sql(path, "PRAGMA journal_mode=WAL; CREATE TABLE cookies (x)")


SPOILT = {
    "garbage": garbage,
    "truncated": truncated,
    "overwritten": overwritten,
    "foreign": foreign,
    "another application": sql("PRAGMA application_id=7"),
    "version 0": sql("PRAGMA user_version=0"),
    "no table": sql("DROP TABLE records"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_corrupt_content_is_left_byte_for_byte(
    path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    spoil(path)
    content = path.read_bytes()
    store = SqliteStore(str(path))
    for call in calls_of(store):
        with pytest.raises(StoreCorrupt) as caught:
            call()
        assert str(path) in str(caught.value)
        assert "tok-3n" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        assert "moves the old content aside" in caught.value.hint
        assert path.read_bytes() == content
    assert not caplog.records
    put(store, "new login")
    assert payload(store) == "new login"
    (aside,) = path.parent.glob("tokens.db.corrupt-*Z")
    assert aside.read_bytes() == content
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("trakt_auth", logging.WARNING)
    assert str(aside) in record.getMessage()


@pytest.mark.parametrize(
    "change",
    [
        "payload = 5",
        "payload = x'ff'",
        "expires_at = 'x'",
        "version = 'x'",
        f"expires_at = {2**62}",
    ],
)
def test_a_row_of_another_program(path: Path, change: str) -> None:
    store = made(path)
    run_sql(path, f"UPDATE records SET {change}")
    with pytest.raises(StoreCorrupt, match="not a readable"):
        store.load(KEY)


def test_names_and_a_counter_of_another_program(path: Path) -> None:
    store = made(path)
    run_sql(path, "UPDATE records SET account = x'ff'")
    with pytest.raises(StoreCorrupt):
        store.accounts("client")
    run_sql(path, "DELETE FROM counter")
    store.close()
    with pytest.raises(StoreConflict):
        put(store, "x", replacing=1)
    assert put(store, "x") > 1  # a new login is saved nevertheless
    assert len(list(path.parent.glob("*.corrupt-*Z"))) == 1


def test_the_log_is_moved_aside_with_its_database(path: Path) -> None:
    garbage(path)
    path.with_name("tokens.db-wal").write_bytes(b"log")
    put(SqliteStore(str(path)), "x")
    (aside,) = path.parent.glob("*.corrupt-*Z-wal")
    assert aside.read_bytes() == b"log"


def test_a_corrupt_database_that_cannot_be_moved(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    garbage(path)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(StoreUnavailable, match="Permission denied"):
        put(SqliteStore(str(path)), "x")
    assert path.read_bytes().startswith(b"tok-3n")


def test_a_newer_version_is_neither_corrupt_nor_moved(path: Path) -> None:
    store = made(path)
    run_sql(path, "PRAGMA user_version=2")
    content = path.read_bytes()
    for call in [*calls_of(store), lambda: put(store, "x")]:
        with pytest.raises(StoreUnavailable, match="newer") as caught:
            call()
        assert "Upgrade" in caught.value.hint
    assert path.read_bytes() == content


def test_the_first_page_may_be_ahead_of_the_file(path: Path) -> None:
    # A checkpoint that was killed: page 1 counts pages that are still only in the log.
    store = made(path, "a")
    store.load(KEY)
    reader = SqliteStore(str(path))
    put(store, "b" * 50_000)
    copy = path.with_name("copy.db")
    main, log = path.read_bytes(), path.with_name("tokens.db-wal").read_bytes()
    copy.write_bytes(main[:28] + (99).to_bytes(4) + main[32:])
    copy.with_name("copy.db-wal").write_bytes(log)
    assert payload(SqliteStore(str(copy))) == "b" * 50_000
    reader.close()


def test_a_database_that_was_replaced_is_opened_again(path: Path) -> None:
    store = made(path, "old")
    version = put(store, "mine")
    other = made(path.with_name("other.db"), "restored")
    other.close()
    path.with_name("other.db").rename(path)
    for ending in ("-wal", "-shm"):
        path.with_name(f"tokens.db{ending}").unlink(missing_ok=True)
    assert payload(store) == "restored"
    with pytest.raises(StoreConflict):
        put(store, "late", replacing=version)
    store.close()
    path.unlink()
    assert store.load(KEY) is None
    assert put(store, "x") > version


def test_a_reader_looks_at_the_file_ten_times_a_second(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(connections, "time", clock)
    store, other = made(path, "old"), made(path.with_name("other.db"), "restored")
    assert payload(store) == "old"
    other.close()
    path.with_name("other.db").rename(path)
    assert payload(store) == "old"
    clock.now += connections.CHECK_EVERY
    assert payload(store) == "restored"
    # What was saved is read at once, although it is in another file.
    path.unlink()
    assert payload(store) == "restored"
    put(store, "new")
    assert payload(store) == "new"
    assert connections.CHECK_EVERY <= 0.1  # seconds; less than it takes to replace a file by hand


def test_a_deleted_database_does_not_come_back_by_its_log(path: Path) -> None:
    old = SqliteStore(str(path))
    version = put(old, "old")
    other = AccountKey("client", "other")
    assert path.with_name("tokens.db-wal").stat().st_size > 0
    path.unlink()
    new = SqliteStore(str(path))
    assert new.save(other, "new", expires_at=END, replacing=None) > version
    assert new.load(KEY) is None
    assert old.load(KEY) is None
    assert old.accounts("client") == new.accounts("client") == ["other"]
    old.close()
    new.close()


# -- what cannot be written ----------------------------------------------------------------------


def below_a_file(tmp_path: Path) -> str:
    (tmp_path / "file").write_text("x")
    return f"{tmp_path}/file/tokens.db"


def a_folder(tmp_path: Path) -> str:
    (tmp_path / "folder").mkdir(mode=0o700)
    return f"{tmp_path}/folder"


def too_long(tmp_path: Path) -> str:
    return f"{tmp_path}/{'x' * 300}"


@pytest.mark.parametrize("where", [below_a_file, a_folder, too_long])
def test_an_impossible_path(tmp_path: Path, where: Callable[[Path], str]) -> None:
    store = SqliteStore(where(tmp_path))
    for call in [*calls_of(store), lambda: put(store, "x")]:
        with pytest.raises(StoreUnavailable, match="cannot be") as caught:
            call()
        assert store.path in str(caught.value)
        assert "--store" in caught.value.hint


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="only Linux has such a place")
def test_a_folder_where_no_file_can_be_created() -> None:
    store = SqliteStore("/sys/kernel/tokens.db")
    assert store.load(KEY) is None
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        put(store, "x")


def test_read_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, connect = (
        made(path, "old"),
        sqlite3.connect,
    )  # root ignores modes, so SQLite has to refuse
    monkeypatch.setattr(
        sqlite3, "connect", lambda name, **more: connect(name.replace("=rw", "=ro"), **more)
    )
    assert payload(store) == "old"
    for call in (lambda: put(store, "x"), lambda: store.delete(KEY)):
        with pytest.raises(StoreUnavailable, match="readonly"):
            call()
    assert payload(store) == "old"


def test_a_full_disk_leaves_the_old_content(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = made(path, "old")
    full = sqlite_schema.SETTINGS + "PRAGMA max_page_count=1;"  # no more pages than there are
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_schema, "SETTINGS", full)
        with pytest.raises(StoreUnavailable, match="full"):
            put(store, "x" * 100_000)
        assert payload(store) == "old"
        new = SqliteStore(f"{path}2")
        with pytest.raises(StoreUnavailable, match="full"):
            put(new, "x")
        assert not Path(f"{path}2").exists()
    put(store, "x" * 100_000)
    put(new, "x")  # over the half-made file
    assert not list(path.parent.glob("*.new*"))


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="root mounts a disk")
@pytest.mark.parametrize("size", range(40, 100, 4))
def test_a_disk_too_small_for_a_whole_database(tmp_path: Path, size: int) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tokens", str(tmp_path)]
    subprocess.run(mount, check=True)
    try:
        path = tmp_path / "tokens.db"
        store = SqliteStore(str(path))
        with suppress(StoreUnavailable):
            put(store, "x")
        kept = payload(store) if store.load(KEY) else None
        store.close()
        subprocess.run(["mount", "-o", "remount,size=1m", str(tmp_path)], check=True)
        if kept is None:
            put(store, "x")
        assert payload(SqliteStore(str(path))) == "x"
        store.close()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_creation_that_fails_at_the_last_step(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = SqliteStore(str(path))
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", full)
        with pytest.raises(StoreUnavailable, match="cannot be written: No space left"):
            put(store, "x")
    assert store.load(KEY) is None
    put(store, "x")
    store.close()


def test_locked_for_too_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_errors, "WAIT", 0.01)
    store = made(path, "old")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockTimeout, match="locked") as caught:
            put(store, "x")
        assert "Another program" in caught.value.hint
        assert payload(store) == "old"  # reading still works
    times = iter((0.0, sqlite_errors.WAIT * 2))
    with monkeypatch.context() as patch:
        patch.setattr(connections, "time", SimpleNamespace(monotonic=lambda: next(times)))
        with pytest.raises(LockTimeout):  # behind other threads that had to wait
            put(store, "x")
    with (
        filelock.FileLock(f"{path}2.lock", thread_local=False),
        pytest.raises(LockTimeout, match="locked"),
    ):
        put(SqliteStore(f"{path}2"), "x")
    # The lock for writing, while a database is being created.
    monkeypatch.setattr(sqlite_schema, "failure", lambda *_: StoreError("seen"))
    monkeypatch.setattr(sqlite_schema, "SCHEMA", "nonsense")
    with pytest.raises(StoreError, match="seen"):
        put(SqliteStore(f"{path}3"), "x")


def test_a_transaction_that_could_not_be_rolled_back(path: Path) -> None:
    store = made(path, "old")
    version = put(store, "new")
    left = store._writer._database
    assert left is not None
    left.execute("BEGIN IMMEDIATE")  # as if Ctrl-C had come here
    put(store, "newer", replacing=version)
    assert store._writer._database is not left
    assert payload(store) == "newer"


INTERRUPTS = """
assert "coverage" not in sys.modules

def ring(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, ring)
version, chance, rung = store.save(KEY, "0", expires_at=None, replacing=None), random.Random(1), 0
while rung < 300:
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00001, 0.0005))
        while True:
            store.load(KEY)
            store.save(KEY, "x", expires_at=None, replacing=None)
    except KeyboardInterrupt as error:
        kept, rung = error, rung + 1  # keeps its frames alive, as a debugger does
        assert not store._reader.guard.locked()
        assert not store._writer.guard.locked()
assert store.save(KEY, "y", expires_at=None, replacing=None) > version
assert store.load(KEY).payload == "y"
"""


def test_ctrl_c_leaves_nothing_locked(path: Path) -> None:
    with start(INTERRUPTS, path) as child:
        child.communicate(timeout=60)
    assert child.returncode == 0


def test_a_database_that_another_process_has_just_created_is_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, really = SqliteStore(str(path)), connections.SqliteConnection.use
    first = [True]

    def use(connection: connections.SqliteConnection, work: Callable[..., object]) -> object:
        found = really(connection, work)
        if connection is store._writer and first:
            first.clear()
            assert found is None
            made(path, "faster")
        return found

    monkeypatch.setattr(connections.SqliteConnection, "use", use)
    put(store, "second")
    assert payload(store) == "second"
    assert not list(path.parent.glob("*.corrupt-*"))


# -- processes -----------------------------------------------------------------------------------

PREPARED = """
import os, random, signal, sys, threading, time
from trakt_auth.errors import StoreConflict
from trakt_auth.stores.record import AccountKey
from trakt_auth.stores.engines import sqlite_connection as connections
from trakt_auth.stores.sqlite import SqliteStore
path = sys.argv[1]
store = SqliteStore(path)
KEY = AccountKey("client", "default")

def increment():
    while True:
        stored = store.load(KEY)
        number = str(int(stored.payload) + 1)
        try:
            return store.save(KEY, number, expires_at=None, replacing=stored.version)
        except StoreConflict:
            pass

def threads(count, work):
    all_ = [threading.Thread(target=work) for _ in range(count)]
    [thread.start() for thread in all_]
    return all_
"""


class Program(subprocess.Popen[str]):
    """A program that is killed with all its children when its block ends."""

    def __exit__(self, *error: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        super().__exit__(*error)


def start(script: str, path: Path) -> Program:
    source = str(Path(connections.__file__).parents[3])
    return Program(
        [sys.executable, "-c", PREPARED + script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": source},
        start_new_session=True,
    )


COUNTERS = """
print("ready", flush=True)
sys.stdin.readline()
for thread in threads(8, lambda: [increment() for _ in range(15)]):
    thread.join()
"""


def test_two_processes_of_eight_threads_lose_no_update(path: Path) -> None:
    store = made(path, "0")
    workers = [start(COUNTERS, path) for _ in range(2)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.communicate("go\n", timeout=30)
    assert [worker.returncode for worker in workers] == [0, 0]
    assert payload(store) == "240"


KILLER = """
random.seed(20261123)
before = store.save(KEY, "a" * 5000, expires_at=None, replacing=None)
for _ in range(30):
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        number = 0
        while True:
            number += 1
            text = "abcdefghij"[number % 10] * 5000
            version = store.save(KEY, text, expires_at=None, replacing=None)
            os.write(tell, version.to_bytes(8, "big"))
    os.close(tell)
    kept = os.read(told, 8)
    end = time.perf_counter() + random.random() * 0.005
    while time.perf_counter() < end:
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(told, 8):
        kept = more
    os.close(told)
    stored = store.load(KEY)
    assert stored.payload == stored.payload[0] * 5000
    assert stored.version >= int.from_bytes(kept, "big") > before  # no reported version is lost
    before = stored.version
print(*store._reader.use(lambda database: database.execute("PRAGMA integrity_check").fetchone()))
"""


def test_thirty_writers_killed_at_random_moments(path: Path) -> None:
    with start(KILLER, path) as killer:
        said, _ = killer.communicate(timeout=30)
    assert (killer.returncode, said) == (0, "ok\n")


BORN = """
for number in range(30):
    child = os.fork()
    if not child:
        while True:
            here = SqliteStore(path + str(number))
            here.save(KEY, "x", expires_at=None, replacing=None)
            os.unlink(path + str(number))
    end = time.perf_counter() + random.random() * 0.02
    while time.perf_counter() < end:
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    here = SqliteStore(path + str(number))
    found = here.load(KEY)
    here.save(KEY, "y", expires_at=None, replacing=None)
    assert here.load(KEY).payload == "y"
assert not [name for name in os.listdir(os.path.dirname(path)) if "corrupt" in name]
"""


def test_thirty_creations_killed_at_random_moments(path: Path) -> None:
    with start(BORN, path) as killer:
        killer.communicate(timeout=30)
    assert killer.returncode == 0


FORKS = """
store.save(KEY, "0", expires_at=None, replacing=None)
going = True

def work():
    while going:
        increment()
        done.append(1)

done = []
busy = threads(4, work)
for _ in range(20):
    child = os.fork()
    if not child:
        assert store._reader._database is store._writer._database is None
        for _ in range(5):
            increment()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
going = False
for thread in busy:
    thread.join()
assert not connections._abandoned
assert int(store.load(KEY).payload) == len(done) + 100, (store.load(KEY), len(done))
"""


def test_forks_between_threads_that_write(path: Path) -> None:
    with start(FORKS, path) as parent:
        parent.communicate(timeout=30)
    assert parent.returncode == 0


def test_a_fork_does_not_wait_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_errors, "WAIT", 0.01)
    monkeypatch.setattr(connections, "_abandoned", [])
    store = made(path, "old")
    assert payload(store) == "old"
    with store._reader.guard:
        forks._run_before()
        assert store._reader._database is not None
        forks._run_in_parent()
        inherited = store._reader._database
        guard = store._reader.guard
        forks._run_before()
        forks._run_in_child()
        assert connections._abandoned == [inherited]
        assert store._reader.guard is not guard
        assert payload(store) == "old"  # with a connection and a guard of its own
        store._reader.guard = guard
    inherited.close()
    store.close()


def test_a_lock_ends_with_its_holder(path: Path) -> None:
    script = "assert store.lock(KEY).acquire()\nos.kill(os.getpid(), signal.SIGKILL)"
    with start(script, path) as holder:
        holder.communicate(timeout=30)
    assert holder.returncode == -9
    lock = SqliteStore(str(path)).lock(KEY)
    assert lock.acquire()
    lock.release()
