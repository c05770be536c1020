"""The computer's own clocks.

Reading the time and waiting live here, and nothing else.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

from trakt_auth.errors import Cancelled
from trakt_auth.flows.steps import Moment

__all__ = ["SystemClock"]


class SystemClock:
    """The computer's own clocks."""

    def now(self) -> Moment:
        """Read both clocks."""
        return Moment(wall=datetime.now(UTC), monotonic=time.monotonic())

    def sleep(self, seconds: float, cancel: threading.Event | None = None) -> None:
        """Wait; raise Cancelled as soon as `cancel` is set."""
        if cancel is None:
            time.sleep(max(seconds, 0))
        elif cancel.wait(max(seconds, 0)):
            raise Cancelled("The caller cancelled the wait")

    async def sleep_async(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        import anyio

        await anyio.sleep(max(seconds, 0))
