"""A virtual clock for the emulator, its clients and the test: sleeping on it takes no real time.

Nothing of OAuth lives here; pytest is not imported.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import sleep as real_sleep  # tests may replace `time.sleep` by this clock's
from typing import TYPE_CHECKING

from trakt_auth.errors import Cancelled
from trakt_auth.flows.steps import Moment

if TYPE_CHECKING:
    import threading

    from trakt_auth.emulator import Clock

__all__ = ["VirtualClock"]

YIELD_TIME = 0.001  # real seconds that a short sleep takes, so that other threads can work


class VirtualClock:
    """The emulator's clock in the form that clients need; sleeping on it advances it at once.

    Its methods can replace those of the standard library in other code: `time` for `time.time`,
    `sleep` for `time.sleep`, `sleep_async` for `asyncio.sleep`. `slept` lists the seconds of all
    sleeps so far.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.slept: list[float] = []

    def __repr__(self) -> str:
        """Show the time."""
        return f"VirtualClock({self.now().wall.isoformat()})"

    def advance(
        self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Advance the clock of the emulator and its clients.

        Raises: ValueError for less than 0 seconds in all.
        """
        span = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        self._clock.advance(span.total_seconds())

    def now(self) -> Moment:
        """Return the time as a client reads it; wall clock and monotonic clock are the same."""
        seconds = self.time()
        return Moment(wall=datetime.fromtimestamp(seconds, UTC), monotonic=seconds)

    def time(self) -> float:
        """Return the seconds since the epoch, as `time.time` does."""
        return self._clock.now()

    def sleep(self, seconds: float, cancel: threading.Event | None = None) -> None:
        """Advance the clock by `seconds` and return at once.

        Raises: Cancelled if `cancel` is set.
        """
        if cancel is not None and cancel.is_set():
            raise Cancelled("The sleep was cancelled")
        if seconds < 1:  # a wait for another thread, which needs real time
            real_sleep(YIELD_TIME)
        self._pass(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Advance the clock by `seconds` and let other tasks run once."""
        from anyio.lowlevel import checkpoint

        self._pass(seconds)
        await checkpoint()

    def _pass(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._clock.advance(max(seconds, 0))
