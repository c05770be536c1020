"""The emulator's clock: real time plus an offset that tests move.

No OAuth words and nothing that waits; time only ever goes forward.
Any file of the emulator may import this one; it imports nothing of the project.
"""

from __future__ import annotations

import math
import threading
import time

__all__ = ["Clock"]

_FROZEN_AT = 1_800_000_000.0  # 2027-01-15T08:00:00Z: any fixed moment will do
_LATEST = 250_000_000_000.0  # the year 9892: `Date` headers have four digits for a year


class Clock:
    """Seconds since the epoch: the wall clock plus an offset, or a frozen moment plus an offset."""

    def __init__(self, *, frozen_at: float | None = None) -> None:
        self._frozen_at = frozen_at
        self._offset = 0.0
        self._lock = threading.Lock()

    @classmethod
    def frozen(cls, at: float = _FROZEN_AT) -> Clock:
        """Return a clock that stands at `at` (seconds since the epoch) until it is advanced."""
        return cls(frozen_at=at)

    @property
    def is_frozen(self) -> bool:
        """Whether only `advance` moves this clock."""
        return self._frozen_at is not None

    @property
    def ahead(self) -> float:
        """By how many seconds this clock has been moved."""
        return self._offset

    def now(self) -> float:
        """Return the moment in seconds since the epoch."""
        base = time.time() if self._frozen_at is None else self._frozen_at
        return base + self._offset

    def advance(self, seconds: float) -> float:
        """Move the clock forward by `seconds`, at least 0; return the new moment."""
        if not math.isfinite(seconds) or seconds < 0:
            raise ValueError(f"a clock goes forward by a number of seconds, not by {seconds}")
        with self._lock:
            if self.now() + seconds > _LATEST:
                raise ValueError(f"{seconds} seconds from now is after the last year with 4 digits")
            self._offset += seconds
        return self.now()
