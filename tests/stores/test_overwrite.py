"""What a new login overwrites, in a store of any kind, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trakt_auth.errors import StoreConflict, StoreEncrypted, StoreUnavailable
from trakt_auth.stores import open_store
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.memory import MemoryStore
from trakt_auth.stores.overwrite import TRIES, overwrite
from trakt_auth.stores.record import AccountKey, Stored
from trakt_auth.stores.wrappers.encrypted import EncryptedStore, generate_key, key_id

KEY = AccountKey("client", "default")
END = datetime(2026, 11, 30, 12, tzinfo=UTC)
OURS, THEIRS = generate_key(), generate_key()
NEW = '{"new": 1}'


class Inner(MemoryStore):
    """A store that a test can interrupt after each look; it counts the saves that were tried."""

    def __init__(self) -> None:
        super().__init__()
        self.after_load: Callable[[int], object] = lambda _: None
        self.loads = 0
        self.saves: list[int | None] = []

    def load(self, key: AccountKey) -> Stored | None:
        found = super().load(key)
        self.loads += 1
        self.after_load(self.loads)
        return found

    def save(
        self, key: AccountKey, payload: str, *, expires_at: datetime | None, replacing: int | None
    ) -> int:
        self.saves.append(replacing)
        return super().save(key, payload, expires_at=expires_at, replacing=replacing)

    def write(self, payload: str) -> None:
        """Save as another program."""
        super().save(KEY, payload, expires_at=None, replacing=None)

    def write_encrypted(self) -> None:
        other = MemoryStore()
        EncryptedStore(other, [THEIRS]).save(KEY, '{"a": 1}', expires_at=None, replacing=None)
        stored = other.load(KEY)
        assert stored is not None
        self.write(stored.payload)


@pytest.fixture
def inner() -> Inner:
    return Inner()


@pytest.fixture(params=["plain", "encrypted", "its own save"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(kind: str, inner: Inner) -> TokenStore:
    """Return the store that a new login is saved to; `inner` is what is below it."""
    return inner if kind == "plain" else EncryptedStore(inner, [OURS])


@pytest.fixture
def sign_in(kind: str, store: TokenStore) -> Callable[[], int]:
    """Return a call that saves a new login; an encrypted store's own `save` does the same."""
    if kind == "its own save":
        return lambda: store.save(KEY, NEW, expires_at=END, replacing=None)
    return lambda: overwrite(store, KEY, NEW, expires_at=END)


@pytest.mark.parametrize("payload", [None, "", '{"old": 1}', "rubbish", "[]"])
def test_any_record_is_overwritten(
    store: TokenStore, inner: Inner, sign_in: Callable[[], int], payload: str | None
) -> None:
    if payload is not None:
        inner.write(payload)
    version = sign_in()
    assert store.load(KEY) == Stored(payload=NEW, version=version, expires_at=END)


def test_what_another_key_encrypted_stays(inner: Inner, sign_in: Callable[[], int]) -> None:
    inner.write_encrypted()
    before = inner.load(KEY)
    with pytest.raises(StoreEncrypted, match=key_id(THEIRS)):
        sign_in()
    assert inner.load(KEY) == before
    assert inner.saves == []


def test_a_damaged_record_is_overwritten(inner: Inner) -> None:
    store = EncryptedStore(inner, [OURS])
    store.save(KEY, '{"old": 1}', expires_at=None, replacing=None)
    stored = inner.load(KEY)
    assert stored is not None
    inner.write(stored.payload[:-4])
    overwrite(store, KEY, NEW, expires_at=END)
    found = store.load(KEY)
    assert found is not None
    assert found.payload == NEW


@pytest.mark.parametrize("keys", [[], [OURS]], ids=["plain", "encrypted"])
def test_an_unreadable_file_is_moved_aside(tmp_path: Path, keys: list[str]) -> None:
    path = tmp_path / "tokens.json"
    path.write_text("rubbish")
    store = open_store(f"file:{path}", keys=keys)
    overwrite(store, KEY, NEW, expires_at=END)
    found = store.load(KEY)
    assert found is not None
    assert found.payload == NEW
    (aside,) = tmp_path.glob("*.corrupt-*")
    assert aside.read_text() == "rubbish"


def test_a_record_that_changes_is_looked_at_again(
    store: TokenStore, inner: Inner, sign_in: Callable[[], int]
) -> None:
    inner.after_load = lambda loads: loads <= 2 and inner.write('{"faster": 1}')
    version = sign_in()
    assert len(inner.saves) == 3
    assert store.load(KEY) == Stored(payload=NEW, version=version, expires_at=END)


def test_a_record_that_is_encrypted_meanwhile_stays(
    inner: Inner, sign_in: Callable[[], int]
) -> None:
    inner.write('{"old": 1}')
    inner.after_load = lambda loads: loads == 1 and inner.write_encrypted()
    with pytest.raises(StoreEncrypted):
        sign_in()
    assert len(inner.saves) == 1  # which was a conflict


def test_a_store_that_never_agrees_is_overwritten_without_a_condition(
    store: TokenStore, inner: Inner, sign_in: Callable[[], int]
) -> None:
    inner.after_load = lambda _: inner.write('{"faster": 1}')
    sign_in()
    inner.after_load = lambda _: None
    *conditional, last = inner.saves
    assert last is None
    assert None not in conditional
    assert TRIES <= len(conditional) <= 2 * TRIES  # the wrapper tries, and then the store below it
    found = store.load(KEY)
    assert found is not None
    assert found.payload == NEW


def test_before_the_last_try_the_record_is_looked_at_once_more(
    inner: Inner, sign_in: Callable[[], int]
) -> None:
    def change(loads: int) -> None:
        if loads < TRIES:
            inner.write('{"faster": 1}')
        elif loads == TRIES:
            inner.write_encrypted()

    inner.after_load = change
    with pytest.raises(StoreEncrypted):
        sign_in()
    assert None not in inner.saves


def test_a_store_that_is_away_is_not_written_to(inner: Inner, sign_in: Callable[[], int]) -> None:
    def fail(_: int) -> None:
        raise StoreUnavailable("The store is away")

    inner.after_load = fail
    with pytest.raises(StoreUnavailable, match="is away"):
        sign_in()
    assert inner.saves == []


def test_a_conditional_save_is_not_repeated(inner: Inner) -> None:
    store = EncryptedStore(inner, [OURS])
    inner.write('{"old": 1}')
    with pytest.raises(StoreConflict):
        store.save(KEY, NEW, expires_at=END, replacing=99)
    assert inner.saves == [99]
