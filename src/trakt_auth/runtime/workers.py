"""Sections that are never abandoned, at most one at a time for an account in this process.

Threads, nothing of OAuth.

A plain thread is out of reach for everything that can happen to a caller: KeyboardInterrupt
goes to the main thread, cancellation to tasks, and a closing event loop to what runs in it; the
desk waits for these threads before the program ends.

Ctrl-C can fall between any two instructions of the main thread. `with` on a plain lock gives it
back all the same; whoever waits by a Condition (Event, Future, Thread.start) can leave it taken,
and then the thread that saves the tokens waits for ever. So the main thread meets plain locks only.
"""

from __future__ import annotations

import sys
import threading
import time
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

from trakt_auth.errors import Cancelled, StoreUnavailable, TraktAuthError, UsageError

__all__ = ["Job", "Workers", "wait_for", "wait_for_async"]

Work: TypeAlias = Callable[[Callable[[], bool]], Any]

MOST_THREADS = 64
CANCEL_CHECK = 0.05  # seconds between two looks at a caller's cancel event


class Job:
    """One protected section: how many callers wait for it, and how it ended."""

    def __init__(self, key: Hashable | None) -> None:
        self.key = key
        self.waiting = 1
        self.over = False
        self.thread: int | None = None
        self._value: Any = None
        self._error: BaseException | None = None
        self._guard, self._flying = threading.Lock(), threading.Lock()
        self._flying.acquire()  # until it has landed; then each who waits takes it and passes it on
        self._wakers: list[Callable[[], object]] = []

    def end(self, value: Any = None, error: BaseException | None = None) -> None:  # noqa: ANN401
        """Give the result, once, to all who wait."""
        with self._guard:
            self._value, self._error, self.over = value, error, True
        self._flying.release()
        for wake in self._wakers:
            wake()

    def when_over(self, wake: Callable[[], object]) -> None:
        """Call `wake` at the end, on the thread that reached it; at once if that has come."""
        with self._guard:
            if not self.over:
                self._wakers.append(wake)
                return
        wake()

    def wait(self) -> None:
        """Wait for the end."""
        with self._flying:
            pass

    def result(self) -> Any:  # noqa: ANN401 - whatever the work returns
        """Wait for the end, and return or raise what it brought."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._value


class Workers:
    """The protected sections that are under way."""

    def __init__(self) -> None:
        self._closed = False
        self.start_anew()

    def start_anew(self) -> None:
        """Forget what is under way, as in a forked child, where no thread does it."""
        self._guard = threading.Lock()
        self._up: dict[Hashable, Job] = {}
        self._queue: deque[tuple[Job, Work, Callable[[], object]]] = deque()
        self._flying: set[Job] = set()
        self._threads = 0
        self._closing: set[int] = set()

    def start(
        self,
        work: Work,
        *,
        key: Hashable | None,
        join: bool,
        landing: Callable[[], object] = lambda: None,
    ) -> Job | None:
        """Start `work`; with a `key` that is under way, return that, or None without `join`.

        `work` gets a function that tells whether nobody waits for it any more: it may give up
        then, as long as it has done nothing yet. `landing` is called after it, when the next one
        may start. Without `join` a thread is not waited for either: None when all are busy.

        Raises: UsageError after `close`.
        """
        with self._guard:
            if self._closed:
                raise _closed()
            job = self._up.get(key)
            if job is None:
                if not join and len(self._up) >= MOST_THREADS:
                    return None
                job = Job(key)
                self._queue.append((job, work, landing))
                if key is not None:
                    self._up[key] = job
            elif join:
                job.waiting += 1
            else:
                return None
            self._find_thread()
            return job

    def _find_thread(self) -> None:
        # Also for what somebody has queued who was interrupted before he came to this line.
        if not self._queue or self._threads >= MOST_THREADS:
            return
        try:
            start_new_thread(self._start_thread, ())
        except RuntimeError:
            self._without_thread()

    def _start_thread(self) -> None:  # pragma: no cover - on a thread that is not traced
        # Thread.start waits by a Condition; here nobody can interrupt it.
        try:
            threading.Thread(target=self._work, name="trakt-auth").start()
        except RuntimeError:  # there was room for this one only
            with self._guard:
                self._without_thread()

    def _without_thread(self) -> None:
        if not self._threads:  # else what is queued will have its turn
            self._call_off(_no_thread)

    def _work(self) -> None:
        with self._guard:
            if self._threads >= MOST_THREADS:
                return
            self._threads += 1
        while self._fly_next():
            pass

    def _fly_next(self) -> bool:
        with self._guard:
            if not self._queue:
                self._threads -= 1
                return False
            job, work, landing = self._queue.popleft()
            self._flying.add(job)
            job.thread = threading.get_ident()
        try:
            job.end(self._result(job, work, landing))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            job.end(error=error)
        with self._guard:
            self._flying.discard(job)
        return True

    def _result(self, job: Job, work: Work, landing: Callable[[], object]) -> Any:  # noqa: ANN401
        try:
            return work(partial(self._unwanted, job))
        finally:
            with self._guard:
                self._forget(job)
            landing()

    def leave(self, job: Job) -> None:
        """Say that one caller waits no longer."""
        with self._guard:
            job.waiting -= 1

    def _unwanted(self, job: Job) -> bool:
        with self._guard:
            if job.waiting:
                return False
            self._forget(job)  # whoever comes now starts a new one
            return True

    def _forget(self, job: Job) -> None:
        if self._up.get(job.key) is job:
            del self._up[job.key]

    def close(self) -> None:
        """Start no more, and wait until all that have begun have landed."""
        with self._guard:
            self._closed = True
            self._call_off(_closed)
            # Subscribers may close the client that tells them; two of them wait for neither.
            self._closing.add(threading.get_ident())
            flying = [job for job in self._flying if job.thread not in self._closing]
        for job in flying:
            job.wait()

    def _call_off(self, why: Callable[[], TraktAuthError]) -> None:
        for job, _, _ in self._queue:
            self._forget(job)
            job.end(error=why())
        self._queue.clear()


def _no_thread() -> StoreUnavailable:
    return StoreUnavailable(
        "No thread can be started",
        hint="Raise the limit on this user's processes (ulimit -u), or do less at once.",
    )


def _closed() -> UsageError:
    return UsageError(
        "The client is closed", hint="Make the call inside the client's `with` block."
    )


def wait_for(job: Job | None, workers: Workers, cancel: threading.Event | None) -> Any:  # noqa: ANN401
    """Wait for a section's result; being interrupted or cancelled leaves it running.

    Raises: Cancelled, and whatever the section raised.
    """
    if job is None:
        return None
    try:
        while cancel is not None and not job.over:
            if cancel.is_set():
                raise Cancelled("The waiting was called off")
            time.sleep(CANCEL_CHECK)
        return job.result()
    finally:
        workers.leave(job)


async def wait_for_async(job: Job | None, workers: Workers) -> Any:  # noqa: ANN401
    """Wait for a section's result without blocking the event loop.

    Raises: whatever the section raised.
    """
    if job is None:
        return None
    import anyio

    done = anyio.Event()
    wake = _waker()

    def tell() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            wake(done.set)

    try:
        job.when_over(tell)
        await done.wait()
        return job.result()
    finally:
        workers.leave(job)


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
