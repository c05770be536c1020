"""What a login may overwrite: anything, but not a record that only a missing key could decrypt.

No engine is known here.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from trakt_auth.errors import StoreConflict, StoreCorrupt
from trakt_auth.stores.guard import guard_store_errors
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import NOTHING, AccountKey, encrypted_by, no_key

__all__ = ["overwrite"]

LOOKS = 10  # at a record that other programs keep writing


def overwrite(
    store: TokenStore, key: AccountKey, payload: str, *, expires_at: datetime | None
) -> int:
    """Save whatever is there, even when it cannot be read; return the version."""
    for _ in range(LOOKS):
        with suppress(StoreConflict):
            return guard_store_errors(
                store.save, key, payload, expires_at=expires_at, replacing=_version(store, key)
            )
    return guard_store_errors(store.save, key, payload, expires_at=expires_at, replacing=None)


def _version(store: TokenStore, key: AccountKey) -> int | None:
    try:
        there = guard_store_errors(store.load, key)
    except StoreCorrupt:
        return None
    if there is None:
        return NOTHING
    if encrypted_by(there) is not None:
        raise no_key(there, f"account {key.account!r}")
    return there.version
