"""What a new login may overwrite in a store, for any store and any wrapper.

It takes the place of whatever is stored, readable or not. The one exception is a record that is
encrypted with a key that is not configured: it may be a login that works, and only its owner can
tell. No engine is known here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from trakt_auth.errors import StoreConflict, StoreCorrupt
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import NOTHING, AccountKey, Stored, encrypted_by, missing_key

__all__ = ["TRIES", "overwrite"]

TRIES = 10  # saves that may fail because another program has changed the record since it was read


def refuse_encrypted(key: AccountKey, stored: Stored) -> None:
    """Raise StoreEncrypted for a payload that is encrypted: this program has no key for it."""
    if encrypted_by(stored) is not None:
        raise missing_key(stored, f"account {key.account!r}")


def overwrite(
    store: TokenStore,
    key: AccountKey,
    payload: str,
    *,
    expires_at: datetime | None,
    check: Callable[[AccountKey, Stored], object] = refuse_encrypted,
) -> int:
    """Save a payload in place of whatever is stored, and return its version.

    `check` looks at the stored record and raises StoreEncrypted if it has to stay; StoreCorrupt
    means that it may be overwritten.

    Raises: StoreEncrypted; what `check` and the store raise.
    """
    for _ in range(TRIES):
        version = _version_to_replace(store, key, check)
        with suppress(StoreConflict):
            # Only what was checked: another program may encrypt the record in between.
            return store.save(key, payload, expires_at=expires_at, replacing=version)
    # Other programs write all the time, or the store returns old versions. A new login must not
    # be lost to either.
    _version_to_replace(store, key, check)
    return store.save(key, payload, expires_at=expires_at, replacing=None)


def _version_to_replace(
    store: TokenStore, key: AccountKey, check: Callable[[AccountKey, Stored], object]
) -> int | None:
    try:
        stored = store.load(key)
    except StoreCorrupt:
        return None
    if stored is None:
        return NOTHING
    with suppress(StoreCorrupt):
        check(key, stored)
    return stored.version
