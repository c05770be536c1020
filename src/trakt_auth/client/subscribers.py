"""The callbacks of a program, told about its logins one event after the other.

No flow and no store lives here. A callback may use the client that calls it: it is called when
the account's lock is released, and on a thread that does not count as one of the workers.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence

from trakt_auth.flows.events import Event

__all__ = ["Subscribers"]

logger: logging.Logger = logging.getLogger("trakt_auth")

Callback = Callable[[Event], object]


class Subscribers:
    """Calls each callback with each event, in the order in which the events came."""

    def __init__(self) -> None:
        self._callbacks: list[Callback] = []
        self.start_anew()

    def start_anew(self) -> None:
        """Forget what is being delivered, as in a forked child: the parent delivers it."""
        self._guard = threading.Lock()
        self._events: deque[Event] = deque()
        self._delivering = False

    def add(self, callback: Callback) -> Callable[[], None]:
        """Call `callback` from now on; return a function that ends this."""
        self._callbacks.append(callback)

        def remove() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return remove

    def tell(self, events: Sequence[Event]) -> None:
        """Deliver events; if another thread is delivering, it delivers these after its own.

        So a callback that uses the client waits for no thread that waits for this callback.
        """
        with self._guard:
            self._events.extend(events)
            if self._delivering:
                return
            self._delivering = True
        while (event := self._next()) is not None:
            for callback in tuple(self._callbacks):
                _call(callback, event)

    def _next(self) -> Event | None:
        with self._guard:
            if self._events:
                return self._events.popleft()
            self._delivering = False
            return None


def _call(callback: Callback, event: Event) -> None:
    try:
        callback(event)
    except BaseException:
        logger.exception("A subscriber failed")
