"""Tokens in one private SQLite database: one machine, many processes, many accounts.

And the records' SQL. No token is looked into, no connection opened here.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from weakref import finalize

import trakt_auth.stores.engines.sqlite_connection as connections
from trakt_auth.errors import StoreCorrupt
from trakt_auth.stores.engines.columns import from_micros, key_bytes, to_bytes, to_micros, to_text
from trakt_auth.stores.engines.file_lock import FileStoreLock, account_lock, only_writer
from trakt_auth.stores.engines.files import move_aside
from trakt_auth.stores.record import LEASE, NOTHING, AccountKey, Stored, changed

__all__ = ["SqliteStore"]

T = TypeVar("T")

LOAD = "SELECT payload, version, expires_at FROM records WHERE client_id = ? AND account = ?"


class SqliteStore:
    """Keeps records in a database that only its owner can read.

    An account's lock is the kernel's, on a file beside the database, and no row with a lease: it
    ends with its holder at once, and a holder that the machine suspended still has it.
    """

    def __init__(self, path: str) -> None:
        # Resolved once, so that the two names of a linked database share its locks.
        self.path = os.path.realpath(os.path.expanduser(path))
        # Two connections: whoever reads need not wait for a thread that waits to write.
        self._reader = connections.Line(self.path, look_every=connections.LOOK)
        self._writer = connections.Line(self.path)
        self._finalizer = finalize(self, connections.close_all, self._reader, self._writer)

    def load(self, key: AccountKey) -> Stored | None:
        """Return what is kept, None when nothing is.

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
        """Keep a payload durably, return its version.

        With `replacing` None an unreadable database is first moved aside; a warning names it.

        Raises: StoreConflict, StoreUnavailable, StoreCorrupt, LockTimeout.
        """
        end = None if expires_at is None else to_micros(expires_at)
        values = (end, to_bytes(payload))
        try:
            version = self._put(key, values, replacing)
        except StoreCorrupt:
            if replacing is not None:
                raise
            version = None
        if version is None and not replacing:
            version = self._put_anew(key, values, replacing)
        if version is None:
            raise changed(key)
        return version

    def delete(self, key: AccountKey) -> None:
        """Forget; harmless when there is nothing.

        Raises: StoreUnavailable, StoreCorrupt, LockTimeout.
        """
        sql = "DELETE FROM records WHERE client_id = ? AND account = ?"
        self._change(lambda database: database.execute(sql, key_bytes(key)))

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> FileStoreLock:  # noqa: ARG002
        """Return a lock that has not been taken yet."""
        return account_lock(self.path, key)

    def accounts(self, client_id: str) -> list[str]:
        """Return the names of an application's accounts, sorted.

        Raises: StoreUnavailable, StoreCorrupt, LockTimeout.
        """
        sql = "SELECT account FROM records WHERE client_id = ? AND account != x''"
        return sorted(self._accounts(sql, to_bytes(client_id)))

    def due(self, client_id: str, *, before: datetime, limit: int) -> list[str]:
        """Return the accounts whose token ends before a moment, the first to end first.

        Raises: StoreUnavailable, StoreCorrupt, LockTimeout.
        """
        sql = (
            "SELECT account FROM records WHERE client_id = ? AND expires_at < ? AND account != x''"
            " ORDER BY expires_at, account LIMIT ?"
        )
        return self._accounts(sql, to_bytes(client_id), to_micros(before), limit)

    def _accounts(self, sql: str, *values: bytes | int) -> list[str]:
        rows = self._reader.use(lambda database: database.execute(sql, values).fetchall())
        try:
            return [to_text(account) for (account,) in rows or ()]
        except (AttributeError, ValueError):
            raise connections.corrupt(self.path) from None

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        for line in (self._reader, self._writer):
            with line.guard:
                line.close()

    def _stored(self, payload: bytes, version: int, end: int | None) -> Stored:
        try:
            expires_at = None if end is None else from_micros(end)
            return Stored(payload=to_text(payload), version=int(version), expires_at=expires_at)
        except (AttributeError, TypeError, ValueError, OverflowError):
            # Not chained: the cause would carry the payload.
            raise connections.corrupt(self.path) from None

    def _put(self, key: AccountKey, values: tuple[Any, ...], replacing: int | None) -> int | None:
        """Write a record; None when there is no database."""

        def put(database: sqlite3.Connection) -> int:
            sql = "SELECT version FROM records WHERE client_id = ? AND account = ?"
            row = database.execute(sql, key_bytes(key)).fetchone()
            if replacing is not None and replacing != (row[0] if row else NOTHING):
                raise changed(key)
            # A counter of its own never goes back, whatever is deleted.
            database.execute("UPDATE counter SET version = version + 1")
            (version,) = database.execute("SELECT version FROM counter").fetchone() or (None,)
            if not isinstance(version, int):
                raise connections.corrupt(self.path)
            database.execute(
                "REPLACE INTO records (client_id, account, expires_at, payload, version)"
                " VALUES (?, ?, ?, ?, ?)",
                (*key_bytes(key), *values, version),
            )
            return version

        return self._change(put)

    def _change(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        # Whoever saved reads what was saved: the writer may have found, or made, another file.
        try:
            return self._writer.change(work)
        finally:
            self._reader.look()

    def _put_anew(
        self, key: AccountKey, values: tuple[Any, ...], replacing: int | None
    ) -> int | None:
        with only_writer(self.path, connections.WHAT, connections.WAIT):
            try:
                # Once more: somebody else may have done all this before we had the lock.
                version = self._put(key, values, replacing)
            except StoreCorrupt:
                if replacing is not None:
                    raise
                move_aside(self.path, connections.WHAT, beside=connections.BESIDE)
                version = None
            if version is None:
                connections.create(self.path)
                version = self._put(key, values, replacing)
            return version
