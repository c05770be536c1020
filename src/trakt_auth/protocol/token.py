"""A token, and how urgently it has to be refreshed.

Pure: the caller passes the time in. Secrets are left out of every repr.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

__all__ = ["Token", "TokenState"]

# A token is due with 40 to 50 % of its life left. The spread is by account, so that accounts that
# signed in at the same time are not refreshed at the same time.
STALE_SHARE = 0.4
STALE_SPREAD = 0.1
# The last part of its life, in which a token counts as in its last minutes: 20 of a week.
LAST_SHARE = 1 / 500


class TokenState(enum.Enum):
    """How urgently a token has to be refreshed."""

    FRESH = "fresh"
    STALE = "stale"  # due to be refreshed, and still accepted
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token with its refresh token (RFC 6749 §5.1).

    `created_at` is the local time just before the request, or the time that the server gave when
    the local clock was more than a day off; `expires_at` counts from there.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    token_type: str = "bearer"  # noqa: S105 - the type's name, RFC 6749 §7.1
    scope: str | None = None
    created_at: datetime
    expires_at: datetime

    def __post_init__(self) -> None:
        for name in ("created_at", "expires_at"):
            moment: datetime = getattr(self, name)
            if moment.tzinfo is None:
                raise ValueError(f"{name} has no time zone: use datetime.now(UTC)")
            try:
                object.__setattr__(self, name, moment.astimezone(UTC))
            except OverflowError:
                raise ValueError(f"{name} is outside the calendar") from None

    @property
    def lifetime(self) -> timedelta:
        """The whole time from `created_at` to `expires_at`; never negative."""
        return max(self.expires_at - self.created_at, timedelta(0))

    def due_at(self, account: str = "default") -> datetime:
        """Return when to refresh: with 40 to 50 % of the life left, a fixed share per account."""
        from zlib import crc32

        spread = crc32(account.encode(errors="surrogatepass")) / 0xFFFFFFFF
        return self.expires_at - self.lifetime * (STALE_SHARE + STALE_SPREAD * spread)

    def state(self, now: datetime, *, account: str = "default") -> TokenState:
        """Return FRESH, STALE (due to be refreshed, still accepted) or EXPIRED at the time `now`.

        A `created_at` far in the future means that a clock was wrong, and that `expires_at` cannot
        be relied on: STALE.
        """
        if now >= self.expires_at:
            return TokenState.EXPIRED
        misdated = self.created_at - now > self.lifetime * STALE_SHARE
        return TokenState.STALE if misdated or now >= self.due_at(account) else TokenState.FRESH

    def in_last_minutes(self, now: datetime) -> bool:
        """Tell whether the token is about to expire, so that a risky refresh loses nothing."""
        return now >= self.expires_at - self.lifetime * LAST_SHARE
