"""Tokens in memory: for tests, and for programs that keep tokens in a place of their own.

One process with any number of threads. Nothing is written to a disk.
"""

from __future__ import annotations

import math
import threading
from contextlib import AbstractContextManager

from trakt_auth.stores.document import Document, DocumentStore
from trakt_auth.stores.record import LEASE, AccountKey

__all__ = ["MemoryStore"]


class MemoryStore(DocumentStore):
    """Keeps records until the process ends."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._document = Document(0, {})
        self._locks: dict[AccountKey, threading.Lock] = {}

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> MemoryLock:  # noqa: ARG002
        """Return a lock that has not been acquired yet."""
        with self._guard:
            return MemoryLock(self._locks.setdefault(key, threading.Lock()))

    def close(self) -> None:
        """Do nothing: another client may share the store."""

    def _read(self) -> Document:
        return self._document

    def _write(self, document: Document) -> None:
        self._document = document

    def _only_writer(self) -> AbstractContextManager[object]:
        return self._guard


class MemoryLock:
    """A lock among the threads of this process."""

    def __init__(self, inner: threading.Lock) -> None:
        self._inner = inner
        self._held = False

    def acquire(self) -> bool:
        """Acquire the lock if it is free; return whether it was."""
        acquired = self._inner.acquire(blocking=False)
        self._held = self._held or acquired
        return acquired

    def remaining(self) -> float:
        """Return infinity: the lock does not expire."""
        return math.inf

    def release(self) -> None:
        """Release the lock; harmless when it is not held."""
        if self._held:
            self._held = False
            self._inner.release()
