"""Tokens in memory: for tests, and for programs that keep tokens themselves.

One process, many threads.
"""

from __future__ import annotations

import math
import threading
from datetime import datetime

from trakt_auth.stores.record import LEASE, NOTHING, AccountKey, Stored, changed, due_first

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps records until the process ends."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._records: dict[AccountKey, Stored] = {}
        self._locks: dict[AccountKey, threading.Lock] = {}
        # Never goes back, so that a record saved after a deletion cannot pass for the old one.
        self._version = 0

    def load(self, key: AccountKey) -> Stored | None:
        """Return what is kept, None when nothing is."""
        return self._records.get(key)

    def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Keep a payload, return its version.

        Raises: StoreConflict.
        """
        with self._guard:
            there = self._records.get(key)
            if replacing is not None and replacing != (there.version if there else NOTHING):
                raise changed(key)
            self._version += 1
            self._records[key] = Stored(
                payload=payload, version=self._version, expires_at=expires_at
            )
            return self._version

    def delete(self, key: AccountKey) -> None:
        """Forget; harmless when there is nothing."""
        with self._guard:
            self._records.pop(key, None)

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> MemoryLock:  # noqa: ARG002
        """Return a lock that has not been taken yet."""
        with self._guard:
            return MemoryLock(self._locks.setdefault(key, threading.Lock()))

    def accounts(self, client_id: str) -> list[str]:
        """Return the names of an application's accounts, sorted."""
        with self._guard:
            return sorted(
                key.account for key in self._records if key.client_id == client_id and key.account
            )

    def due(self, client_id: str, *, before: datetime, limit: int) -> list[str]:
        """Return the accounts whose token ends before a moment, the first to end first."""
        with self._guard:
            return due_first(self._records, client_id, before=before, limit=limit)

    def close(self) -> None:
        """Do nothing: another client may share the store."""


class MemoryLock:
    """A lock over the threads of this process."""

    def __init__(self, inner: threading.Lock) -> None:
        self._inner = inner
        self._ours = False

    def acquire(self) -> bool:
        """Take it if it is free."""
        taken = self._inner.acquire(blocking=False)
        self._ours = self._ours or taken
        return taken

    def remaining(self) -> float:
        """Return infinity: it cannot lapse."""
        return math.inf

    def release(self) -> None:
        """Give it back."""
        if self._ours:
            self._ours = False
            self._inner.release()
