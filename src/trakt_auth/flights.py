"""Sections that are never abandoned, at most one at a time for an account in this process.

Layer 3. Threads and futures, nothing of OAuth. The runner alone imports this file.

A plain thread is out of reach for everything that can happen to a caller: KeyboardInterrupt
goes to the main thread, cancellation to tasks, and a closing event loop to what runs in it; the
interpreter waits for these threads before it exits.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from trakt_auth.errors import Cancelled, UsageError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["Flights", "landed", "landed_async"]

T = TypeVar("T")

MOST_THREADS = 64
CANCEL_CHECK = 0.05  # seconds between two looks at a caller's cancel event


class Flights:
    """The protected sections that are under way."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._guard = threading.Lock()
        self._up: dict[Hashable, Future[Any]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._closed = False

    def start(
        self,
        work: Callable[[], Any],
        *,
        key: Hashable | None,
        join: bool,
        landing: Callable[[], object] = lambda: None,
    ) -> Future[Any] | None:
        """Start `work`; with a `key` that is under way, return that, or None without `join`.

        `landing` is called after it, when the next one may start. Without `join` a thread is not
        waited for either: None when all are busy.

        Raises: UsageError after `close`.
        """
        if self._process != os.getpid():
            self._reset()  # the parent's threads did not come along into this fork

        def fly() -> Any:  # noqa: ANN401 - whatever the work returns
            try:
                return work()
            finally:
                with self._guard:
                    self._up.pop(key, None)
                landing()

        with self._guard:
            if self._closed:
                raise UsageError(
                    "The client is closed", hint="Make the call inside the client's `with` block."
                )
            if key in self._up:
                return self._up[key] if join else None
            if not join and len(self._up) >= MOST_THREADS:
                return None
            # `fly` cannot take itself off the list before it is on it: it needs the guard.
            future = self._threads().submit(fly)
            if key is not None:
                self._up[key] = future
            return future

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="trakt-auth")
        return self._pool

    def close(self) -> None:
        """Start no more, and wait until all have landed."""
        with self._guard:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None and self._process == os.getpid():
            pool.shutdown(wait=True)


def landed(future: Future[T], cancel: threading.Event | None) -> T:
    """Wait for a section's result; being interrupted or cancelled leaves it running.

    Raises: Cancelled, and whatever the section raised.
    """
    if cancel is not None:
        from concurrent.futures import wait

        while not wait([future], timeout=CANCEL_CHECK).done:
            if cancel.is_set():
                raise Cancelled("The waiting was called off")
    return future.result()


async def landed_async(future: Future[T]) -> T:
    """Wait for a section's result without blocking the event loop.

    Raises: whatever the section raised.
    """
    import anyio

    done = anyio.Event()
    wake = _waker()

    def tell(_: Future[T]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            wake(done.set)

    future.add_done_callback(tell)
    await done.wait()
    return future.result()


def _waker() -> Callable[[Callable[[], object]], object]:
    """Return how another thread can call into this event loop without ever blocking."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        wake: Callable[[Callable[[], object]], object]
        wake = trio.lowlevel.current_trio_token().run_sync_soon
        return wake
    import asyncio

    return asyncio.get_running_loop().call_soon_threadsafe
