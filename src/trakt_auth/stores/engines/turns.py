"""Turns of the threads of this process: who asked first goes first, and waiting has a limit.

It stands in front of a file lock, which knows no order: threads that poll for one lock can wait
for ever. No file and no lock of the system is known here.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock
from weakref import WeakValueDictionary

from trakt_auth.stores.engines.forks import on_fork

__all__ = ["Turns", "turns_at"]


class Turns:
    """A queue of threads; the first one has its turn."""

    def __init__(self) -> None:
        self._start_anew()
        on_fork(self, after_in_child=Turns._start_anew)

    def _start_anew(self) -> None:
        # In a forked child too: the threads that wait are the parent's.
        self._guard = Lock()
        self._queue: deque[Lock] = deque()
        self.moved: float = time.monotonic()  # when a thread last got what it waited for
        self.since: float = self.moved  # since when the queue has not been empty

    @contextmanager
    def turn(self, wait: float) -> Generator[Callable[[], float], None, None]:
        """Wait for a turn, which lasts until the block ends.

        Waiters time out when `moved` is more than `wait` seconds ago, however many threads are in
        front. Yield a function that returns how many of these seconds are left.

        Raises: TimeoutError.
        """
        asked, bell, queue, guard = time.monotonic(), Lock(), self._queue, self._guard
        bell.acquire()

        def left() -> float:
            return max(asked, self.moved) + wait - time.monotonic()

        try:
            with guard:
                self.since = self.since if queue else asked
                queue.append(bell)
            while queue[0] is not bell:
                seconds = left()
                if seconds <= 0:
                    raise TimeoutError
                bell.acquire(timeout=seconds)
            yield left
        finally:
            with guard:
                if bell in queue:
                    was_first = queue[0] is bell
                    queue.remove(bell)
                    if was_first and queue:
                        queue[0].release()


_all: WeakValueDictionary[str, Turns] = WeakValueDictionary()


def turns_at(path: str) -> Turns:
    """Return the turns of a file, the same for all threads of this process."""
    return _all.setdefault(path, Turns())
