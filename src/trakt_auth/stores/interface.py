"""What a store offers: records with versions, and a lock for each account.

Protocols only: a store of your own needs these methods, and no base class. No engine is known
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from trakt_auth.errors import StoreError
from trakt_auth.stores.record import LEASE, AccountKey, Record, Stored

__all__ = ["Forgotten", "Lock", "TokenStore"]


class Lock(Protocol):
    """One account's lock: one holder among all threads, processes and hosts that use the store."""

    def acquire(self) -> bool:
        """Acquire the lock if it is free, without waiting; return whether it was.

        Raises: StoreUnavailable if that cannot be found out.
        """
        ...

    def remaining(self) -> float:
        """Return for how many seconds the lock is certainly held; infinite if it never expires."""
        ...

    def release(self) -> None:
        """Release the lock; harmless when it is not held, or has expired."""
        ...


class TokenStore(Protocol):
    """Keeps opaque payloads, each with a version that grows. Safe for threads and processes.

    Every method raises StoreError and nothing else.
    """

    def load(self, key: AccountKey) -> Stored | None:
        """Return the record of an account, None when there is none."""
        ...

    def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Save a payload durably, return its version.

        `replacing` is the version that the stored record must have; 0 means that there must be no
        record. None overwrites any record, even one that cannot be read.

        Raises: StoreConflict if the stored record has another version.
        """
        ...

    def delete(self, key: AccountKey, *, replacing: int | None = None) -> None:
        """Delete a record.

        `replacing` is the version that the stored record must have; 0 means that there must be no
        record. None deletes any record, and is harmless when there is none.

        Raises: StoreConflict if the stored record has another version, or is gone.
        """
        ...

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> Lock:
        """Return a lock that has not been acquired yet.

        In a store that cannot tell a dead holder from a slow one, the lock expires `lease` seconds
        after its holder last renewed it. In other stores it ends when its holder ends, and `lease`
        is ignored.
        """
        ...

    def accounts(self, client_id: str) -> Sequence[str]:
        """Return the names of an application's accounts, sorted.

        A record whose payload begins with TOMBSTONE is no account: here and in `due` it is left
        out; `load` returns it.
        """
        ...

    def due(self, client_id: str, *, before: datetime, limit: int) -> Sequence[str]:
        """Return at most `limit` accounts whose token expires before a moment, the earliest first.

        Records without an expiry are left out. Accounts of the same expiry are sorted by name.
        """
        ...

    def close(self) -> None:
        """Close files and connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What a deletion found, and what kept it from deleting all of it.

    `version` is later than that of every record which was deleted.
    """

    records: tuple[Record, ...] = ()
    version: int = 0
    existed: bool = False
    error: StoreError | None = None
