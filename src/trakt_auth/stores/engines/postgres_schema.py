"""The tables in PostgreSQL: their SQL, their creation, and their upgrade in numbered steps.

A step that was released is never changed: a new one is added after it. No record is read or
written here.
"""

from __future__ import annotations

from typing import Final, LiteralString

from trakt_auth.errors import StoreUnavailable
from trakt_auth.stores.engines.postgres_connection import SILENCE, Connection

__all__ = ["STEPS", "prepare", "upgrade"]

LONGEST_UPGRADE = 600.0  # seconds for each statement of an upgrade
# The advisory lock's number, "trAu". If another program uses the same one, the two take turns.
ADVISORY = 0x74724175

# Names and payloads are bytea because text can hold neither NUL nor lone surrogates; bytes also
# sort as Python sorts. `expires_at` is microseconds since 1970, which is exact for every datetime.
# `written` is the idempotency key of the save that wrote the row.
STEPS: Final[tuple[LiteralString, ...]] = (
    """
CREATE TABLE trakt_auth_records (
  client_id bytea NOT NULL,
  account bytea NOT NULL,
  version bigint NOT NULL,
  expires_at bigint,
  payload bytea NOT NULL,
  written bytea NOT NULL,
  PRIMARY KEY (client_id, account)
);
CREATE INDEX trakt_auth_records_by_end ON trakt_auth_records (client_id, expires_at, account)
  WHERE expires_at IS NOT NULL;
CREATE TABLE trakt_auth_leases (
  client_id bytea NOT NULL,
  account bytea NOT NULL,
  owner text NOT NULL,
  ends_at timestamptz NOT NULL,
  PRIMARY KEY (client_id, account)
);
CREATE SEQUENCE trakt_auth_versions;
SELECT setval('trakt_auth_versions', (extract(epoch FROM clock_timestamp()) * 1000)::bigint);
""",
)


def prepare(connection: Connection) -> None:
    """Create or upgrade the tables, unless they are up to date; then reading is enough.

    Raises: StoreUnavailable, psycopg.Error.
    """
    if _version(connection) != len(STEPS):
        upgrade(connection)


def upgrade(connection: Connection) -> None:
    """Run the steps that are missing, all or none; of several processes at once one does it.

    Raises: StoreUnavailable, psycopg.Error.
    """
    connection.longest_wait = LONGEST_UPGRADE
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = 0")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY])
        version = _version(connection)
        if version > len(STEPS):
            raise StoreUnavailable(
                f"The PostgreSQL tables were written by a newer version of trakt-auth ({version})",
                hint="Upgrade trakt-auth, or name another store.",
            )
        if version == 0:
            connection.execute("CREATE TABLE trakt_auth_schema (version integer NOT NULL)")
            connection.execute("INSERT INTO trakt_auth_schema VALUES (0)")
        for step in STEPS[version:]:
            connection.execute(step)
        if version < len(STEPS):
            connection.execute("UPDATE trakt_auth_schema SET version = %s", [len(STEPS)])
    connection.longest_wait = SILENCE


def _version(connection: Connection) -> int:
    """Return how many steps have run, 0 when there are no tables."""
    # Reading pg_class makes the server notice a table that another process has just created.
    look = "SELECT 1 FROM pg_class WHERE oid = to_regclass('trakt_auth_schema')"
    if connection.execute(look).fetchone() is None:
        return 0
    row = connection.execute("SELECT version FROM trakt_auth_schema").fetchone()
    return int(row[0]) if row else 0
