"""A pair that the first store cannot take: kept, offered again, never in the way of a newer one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from support.simulation import KEY, START, token
from trakt_auth.errors import (
    StoreConflict,
    StoreCorrupt,
    StoreEncrypted,
    StoreError,
    StoreUnavailable,
)
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.memory import MemoryStore
from trakt_auth.stores.record import (
    CONFLICTS,
    ENCRYPTED,
    PENDING,
    TOMBSTONE,
    AccountKey,
    Attempt,
    Outcome,
    Record,
    Stored,
    fingerprint,
    is_tombstone,
    login_of,
)
from trakt_auth.stores.wrappers.fallback import FallbackStore

OLD = token(1, age=timedelta(days=8))
NEW = token(2)
REFRESHED = Record(token=NEW, spent=fingerprint("r1"))
SIGNED_IN = Record(token=NEW)


class Broken:
    """A MemoryStore that fails where a test says so."""

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.errors: dict[str, Exception] = {}
        self.before_save: Callable[[], object] = lambda: None

    def load(self, key: AccountKey) -> Stored | None:
        self._check("load")
        return self.inner.load(key)

    def save(
        self, key: AccountKey, payload: str, *, expires_at: datetime | None, replacing: int | None
    ) -> int:
        self._check("save")
        self.before_save()
        return self.inner.save(key, payload, expires_at=expires_at, replacing=replacing)

    def delete(self, key: AccountKey, *, replacing: int | None = None) -> None:
        self._check("delete")
        self.inner.delete(key, replacing=replacing)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def _check(self, name: str) -> None:
        if name in self.errors:
            raise self.errors[name]


class Both:
    """A fallback store in front of two that can fail, and the time that it is told."""

    def __init__(self) -> None:
        self.first, self.second = Broken(), Broken()
        self.at = START
        stores: list[TokenStore] = [self.first, self.second]  # type: ignore[list-item]
        self.store = FallbackStore(*stores, now=lambda: self.at)

    def put(self, where: Broken, record: Record | str) -> int:
        payload = record if isinstance(record, str) else record.to_payload()
        return where.inner.save(KEY, payload, expires_at=None, replacing=None)

    def save_pair(self, record: Record, *, replacing: int | None = None) -> int:
        return self.store.save_pair(
            KEY, record.to_payload(), expires_at=record.token.expires_at, replacing=replacing
        )

    def kept(self) -> Record | None:
        return login_of(self.second.inner.load(KEY))

    def stored(self) -> Record | None:
        return login_of(self.first.inner.load(KEY))

    def read(self, *, newest: bool = True) -> Record | None:
        return login_of(self.store.read(KEY, newest=newest).stored)


@pytest.fixture
def both() -> Both:
    return Both()


AWAY = {"load": StoreUnavailable("away"), "save": StoreUnavailable("away")}


# -- reading ---------------------------------------------------------------------------------------


def test_with_nothing_waiting_the_first_store_answers(both: Both) -> None:
    assert both.read() is None
    version = both.put(both.first, SIGNED_IN)
    assert both.store.load(KEY) == both.first.inner.load(KEY)
    record = both.read()
    assert record is not None
    assert record.version == version


@pytest.mark.parametrize("waiting", [REFRESHED, SIGNED_IN])
def test_what_waits_is_saved_by_the_next_read(both: Both, waiting: Record) -> None:
    both.put(both.first, Record(token=OLD))
    both.put(both.second, replace(waiting, pending_since=START))
    found = both.store.read(KEY)
    assert found.saved_late == replace(waiting, version=found.saved_late.version)  # type: ignore[union-attr]
    assert found.stored == both.first.inner.load(KEY)
    assert found.stored is not None
    assert found.stored.expires_at == NEW.expires_at
    stored = both.stored()
    assert stored is not None
    assert (stored.token, stored.pending_since) == (NEW, None)
    assert not both.store.pending(KEY)
    assert both.store.read(KEY).saved_late is None


def test_a_sign_in_that_was_never_saved_needs_no_stored_record(both: Both) -> None:
    both.put(both.second, SIGNED_IN)
    assert both.read().token == NEW  # type: ignore[union-attr]
    assert both.stored().token == NEW  # type: ignore[union-attr]


def test_a_refresh_does_not_bring_back_what_was_signed_out(both: Both) -> None:
    both.put(both.second, REFRESHED)
    assert both.read() is None
    assert both.stored() is None
    assert not both.store.pending(KEY)


@pytest.mark.parametrize("latest", [token(3), replace(NEW, access_token="a9"), NEW])
def test_a_newer_record_stays(both: Both, latest: object) -> None:
    """Another sign-in came since, or the pair was saved after all."""
    both.put(both.first, Record(token=latest))  # type: ignore[arg-type]
    both.put(both.second, REFRESHED)
    found = both.store.read(KEY)
    assert found.saved_late is None
    assert both.stored().token == latest  # type: ignore[union-attr]
    assert not both.store.pending(KEY)


def test_the_same_pair_is_not_newer_than_itself_without_rotation(both: Both) -> None:
    pair = Record(token=replace(NEW, refresh_token="r1"), spent=fingerprint("r1"))
    both.put(both.first, pair)
    both.put(both.second, pair)
    assert both.store.read(KEY).saved_late is None


def test_a_sign_in_counts_from_when_it_was_kept(both: Both) -> None:
    """A token of another program can be older than the one that it replaces."""
    later, earlier = NEW.created_at + timedelta(1), NEW.created_at - timedelta(1)
    both.put(both.first, SIGNED_IN)
    both.put(both.second, Record(token=OLD, pending_since=earlier))
    assert both.read().token == NEW  # type: ignore[union-attr]
    both.put(both.second, Record(token=OLD, pending_since=later))
    assert both.read().token == OLD  # type: ignore[union-attr]


def test_a_sign_in_replaces_a_login_that_is_over(both: Both) -> None:
    over = Attempt(outcome=Outcome.REFUSED, started_at=NEW.created_at)
    both.put(both.first, Record(token=NEW, attempt=over))
    both.put(both.second, Record(token=OLD, pending_since=NEW.created_at - timedelta(1)))
    assert both.read().token == OLD  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["load", "save"])
def test_while_the_first_store_is_down_the_waiting_pair_serves(both: Both, method: str) -> None:
    both.put(both.first, Record(token=OLD))
    both.put(both.second, REFRESHED)
    both.first.errors = {method: StoreUnavailable("away")}
    record = both.read()
    assert record is not None
    assert (record.token, record.version) == (NEW, PENDING)
    with pytest.raises(StoreError):  # no save can replace that version
        both.store.save(KEY, "x", expires_at=None, replacing=PENDING)
    both.first.errors = {}
    with pytest.raises(StoreConflict):
        both.store.save(KEY, "x", expires_at=None, replacing=PENDING)


def test_a_stored_record_that_cannot_be_read_is_replaced(both: Both) -> None:
    both.put(both.first, "{")
    both.put(both.second, REFRESHED)
    assert both.read().token == NEW  # type: ignore[union-attr]
    assert both.stored().token == NEW  # type: ignore[union-attr]


def test_a_damaged_waiting_record_is_passed_by(both: Both) -> None:
    both.put(both.first, SIGNED_IN)
    both.put(both.second, "{")
    assert both.read().token == NEW  # type: ignore[union-attr]


@pytest.mark.parametrize("outcome", [Outcome.BEGUN, Outcome.UNKNOWN])
def test_a_fallback_that_cannot_be_read_hides_no_pair_from_a_refresh(
    both: Both, outcome: Outcome
) -> None:
    both.second.errors = AWAY
    both.put(both.first, SIGNED_IN)
    assert both.read(newest=True).token == NEW  # type: ignore[union-attr]
    lost = OLD.created_at if outcome is Outcome.UNKNOWN else None
    attempt = Attempt(outcome=outcome, started_at=OLD.created_at, lost_at=lost)
    both.put(both.first, Record(token=OLD, attempt=attempt))
    with pytest.raises(StoreUnavailable, match="away"):
        both.read(newest=True)
    assert both.read(newest=False).token == OLD  # type: ignore[union-attr]
    both.first.inner.delete(KEY)
    with pytest.raises(StoreUnavailable, match="away"):
        both.read(newest=True)
    assert both.read(newest=False) is None


def test_other_programs_that_write_between_reading_and_saving(both: Both) -> None:
    both.put(both.first, Record(token=OLD))
    both.put(both.second, REFRESHED)
    writes: list[object] = []

    def another() -> None:
        if len(writes) < both.most:  # type: ignore[attr-defined]
            writes.append(both.put(both.first, Record(token=OLD)))

    both.first.before_save = another
    both.most = 3  # type: ignore[attr-defined]
    assert both.read().token == NEW  # type: ignore[union-attr]
    assert len(writes) == 3
    both.put(both.first, Record(token=OLD))
    both.put(both.second, REFRESHED)
    both.most = len(writes) + CONFLICTS  # type: ignore[attr-defined]
    with pytest.raises(StoreConflict, match="all the time"):
        both.read()
    assert both.kept() is not None


def test_what_cannot_be_emptied_is_found_superseded(both: Both) -> None:
    both.put(both.first, Record(token=OLD))
    both.put(both.second, REFRESHED)
    both.second.errors = {"delete": StoreUnavailable("away")}
    assert both.store.read(KEY).saved_late is not None
    assert both.store.read(KEY).saved_late is None
    assert both.store.pending(KEY)


def test_what_another_thread_has_kept_meanwhile_is_not_emptied(both: Both) -> None:
    both.put(both.first, Record(token=OLD))
    both.put(both.second, REFRESHED)
    newer = Record(token=token(3), spent=fingerprint("r2"))
    both.first.before_save = lambda: both.put(both.second, newer)
    both.store.read(KEY)
    assert both.kept().token == token(3)  # type: ignore[union-attr]


# -- saving a pair ---------------------------------------------------------------------------------


def test_from_the_first_failure_on_the_pair_is_kept(both: Both) -> None:
    version = both.put(both.first, Record(token=OLD))
    both.first.errors = AWAY
    with pytest.raises(StoreUnavailable, match="away"):
        both.save_pair(REFRESHED, replacing=version)
    kept = both.kept()
    assert kept is not None
    assert (kept.token, kept.spent, kept.pending_since) == (NEW, fingerprint("r1"), START)
    assert both.store.pending_accounts(KEY.client_id) == [KEY.account]
    both.at += timedelta(seconds=5)
    with pytest.raises(StoreUnavailable):
        both.save_pair(REFRESHED, replacing=version)
    assert both.kept().pending_since == START  # type: ignore[union-attr]
    both.first.errors = {}
    both.save_pair(REFRESHED, replacing=version)
    assert both.kept() is None
    assert both.store.pending_accounts(KEY.client_id) == []


def test_a_note_that_cannot_be_saved_is_not_kept(both: Both) -> None:
    both.first.errors = AWAY
    with pytest.raises(StoreUnavailable):
        both.store.save(KEY, REFRESHED.to_payload(), expires_at=None, replacing=1)
    assert both.kept() is None


def test_a_conflict_keeps_nothing(both: Both) -> None:
    both.put(both.first, Record(token=OLD))
    with pytest.raises(StoreConflict):
        both.save_pair(REFRESHED, replacing=99)
    assert both.kept() is None


def test_when_neither_store_can_take_it_the_first_ones_error_is_raised(both: Both) -> None:
    both.first.errors = {"save": StoreUnavailable("the disk is full")}
    for errors in ({"save": StoreUnavailable("away")}, AWAY):
        both.second.errors = errors
        with pytest.raises(StoreUnavailable, match="the disk is full"):
            both.save_pair(REFRESHED, replacing=1)


@pytest.mark.parametrize(
    ("waiting", "stays"),
    [
        (Record(token=token(9), pending_since=START + timedelta(1)), True),
        (Record(token=OLD, pending_since=START - timedelta(1)), False),
        (Record(token=token(9), spent=fingerprint("r8"), pending_since=START), False),
        (Record(token=token(9), spent=fingerprint("r2"), pending_since=START), True),
        ("{", False),
    ],
)
def test_a_waiting_login_is_not_overwritten_by_an_older_one(
    both: Both, waiting: Record | str, *, stays: bool
) -> None:
    both.put(both.second, waiting)
    both.first.errors = AWAY
    with pytest.raises(StoreConflict if stays else StoreUnavailable):
        both.save_pair(REFRESHED, replacing=1)
    assert both.kept().token == (waiting.token if stays else NEW)  # type: ignore[union-attr]
    both.put(both.second, waiting)
    both.first.errors = {}
    both.save_pair(REFRESHED)
    if waiting != "{":
        assert (both.kept() is not None) is stays


def test_a_new_sign_in_replaces_whatever_waits(both: Both) -> None:
    both.put(both.second, Record(token=token(9), pending_since=START + timedelta(1)))
    both.first.errors = AWAY
    with pytest.raises(StoreUnavailable):
        both.save_pair(SIGNED_IN)
    assert both.kept().token == NEW  # type: ignore[union-attr]


def test_a_sign_in_overwrites_what_is_damaged_and_not_what_a_missing_key_could_read(
    both: Both,
) -> None:
    both.put(both.first, "{")
    both.save_pair(SIGNED_IN)
    both.put(both.first, f"{ENCRYPTED}1:abc:text")
    with pytest.raises(StoreEncrypted):
        both.save_pair(SIGNED_IN)


# -- deleting --------------------------------------------------------------------------------------


def test_deleting_returns_both_pairs(both: Both) -> None:
    version = both.put(both.first, Record(token=OLD))
    both.put(both.second, SIGNED_IN)
    forgotten = both.store.forget(KEY)
    assert {record.token for record in forgotten.records} == {OLD, NEW}
    assert (forgotten.existed, forgotten.error) == (True, None)
    assert forgotten.version > version
    assert both.stored() is both.kept() is None
    again = both.store.forget(KEY)
    assert (again.existed, again.records) == (False, ())


def test_deleting_what_cannot_be_read(both: Both) -> None:
    for payload in ("{", f"{ENCRYPTED}1:abc:text"):
        both.put(both.first, payload)
        both.put(both.second, payload)
        forgotten = both.store.forget(KEY)
        assert (forgotten.existed, forgotten.records, forgotten.error) == (True, (), None)
        assert both.first.inner.load(KEY) is None
        assert not both.store.pending(KEY)


@pytest.mark.parametrize("broken", ["first", "second"])
def test_one_store_that_fails_keeps_the_other_from_nothing(both: Both, broken: str) -> None:
    both.put(both.first, Record(token=OLD))
    both.put(both.second, SIGNED_IN)
    getattr(both, broken).errors = AWAY | {"delete": StoreUnavailable("away")}
    forgotten = both.store.forget(KEY)
    assert str(forgotten.error) == "away"
    assert forgotten.existed
    assert {record.token for record in forgotten.records} == {NEW if broken == "first" else OLD}
    with pytest.raises(StoreUnavailable, match="away"):
        both.store.delete(KEY)
    assert (both.kept() if broken == "first" else both.stored()) is None


def test_what_could_be_read_is_returned_although_it_could_not_be_deleted(both: Both) -> None:
    both.put(both.first, Record(token=OLD))
    both.first.errors = {"save": StoreUnavailable("read-only")}
    forgotten = both.store.forget(KEY)
    assert [record.token for record in forgotten.records] == [OLD]
    assert (forgotten.existed, str(forgotten.error)) == (False, "read-only")


def test_a_sign_out_leaves_a_tombstone_for_an_hour(both: Both) -> None:
    version = both.put(both.first, Record(token=OLD))
    both.store.forget(KEY)
    left = both.first.inner.load(KEY)
    assert left is not None
    assert is_tombstone(left)
    assert "a1" not in left.payload
    with pytest.raises(StoreConflict):  # a refresh that ends later
        both.save_pair(REFRESHED, replacing=version)
    assert both.store.load(KEY) == left
    assert both.store.accounts(KEY.client_id) == []
    both.at += timedelta(minutes=61)
    assert both.store.load(KEY) is None
    assert both.first.inner.load(KEY) is None
    both.save_pair(SIGNED_IN)
    assert both.stored().token == NEW  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "left_at", ["", "rubbish", "2026-11-23T12:00:00", "2030-01-01T00:00:00+00:00"]
)
def test_a_tombstone_that_no_sign_out_of_now_has_left(both: Both, left_at: str) -> None:
    both.put(both.first, f"{TOMBSTONE}{left_at}")
    assert both.read() is None
    assert both.first.inner.load(KEY) is None


def test_a_sign_in_replaces_a_tombstone(both: Both) -> None:
    both.put(both.first, Record(token=OLD))
    both.store.forget(KEY)
    both.save_pair(SIGNED_IN)
    assert both.read().token == NEW  # type: ignore[union-attr]


def test_deleting_one_version_leaves_what_waits_alone(both: Both) -> None:
    version = both.put(both.first, Record(token=OLD))
    both.put(both.second, SIGNED_IN)
    with pytest.raises(StoreConflict):
        both.store.delete(KEY, replacing=version + 1)
    assert both.stored().token == OLD  # type: ignore[union-attr]
    both.store.delete(KEY, replacing=version)
    assert both.stored() is None
    assert both.kept().token == NEW  # type: ignore[union-attr]


def test_a_sign_in_between_the_look_and_the_deletion_stays(both: Both) -> None:
    both.put(both.first, Record(token=OLD))

    def sign_in() -> None:
        both.first.before_save = lambda: None
        both.put(both.first, SIGNED_IN)

    both.first.before_save = sign_in

    forgotten = both.store.forget(KEY)
    assert [record.token for record in forgotten.records] == [OLD]
    assert forgotten.existed
    assert both.stored().token == NEW  # type: ignore[union-attr]


def test_a_refresh_between_the_look_and_the_deletion_is_deleted_too(both: Both) -> None:
    both.put(both.first, Record(token=OLD))

    def refresh() -> None:
        both.first.before_save = lambda: None
        both.put(both.first, REFRESHED)

    both.first.before_save = refresh

    forgotten = both.store.forget(KEY)
    assert [record.token for record in forgotten.records] == [OLD, NEW]
    assert both.stored() is None


def test_a_login_that_is_written_all_the_time_cannot_be_deleted(both: Both) -> None:
    both.put(both.first, Record(token=OLD))
    both.first.before_save = lambda: both.put(both.first, Record(token=OLD))
    forgotten = both.store.forget(KEY)
    assert isinstance(forgotten.error, StoreConflict)
    assert len(forgotten.records) == CONFLICTS


# -- the rest of a store ---------------------------------------------------------------------------


def test_the_rest_is_the_first_stores(both: Both) -> None:
    both.first.inner.save(KEY, "x", expires_at=NEW.expires_at, replacing=None)
    assert both.store.accounts(KEY.client_id) == [KEY.account]
    end = NEW.expires_at + timedelta(1)
    assert list(both.store.due(KEY.client_id, before=end, limit=9)) == [KEY.account]
    lock = both.store.lock(KEY)
    assert lock.acquire()
    assert not both.first.inner.lock(KEY).acquire()
    lock.release()
    both.store.delete(KEY)
    assert both.first.inner.load(KEY) is None
    both.store.close()


def test_an_encrypted_record_without_its_key_waits(both: Both) -> None:
    def load(_: AccountKey) -> Stored:
        raise StoreEncrypted("no key")

    both.second.load = load  # type: ignore[method-assign]
    assert both.store.pending(KEY)


def test_an_exception_that_no_store_may_raise_costs_nothing(both: Both) -> None:
    """The words of a strange error may quote what it was given, so they are not shown."""
    both.put(both.first, Record(token=OLD))
    both.first.errors = {"save": RuntimeError(NEW.access_token)}
    with pytest.raises(StoreUnavailable, match="RuntimeError") as caught:
        both.save_pair(REFRESHED)
    assert NEW.access_token not in str(caught.value)
    assert caught.value.__cause__ is None
    assert both.kept().token == NEW  # type: ignore[union-attr]
    both.first.errors = {"load": StoreCorrupt("all of it")}
    assert both.read().token == NEW  # type: ignore[union-attr]
