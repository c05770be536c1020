"""One deadline for a whole request, however slowly its bytes come.

An HTTP library bounds each wait for bytes, not their sum. Here one thread closes the socket of a
request that takes too long. Nothing of HTTP lives here.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from trakt_auth.stores.engines.forks import on_fork

if TYPE_CHECKING:
    import socket

__all__ = ["Deadline"]

IDLE_SECONDS = 5.0  # the thread waits so long for another request


class Deadline:
    """Ends a request `seconds` after the `with` block has begun."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._sockets: list[socket.socket] = []
        self.at: float = 0.0
        self.is_over: bool = False

    def __enter__(self) -> Self:
        """Start the time."""
        self.at = time.monotonic() + self._seconds
        _watch.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the time."""
        _watch.remove(self)

    @property
    def left(self) -> float:
        """Seconds that are left; below 0 when it has passed."""
        return self.at - time.monotonic()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Note the socket of a connection, for the `trace` extension of httpcore."""
        if event.endswith("connect_tcp.complete"):
            self._sockets.append(info["return_value"].get_extra_info("socket"))

    def end(self) -> None:
        """Close the connection, which wakes the thread that reads from it."""
        from socket import SHUT_RDWR

        self.is_over = True
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(SHUT_RDWR)


class _Watch:
    """The thread that ends what is late; it runs while there are requests."""

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        """Forget what is watched, as in a forked child, where the thread does not run."""
        self._guard = threading.Lock()
        self._deadlines: set[Deadline] = set()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._runs = False

    def add(self, deadline: Deadline) -> None:
        with self._guard:
            self._deadlines.add(deadline)
            if not self._runs:
                thread = threading.Thread(target=self._run, name="trakt-auth-late", daemon=True)
                with suppress(RuntimeError):  # no thread: each wait for bytes is still bounded
                    thread.start()
                    self._runs = True
        self._bell.put(None)

    def remove(self, deadline: Deadline) -> None:
        with self._guard:
            self._deadlines.discard(deadline)

    def _run(self) -> None:
        while True:
            with self._guard:
                late = [one for one in self._deadlines if one.left <= 0]
                self._deadlines.difference_update(late)
                pause = min((one.left for one in self._deadlines), default=IDLE_SECONDS)
            for one in late:
                one.end()
            try:
                self._bell.get(timeout=max(pause, 0.0))
            except Empty:
                with self._guard:
                    if not self._deadlines:
                        self._runs = False
                        return


_watch = _Watch()
on_fork(_watch, after_in_child=_Watch.start_anew)
