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

import threading
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeAlias

from trakt_auth.errors import StoreUnavailable, TraktAuthError, UsageError
from trakt_auth.runtime.jobs import Job, Work

__all__ = ["Workers", "client_closed"]

Bell: TypeAlias = "SimpleQueue[None]"

MOST_THREADS = 64
IDLE_SECONDS = 1.0  # a thread waits so long for more work: starting one costs more than a job


class Workers:
    """A pool of threads, and the jobs that it has begun or queued."""

    def __init__(self) -> None:
        self._closed = False
        self.start_anew()

    def start_anew(self) -> None:
        """Forget all jobs, as in a forked child, where the parent's threads do not run."""
        self._guard = threading.Lock()
        self._up: dict[Hashable, Job] = {}
        self._queue: deque[Job] = deque()
        self._running: set[Job] = set()
        self._idle: list[Bell] = []
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
        then, as long as it has done nothing yet. `after` is called after it, when the thread does
        not count as busy any more and the next job for the key may start. Without `wait` the
        result is also None when all threads are busy.

        Raises: UsageError after `close`.
        """
        with self._guard:
            if self._closed:
                raise client_closed()
            job = self._up.get(key)
            if job is None:
                if not wait and len(self._up) >= MOST_THREADS:
                    return None
                job = Job(key, work, after)
                self._queue.append(job)
                if key is not None:
                    self._up[key] = job
            elif wait:
                job.waiting += 1
            else:
                return None
            alone = not self._find_thread()
        if alone:
            self._run_here(job)
        return job

    def _find_thread(self) -> bool:
        """Have a thread look at the queue; return False when the caller has to do it itself."""
        # This caller's job, or one whose caller was interrupted before this line.
        if not self._queue:
            return True
        if self._idle:
            # Interrupted between these two, the thread looks when it is tired of waiting.
            self._idle.pop().put(None)
            return True
        if self._threads >= MOST_THREADS:
            return True
        try:
            start_new_thread(self._start_thread, ())
        except RuntimeError as error:
            if self._threads:  # a running thread will come to the queued jobs
                return True
            if "shutdown" in str(error):
                return False
            self._cancel_queue(_no_thread)
        return True

    def _start_thread(self) -> None:  # pragma: no cover - on a thread that is not traced
        # Thread.start waits on a Condition, which must not happen on the main thread. A daemon,
        # since an idle thread must not delay the end of the program; `close` waits for jobs.
        try:
            threading.Thread(target=self._work, name="trakt-auth", daemon=True).start()
        except RuntimeError:  # the limit allowed one thread, and this is it
            with self._guard:
                if not self._threads:
                    self._cancel_queue(_no_thread)

    def _run_here(self, job: Job) -> None:
        # At the end of the interpreter no thread can be started. Ctrl-C can interrupt this job.
        with self._guard:
            if job not in self._queue:
                return
            self._queue.remove(job)
            self._threads += 1
            self._begin(job)
        self._finish(job)

    def _work(self) -> None:
        bell: Bell = SimpleQueue()
        while self._has_room() and self._run_all() and self._wait_for_more(bell):
            pass

    def _has_room(self) -> bool:
        with self._guard:
            if self._threads >= MOST_THREADS:
                return False
            self._threads += 1
            return True

    def _run_all(self) -> bool:
        while (job := self._next()) is not None:
            self._finish(job)
            if not self._has_room():
                return False
        return True

    def _next(self) -> Job | None:
        with self._guard:
            if not self._queue:
                return None
            job = self._queue.popleft()
            self._begin(job)
            return job

    def _begin(self, job: Job) -> None:
        self._running.add(job)
        job.thread = threading.get_ident()

    def _finish(self, job: Job) -> None:
        job.run(partial(self._unwanted, job))
        with self._guard:
            self._forget(job)
            self._threads -= 1
        with suppress(BaseException):  # `after` tells of its own failures
            job.after()
        job.end()
        with self._guard:
            self._running.discard(job)

    def _wait_for_more(self, bell: Bell) -> bool:
        """Wait for a job; False when none came. The thread counts as one that has no work."""
        with self._guard:
            self._threads -= 1
            if self._queue:
                return True
            if self._closed:
                return False
            self._idle.append(bell)
        with suppress(Empty):
            bell.get(timeout=IDLE_SECONDS)
        with self._guard:
            if bell in self._idle:
                self._idle.remove(bell)
                return bool(self._queue)
            return not self._closed

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
            self._cancel_queue(client_closed)
            while self._idle:
                self._idle.pop().put(None)
            # Two subscribers that close the client must not wait for each other.
            self._closing.add(threading.get_ident())
            running = [job for job in self._running if job.thread not in self._closing]
        for job in running:
            job.wait()

    def _cancel_queue(self, why: Callable[[], TraktAuthError]) -> None:
        for job in self._queue:
            self._forget(job)
            job.end(why())
        self._queue.clear()


def _no_thread() -> StoreUnavailable:
    return StoreUnavailable(
        "No thread can be started",
        hint="Raise the limit on this user's processes (ulimit -u), or do less at once.",
    )


def client_closed() -> UsageError:
    """Return the error of a call that comes after `close`."""
    return UsageError(
        "The client is closed", hint="Make the call inside the client's `with` block."
    )
