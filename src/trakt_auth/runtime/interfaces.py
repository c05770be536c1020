"""What flows need from outside besides a store: a transport and a clock.

Protocols only, so that nobody has to inherit from anything.
Dependencies implement them, the runner uses them; this file imports layers 0 to 2.
"""

from __future__ import annotations

import threading
from typing import Protocol

from trakt_auth.flows.steps import Moment
from trakt_auth.protocol.http import HttpRequest, HttpResponse

__all__ = ["AsyncTransport", "Clock", "Transport"]


class Transport(Protocol):
    """Sends a request; raises TransportError when no answer arrives. Used by many threads."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send and read the answer to its end."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class AsyncTransport(Protocol):
    """The same, on asyncio and trio."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send and read the answer to its end."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> Moment:
        """Read both clocks."""
        ...

    def sleep(self, seconds: float, cancel: threading.Event | None = None) -> None:
        """Wait; raise Cancelled as soon as `cancel` is set."""
        ...

    async def sleep_async(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        ...
