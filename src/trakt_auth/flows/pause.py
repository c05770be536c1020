"""The pause that Trakt asked for by a 429: saved for all users of the store, and obeyed.

`key` is that of the application itself. Nothing is sent here.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from trakt_auth.errors import RateLimited, StoreConflict, StoreCorrupt
from trakt_auth.flows.policy import LONGEST_RETRY_AFTER, pause_after
from trakt_auth.flows.steps import Flow, load, now, save
from trakt_auth.stores.record import CONFLICTS, NOTHING, AccountKey, pause_from, pause_to

__all__ = ["obey_pause", "share_pause"]


def obey_pause(key: AccountKey, at: datetime) -> Flow[None]:
    """Send nothing while a pause lasts.

    Raises: RateLimited.
    """
    until, _ = yield from _pause(key, at)
    if until > at:
        left = (until - at).total_seconds()
        raise RateLimited(
            f"Trakt asked for a pause, and {left:.0f} seconds of it are left", retry_after=left
        )


def _pause(key: AccountKey, at: datetime) -> Flow[tuple[datetime, int | None]]:
    """Return the end of the pause that Trakt asked for, and the version of that note."""
    try:
        stored = yield from load(key)
        if stored is None:
            return at, NOTHING
        until = pause_from(stored)
    except StoreCorrupt:
        return at, None
    # No server can ask for more than LONGEST_RETRY_AFTER: a clock was wrong when this was written.
    return (until if until - at <= LONGEST_RETRY_AFTER else at), stored.version


def share_pause(key: AccountKey, error: RateLimited) -> Flow[None]:
    """Save for all users of the store how long Trakt asked to wait, unless they wait longer."""
    for _ in range(CONFLICTS):
        at = (yield from now()).wall
        # 0: the pause of this account doubles with its own failures, that of the others does not.
        until = at + pause_after(error, 0)
        noted, version = yield from _pause(key, at)
        if noted >= until:
            return
        with suppress(StoreConflict):
            yield from save(key, pause_to(until), replacing=version)
            return
