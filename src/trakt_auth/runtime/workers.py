"""Threads that finish what they have begun, whatever becomes of the caller.

Single flight lives here too: at most one job for a key. Nothing of OAuth and no store does.

A job on a thread of its own cannot be interrupted by what happens to its caller: Ctrl-C goes to
the main thread, cancellation to tasks, and a closing event loop stops only what runs in it. The
client waits for these threads before the program ends.

Ctrl-C can come between any two instructions of the main thread. `with` on a plain lock releases
it all the same; waiting on a Condition (Event, Future, Thread.start) can leave its lock taken, and
then the thread that saves the tokens would wait for ever. So the main thread uses plain locks only.
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
    """One piece of work: how many callers wait for it, and how it ended."""

    def __init__(self, key: Hashable | None) -> None:
        self.key = key
        self.waiting = 1
        self.over = False
        self.thread: int | None = None
        self._value: Any = None
        self._error: BaseException | None = None
        self._guard, self._running = threading.Lock(), threading.Lock()
        self._running.acquire()  # released at the end; each waiter takes it and passes it on
        self._wakers: list[Callable[[], object]] = []

    def end(self, value: Any = None, error: BaseException | None = None) -> None:  # noqa: ANN401
        """Set the result, once, for all callers who wait."""
        with self._guard:
            self._value, self._error, self.over = value, error, True
        self._running.release()
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
        with self._running:
            pass

    def result(self) -> Any:  # noqa: ANN401 - whatever the work returns
        """Wait for the end, and return or raise what it brought."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._value


class Workers:
    """A pool of threads, and the jobs that it has begun or queued."""

    def __init__(self) -> None:
        self._closed = False
        self.start_anew()

    def start_anew(self) -> None:
        """Forget all jobs, as in a forked child, where the parent's threads do not run."""
        self._guard = threading.Lock()
        self._up: dict[Hashable, Job] = {}
        self._queue: deque[tuple[Job, Work, Callable[[], object]]] = deque()
        self._running: set[Job] = set()
        self._threads = 0
        self._closing: set[int] = set()

    def start(
        self,
        work: Work,
        *,
        key: Hashable | None,
        wait: bool,
        after: Callable[[], object] = lambda: None,
    ) -> Job | None:
        """Start `work`; if a job for `key` is running, return that one, or None without `wait`.

        `work` gets a function that tells whether all callers have stopped waiting: it may give up
        then, as long as it has done nothing yet. `after` is called after it, when the next job for
        the key may start. Without `wait` the result is also None when all threads are busy.

        Raises: UsageError after `close`.
        """
        with self._guard:
            if self._closed:
                raise _closed()
            job = self._up.get(key)
            if job is None:
                if not wait and len(self._up) >= MOST_THREADS:
                    return None
                job = Job(key)
                self._queue.append((job, work, after))
                if key is not None:
                    self._up[key] = job
            elif wait:
                job.waiting += 1
            else:
                return None
            self._find_thread()
            return job

    def _find_thread(self) -> None:
        # This caller's job, or one whose caller was interrupted before this line.
        if not self._queue or self._threads >= MOST_THREADS:
            return
        try:
            start_new_thread(self._start_thread, ())
        except RuntimeError:
            self._without_thread()

    def _start_thread(self) -> None:  # pragma: no cover - on a thread that is not traced
        # Thread.start waits on a Condition, which must not happen on the main thread.
        try:
            threading.Thread(target=self._work, name="trakt-auth").start()
        except RuntimeError:  # the limit allowed one thread, and this is it
            with self._guard:
                self._without_thread()

    def _without_thread(self) -> None:
        if not self._threads:  # a running thread would come to the queued jobs
            self._cancel_queue(_no_thread)

    def _work(self) -> None:
        with self._guard:
            if self._threads >= MOST_THREADS:
                return
            self._threads += 1
        while self._run_next():
            pass

    def _run_next(self) -> bool:
        with self._guard:
            if not self._queue:
                self._threads -= 1
                return False
            job, work, after = self._queue.popleft()
            self._running.add(job)
            job.thread = threading.get_ident()
        try:
            job.end(self._result(job, work, after))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            job.end(error=error)
        with self._guard:
            self._running.discard(job)
        return True

    def _result(self, job: Job, work: Work, after: Callable[[], object]) -> Any:  # noqa: ANN401
        try:
            return work(partial(self._unwanted, job))
        finally:
            with self._guard:
                self._forget(job)
            after()

    def leave(self, job: Job) -> None:
        """Say that one caller waits no longer."""
        with self._guard:
            job.waiting -= 1

    def _unwanted(self, job: Job) -> bool:
        with self._guard:
            if job.waiting:
                return False
            self._forget(job)  # the next caller starts a new one
            return True

    def _forget(self, job: Job) -> None:
        if self._up.get(job.key) is job:
            del self._up[job.key]

    def close(self) -> None:
        """Start no more, and wait until all that have begun have ended."""
        with self._guard:
            self._closed = True
            self._cancel_queue(_closed)
            # Two subscribers that close the client must not wait for each other.
            self._closing.add(threading.get_ident())
            running = [job for job in self._running if job.thread not in self._closing]
        for job in running:
            job.wait()

    def _cancel_queue(self, why: Callable[[], TraktAuthError]) -> None:
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
    """Wait for a job's result; being interrupted or cancelled leaves it running.

    Raises: Cancelled, and whatever the job raised.
    """
    if job is None:
        return None
    try:
        while cancel is not None and not job.over:
            if cancel.is_set():
                raise Cancelled("The caller cancelled the wait")
            time.sleep(CANCEL_CHECK)
        return job.result()
    finally:
        workers.leave(job)


async def wait_for_async(job: Job | None, workers: Workers) -> Any:  # noqa: ANN401
    """Wait for a job's result without blocking the event loop.

    Raises: whatever the job raised.
    """
    if job is None:
        return None
    import anyio

    done = anyio.Event()
    wake = _waker()

    def tell() -> None:
        with suppress(RuntimeError):  # the loop is closed, and its tasks with it
            wake(done.set)

    try:
        job.when_over(tell)
        await done.wait()
        return job.result()
    finally:
        workers.leave(job)


def _waker() -> Callable[[Callable[[], object]], object]:
    """Return a function by which another thread calls into this event loop without blocking."""
    # Another thread may be importing trio right now; then this loop is not trio's.
    lowlevel = getattr(sys.modules.get("trio"), "lowlevel", None)
    if getattr(lowlevel, "in_trio_run", bool)():
        wake: Callable[[Callable[[], object]], object]
        wake = lowlevel.current_trio_token().run_sync_soon  # type: ignore[union-attr]
        return wake
    import asyncio

    return asyncio.get_running_loop().call_soon_threadsafe
