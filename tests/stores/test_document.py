"""Stores that keep all records in one document: what a thread sees while another one saves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trakt_auth.stores.memory import MemoryStore
from trakt_auth.stores.record import AccountKey

END = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATER = END.replace(year=2027)


class Interrupted(str):
    """A client id: whenever it is compared, a record is saved, as another thread might do."""

    __slots__ = ("store", "times")
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        self.times += 1
        key = AccountKey("client", f"new{self.times}")
        self.store.save(key, "x", expires_at=END, replacing=None)
        return str.__eq__(self, other)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def client_id(store: MemoryStore) -> Interrupted:
    for account in ("b", "a"):
        store.save(AccountKey("client", account), "x", expires_at=END, replacing=None)
    client_id = Interrupted("client")
    client_id.store, client_id.times = store, 0
    return client_id


def test_accounts_are_listed_while_another_thread_saves(
    store: MemoryStore, client_id: Interrupted
) -> None:
    assert store.accounts(client_id) == ["a", "b"]
    assert client_id.times == 2


def test_due_accounts_are_listed_while_another_thread_saves(
    store: MemoryStore, client_id: Interrupted
) -> None:
    assert store.due(client_id, before=LATER, limit=9) == ["a", "b"]
    assert client_id.times == 2
