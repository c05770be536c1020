"""The token database in SQLite: its tables, its creation, and how it is recognised.

No record is read or written here, and no connection stays open.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from trakt_auth.errors import StoreUnavailable
from trakt_auth.stores.engines.files import create_private, first_version, sync_folder, unavailable
from trakt_auth.stores.engines.sqlite_errors import WHAT, corrupt, failure

__all__ = ["BESIDE", "SCHEMA", "SETTINGS", "check", "create", "uri"]

APPLICATION_ID = 0x74724175  # "trAu"
SCHEMA_VERSION = 1
BESIDE = ("-wal", "-shm", "-journal")  # endings of the files that SQLite keeps beside a database
# FULL: a committed transaction is on the disk, which on macOS takes fullfsync.
SETTINGS = "PRAGMA synchronous=FULL; PRAGMA fullfsync=ON; PRAGMA trusted_schema=OFF;"
# Names are BLOBs because they may hold lone surrogates. `expires_at` is microseconds since 1970.
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


def create(path: str) -> None:
    """Create an empty database where there is none; the caller makes sure to be the only writer.

    It is created under another name and renamed, so that a database is never half-made.

    Raises: StoreUnavailable.
    """
    new = f"{path}.new"
    try:
        # SQLite would apply the log of a deleted database to a new one of the same name.
        for left in (new, *(name + ending for name in (new, path) for ending in BESIDE)):
            with suppress(FileNotFoundError):
                os.unlink(left)
        # SQLite would make it readable for everyone; -wal and -shm get the mode of the database.
        os.close(create_private(new, like=path))
        with closing(sqlite3.connect(uri(new, "rw"), uri=True, isolation_level=None)) as database:
            database.executescript(SETTINGS + SCHEMA)
            database.execute("INSERT INTO counter VALUES (?)", (first_version(),))
            database.execute("COMMIT")
            # Closing the connection does the same, but does not report a full disk.
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.rename(new, path)
        sync_folder(os.path.dirname(path))
    except sqlite3.Error as error:
        raise failure(path, error) from None
    except OSError as error:
        raise unavailable(WHAT, path, "written", error) from None


def check(path: str, database: sqlite3.Connection) -> None:
    """Check that an open database is one that this version can use.

    Raises: StoreCorrupt, StoreUnavailable, sqlite3.Error.
    """
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version < SCHEMA_VERSION:
        raise corrupt(path)
    if version > SCHEMA_VERSION:
        raise StoreUnavailable(
            f"The {WHAT} {path} was written by a newer version of trakt-auth",
            hint="Upgrade trakt-auth, or name another file.",
        )


def uri(path: str, mode: str) -> str:
    """Return a path as a URI for `sqlite3.connect`; `mode` may carry further options."""
    return f"{Path(path).as_uri()}?mode={mode}"
