"""One time for the emulator, the client and the test; it passes when somebody says so.

Nothing of OAuth, no pytest. `trakt` makes it; tests use it as `trakt_clock`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import sleep as breathe  # by a name of its own: tests put this clock in `time.sleep`
from typing import TYPE_CHECKING

from trakt_auth.errors import Cancelled
from trakt_auth.flows.steps import Moment

if TYPE_CHECKING:
    import threading

    from trakt_auth.emulator import Clock

__all__ = ["VirtualClock"]

BREATH = 0.001  # real seconds for which a short wait lets other threads work


class VirtualClock:
    """The emulator's time, as a clock for clients; who sleeps on it moves it and does not wait.

    Give its methods to code that keeps time by itself: `time` for `time.time`, `sleep` for
    `time.sleep`, `sleep_async` for `asyncio.sleep`. `slept` lists the seconds slept so far.
    """

    def __init__(self, emulated: Clock) -> None:
        self._emulated = emulated
        self.slept: list[float] = []

    def __repr__(self) -> str:
        """Show the time."""
        return f"VirtualClock({self.now().wall.isoformat()})"

    def advance(
        self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> None:
        """Let time pass for the emulator and its clients, at least 0 seconds in all.

        Raises: ValueError when time would go backwards.
        """
        span = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        self._emulated.advance(span.total_seconds())

    def now(self) -> Moment:
        """Read both clocks, as the client does."""
        seconds = self.time()
        return Moment(wall=datetime.fromtimestamp(seconds, UTC), monotonic=seconds)

    def time(self) -> float:
        """Return the seconds since the epoch, as `time.time` does."""
        return self._emulated.now()

    def sleep(self, seconds: float, cancel: threading.Event | None = None) -> None:
        """Let `seconds` pass at once; raise Cancelled when `cancel` is set."""
        if cancel is not None and cancel.is_set():
            raise Cancelled("The waiting was called off")
        if seconds < 1:  # a wait for another thread, which needs real time to get on
            breathe(BREATH)
        self._pass(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Let `seconds` pass at once; other tasks get their turn."""
        from anyio.lowlevel import checkpoint

        self._pass(seconds)
        await checkpoint()

    def _pass(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._emulated.advance(max(seconds, 0))
