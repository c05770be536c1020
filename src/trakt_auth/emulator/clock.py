"""The emulator's clock: real time, or a frozen time, plus an offset that tests advance.

Nothing of OAuth lives here and nothing waits; the clock never goes backwards.
"""

from __future__ import annotations

import math
import threading
import time

__all__ = ["Clock"]

_FROZEN_AT = 1_800_000_000.0  # 2027-01-15T08:00:00Z, an arbitrary time
_LATEST = 250_000_000_000.0  # in the year 9892: the year in a `Date` header has four digits


class Clock:
    """Tells the time in seconds since the epoch: real or frozen time, plus an offset."""

    def __init__(self, *, frozen_at: float | None = None) -> None:
        self._frozen_at = frozen_at
        self._offset = 0.0
        self._lock = threading.Lock()

    @classmethod
    def frozen(cls, at: float = _FROZEN_AT) -> Clock:
        """Return a clock that shows `at` (seconds since the epoch) until it is advanced."""
        return cls(frozen_at=at)

    @property
    def is_frozen(self) -> bool:
        """Whether the clock changes by `advance` only."""
        return self._frozen_at is not None

    @property
    def ahead(self) -> float:
        """By how many seconds the clock has been advanced."""
        return self._offset

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        base = time.time() if self._frozen_at is None else self._frozen_at
        return base + self._offset

    def advance(self, seconds: float) -> float:
        """Move the clock forward by `seconds`; return the new time.

        Raises: ValueError for less than 0, for no finite number, and beyond the year 9892.
        """
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"the clock goes forward by a number of seconds, not by {seconds}")
        with self._lock:
            if self.now() + seconds > _LATEST:
                raise ValueError(
                    f"the clock ends with the year 9892, before {seconds} seconds from now"
                )
            self._offset += seconds
        return self.now()
