"""A SQLite database of ours: its schema, its birth, and connections that survive threads and forks.

And all that opens one. What the records hold is not known here.
`stores/sqlite.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar
from weakref import WeakSet

from trakt_auth.errors import LockTimeout, StoreCorrupt, StoreError, StoreUnavailable
from trakt_auth.stores.engines.files import PRIVATE, first_version, sync_folder, unavailable

__all__ = ["LOOK", "Line", "close_all", "corrupt", "create"]

T = TypeVar("T")

WAIT = 10.0  # seconds; a write takes milliseconds, so waiting longer means a stuck program
LOOK = 0.1  # seconds in which a reader may overlook that its file was replaced; a writer never does
WHAT = "token database"
APPLICATION_ID = 0x74724175  # "trAu"
SCHEMA_VERSION = 1
BESIDE = ("-wal", "-shm", "-journal")
# FULL: what was committed is on the disk; fullfsync is what that takes on macOS.
SETTINGS = "PRAGMA synchronous=FULL; PRAGMA fullfsync=ON; PRAGMA trusted_schema=OFF;"
# Names are BLOBs because they may hold lone surrogates; ends are microseconds since 1970.
SCHEMA = f"""
PRAGMA journal_mode=WAL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS counter (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS records (
  client_id BLOB NOT NULL,
  account BLOB NOT NULL,
  version INTEGER NOT NULL,
  expires_at INTEGER,
  payload BLOB NOT NULL,
  PRIMARY KEY (client_id, account)
);
CREATE INDEX IF NOT EXISTS records_by_end ON records (client_id, expires_at)
  WHERE expires_at IS NOT NULL;
PRAGMA application_id={APPLICATION_ID};
PRAGMA user_version={SCHEMA_VERSION};
"""
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# Our SQL never changes, so what it finds wrong (SQLITE_ERROR: no such table) is the database.
NOT_OURS = (
    sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_NOTADB
)  # fmt: skip


class Line:
    """One connection, opened when needed and reopened when the file was replaced; one user."""

    def __init__(self, path: str, *, look_every: float = 0) -> None:
        self.path, self._look_every, self._look_at = path, look_every, 0.0
        self.guard = threading.Lock()
        self.forking = False
        self._database: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        _lines.add(self)

    def use(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what `work` makes of the connection, None when there is no database.

        Raises: StoreUnavailable, StoreCorrupt, LockTimeout.
        """
        asked = time.monotonic()
        # A transaction belongs to a connection, not to a thread. Ctrl-C can come between any two
        # calls, but never between `with` and a plain lock.
        with self.guard:
            # One writer is stopped after this time; those behind it are not to wait their turns.
            now = time.monotonic()
            if now - asked > WAIT:
                raise _busy(self.path)
            try:
                database = self._database
                # In a transaction: Ctrl-C came before it could be undone.
                if database is None or now >= self._look_at or database.in_transaction:
                    database, self._look_at = self._open(), now + self._look_every
                return None if database is None else work(database)
            except sqlite3.Error as error:
                failure = _failure(self.path, error)
                if not isinstance(failure, LockTimeout):
                    self.close()  # the next call looks at the file anew
                raise failure from None
            except OSError as error:
                raise unavailable(WHAT, self.path, "used", error) from None

    def change(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do the same in one transaction, which is undone when `work` raises."""

        def whole(database: sqlite3.Connection) -> T:
            try:
                # IMMEDIATE: a reader that became a writer could fail without having waited.
                database.execute("BEGIN IMMEDIATE")
                result = work(database)
                database.execute("COMMIT")
                return result
            finally:
                if database.in_transaction:
                    # If this fails as well, the connection is closed, which does the same.
                    with suppress(sqlite3.Error):
                        database.execute("ROLLBACK")

        return self.use(whole)

    def look(self) -> None:
        """Let the next use see whether the file is still the same one, however soon it comes."""
        self._look_at = 0.0

    def close(self) -> None:
        """Close the connection if there is one."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def abandon(self) -> None:
        """Let go, in a forked child, of what only the parent may use or even close."""
        self.guard, self.forking = threading.Lock(), False
        if self._database is not None:
            _abandoned.append(self._database)
            self._database = None

    def _open(self) -> sqlite3.Connection | None:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            self.close()
            return None
        here = (found.st_dev, found.st_ino)
        if self._database is None or here != self._file or self._database.in_transaction:
            self.close()
            self._database, self._file = _connect(self.path), here
        return self._database


def create(path: str) -> None:
    """Make an empty database where there is none; the caller is the only writer.

    It is made whole under another name: what bears the right name is never half-made, and its
    first page says whose it is. Raises: StoreUnavailable.
    """
    new = f"{path}.new"
    try:
        # The log of a database that was deleted would be played into the one that takes its name.
        for left in (new, *(name + ending for name in (new, path) for ending in BESIDE)):
            with suppress(FileNotFoundError):
                os.unlink(left)
        # SQLite would make it readable by all; -wal and -shm get the mode of the database.
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE))
        with closing(sqlite3.connect(_uri(new, "rw"), uri=True, isolation_level=None)) as database:
            database.executescript(SETTINGS + SCHEMA)
            database.execute("INSERT INTO counter VALUES (?)", (first_version(),))
            database.execute("COMMIT")
            # Closing does the same, and would say nothing if the disk were full.
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.rename(new, path)
        sync_folder(os.path.dirname(path))
    except sqlite3.Error as error:
        raise _failure(path, error) from None
    except OSError as error:
        raise unavailable(WHAT, path, "written", error) from None


def _connect(path: str) -> sqlite3.Connection:
    # First a look that changes nothing: to open a database properly is to finish what a crash
    # left, and that is not ours to do in somebody else's. Plain reading is out of the question:
    # closing the file would drop the locks of all its connections in this process (POSIX).
    with closing(sqlite3.connect(_uri(path, "ro&immutable=1"), uri=True)) as database:
        try:
            _check(path, database)
            _make_private(path)
        except sqlite3.DatabaseError as error:
            # The pages may be half-way out of the log: that can be judged only with the log.
            if _code(error) != sqlite3.SQLITE_CORRUPT:
                raise
    database = sqlite3.connect(  # "rw" never makes a file
        _uri(path, "rw"), uri=True, timeout=WAIT, isolation_level=None, check_same_thread=False
    )
    try:
        _check(path, database)
        database.executescript(SETTINGS)
    except BaseException:
        database.close()
        raise
    return database


def _make_private(path: str) -> None:
    # A backup was copied back, say. What is beside it gets the same mode when it is opened.
    if os.name != "nt" and os.stat(path).st_mode & 0o077:
        os.chmod(path, PRIVATE)


def _check(path: str, database: sqlite3.Connection) -> None:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version < SCHEMA_VERSION:
        raise corrupt(path)
    if version > SCHEMA_VERSION:
        raise StoreUnavailable(
            f"The {WHAT} {path} was written by a newer version of trakt-auth",
            hint="Upgrade trakt-auth, or name another file.",
        )


def _uri(path: str, mode: str) -> str:
    return f"{Path(path).as_uri()}?mode={mode}"


# -- errors --------------------------------------------------------------------------------------


def corrupt(path: str) -> StoreCorrupt:
    """Return the error for what is not a token database."""
    return StoreCorrupt(f"The {WHAT} {path} is not readable as one")


def _code(error: sqlite3.Error) -> int:
    # The low byte is the kind. Errors of the module itself, not of SQLite, have none.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF


def _failure(path: str, error: sqlite3.Error) -> StoreError:
    code = _code(error)
    if code in BUSY:
        return _busy(path)
    if code in NOT_OURS:
        return corrupt(path)
    return unavailable(WHAT, path, "used", OSError(str(error)))


def _busy(path: str) -> LockTimeout:
    return LockTimeout(
        f"The {WHAT} {path} has been locked for {WAIT:.0f} seconds",
        hint="Another program is writing to it: end that program, or try again in a moment.",
    )


# -- forks ---------------------------------------------------------------------------------------
# SQLite's locks are its process's, its notes of them would be copied: a child that opened the file
# beside an inherited connection would believe in locks it has not. So none is open meanwhile.
_lines: WeakSet[Line] = WeakSet()
_abandoned: list[sqlite3.Connection] = []
_one_fork = threading.Lock()


def close_all(*lines: Line) -> None:
    """Close lines that nobody uses any more."""
    for line in lines:
        line.close()


def _before_fork() -> None:
    _one_fork.acquire()
    for line in list(_lines):
        line.forking = line.guard.acquire(timeout=WAIT)
        if line.forking:
            line.close()


def _after_fork() -> None:
    for line in list(_lines):
        if line.forking:
            line.forking = False
            line.guard.release()
    _one_fork.release()


def _after_fork_in_child() -> None:
    for line in list(_lines):
        line.abandon()
    _one_fork.release()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
    )
