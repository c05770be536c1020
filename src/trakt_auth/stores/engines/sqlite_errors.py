"""What failed at a token database in SQLite, as errors of this library.

Errors only: no connection is opened and no statement is run here.
"""

from __future__ import annotations

import sqlite3

from trakt_auth.errors import LockTimeout, StoreCorrupt, StoreError
from trakt_auth.stores.engines.files import unavailable

__all__ = ["WAIT", "WHAT", "busy", "code_of", "corrupt", "failure"]

WAIT = 10.0  # seconds; a write takes milliseconds, so a longer wait means a program that hangs
WHAT = "token database"
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# The statements are constants, so if SQLite finds one wrong (SQLITE_ERROR: no such table), the
# database is not one of ours.
NOT_OURS = (
    sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_NOTADB
)  # fmt: skip


def corrupt(path: str) -> StoreCorrupt:
    """Return the error for a file that is not a readable token database."""
    return StoreCorrupt(f"{path} is not a readable {WHAT}")


def busy(path: str) -> LockTimeout:
    """Return the error for a database that another program has locked for too long."""
    return LockTimeout(
        f"The {WHAT} {path} has been locked for {WAIT:.0f} seconds",
        hint="Another program is writing to it: end that program, or try again in a moment.",
    )


def failure(path: str, error: sqlite3.Error) -> StoreError:
    """Return the error for an exception of the module sqlite3."""
    code = code_of(error)
    if code in BUSY:
        return busy(path)
    if code in NOT_OURS:
        return corrupt(path)
    return unavailable(WHAT, path, "used", OSError(str(error)))


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, which is the low byte of its extended one."""
    # Errors that the module raises by itself have no code.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF
