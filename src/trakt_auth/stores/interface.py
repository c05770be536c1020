"""What a store offers: records with versions, and a lock for each account.

Protocols only, so that a store of your own has nothing to inherit from. No engine is known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from trakt_auth.stores.record import LEASE, AccountKey, Stored

__all__ = ["Lock", "TokenStore"]


class Lock(Protocol):
    """One account's lock: one holder over threads, processes and hosts that share the store."""

    def acquire(self) -> bool:
        """Take it if it is free, without waiting. Raises StoreUnavailable, never guesses."""
        ...

    def remaining(self) -> float:
        """Return for how many seconds it is surely ours; infinite for a lock that cannot lapse."""
        ...

    def release(self) -> None:
        """Give it back; harmless when it has lapsed."""
        ...


class TokenStore(Protocol):
    """Keeps opaque payloads with a version that grows. Used by many threads and processes.

    Every method raises StoreError and nothing else.
    """

    def load(self, key: AccountKey) -> Stored | None:
        """Return what is kept, None when nothing is."""
        ...

    def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Keep a payload durably, return its version.

        `replacing` is the version that must still be there, else StoreConflict; 0 is that of
        nothing. With None whatever is there is overwritten, even when it cannot be read.
        """
        ...

    def delete(self, key: AccountKey) -> None:
        """Forget; harmless when there is nothing."""
        ...

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> Lock:
        """Return a lock that has not been taken yet.

        Where a dead holder cannot be told from a slow one, it lapses `lease` seconds after its
        holder was last heard of; elsewhere it ends with its holder, and `lease` says nothing.
        """
        ...

    def accounts(self, client_id: str) -> Sequence[str]:
        """Return the names of an application's accounts, sorted."""
        ...

    def due(self, client_id: str, *, before: datetime, limit: int) -> Sequence[str]:
        """Return at most `limit` accounts whose token ends before a moment, the first to end first.

        Records without an end are left out; those that end together come by name.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
