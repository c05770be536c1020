"""Tokens in PostgreSQL: many machines, many processes, many accounts.

The SQL of records and leases is here. No token is interpreted and no connection is opened here.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, LiteralString
from weakref import finalize

import trakt_auth.stores.engines.postgres_schema as schema
from trakt_auth.errors import StoreCorrupt
from trakt_auth.stores.engines.columns import from_micros, key_bytes, to_bytes, to_micros, to_text
from trakt_auth.stores.engines.idempotency import IdempotencyKeys
from trakt_auth.stores.engines.lease import Lease
from trakt_auth.stores.engines.postgres_connection import Value
from trakt_auth.stores.engines.postgres_pool import Pool
from trakt_auth.stores.record import LEASE, NOTHING, TOMBSTONE, AccountKey, Stored
from trakt_auth.stores.versions import conflict

__all__ = ["PostgresStore"]

SIGNED_OUT = (len(TOMBSTONE), to_bytes(TOMBSTONE))
# Both are sent before a statement, and set for its transaction only: a connection pooler may share
# the connection. The comparison of versions needs no more than READ COMMITTED, under which waiting
# for a row is no error.
ISOLATION: LiteralString = "SET transaction_isolation TO 'read committed'"
# A server that is set to answer before a commit is on the disk could lose a new token.
LIMIT: LiteralString = """
SELECT set_config('statement_timeout', '5s', true),
  CASE current_setting('synchronous_commit')
    WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END"""
LOAD: LiteralString = (
    "SELECT payload, version, expires_at FROM trakt_auth_records"
    " WHERE client_id = %b AND account = %b"
)
# The version is taken while the row is locked; EXCLUDED.version may be lower than the stored one.
PUT: LiteralString = """
INSERT INTO trakt_auth_records AS r (client_id, account, expires_at, payload, written, version)
VALUES (%s, %s, %s, %s, %s, nextval('trakt_auth_versions'))
ON CONFLICT (client_id, account) DO UPDATE SET expires_at = EXCLUDED.expires_at,
  payload = EXCLUDED.payload, written = EXCLUDED.written, version = nextval('trakt_auth_versions')
RETURNING r.version"""
ADD: LiteralString = """
INSERT INTO trakt_auth_records AS r (client_id, account, expires_at, payload, written, version)
VALUES (%s, %s, %s, %s, %s, nextval('trakt_auth_versions'))
ON CONFLICT (client_id, account) DO NOTHING RETURNING r.version"""
SWAP: LiteralString = """
UPDATE trakt_auth_records SET expires_at = %s, payload = %s, written = %s,
  version = nextval('trakt_auth_versions')
WHERE client_id = %s AND account = %s AND version = %s RETURNING version"""
WRITTEN: LiteralString = (
    "SELECT version FROM trakt_auth_records WHERE client_id = %s AND account = %s AND written = %s"
)
DELETE: LiteralString = "DELETE FROM trakt_auth_records WHERE client_id = %s AND account = %s"
DELETE_VERSION: LiteralString = DELETE + " AND version = %s RETURNING version"
VERSION: LiteralString = (
    "SELECT version FROM trakt_auth_records WHERE client_id = %s AND account = %s"
)
# The payload's first bytes are compared with TOMBSTONE: what a sign-out left is no account.
ACCOUNTS: LiteralString = (
    "SELECT account FROM trakt_auth_records WHERE client_id = %b AND account <> ''"
    " AND substring(payload FOR %s) <> %b ORDER BY account"
)
DUE: LiteralString = (
    "SELECT account FROM trakt_auth_records"
    " WHERE client_id = %b AND expires_at < %s AND account <> ''"
    " AND substring(payload FOR %s) <> %b"
    " ORDER BY expires_at, account LIMIT %s"
)
# All times are the server's. Nothing is written if another owner has the account. An owner that
# repeats the statement because the answer was lost gets the lease that it already has.
TAKE: LiteralString = """
INSERT INTO trakt_auth_leases AS l (client_id, account, owner, ends_at)
SELECT %s, %s, %s, clock_timestamp() + make_interval(secs => %s)
WHERE NOT EXISTS (
  SELECT FROM trakt_auth_leases
  WHERE client_id = %s AND account = %s AND ends_at > clock_timestamp() AND owner <> %s)
ON CONFLICT (client_id, account) DO UPDATE
SET owner = EXCLUDED.owner, ends_at = clock_timestamp() + make_interval(secs => %s)
WHERE l.ends_at <= clock_timestamp() OR l.owner = EXCLUDED.owner RETURNING 1"""
RENEW: LiteralString = """
UPDATE trakt_auth_leases SET ends_at = clock_timestamp() + make_interval(secs => %s)
WHERE client_id = %s AND account = %s AND owner = %s RETURNING 1"""
END: LiteralString = (
    "DELETE FROM trakt_auth_leases WHERE client_id = %s AND account = %s AND owner = %s"
)


class PostgresStore:
    """Keeps records in tables named `trakt_auth_...`; an account's lock is a row with a lease.

    Not an advisory lock, which would occupy a connection for as long as Trakt takes to answer.
    """

    def __init__(self, url: str) -> None:
        self._pool = Pool(url, schema.prepare)
        self._idempotency = IdempotencyKeys()
        # Also at the end of the program, while the pool's threads can still be joined.
        self._finalizer = finalize(self, Pool.close, self._pool)

    def migrate(self) -> None:
        """Create or upgrade the tables now; without this, the first call does it.

        Raises: StoreUnavailable.
        """
        with self._pool.direct() as connection:
            schema.upgrade(connection)

    def load(self, key: AccountKey) -> Stored | None:
        """Return the record of an account, None when there is none.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        rows = self._read(LOAD, *key_bytes(key))
        return _stored(key, *rows[0]) if rows else None

    def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Save a payload durably, return its version.

        If the answer is lost, StoreUnavailable is raised and the outcome is unknown. The same call
        again finds out: it returns the version if the payload was saved.

        Raises: StoreConflict, StoreUnavailable.
        """
        names, values = key_bytes(key), (to_micros(expires_at), to_bytes(payload))
        with self._idempotency.key_for(names, values, replacing) as (written, is_repeated):
            if replacing:
                version = self._write(SWAP, *values, written, *names, replacing)
            else:
                version = self._write(PUT if replacing is None else ADD, *names, *values, written)
            if version is None and is_repeated:
                version = self._write(WRITTEN, *names, written)
        if version is None:
            raise conflict(key)
        return int(version)

    def delete(self, key: AccountKey, *, replacing: int | None = None) -> None:
        """Delete a record, or only the version `replacing` of it.

        If the answer is lost, StoreUnavailable is raised and the outcome is unknown. The same call
        again deletes what is still there, and is harmless if the record is gone.

        Raises: StoreConflict, StoreUnavailable.
        """
        names = key_bytes(key)
        if replacing is None:
            self._write(DELETE, *names)
            return
        with self._idempotency.key_for("delete", names, replacing) as (_, is_repeated):
            deleted = self._write(DELETE_VERSION, *names, replacing)
            there = None if deleted else self._write(VERSION, *names)
        if there or not (deleted or is_repeated or replacing == NOTHING):
            raise conflict(key)

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> Lease:
        """Return a lock that has not been acquired yet."""
        return Lease(self, key, lease)

    def accounts(self, client_id: str) -> list[str]:
        """Return the names of an application's accounts, sorted.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        return [_name(row[0]) for row in self._read(ACCOUNTS, to_bytes(client_id), *SIGNED_OUT)]

    def due(self, client_id: str, *, before: datetime, limit: int) -> list[str]:
        """Return the accounts whose token expires before a moment, the earliest first.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        rows = self._read(DUE, to_bytes(client_id), to_micros(before), *SIGNED_OUT, limit)
        return [_name(row[0]) for row in rows]

    def take_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        """Give the account to `owner`, unless another owner has it.

        Raises: StoreUnavailable.
        """
        names = key_bytes(key)
        return self._write(TAKE, *names, owner, seconds, *names, owner, seconds) is not None

    def renew_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        """Let the lease end in `seconds` from now, if no other owner has had it since.

        Raises: StoreUnavailable.
        """
        return self._write(RENEW, seconds, *key_bytes(key), owner) is not None

    def end_lease(self, key: AccountKey, owner: str) -> None:
        """End the lease if it is still the owner's.

        Raises: StoreUnavailable.
        """
        self._write(END, *key_bytes(key), owner)

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        self._pool.close()

    def _read(self, sql: LiteralString, *values: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401
        with self._pool.use() as connection:
            return connection.read(sql, values)

    def _write(self, sql: LiteralString, *values: Value) -> bytes | None:
        with self._pool.use() as connection:
            return connection.write((ISOLATION, LIMIT), _numbered(sql), values)


@cache
def _numbered(sql: str) -> bytes:
    """Return a statement with the server's placeholders: $1, $2 and so on instead of each %s."""
    first, *others = sql.split("%s")
    return "".join((first, *(f"${n}{text}" for n, text in enumerate(others, 1)))).encode()


def _stored(key: AccountKey, payload: bytes, version: int, end: int | None) -> Stored:
    try:
        expires_at = from_micros(end)
        return Stored(payload=to_text(payload), version=version, expires_at=expires_at)
    except (ValueError, OverflowError):
        # Not chained: the cause would carry the payload.
        raise StoreCorrupt(
            f"The record of account {key.account!r} in PostgreSQL is not readable",
            hint="Restore a backup, or sign in again: a new login takes its place.",
        ) from None


def _name(blob: bytes) -> str:
    try:
        return to_text(blob)
    except ValueError:
        raise StoreCorrupt("The name of an account in PostgreSQL is not readable") from None
