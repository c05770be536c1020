"""Tokens in memory: for tests, and for programs that keep tokens in a place of their own.

One process with any number of threads. Nothing is written to a disk.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from trakt_auth.errors import StoreUnavailable
from trakt_auth.stores.document import Document, DocumentStore
from trakt_auth.stores.engines.forks import on_fork
from trakt_auth.stores.record import LEASE, AccountKey, Stored

__all__ = ["MemoryStore"]


class MemoryStore(DocumentStore):
    """Keeps records until the process ends."""

    def __init__(self) -> None:
        self._document = Document(0, {})
        self._inherited: dict[AccountKey, Stored] = {}
        self._make_locks()
        on_fork(self, after_in_child=MemoryStore._after_fork)

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> MemoryLock:  # noqa: ARG002
        """Return a lock that has not been acquired yet.

        A login that a forked process has inherited cannot be locked: its parent has the same one,
        and both would spend the refresh token.
        """
        with self._guard:
            inner = self._locks.setdefault(key, threading.Lock())
        return MemoryLock(inner, lambda: self._check_own(key))

    def _check_own(self, key: AccountKey) -> None:
        stored = self._inherited.get(key)
        if stored is not None and self._document.records.get(key) == stored:
            raise StoreUnavailable(
                f"The login of account {key.account!r} is in the memory of the parent process",
                hint="Name a store that processes share, e.g. store='file:tokens.json', or open "
                "the client after the fork.",
            )

    def _make_locks(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[AccountKey, threading.Lock] = {}

    def _after_fork(self) -> None:
        # The parent's threads, which may hold the locks, do not run in the child.
        self._make_locks()
        self._inherited = dict(self._document.records)

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

    def __init__(self, inner: threading.Lock, check: Callable[[], object]) -> None:
        self._inner, self._check = inner, check
        self._held = False

    def acquire(self) -> bool:
        """Acquire the lock if it is free; return whether it was.

        Raises: StoreUnavailable for a login that is the parent process's.
        """
        self._check()
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
