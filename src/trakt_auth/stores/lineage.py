"""Which of two records is newer, which descends from which, and what a sign-out leaves behind.

No store is read or written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from trakt_auth.errors import StoreCorrupt, StoreEncrypted
from trakt_auth.stores.record import (
    TOMBSTONE,
    Outcome,
    Record,
    Stored,
    answer_lost_at,
    fingerprint,
    same_pair,
)

__all__ = [
    "as_stored",
    "descends",
    "is_newer",
    "is_old_tombstone",
    "may_be_spent",
    "readable",
    "tombstone",
]

TOMBSTONE_LIFE = timedelta(hours=1)


def tombstone(at: datetime) -> str:
    """Return the payload that a sign-out leaves for an hour: a refresh that ends later finds it."""
    return f"{TOMBSTONE}{at.astimezone(UTC).isoformat()}"


def is_old_tombstone(stored: Stored, at: datetime) -> bool:
    """Tell whether a tombstone has served its time."""
    try:
        left_at = datetime.fromisoformat(stored.payload.removeprefix(TOMBSTONE))
        return not timedelta(0) <= at - left_at < TOMBSTONE_LIFE
    except (TypeError, ValueError):
        return True


def descends(record: Record, ancestor: Record) -> bool:
    """Tell whether a record is of the same login: the same pair, or one that was bought with it."""
    return same_pair(record.token, ancestor.token) or record.spent == fingerprint(
        ancestor.token.refresh_token
    )


def readable(found: Iterable[Stored]) -> Iterator[Record]:
    """Yield the records that can be read."""
    for stored in found:
        with suppress(StoreCorrupt, StoreEncrypted):
            yield Record.from_stored(stored)


def may_be_spent(record: Record) -> bool:
    """Tell whether the refresh token may have been spent by a refresh without an answer."""
    return record.attempt is not None and answer_lost_at(record.attempt, locked=True) is not None


def as_stored(record: Record, version: int) -> Stored:
    """Return a record as a store returns it."""
    return Stored(payload=record.to_payload(), version=version, expires_at=record.token.expires_at)


def is_newer(waiting: Record, latest: Record | None) -> bool:
    """Tell whether a pair that waits in a fallback store is newer than the stored one."""
    if latest is None:  # signed out since, unless this is the sign-in that was never saved
        return waiting.spent is None
    if same_pair(waiting.token, latest.token):
        return False
    if waiting.spent is not None:
        return waiting.spent == fingerprint(latest.token.refresh_token)
    if latest.attempt is not None and latest.attempt.outcome is Outcome.REFUSED:
        return True
    # Since when it waits, and not how old its token is: the token may come from another program.
    return (waiting.pending_since or waiting.token.created_at) >= latest.token.created_at
