"""What flows need from outside besides a store: a transport and a clock.

Protocols only, so that nothing has to inherit from them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from trakt_auth.flows.steps import Moment
from trakt_auth.protocol.http import HttpRequest, HttpResponse

__all__ = ["Clock", "Transport"]


class Transport(Protocol):
    """Sends a request; raises TransportError when no response arrives. Used by many threads."""

    def send(
        self, request: HttpRequest, check: Callable[[], object] = lambda: None
    ) -> HttpResponse:
        """Send and read the response to its end; `check` may stop it before the body is sent."""
        ...


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> Moment:
        """Read both clocks."""
        ...

    def sleep(self, seconds: float, cancel: threading.Event | None = None) -> None:
        """Wait; raise Cancelled as soon as `cancel` is set."""
        ...

    async def sleep_async(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        ...
