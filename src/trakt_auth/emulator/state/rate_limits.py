"""The rate limits of the data API: how many calls were made in the current period.

Counts and says how long to wait; makes no response. The numbers are those of Trakt's guide
`rate-limiting` of October 2026.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trakt_auth.emulator.expiring_dict import ExpiringDict

__all__ = ["RateLimit", "RateLimits"]

_PERIOD = 300  # seconds in which a user, or an application without a user, may send _READS GETs
_READS = 500


@dataclass(slots=True, kw_only=True)
class RateLimit:
    """One limit in its current period; the fields are those of Trakt's `X-Ratelimit`.

    `until` is the end of the period, in seconds since the epoch; `period` is in seconds.
    """

    name: str
    period: int
    limit: int
    until: float
    used: int = 0

    @property
    def exceeded(self) -> bool:
        """Whether more calls were made than are allowed."""
        return self.used > self.limit

    def retry_after(self, now: float) -> int:
        """Return the whole seconds until the period ends, at least 1."""
        return max(1, math.ceil(self.until - now))

    def to_dict(self) -> dict[str, object]:
        """Return the fields of `X-Ratelimit`."""
        return {
            "name": self.name,
            "period": self.period,
            "limit": self.limit,
            "remaining": max(0, self.limit - self.used),
            "until": math.ceil(self.until),
        }


class RateLimits:
    """The limits that are being counted, by user and by application."""

    def __init__(self) -> None:
        self._current: ExpiringDict[str, RateLimit] = ExpiringDict()

    def count(self, method: str, *, user: str | None, caller: str, now: float) -> RateLimit:
        """Count a call and return its limit: by user or, without one, by `caller`.

        A call that exceeds the limit is not counted twice: the period ends when it would have.
        """
        reads = method in {"GET", "HEAD"}
        kind = f"{'AUTHED' if user is not None else 'UNAUTHED'}_API_{'GET' if reads else 'POST'}"
        key = f"{kind} {caller} {user}"
        self._current.expire(now)
        found = self._current.get(key)
        if found is None or found.until <= now:
            period, limit = (_PERIOD, _READS) if reads else (1, 1)
            found = RateLimit(name=f"{kind}_LIMIT", period=period, limit=limit, until=now + period)
            self._current.put(key, found, until=found.until)
        found.used += 1
        return found
