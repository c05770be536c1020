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
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from trakt_auth.errors import Cancelled, UsageError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["Flight", "Flights", "landed", "landed_async"]

MOST_THREADS = 64
CLOSE_CHECK = 0.01  # seconds between two looks at what still flies
CANCEL_CHECK = 0.05  # seconds between two looks at a caller's cancel event


class Flight:
    """One protected section under way, and how many callers wait for it."""

    def __init__(self, key: Hashable | None) -> None:
        self.key = key
        self.waiting = 1
        self.future: Future[Any]


class Flights:
    """The protected sections that are under way."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        # A plain lock: Ctrl-C inside a Condition's `with` can leave it locked for ever.
        self._guard = threading.Lock()
        self._flying: set[Flight] = set()
        self._up: dict[Hashable, Flight] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._closed = False

    def start(
        self,
        work: Callable[[Callable[[], bool]], Any],
        *,
        key: Hashable | None,
        join: bool,
        landing: Callable[[], object] = lambda: None,
    ) -> Flight | None:
        """Start `work`; with a `key` that is under way, return that, or None without `join`.

        `work` gets a function that tells whether nobody waits for it any more: it may give up
        then, as long as it has done nothing yet. `landing` is called after it, when the next one
        may start. Without `join` a thread is not waited for either: None when all are busy.

        Raises: UsageError after `close`.
        """
        if self._process != os.getpid():
            self._reset()  # the parent's threads did not come along into this fork

        def fly() -> Any:  # noqa: ANN401 - whatever the work returns
            with self._guard:
                self._open()
                self._flying.add(flight)
            try:
                return work(partial(self._unwanted, flight))
            finally:
                with self._guard:
                    self._forget(flight)
                landing()
                with self._guard:
                    self._flying.discard(flight)

        with self._guard:
            self._open()
            if key in self._up:
                flight = self._up[key]
                flight.waiting += join
                return flight if join else None
            if not join and len(self._up) >= MOST_THREADS:
                return None
            flight = Flight(key)
            # `fly` cannot take itself off the list before it is on it: it needs the guard.
            flight.future = self._threads().submit(fly)
            if key is not None:
                self._up[key] = flight
            return flight

    def _open(self) -> None:
        if self._closed:
            raise UsageError(
                "The client is closed", hint="Make the call inside the client's `with` block."
            )

    def leave(self, flight: Flight) -> None:
        """Say that one caller waits no longer."""
        with self._guard:
            flight.waiting -= 1

    def _unwanted(self, flight: Flight) -> bool:
        with self._guard:
            if flight.waiting:
                return False
            self._forget(flight)  # whoever comes now starts a new one
            return True

    def _forget(self, flight: Flight) -> None:
        if self._up.get(flight.key) is flight:
            del self._up[flight.key]

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
            while self._flying:  # a thread whose start was interrupted is unknown to the pool
                time.sleep(CLOSE_CHECK)


def landed(flight: Flight, flights: Flights, cancel: threading.Event | None) -> Any:  # noqa: ANN401
    """Wait for a section's result; being interrupted or cancelled leaves it running.

    Raises: Cancelled, and whatever the section raised.
    """
    try:
        if cancel is not None:
            from concurrent.futures import wait

            while not wait([flight.future], timeout=CANCEL_CHECK).done:
                if cancel.is_set():
                    raise Cancelled("The waiting was called off")
        return flight.future.result()
    finally:
        flights.leave(flight)


async def landed_async(flight: Flight, flights: Flights) -> Any:  # noqa: ANN401
    """Wait for a section's result without blocking the event loop.

    Raises: whatever the section raised.
    """
    import anyio

    done = anyio.Event()
    wake = _waker()

    def tell(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            wake(done.set)

    try:
        flight.future.add_done_callback(tell)
        await done.wait()
        return flight.future.result()
    finally:
        flights.leave(flight)


def _waker() -> Callable[[Callable[[], object]], object]:
    """Return how another thread can call into this event loop without ever blocking."""
    # Another thread may be in the middle of importing it; then it does not run us.
    lowlevel = getattr(sys.modules.get("trio"), "lowlevel", None)
    if getattr(lowlevel, "in_trio_run", bool)():
        wake: Callable[[Callable[[], object]], object]
        wake = lowlevel.current_trio_token().run_sync_soon  # type: ignore[union-attr]
        return wake
    import asyncio

    return asyncio.get_running_loop().call_soon_threadsafe
