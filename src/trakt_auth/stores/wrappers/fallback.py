"""A store in front of two others: a new pair that the first cannot take waits in the second.

A refresh token works once, so the pair that it brought must outlive a store that fails. From the
first failed save on, the pair is kept in the fallback store as well; every read offers it to the
first store again before anything else. Nothing is sent and no clock is read here.

The fingerprint of the refresh token that a pair cost tells which of two pairs is newer: a pair
that waits is newer than the stored one if it was bought with the stored one's refresh token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from trakt_auth.errors import StoreConflict, StoreCorrupt, StoreEncrypted, StoreError
from trakt_auth.stores.guard import guard_store_errors
from trakt_auth.stores.interface import Forgotten, Lock, TokenStore
from trakt_auth.stores.lineage import (
    as_stored,
    descends,
    is_newer,
    is_old_tombstone,
    may_be_spent,
    readable,
    tombstone,
)
from trakt_auth.stores.overwrite import overwrite
from trakt_auth.stores.record import (
    CONFLICTS,
    LEASE,
    NOTHING,
    PENDING,
    AccountKey,
    Record,
    Stored,
    is_tombstone,
    login_of,
    same_pair,
    too_busy,
)

__all__ = ["FallbackStore", "Found"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a read found; `saved_late` is a waiting record that this read could save at last."""

    stored: Stored | None
    saved_late: Record | None = None


class FallbackStore:
    """A TokenStore over `store` and `fallback`; `now` tells the time of day.

    A record that only the fallback store has is returned under the version `PENDING`.
    """

    def __init__(
        self, store: TokenStore, fallback: TokenStore, *, now: Callable[[], datetime]
    ) -> None:
        self.store: TokenStore = store
        self.fallback: TokenStore = fallback
        self._now = now

    # -- reading ---------------------------------------------------------------------------------

    def load(self, key: AccountKey) -> Stored | None:
        """Return the newest record of both stores, None when there is none.

        Raises: StoreError.
        """
        return self.read(key).stored

    def read(self, key: AccountKey, *, newest: bool = False) -> Found:
        """Return the newest record; one that waits in the fallback store is saved first.

        A fallback store that cannot be read hides a waiting pair. With `newest` that is an error
        where the stored refresh token may have been spent for such a pair.

        Raises: StoreError.
        """
        try:
            waiting = self._waiting(key)
        except StoreCorrupt:  # a damaged record never comes back
            return Found(stored=self._stored(key))
        except StoreError as error:
            return self._without_fallback(key, error, newest=newest)
        if waiting is None:
            return Found(stored=self._stored(key))
        try:
            found = self._save_late(key, waiting)
        except StoreConflict:
            raise
        except StoreError:  # the store is still down: return the pending token
            return Found(stored=as_stored(waiting, PENDING))
        with suppress(StoreError):  # the next read finds it superseded
            self._drop(key, waiting)
        return found

    def pending(self, key: AccountKey) -> bool:
        """Tell whether a record waits in the fallback store.

        Raises: StoreError.
        """
        try:
            stored = guard_store_errors(self.fallback.load, key)
        except StoreEncrypted:  # only a record that waits is encrypted: an emptied one is not
            return True
        return stored is not None and stored.payload != ""

    def pending_accounts(self, client_id: str) -> list[str]:
        """Return the accounts whose newest record waits in the fallback store, sorted.

        Raises: StoreError.
        """
        names = guard_store_errors(self.fallback.accounts, client_id)
        return [name for name in names if self.pending(AccountKey(client_id, name))]

    def accounts(self, client_id: str) -> Sequence[str]:
        """Return the names of an application's accounts in the first store, sorted.

        Raises: StoreError.
        """
        return list(guard_store_errors(self.store.accounts, client_id))

    def due(self, client_id: str, *, before: datetime, limit: int) -> Sequence[str]:
        """Return at most `limit` accounts of the first store that end before a moment.

        Raises: StoreError.
        """
        return guard_store_errors(self.store.due, client_id, before=before, limit=limit)

    # -- writing ---------------------------------------------------------------------------------

    def save(
        self, key: AccountKey, payload: str, *, expires_at: datetime | None, replacing: int | None
    ) -> int:
        """Save in the first store, return the version.

        Raises: StoreError.
        """
        if replacing is None:
            return guard_store_errors(overwrite, self.store, key, payload, expires_at=expires_at)
        return guard_store_errors(
            self.store.save, key, payload, expires_at=expires_at, replacing=replacing
        )

    def save_pair(
        self, key: AccountKey, payload: str, *, expires_at: datetime | None, replacing: int | None
    ) -> int:
        """Save a pair that exists nowhere else; if that fails, the fallback store keeps it.

        Raises: StoreConflict when something newer is stored or waits; StoreError when the first
            store has not taken it, whether or not the fallback store has.
        """
        pair = Stored(payload=payload, version=PENDING, expires_at=expires_at)
        try:
            version = self.save(key, payload, expires_at=expires_at, replacing=replacing)
        except StoreConflict:
            raise
        except StoreError:
            self._keep(key, Record.from_stored(pair))
            raise
        with suppress(StoreError):
            waiting = self._waiting(key)
            if waiting is not None and not is_newer(waiting, Record.from_stored(pair)):
                self._drop(key, waiting)
        return version

    def delete(self, key: AccountKey, *, replacing: int | None = None) -> None:
        """Delete from both stores, or only the version `replacing` from the first.

        Raises: StoreError.
        """
        if replacing is not None:
            guard_store_errors(self.store.delete, key, replacing=replacing)
            return
        forgotten = self.forget(key)
        if forgotten.error is not None:
            raise forgotten.error

    def forget(self, key: AccountKey) -> Forgotten:
        """Delete from both stores, and return what could be read of it; raises nothing."""
        found: list[Stored] = []
        existed, error = False, None
        for forget in (self._forget_waiting, self._forget_stored):
            try:
                existed |= forget(key, found)
            except StoreError as failure:  # one store must not keep the other from being emptied
                error = failure
        return Forgotten(
            records=tuple(readable(found)),
            version=1 + max((stored.version for stored in found), default=0),
            existed=existed,
            error=error,
        )

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> Lock:
        """Return the first store's lock.

        Raises: StoreError.
        """
        return guard_store_errors(self.store.lock, key, lease=lease)

    def close(self) -> None:
        """Close both stores."""
        self.store.close()
        self.fallback.close()

    # -- inside ----------------------------------------------------------------------------------

    def _stored(self, key: AccountKey) -> Stored | None:
        stored = guard_store_errors(self.store.load, key)
        if stored is None or not is_tombstone(stored) or not is_old_tombstone(stored, self._now()):
            return stored
        with suppress(StoreError):
            guard_store_errors(self.store.delete, key, replacing=stored.version)
        return None

    def _waiting(self, key: AccountKey) -> Record | None:
        stored = guard_store_errors(self.fallback.load, key)
        return Record.from_stored(stored) if stored is not None and stored.payload else None

    def _without_fallback(self, key: AccountKey, error: StoreError, *, newest: bool) -> Found:
        stored = self._stored(key)
        record = login_of(stored)
        if newest and (record is None or may_be_spent(record)):
            raise error
        return Found(stored=stored)

    def _save_late(self, key: AccountKey, waiting: Record) -> Found:
        for _ in range(CONFLICTS):
            there = self._stored(key)
            replacing: int | None = there.version if there else NOTHING
            try:
                latest = login_of(there)
            except StoreCorrupt:  # the waiting record is all there is
                replacing = None
            else:
                if not is_newer(waiting, latest):
                    return Found(stored=there)
            record = replace(waiting, pending_since=None)
            with suppress(StoreConflict):
                version = self.save(
                    key,
                    record.to_payload(),
                    expires_at=record.token.expires_at,
                    replacing=replacing,
                )
                return Found(stored=as_stored(record, version), saved_late=record)
        raise too_busy(key)

    def _keep(self, key: AccountKey, record: Record) -> None:
        waiting = None
        with suppress(StoreError):
            waiting = self._waiting(key)
        kept = replace(record, pending_since=self._now())
        if waiting is not None and record.spent is not None and is_newer(waiting, kept):
            raise StoreConflict(f"A newer login of account {key.account!r} waits to be saved")
        if waiting is None or not same_pair(waiting.token, record.token):
            with suppress(StoreError):  # the caller raises what the first store said
                guard_store_errors(
                    overwrite, self.fallback, key, kept.to_payload(), expires_at=None
                )

    def _drop(self, key: AccountKey, waiting: Record) -> None:
        with suppress(StoreConflict):  # another thread has put a newer pair there: it stays
            guard_store_errors(self.fallback.delete, key, replacing=waiting.version)

    def _forget_waiting(self, key: AccountKey, found: list[Stored]) -> bool:
        try:
            waiting = self._waiting(key)
        except (StoreCorrupt, StoreEncrypted):  # what cannot be read can be deleted
            guard_store_errors(self.fallback.delete, key)
            return True
        if waiting is None:
            return False
        found.append(as_stored(waiting, PENDING))
        self._drop(key, waiting)
        return True

    def _forget_stored(self, key: AccountKey, found: list[Stored]) -> bool:
        seen: Record | None = None
        for _ in range(CONFLICTS):
            try:
                stored = self._stored(key)
                record = login_of(stored)
            except (StoreCorrupt, StoreEncrypted):  # what cannot be read can be deleted
                guard_store_errors(self.store.delete, key)
                return True
            if stored is None or record is None:
                return seen is not None
            if seen is not None and not descends(record, seen):
                return True  # another sign-in came between, and stays
            found.append(stored)
            seen = record
            with suppress(StoreConflict):
                self.save(key, tombstone(self._now()), expires_at=None, replacing=stored.version)
                return True
        raise too_busy(key)
