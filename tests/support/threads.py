"""Several threads that start at the same moment."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

LONG = 60  # seconds; if it takes longer, they wait for each other
OFTEN = 1e-6  # seconds between two switches; the default of 5 ms would hide most races


def in_threads(works: list[Callable[[], object]]) -> list[BaseException]:
    """Run all functions at once, each in a thread; return the exceptions."""
    raised: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        start.wait(LONG)
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(OFTEN)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
            assert not thread.is_alive()
    finally:
        sys.setswitchinterval(interval)
    return raised
