"""Any store with `await`, for programs that look into a store from an event loop.

No engine is known here: each call runs on a thread of its own.
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

PAUSE = 0.005  # seconds between two looks at a call whose task was cancelled


class AsyncStore:
    """A TokenStore for asyncio and trio; the same methods, arguments and errors.

    A call that has begun is finished, also when its task is cancelled: no lock is left behind.
    """

    def __init__(self, store: TokenStore) -> None:
        self._store = store

    async def load(self, key: AccountKey) -> Stored | None:
        """Return what is kept, None when nothing is."""
        return await _in_thread(partial(self._store.load, key))

    async def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Keep a payload durably, return its version."""
        work = partial(self._store.save, key, payload, expires_at=expires_at, replacing=replacing)
        return await _in_thread(work)

    async def delete(self, key: AccountKey) -> None:
        """Forget; harmless when there is nothing."""
        await _in_thread(partial(self._store.delete, key))

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> AsyncLock:
        """Return a lock that has not been taken yet."""
        return AsyncLock(self._store.lock(key, lease=lease))

    async def accounts(self, client_id: str) -> Sequence[str]:
        """Return the names of an application's accounts, sorted."""
        return await _in_thread(partial(self._store.accounts, client_id))

    async def due(self, client_id: str, *, before: datetime, limit: int) -> Sequence[str]:
        """Return at most `limit` accounts whose token ends before a moment."""
        return await _in_thread(partial(self._store.due, client_id, before=before, limit=limit))

    async def aclose(self) -> None:
        """Let go of files and connections."""
        await _in_thread(self._store.close)


class AsyncLock:
    """A store's lock with `await`."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    async def acquire(self) -> bool:
        """Take it if it is free, without waiting."""
        taken: list[bool] = []

        def take() -> bool:
            taken.append(self._lock.acquire())
            return taken[0]

        try:
            return await _in_thread(take)
        except BaseException:
            if True in taken:  # and nobody will ever hear of it
                await _landed(ThreadPoolExecutor(1).submit(self._lock.release))
            raise

    def remaining(self) -> float:
        """Return for how many seconds it is surely ours."""
        return self._lock.remaining()

    async def release(self) -> None:
        """Give it back; harmless when it has lapsed."""
        await _in_thread(self._lock.release)


async def _in_thread(work: Callable[[], T]) -> T:
    from anyio import CapacityLimiter
    from anyio.to_thread import run_sync

    done: Future[T] = Future()

    def thread() -> None:
        if done.set_running_or_notify_cancel():
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                done.set_exception(error)

    try:
        # A limiter of its own: the shared one may be used up by threads that wait for a lock.
        await run_sync(thread, limiter=CapacityLimiter(1))
    except BaseException:
        if not done.cancel():  # asyncio's own way of cancelling does not wait for the thread
            await _landed(done)
        raise
    return done.result()


async def _landed(done: Future[T]) -> None:
    from anyio import CancelScope, get_cancelled_exc_class, sleep

    with CancelScope(shield=True):
        while not done.done():
            with suppress(get_cancelled_exc_class()):  # again; the first one is on its way
                await sleep(PAUSE)
