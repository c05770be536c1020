"""The version check of a conditional save or deletion, for every store that compares in Python.

Nothing is read or written here. PostgreSQL and Redis compare on the server; they take only the
error from here.
"""

from __future__ import annotations

from trakt_auth.errors import StoreConflict
from trakt_auth.stores.record import AccountKey

__all__ = ["check_version", "conflict"]


def check_version(key: AccountKey, version: int, *, replacing: int | None) -> None:
    """Check that the stored version is the one that a save or deletion is to replace.

    `version` is NOTHING when there is no record. `replacing` None replaces any version.

    Raises: StoreConflict.
    """
    if replacing is not None and replacing != version:
        raise conflict(key)


def conflict(key: AccountKey) -> StoreConflict:
    """Return the error for a write whose `replacing` is not the stored version."""
    return StoreConflict(
        f"Account {key.account!r} was changed meanwhile, by another program or thread"
    )
