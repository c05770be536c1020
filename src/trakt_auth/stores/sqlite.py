"""Tokens in one private SQLite database: one machine, many processes, many accounts.

The SQL of records is here. No token is interpreted and no connection is opened here.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from weakref import finalize

import trakt_auth.stores.engines.sqlite_errors as errors
import trakt_auth.stores.engines.sqlite_schema as schema
from trakt_auth.errors import StoreCorrupt
from trakt_auth.stores.engines.columns import from_micros, key_bytes, to_bytes, to_micros, to_text
from trakt_auth.stores.engines.file_lock import FileStoreLock, account_lock, write_lock
from trakt_auth.stores.engines.files import move_aside
from trakt_auth.stores.engines.sqlite_connection import CHECK_EVERY, SqliteConnection, close_all
from trakt_auth.stores.record import LEASE, NOTHING, TOMBSTONE, AccountKey, Stored
from trakt_auth.stores.versions import check_version, conflict

__all__ = ["SqliteStore"]

T = TypeVar("T")

LOAD = "SELECT payload, version, expires_at FROM records WHERE client_id = ? AND account = ?"
VERSION = "SELECT version FROM records WHERE client_id = ? AND account = ?"
DELETE = "DELETE FROM records WHERE client_id = ? AND account = ?"
# Without the application's own record and what a sign-out left. IS NOT: of an empty payload, SQLite
# returns NULL.
ACCOUNT = (
    f"account != x'' AND substr(payload, 1, {len(TOMBSTONE)}) IS NOT x'{TOMBSTONE.encode().hex()}'"
)
ACCOUNTS = f"SELECT account FROM records WHERE client_id = ? AND {ACCOUNT}"  # noqa: S608 - constants
DUE = (
    f"SELECT account FROM records WHERE client_id = ? AND expires_at < ? AND {ACCOUNT}"  # noqa: S608 - constants
    " ORDER BY expires_at, account LIMIT ?"
)


class SqliteStore:
    """Keeps records in a database that only its owner can read.

    An account's lock is a kernel lock on a file beside the database, not a row with a lease: it
    ends at once when its holder ends, and a holder that was suspended still has it.
    """

    def __init__(self, path: str) -> None:
        # Symbolic links are resolved, so that all names of a database lead to the same locks.
        self.path: str = os.path.realpath(os.path.expanduser(path))
        # Two connections: reading does not wait for a thread that waits to write.
        self._reader = SqliteConnection(self.path, check_every=CHECK_EVERY)
        self._writer = SqliteConnection(self.path)
        self._finalizer = finalize(self, close_all, self._reader, self._writer)

    def load(self, key: AccountKey) -> Stored | None:
        """Return the record of an account, None when there is none.

        Raises: StoreUnavailable, StoreCorrupt, LockTimeout.
        """
        row = self._reader.use(lambda database: database.execute(LOAD, key_bytes(key)).fetchone())
        return self._stored(*row) if row else None

    def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Save a payload durably, return its version.

        With `replacing` None an unreadable database is first moved aside; a logged warning names
        it.

        Raises: StoreConflict, StoreUnavailable, StoreCorrupt, LockTimeout.
        """
        end = to_micros(expires_at)
        values = (end, to_bytes(payload))
        try:
            version = self._put(key, values, replacing)
        except StoreCorrupt:
            if replacing is not None:
                raise
            version = None
        if version is None and not replacing:
            version = self._put_in_new(key, values, replacing)
        if version is None:
            raise conflict(key)
        return version

    def delete(self, key: AccountKey, *, replacing: int | None = None) -> None:
        """Delete a record, or only the version `replacing` of it.

        Raises: StoreConflict, StoreUnavailable, StoreCorrupt, LockTimeout.
        """

        def delete(database: sqlite3.Connection) -> int:
            check_version(key, _version(database, key), replacing=replacing)
            database.execute(DELETE, key_bytes(key))
            return 1

        if self._change(delete) is None:
            check_version(key, NOTHING, replacing=replacing)

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> FileStoreLock:  # noqa: ARG002
        """Return a lock that has not been acquired yet."""
        return account_lock(self.path, key)

    def accounts(self, client_id: str) -> list[str]:
        """Return the names of an application's accounts, sorted.

        Raises: StoreUnavailable, StoreCorrupt, LockTimeout.
        """
        return sorted(self._accounts(ACCOUNTS, to_bytes(client_id)))

    def due(self, client_id: str, *, before: datetime, limit: int) -> list[str]:
        """Return the accounts whose token expires before a moment, the earliest first.

        Raises: StoreUnavailable, StoreCorrupt, LockTimeout.
        """
        return self._accounts(DUE, to_bytes(client_id), to_micros(before), limit)

    def _accounts(self, sql: str, *values: bytes | int) -> list[str]:
        rows = self._reader.use(lambda database: database.execute(sql, values).fetchall())
        try:
            return [to_text(account) for (account,) in rows or ()]
        except (AttributeError, ValueError):
            raise errors.corrupt(self.path) from None

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        for connection in (self._reader, self._writer):
            with connection.guard:
                connection.close()

    def _stored(self, payload: bytes, version: int, end: int | None) -> Stored:
        try:
            expires_at = from_micros(end)
            return Stored(payload=to_text(payload), version=int(version), expires_at=expires_at)
        except (AttributeError, TypeError, ValueError, OverflowError):
            # Not chained: the cause would carry the payload.
            raise errors.corrupt(self.path) from None

    def _put(self, key: AccountKey, values: tuple[Any, ...], replacing: int | None) -> int | None:
        """Write a record; None when there is no database."""

        def put(database: sqlite3.Connection) -> int:
            check_version(key, _version(database, key), replacing=replacing)
            # The counter never goes back, even when records are deleted.
            database.execute("UPDATE counter SET version = version + 1")
            (version,) = database.execute("SELECT version FROM counter").fetchone() or (None,)
            if not isinstance(version, int):
                raise errors.corrupt(self.path)
            database.execute(
                "REPLACE INTO records (client_id, account, expires_at, payload, version)"
                " VALUES (?, ?, ?, ?, ?)",
                (*key_bytes(key), *values, version),
            )
            return version

        return self._change(put)

    def _change(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        try:
            return self._writer.change(work)
        finally:
            # The writer may have found, or created, another file: read what was saved there.
            self._reader.check_next_time()

    def _put_in_new(
        self, key: AccountKey, values: tuple[Any, ...], replacing: int | None
    ) -> int | None:
        """Write a record, creating the database, or first moving an unreadable one aside."""
        with write_lock(self.path, errors.WHAT, errors.WAIT):
            try:
                # Once more: another process may have created it before this one had the lock.
                version = self._put(key, values, replacing)
            except StoreCorrupt:
                if replacing is not None:
                    raise
                move_aside(self.path, errors.WHAT, beside=schema.BESIDE)
                version = None
            if version is None:
                schema.create(self.path)
                version = self._put(key, values, replacing)
            return version


def _version(database: sqlite3.Connection, key: AccountKey) -> int:
    row = database.execute(VERSION, key_bytes(key)).fetchone()
    return row[0] if row else NOTHING
