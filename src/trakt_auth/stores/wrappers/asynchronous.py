"""Any store with `await`, for programs that use a store from an event loop.

No engine is known here: each call runs in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TypeVar

from trakt_auth.stores.interface import Lock, TokenStore
from trakt_auth.stores.record import LEASE, AccountKey, Stored

__all__ = ["AsyncLock", "AsyncStore"]

T = TypeVar("T")

PAUSE = 0.005  # seconds between two checks of a call whose task was cancelled


class AsyncStore:
    """A TokenStore for asyncio and trio, with the same methods, arguments and errors.

    A call that has begun is finished even when its task is cancelled, so no lock stays held.
    """

    def __init__(self, store: TokenStore) -> None:
        self._store = store

    async def load(self, key: AccountKey) -> Stored | None:
        """Return the record of an account, None when there is none."""
        return await _in_thread(partial(self._store.load, key))

    async def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Save a payload durably, return its version."""
        work = partial(self._store.save, key, payload, expires_at=expires_at, replacing=replacing)
        return await _in_thread(work)

    async def delete(self, key: AccountKey, *, replacing: int | None = None) -> None:
        """Delete a record, or only the version `replacing` of it."""
        await _in_thread(partial(self._store.delete, key, replacing=replacing))

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> AsyncLock:
        """Return a lock that has not been acquired yet."""
        return AsyncLock(self._store.lock(key, lease=lease))

    async def accounts(self, client_id: str) -> Sequence[str]:
        """Return the names of an application's accounts, sorted."""
        return await _in_thread(partial(self._store.accounts, client_id))

    async def due(self, client_id: str, *, before: datetime, limit: int) -> Sequence[str]:
        """Return at most `limit` accounts whose token expires before a moment."""
        return await _in_thread(partial(self._store.due, client_id, before=before, limit=limit))

    async def aclose(self) -> None:
        """Close files and connections."""
        await _in_thread(self._store.close)


class AsyncLock:
    """A store's lock with `await`."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    async def acquire(self) -> bool:
        """Acquire the lock if it is free, without waiting; return whether it was."""
        acquired: list[bool] = []

        def acquire() -> bool:
            acquired.append(self._lock.acquire())
            return acquired[0]

        try:
            return await _in_thread(acquire)
        except BaseException:
            if True in acquired:  # the caller was cancelled, so it does not know and cannot release
                await _wait_for(ThreadPoolExecutor(1).submit(self._lock.release))
            raise

    def remaining(self) -> float:
        """Return for how many seconds the lock is certainly held."""
        return self._lock.remaining()

    async def release(self) -> None:
        """Release the lock; harmless when it is not held, or has expired."""
        await _in_thread(self._lock.release)


async def _in_thread(work: Callable[[], T]) -> T:
    from anyio import CapacityLimiter
    from anyio.to_thread import run_sync

    done: Future[T] = Future()

    def thread() -> None:
        if done.set_running_or_notify_cancel():
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's task
                done.set_exception(error)

    try:
        # A limiter of its own: threads that wait for a lock may occupy all of the shared one.
        await run_sync(thread, limiter=CapacityLimiter(1))
    except BaseException:
        if not done.cancel():  # asyncio's Task.cancel() does not wait for the thread
            await _wait_for(done)
        raise
    return done.result()


async def _wait_for(done: Future[T]) -> None:
    from anyio import CancelScope, get_cancelled_exc_class, sleep

    with CancelScope(shield=True):
        while not done.done():
            with suppress(get_cancelled_exc_class()):  # repeated; the first one is being raised
                await sleep(PAUSE)
