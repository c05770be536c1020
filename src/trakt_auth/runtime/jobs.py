"""One piece of work on a thread of its own, and how its callers wait for it.

No pool and no choice of a thread lives here: see `workers`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeAlias

from trakt_auth.errors import Cancelled, TraktAuthError
from trakt_auth.runtime.tracebacks import without_frames

__all__ = ["Job", "Pool", "Work", "in_trio", "wait_for", "wait_for_async"]

Work: TypeAlias = Callable[[Callable[[], bool]], Any]

CANCEL_CHECK = 0.05  # seconds between two looks at a caller's cancel event


class Pool(Protocol):
    """Where a job runs; it wants to know who has stopped waiting."""

    def leave(self, job: Job) -> None:
        """Say that one caller waits no longer."""
        ...


class Job:
    """One piece of work: how many callers wait for it, and how it ended."""

    def __init__(self, key: Hashable | None, work: Work, after: Callable[[], object]) -> None:
        self.key: Hashable | None = key
        self.work: Work = work
        self.after: Callable[[], object] = after
        self.waiting: int = 1
        self.over: bool = False
        self.thread: int | None = None
        self._value: Any = None
        self._error: BaseException | None = None
        self._guard, self._running = threading.Lock(), threading.Lock()
        self._running.acquire()  # released at the end; each waiter takes it and passes it on
        self._wakers: list[Callable[[], object]] = []

    def run(self, unwanted: Callable[[], bool]) -> None:
        """Do the work, and note how it ended."""
        try:
            self._value = self.work(unwanted)
        except BaseException as error:  # noqa: BLE001 - raised in the callers
            self._error = error

    def end(self, error: TraktAuthError | None = None) -> None:
        """Release all callers; with an error, the work was never begun."""
        with self._guard:
            self._error = error or self._error
            self.over = True
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
        """Wait for the end, and return or raise what it brought; each caller gets its own error."""
        self.wait()
        if self._error is not None:
            raise without_frames(self._error)
        return self._value


def wait_for(job: Job | None, pool: Pool, cancel: threading.Event | None) -> Any:  # noqa: ANN401
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
        pool.leave(job)


async def wait_for_async(job: Job | None, pool: Pool) -> Any:  # noqa: ANN401
    """Wait for a job's result without blocking the event loop.

    Raises: whatever the job raised.
    """
    if job is None:
        return None
    over, wake = _waiter()
    try:
        job.when_over(wake)
        await over
        return job.result()
    finally:
        pool.leave(job)


def in_trio() -> bool:
    """Tell whether this code runs in an event loop of trio's."""
    # Another thread may be importing trio right now; then this loop is not trio's.
    lowlevel = getattr(sys.modules.get("trio"), "lowlevel", None)
    return bool(getattr(lowlevel, "in_trio_run", bool)())


def _waiter() -> tuple[Awaitable[object], Callable[[], object]]:
    """Return something to await, and how another thread ends the wait without blocking.

    Not anyio's: importing it would block an event loop that is waiting for the first time.
    """
    if in_trio():
        trio = sys.modules["trio"]
        event, token = trio.Event(), trio.lowlevel.current_trio_token()
        return event.wait(), _unless_closed(partial(token.run_sync_soon, event.set))
    import asyncio

    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not future.done():  # else the task was cancelled
            future.set_result(None)

    return future, _unless_closed(partial(loop.call_soon_threadsafe, end))


def _unless_closed(wake: Callable[[], object]) -> Callable[[], object]:
    def call() -> None:
        with suppress(RuntimeError):  # the loop is closed, and its tasks with it
            wake()

    return call
