"""Connections to a token database in SQLite, which survive threads, forks and a replaced file.

What a transaction does is not known here.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TypeVar

import trakt_auth.stores.engines.sqlite_errors as errors
import trakt_auth.stores.engines.sqlite_schema as schema
from trakt_auth.errors import LockTimeout
from trakt_auth.stores.engines.files import PRIVATE, is_mounted, mounted, unavailable
from trakt_auth.stores.engines.forks import on_fork

__all__ = ["CHECK_EVERY", "SqliteConnection", "close_all"]

T = TypeVar("T")

CANNOT_MAKE_LOG = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
CHECK_EVERY = 0.1  # seconds for which a reader may miss that its file was replaced


class SqliteConnection:
    """A connection that is opened when it is needed, and again when the file was replaced.

    One thread uses it at a time. Before each use, but not more often than every `check_every`
    seconds, it checks that the path still leads to the same file.
    """

    def __init__(self, path: str, *, check_every: float = 0) -> None:
        self.path: str = path
        self._check_every, self._next_check = check_every, 0.0
        self.guard: threading.Lock = threading.Lock()
        self._forking = False
        self._database: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._mounted = self._frozen = False
        on_fork(
            self,
            before=SqliteConnection._before_fork,
            after_in_parent=SqliteConnection._after_fork_in_parent,
            after_in_child=SqliteConnection._after_fork_in_child,
        )

    def use(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what `work` returns for the open database, None when there is no database.

        Raises: StoreUnavailable, StoreCorrupt, LockTimeout.
        """
        asked = time.monotonic()
        # A transaction belongs to a connection, not to a thread. Not `acquire(timeout=...)`: Ctrl-C
        # may arrive after it and before a `try`, but never between `with` and a plain lock.
        with self.guard:
            # SQLite limits the wait of one writer; the threads queued behind it must not add up.
            now = time.monotonic()
            if now - asked > errors.WAIT:
                raise errors.busy(self.path)
            try:
                database = self._database
                # In a transaction: Ctrl-C came before it was rolled back.
                if database is None or now >= self._next_check or database.in_transaction:
                    database, self._next_check = self._open(), now + self._check_every
                return None if database is None else work(database)
            except sqlite3.Error as error:
                problem = errors.failure(self.path, error)
                if not isinstance(problem, LockTimeout):
                    self.close()  # the next call opens the file again
                raise problem from None
            except OSError as error:
                raise unavailable(errors.WHAT, self.path, "used", error) from None

    def change(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do the same in one transaction, which is rolled back when `work` raises."""

        def transaction(database: sqlite3.Connection) -> T:
            if self._mounted:  # SQLite's log would be beside it, and not outlive the container
                raise mounted(errors.WHAT, self.path)
            try:
                # IMMEDIATE: a transaction that reads first may fail at its first write, at once.
                database.execute("BEGIN IMMEDIATE")
                result = work(database)
                database.execute("COMMIT")
                return result
            finally:
                if database.in_transaction:
                    # If this fails as well, the connection is closed, which has the same effect.
                    with suppress(sqlite3.Error):
                        database.execute("ROLLBACK")

        return self.use(transaction)

    def check_next_time(self) -> None:
        """Let the next use check the file, however soon it comes."""
        self._next_check = 0.0

    def close(self) -> None:
        """Close the connection if it is open; the caller holds the guard, or is the only user."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open(self) -> sqlite3.Connection | None:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            self.close()
            return None
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "It is not a regular file")
        if found.st_size == 0:  # made by `touch`, or to be mounted into a container
            self.close()
            return None
        file, opened = (found.st_dev, found.st_ino), self._database
        if opened is None or file != self._file or opened.in_transaction or self._frozen:
            self.close()
            self._database, self._frozen = _connect(self.path)
            self._file, self._mounted = file, is_mounted(self.path)
        return self._database

    # SQLite's locks belong to the process, and a child inherits a connection's memory of them: if
    # it opened the same file, SQLite would believe that it holds the parent's locks. So no
    # connection is open during a fork.

    def _before_fork(self) -> None:
        self._forking = self.guard.acquire(timeout=errors.WAIT)
        if self._forking:
            self.close()

    def _after_fork_in_parent(self) -> None:
        if self._forking:
            self._forking = False
            self.guard.release()

    def _after_fork_in_child(self) -> None:
        self.guard, self._forking = threading.Lock(), False
        # Still open only if the parent used it for too long, and then only the parent may close it.
        if self._database is not None:
            _abandoned.append(self._database)
            self._database = None


_abandoned: list[sqlite3.Connection] = []  # kept from being collected, which would close them


def close_all(*connections: SqliteConnection) -> None:
    """Close connections that nothing uses any more."""
    for connection in connections:
        connection.close()


def _connect(path: str) -> tuple[sqlite3.Connection, bool]:
    """Open a database; return also whether it is frozen, so that later writes are not seen."""
    # First a look that changes nothing: opening a database properly repairs what a crash left, and
    # the file may be another program's. Reading it without SQLite would not do: closing the file
    # would drop the locks of all of this process's connections to it (POSIX).
    with closing(sqlite3.connect(schema.uri(path, "ro&immutable=1"), uri=True)) as database:
        try:
            schema.check(path, database)
            _make_private(path)
        except sqlite3.DatabaseError as error:
            # Some pages may be in the log only: whether it is corrupt shows when it is read too.
            if errors.code_of(error) != sqlite3.SQLITE_CORRUPT:
                raise
    database = sqlite3.connect(  # "rw" does not create a file
        schema.uri(path, "rw"), uri=True, timeout=errors.WAIT, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip
    try:
        schema.check(path, database)
        database.executescript(schema.SETTINGS)
    except sqlite3.OperationalError as error:
        database.close()
        if errors.code_of(error) not in CANNOT_MAKE_LOG or _has_log(path):
            raise
        # A read-only disk, where SQLite cannot make the files of a log that it would find empty.
        uri = schema.uri(path, "ro&immutable=1")
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False), True
    except BaseException:
        database.close()
        raise
    return database, False


def _has_log(path: str) -> bool:
    try:
        return os.path.getsize(f"{path}-wal") > 0
    except FileNotFoundError:
        return False


def _make_private(path: str) -> None:
    # A backup may have been copied back, for example. The files that SQLite keeps beside a database
    # get its mode.
    if os.name == "nt":  # pragma: no cover - its modes say nothing
        return
    for name in (path, *(path + ending for ending in schema.BESIDE)):
        try:
            if os.stat(name).st_mode & 0o077:
                os.chmod(name, PRIVATE)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
