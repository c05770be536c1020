"""Stores that read and write all their records together, as one document.

The rules of loading, saving and deleting are here; where the document is kept, and how it is
locked, is not. `accounts_of` and `due_first` are for every store that has no index.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from trakt_auth.stores.record import NOTHING, TOMBSTONE, AccountKey, Stored
from trakt_auth.stores.versions import check_version

__all__ = ["Document", "DocumentStore", "accounts_of", "due_first"]


@dataclass(slots=True)
class Document:
    """All records of a store, and the last version that was assigned.

    The version never goes back, so a record that is saved after a deletion has a new one.
    """

    version: int
    records: dict[AccountKey, Stored]


class DocumentStore(ABC):
    """A token store without its reading, writing and locking."""

    @abstractmethod
    def _read(self) -> Document:
        """Return the document as it is now."""

    @abstractmethod
    def _write(self, document: Document) -> None:
        """Replace the document, durably if the store is durable."""

    @abstractmethod
    def _only_writer(self) -> AbstractContextManager[object]:
        """Return a context in which no other thread or process writes."""

    def _read_to_overwrite(self) -> Document:
        """Return the document for a save that replaces any version."""
        return self._read()

    def load(self, key: AccountKey) -> Stored | None:
        """Return the record of an account, None when there is none.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        return self._read().records.get(key)

    def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Save a payload, return its version.

        Raises: StoreConflict, StoreUnavailable, StoreCorrupt.
        """
        with self._only_writer():
            document = self._read_to_overwrite() if replacing is None else self._read()
            stored = document.records.get(key)
            check_version(key, stored.version if stored else NOTHING, replacing=replacing)
            document.version += 1
            document.records[key] = Stored(
                payload=payload, version=document.version, expires_at=expires_at
            )
            self._write(document)
            return document.version

    def delete(self, key: AccountKey, *, replacing: int | None = None) -> None:
        """Delete a record, or only the version `replacing` of it.

        Raises: StoreConflict, StoreUnavailable, StoreCorrupt.
        """
        with self._only_writer():
            document = self._read()
            stored = document.records.get(key)
            check_version(key, stored.version if stored else NOTHING, replacing=replacing)
            if stored is not None:
                del document.records[key]
                self._write(document)

    def accounts(self, client_id: str) -> list[str]:
        """Return the names of an application's accounts, sorted.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        return accounts_of(self._read().records, client_id)

    def due(self, client_id: str, *, before: datetime, limit: int) -> list[str]:
        """Return the accounts whose token expires before a moment, the earliest first.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        return due_first(self._read().records, client_id, before=before, limit=limit)


def accounts_of(records: Mapping[AccountKey, Stored], client_id: str) -> list[str]:
    """Return the names of an application's accounts, sorted; the application itself has none."""
    return sorted(
        key.account for key, stored in dict(records).items() if _is_account(key, stored, client_id)
    )


def due_first(
    records: Mapping[AccountKey, Stored], client_id: str, *, before: datetime, limit: int
) -> list[str]:
    """Return at most `limit` accounts whose token expires before a moment, the earliest first."""
    # A copy, here and above: another thread may be saving to the same dictionary.
    ends = sorted(
        (stored.expires_at, key.account)
        for key, stored in dict(records).items()
        if _is_account(key, stored, client_id)
        if stored.expires_at is not None and stored.expires_at < before
    )
    return [account for _, account in ends[:limit]]


def _is_account(key: AccountKey, stored: Stored, client_id: str) -> bool:
    is_named = key.client_id == client_id and key.account != ""
    return is_named and not stored.payload.startswith(TOMBSTONE)
