"""A token, and how urgently it wants to be refreshed.

Pure: whoever asks brings the time. Secrets are left out of every repr.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

__all__ = ["Token", "TokenState"]

# The share of a token's life at whose end it is renewed: between these two, spread over accounts,
# so that accounts that signed in together do not come back together.
STALE_SHARE = 0.4
STALE_SPREAD = 0.1
# The share of its life before the end in which a token counts as in its last minutes.
LAST_SHARE = 1 / 500


class TokenState(enum.Enum):
    """How urgently a token wants to be refreshed."""

    FRESH = "fresh"
    STALE = "stale"  # due, yet still accepted
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token with its refresh token (RFC 6749 §5.1).

    `created_at` is the local moment just before it was asked for, and `expires_at` counts from
    there, so a wrong clock on either side does no harm.
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
        """How long it lives in all; never negative."""
        return max(self.expires_at - self.created_at, timedelta(0))

    def due_at(self, account: str = "default") -> datetime:
        """When to refresh: with 40 to 50 % of the life left, always the same for one account."""
        from zlib import crc32

        spread = crc32(account.encode(errors="surrogatepass")) / 0xFFFFFFFF
        return self.expires_at - self.lifetime * (STALE_SHARE + STALE_SPREAD * spread)

    def state(self, now: datetime, *, account: str = "default") -> TokenState:
        """Tell FRESH, STALE (refresh it, it still works) or EXPIRED at the moment `now`.

        One from a future so far off that its end means nothing was dated by a wrong clock: STALE.
        """
        if now >= self.expires_at:
            return TokenState.EXPIRED
        misdated = self.created_at - now > self.lifetime * STALE_SHARE
        return TokenState.STALE if misdated or now >= self.due_at(account) else TokenState.FRESH

    def in_last_minutes(self, now: datetime) -> bool:
        """Tell whether so little life is left that nothing is risked by trying anything."""
        return now >= self.expires_at - self.lifetime * LAST_SHARE
