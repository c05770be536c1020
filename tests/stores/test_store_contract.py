"""One contract for every store, then what only the file store promises."""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import filelock
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.engines import ENGINES, LEASED, Open, opened
from support.threads import in_threads
from trakt_auth.errors import (
    LockTimeout,
    StoreConflict,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
    UsageError,
)
from trakt_auth.stores import file as file_store
from trakt_auth.stores import identity, open_store, shown
from trakt_auth.stores.document import Document
from trakt_auth.stores.engines import file_lock
from trakt_auth.stores.engines.turns import turns_at
from trakt_auth.stores.file import FileStore
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.memory import MemoryStore
from trakt_auth.stores.record import TOMBSTONE, AccountKey, Stored

END = datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=UTC)
KEY = AccountKey("client", "default")
OTHER = AccountKey("client", "other")
NAMES = st.text(st.characters() | st.characters(categories=["Cs"]))  # lone surrogates included


@pytest.fixture(
    params=[(kind, face) for kind in ENGINES for face in ("sync", "asyncio")], ids="-".join
)
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Return a function that opens the same store once more, as another process would."""
    kind, face = request.param
    with opened(kind, face, request, tmp_path) as again:
        yield again


@pytest.fixture
def leased(request: pytest.FixtureRequest) -> bool:
    """Return whether the locks of this store expire."""
    return request.node.callspec.params["again"][0] in LEASED


@pytest.fixture
def store(again: Open) -> Iterator[TokenStore]:
    opened = again()
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def put(
    store: TokenStore, text: str, key: AccountKey = KEY, *, replacing: int | None = None
) -> int:
    return store.save(key, text, expires_at=END, replacing=replacing)


# -- the contract --------------------------------------------------------------------------------


def test_nothing_is_there_at_first(store: TokenStore) -> None:
    assert store.load(KEY) is None
    assert list(store.accounts("client")) == []
    store.delete(KEY)
    assert store.load(KEY) is None


def test_what_is_saved_is_loaded(again: Open) -> None:
    version = put(again(), "payload")
    assert again().load(KEY) == Stored(payload="payload", version=version, expires_at=END)


@pytest.mark.parametrize(
    "end", [None, END, datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)]
)
def test_any_expiry_is_exact_to_the_microsecond(again: Open, end: datetime | None) -> None:
    again().save(KEY, "x", expires_at=end, replacing=None)
    stored = again().load(KEY)
    assert stored is not None
    assert stored.expires_at == end


def test_none_overwrites_any_version(store: TokenStore) -> None:
    first = put(store, "one")
    second = put(store, "two")
    assert second > first
    assert store.load(KEY) == Stored(payload="two", version=second, expires_at=END)


def test_a_version_overwrites_only_itself(again: Open) -> None:
    first = put(again(), "one")
    second = put(again(), "two", replacing=first)
    assert second > first
    for wrong in (first, second + 1, 0, -1):
        with pytest.raises(StoreConflict, match="'default'"):
            put(again(), "three", replacing=wrong)
    stored = again().load(KEY)
    assert stored is not None
    assert (stored.payload, stored.version) == ("two", second)


def test_a_version_of_a_missing_record_is_a_conflict(store: TokenStore) -> None:
    with pytest.raises(StoreConflict):
        put(store, "x", replacing=1)
    assert store.load(KEY) is None


def test_version_0_means_that_there_is_no_record(again: Open) -> None:
    first = put(again(), "one", replacing=0)
    assert first > 0
    with pytest.raises(StoreConflict):
        put(again(), "two", replacing=0)
    stored = again().load(KEY)
    assert stored is not None
    assert (stored.payload, stored.version) == ("one", first)
    again().delete(KEY)
    assert put(again(), "three", replacing=0) > first


def test_of_many_first_saves_one_succeeds(again: Open) -> None:
    stores = [again() for _ in range(8)]
    raised = in_threads(
        [partial(put, store, str(number), replacing=0) for number, store in enumerate(stores)]
    )
    assert [type(error) for error in raised] == [StoreConflict] * 7
    assert again().load(KEY) is not None


def test_a_deleted_record_cannot_be_brought_back(again: Open) -> None:
    version = put(again(), "one")
    again().delete(KEY)
    assert again().load(KEY) is None
    with pytest.raises(StoreConflict):
        put(again(), "late", replacing=version)
    assert again().load(KEY) is None
    again().delete(KEY)


def test_a_version_deletes_only_itself(again: Open) -> None:
    first = put(again(), "one")
    second = put(again(), "two")
    for wrong in (first, second + 1, 0, -1):
        with pytest.raises(StoreConflict, match="'default'"):
            again().delete(KEY, replacing=wrong)
    stored = again().load(KEY)
    assert stored is not None
    assert stored.payload == "two"
    assert list(again().accounts("client")) == ["default"]
    again().delete(KEY, replacing=second)
    assert again().load(KEY) is None
    assert list(again().accounts("client")) == []


def test_a_version_of_a_missing_record_cannot_be_deleted(again: Open) -> None:
    again().delete(KEY, replacing=0)
    with pytest.raises(StoreConflict):
        again().delete(KEY, replacing=1)
    version = put(again(), "one")
    again().delete(KEY, replacing=version)
    with pytest.raises(StoreConflict):
        again().delete(KEY, replacing=version)
    again().delete(KEY, replacing=0)
    later = put(again(), "two")
    with pytest.raises(StoreConflict):
        again().delete(KEY, replacing=version)
    again().delete(KEY, replacing=later)


def test_of_many_deletions_of_a_version_one_succeeds(again: Open) -> None:
    version = put(again(), "one")
    stores = [again() for _ in range(8)]
    raised = in_threads([partial(store.delete, KEY, replacing=version) for store in stores])
    assert [type(error) for error in raised] == [StoreConflict] * 7


def test_a_record_that_a_sign_out_left_is_no_account(again: Open) -> None:
    left = TOMBSTONE + "anything"
    version = put(again(), "one")
    put(again(), "x", OTHER)
    version = put(again(), left, replacing=version)
    assert again().load(KEY) == Stored(payload=left, version=version, expires_at=END)
    before = END + timedelta(minutes=1)
    assert list(again().accounts("client")) == ["other"]
    assert list(again().due("client", before=before, limit=9)) == ["other"]
    put(again(), "two", replacing=version)
    assert list(again().accounts("client")) == ["default", "other"]
    assert list(again().due("client", before=before, limit=9)) == ["default", "other"]


def test_versions_never_repeat(again: Open) -> None:
    seen: list[int] = []
    for _ in range(3):
        seen.append(put(again(), "x"))
        seen.append(put(again(), "y", replacing=seen[-1]))
        seen.append(put(again(), "z", OTHER))
        again().delete(KEY)
    assert seen == sorted(set(seen))
    assert seen[0] > 0


def test_each_record_has_a_version_of_its_own(store: TokenStore) -> None:
    mine = put(store, "mine")
    put(store, "theirs", OTHER)
    put(store, "mine again", replacing=mine)


def test_accounts_are_sorted_and_of_one_application(again: Open) -> None:
    for account in ("b", "", "a", "ä", "B"):
        put(again(), account, AccountKey("client", account))
    put(again(), "x", AccountKey("another client", "theirs"))
    assert list(again().accounts("client")) == ["B", "a", "b", "ä"]
    assert list(again().accounts("another client")) == ["theirs"]
    assert list(again().accounts("missing")) == []
    again().delete(AccountKey("client", "a"))
    assert list(again().accounts("client")) == ["B", "b", "ä"]


def test_two_applications_never_meet(again: Open) -> None:
    first, second = AccountKey("one", "x"), AccountKey("two", "x")
    version = put(again(), "1", first)
    with pytest.raises(StoreConflict):
        put(again(), "2", second, replacing=version)
    assert again().load(second) is None
    put(again(), "2", second)
    again().delete(first)
    stored = again().load(second)
    assert stored is not None
    assert stored.payload == "2"
    ours, theirs = again().lock(first), again().lock(second)
    assert ours.acquire()
    assert theirs.acquire()
    ours.release()
    theirs.release()


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.dictionaries(st.builds(AccountKey, NAMES, NAMES), NAMES, max_size=4))
@pytest.mark.parametrize("kind", ENGINES)
def test_names_and_payloads_are_any_text(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    data: dict[AccountKey, str],
) -> None:
    with opened(kind, "sync", request, tmp_path_factory.mktemp("any")) as again:
        store = again()
        for key, text in data.items():
            lock = store.lock(key)
            assert lock.acquire()
            put(store, text, key)
            lock.release()
        for key, text in data.items():
            stored = store.load(key)
            assert stored is not None
            assert stored.payload == text
            named = {other.account for other in data if other.client_id == key.client_id}
            assert list(store.accounts(key.client_id)) == sorted(named - {""})
        for key in data:
            store.delete(key)
        store.close()


def test_due_accounts_come_in_order(again: Open) -> None:
    ends = {"c": 3, "a": 2, "b": 2, "ä": 1, "never": None, "far": 90, "": 0}
    for account, minutes in ends.items():
        end = None if minutes is None else END + timedelta(minutes=minutes)
        again().save(AccountKey("client", account), "x", expires_at=end, replacing=None)
    again().save(AccountKey("another client", "z"), "x", expires_at=END, replacing=None)

    def due(minutes: int, limit: int = 100) -> list[str]:
        before = END + timedelta(minutes=minutes)
        return list(again().due("client", before=before, limit=limit))

    assert due(1) == []
    assert due(2) == ["ä"]
    assert due(4) == ["ä", "a", "b", "c"]
    assert due(4, limit=2) == ["ä", "a"]
    assert due(1000) == ["ä", "a", "b", "c", "far"]
    again().save(AccountKey("client", "ä"), "x", expires_at=END + timedelta(90), replacing=None)
    again().delete(AccountKey("client", "a"))
    assert due(4) == ["b", "c"]
    assert list(again().due("missing", before=END + timedelta(9), limit=9)) == []


def test_two_lone_surrogates_are_not_one_character(again: Open) -> None:
    halves, whole = AccountKey("client", "\ud83d" + "\ude00"), AccountKey("client", "\U0001f600")
    put(again(), "\ud83d" + "\ude00", halves)
    put(again(), "whole", whole)
    found = again().load(halves)
    assert found is not None
    assert found.payload == "\ud83d" + "\ude00"
    assert list(again().accounts("client")) == sorted([halves.account, whole.account])


def test_opening_and_closing_twice_is_harmless(again: Open) -> None:
    put(again(), "x")
    for _ in range(2):
        store = again()
        store.close()
        store.close()


# -- locks ---------------------------------------------------------------------------------------


def test_a_lock_has_one_holder(again: Open) -> None:
    mine, theirs = again().lock(KEY), again().lock(KEY)
    assert mine.acquire()
    assert not theirs.acquire()
    assert not mine.acquire()  # it is not reentrant
    assert mine.remaining() > 50
    mine.release()
    assert theirs.acquire()
    theirs.release()


def test_a_lock_is_of_one_account(store: TokenStore) -> None:
    mine, other = store.lock(KEY), store.lock(OTHER)
    assert mine.acquire()
    assert other.acquire()
    put(store, "a lock is no obstacle for a save")
    mine.release()
    other.release()


def test_releasing_twice_does_not_release_the_next_holders_lock(again: Open) -> None:
    first, second, third = (again().lock(KEY) for _ in range(3))
    assert first.acquire()
    first.release()
    assert second.acquire()
    first.release()
    third.release()
    assert not third.acquire()
    second.release()


def test_a_lock_may_be_released_by_another_thread(again: Open) -> None:
    lock = again().lock(KEY)
    assert lock.acquire()
    assert in_threads([lock.release]) == []
    after = again().lock(KEY)
    assert after.acquire()
    after.release()


def test_the_remaining_time_of_a_lock(store: TokenStore, leased: bool) -> None:
    lock = store.lock(KEY, lease=1000)
    assert lock.acquire()
    if leased:
        assert 900 < lock.remaining() <= 1000
    else:
        assert lock.remaining() == math.inf
    lock.release()


# -- threads -------------------------------------------------------------------------------------


def increment(store: TokenStore) -> int:
    """Add one by compare and swap; return how often another thread was faster."""
    conflicts = 0
    while True:
        stored = store.load(KEY)
        assert stored is not None
        try:
            put(store, str(int(stored.payload) + 1), replacing=stored.version)
        except StoreConflict:
            conflicts += 1
        else:
            return conflicts


def test_eight_threads_lose_no_update(again: Open) -> None:
    times = 10
    put(again(), "0")

    def work() -> None:
        store = again()
        for _ in range(times):
            increment(store)

    in_threads([work] * 8)
    stored = again().load(KEY)
    assert stored is not None
    assert stored.payload == str(8 * times)


def test_eight_threads_and_one_lock(again: Open) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        lock = again().lock(KEY)
        for _ in range(10):
            while not lock.acquire():
                os.sched_yield()
            inside.append(1)
            most.append(len(inside))
            os.sched_yield()
            inside.pop()
            lock.release()

    in_threads([work] * 8)
    assert most == [1] * 80


def test_threads_write_different_accounts_at_once(again: Open) -> None:
    def work(name: str) -> Callable[[], None]:
        def run() -> None:
            for number in range(5):
                put(again(), str(number), AccountKey("client", name))

        return run

    names = [f"user-{number}" for number in range(8)]
    assert in_threads([work(name) for name in names]) == []
    assert list(again().accounts("client")) == names


# -- open_store ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:/tmp/x/tokens", "/tmp/x/tokens"),
        ("file:///tmp/x/tokens", "/tmp/x/tokens"),
        ("FILE:/tmp/x", "/tmp/x"),
        ("file:/tmp/x/../y", "/tmp/y"),
        ("file:/tmp/a b:c@d", "/tmp/a b:c@d"),
    ],
)
def test_open_a_file(url: str, path: str) -> None:
    store = open_store(url)
    assert isinstance(store, FileStore)
    assert store.path == path
    assert not Path(path).exists()  # nothing is written yet


def test_home_and_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for url, path in (("file:~/t", "home/t"), ("file:t", "t"), ("file:./a/t", "a/t")):
        store = open_store(url)
        assert isinstance(store, FileStore)
        assert store.path == str(tmp_path / path)
    monkeypatch.chdir("/")
    put(open_store(f"file:{tmp_path}/t"), "x")


def test_open_memory() -> None:
    assert isinstance(open_store("memory:"), MemoryStore)
    assert isinstance(open_store("Memory:"), MemoryStore)
    one, two = open_store("memory:"), open_store("memory:")
    put(one, "x")
    assert two.load(KEY) is None


@pytest.mark.parametrize(
    "url",
    ["", "memory", "memory:x", "file", "file:", "file://", "file:\0", "tokens.json", "C:\\x", ":x"],
)
def test_urls_that_name_no_store(url: str) -> None:
    with pytest.raises(UsageError, match="names no store") as caught:
        open_store(url)
    assert "memory:" in caught.value.hint


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        open_store("mysql://me:geheim@host/db")
    assert "geheim" not in str(caught.value)
    assert "mysql://...@host/db" in str(caught.value)


# -- file: modes and names -----------------------------------------------------------------------


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_private_when_they_are_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    born: list[int] = []
    really = os.open

    def watched(path: str, flags: int, *rest: int, **more: int) -> int:
        handle = really(path, flags, *rest, **more)
        if str(path).startswith(str(tmp_path)) and stat.S_ISREG(os.fstat(handle).st_mode):
            born.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return handle

    monkeypatch.setattr(os, "open", watched)
    before = os.umask(umask)
    try:
        store = open_store(f"file:{tmp_path}/new/tokens.json")
        put(store, "x")
        lock = open_store(f"file:{tmp_path}/locked/tokens.json").lock(KEY)
        assert lock.acquire()
        put(store, "y")
        lock.release()
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == mode(tmp_path / "locked") == 0o700
    files = list(tmp_path.glob("*/*"))
    assert len(files) == 3  # the tokens and two locks
    assert {mode(path) for path in files} == {0o600}
    assert len(born) >= 4
    assert set(born) == {0o600}


def test_a_file_of_another_mode_is_private_after_the_next_write(path: Path) -> None:
    put(FileStore(str(path)), "x")
    path.chmod(0o644)
    put(FileStore(str(path)), "y")
    assert mode(path) == 0o600


def test_the_mode_of_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    put(FileStore(f"{folder}/t"), "x")
    assert mode(folder) == 0o755


def test_only_these_names_appear_beside_the_file(path: Path) -> None:
    store = FileStore(str(path))
    version = put(store, "x")
    put(store, "y", replacing=version)
    assert {p.name for p in path.parent.iterdir()} == {"tokens.json", "tokens.json.lock"}
    lock = store.lock(AccountKey("client", "../../etc/passwd"))
    assert lock.acquire()
    lock.release()
    names = {p.name for p in path.parent.iterdir()} - {"tokens.json", "tokens.json.lock"}
    assert len(names) == 1
    assert names.pop().startswith("tokens.json.")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "dir" / "real.json", tmp_path / "link.json"
    real.parent.mkdir()
    link.symlink_to(real)
    for text in ("one", "two"):  # the link leads nowhere at first
        put(FileStore(str(link)), text)
        assert link.is_symlink()
        assert not real.is_symlink()
    stored = FileStore(str(real)).load(KEY)
    assert stored is not None
    assert stored.payload == "two"
    ours, theirs = FileStore(str(link)).lock(KEY), FileStore(str(real)).lock(KEY)
    assert ours.acquire()
    assert not theirs.acquire()  # two names of one file share its locks
    ours.release()


def test_the_format_of_the_file_never_changes(path: Path) -> None:
    document = {
        "trakt-auth": 1,
        "version": 41,
        "records": [
            {
                "client_id": "client",
                "account": "default",
                "version": 40,
                "expires_at": "2026-11-30T12:00:00.123456+00:00",
                "payload": "p",
            },
            {
                "client_id": "client",
                "account": "",
                "version": 41,
                "expires_at": None,
                "payload": "q",
            },
        ],
    }
    path.write_text(json.dumps(document))
    store = FileStore(str(path))
    assert store.load(KEY) == Stored(payload="p", version=40, expires_at=END)
    assert put(store, "r", OTHER) == 42
    after = json.loads(path.read_text())
    assert after["version"] == 42
    assert after["records"][:2] == document["records"]


# -- file: what cannot be read -------------------------------------------------------------------

GOOD_ENTRY = {
    "client_id": "c", "account": "a", "version": 1, "expires_at": None, "payload": "tok-3n"
}  # fmt: skip


def document(**changes: object) -> bytes:
    entry = {key: value for key, value in (GOOD_ENTRY | changes).items() if value != "(missing)"}
    return json.dumps({"trakt-auth": 1, "version": 1, "records": [entry]}).encode()


CORRUPT = {
    "null": b"null",
    "a list": b"[]",
    "text": b'"tok-3n"',
    "a number": b"5",
    "html": b"<html>tok-3n</html>",
    "zeros": b"\0" * 512,
    "not UTF-8": b"\xff\xfe\xff tok-3n",
    "truncated": document()[:-9],
    "JSON of another program": b'{"access_token":"tok-3n"}',
    "no records": b'{"trakt-auth":1,"version":1}',
    "no version": b'{"trakt-auth":1,"records":[]}',
    "records null": b'{"trakt-auth":1,"version":1,"records":null}',
    "a record is text": b'{"trakt-auth":1,"version":1,"records":["tok-3n"]}',
    "an endless version": b'{"trakt-auth":1,"version":1e999,"records":[]}',
    "a long number": b'{"trakt-auth":1,"version":' + b"9" * 5000 + b',"records":[]}',
    "nested": b"[" * 100_000,
    **{f"{name} missing": document(**{name: "(missing)"}) for name in GOOD_ENTRY},
    **{f"{name} is a list": document(**{name: ["tok-3n"]}) for name in GOOD_ENTRY},
    "the end is a number": document(expires_at=1.0),
    "the end is no date": document(expires_at="never"),
    "the end is outside the calendar": document(expires_at="9999-12-31T23:59:59-01:00"),
}


@pytest.mark.parametrize("content", CORRUPT.values(), ids=CORRUPT.keys())
def test_corrupt_content_is_left_byte_for_byte(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(content)
    store = FileStore(str(path))
    for call in (
        lambda: store.load(KEY),
        lambda: store.accounts("client"),
        lambda: put(store, "x", replacing=1),
        lambda: store.delete(KEY),
    ):
        with pytest.raises(StoreCorrupt) as caught:
            call()
        assert str(path) in str(caught.value)
        assert "tok-3n" not in str(caught.value)
        assert caught.value.__suppress_context__
        assert path.read_bytes() == content
    assert not caplog.records
    assert {p.name for p in path.parent.iterdir()} <= {"tokens.json", "tokens.json.lock"}

    # A new login moves it aside, and logs its new name.
    version = put(store, "new login")
    assert version > 1
    assert list(store.accounts("client")) == ["default"]
    (aside,) = path.parent.glob("tokens.json.corrupt-*")
    assert aside.read_bytes() == content
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("trakt_auth", logging.WARNING)
    assert str(aside) in record.getMessage()
    assert "tok-3n" not in record.getMessage()


def test_two_corrupt_files_are_both_kept(path: Path) -> None:
    for content in (b"first", b"second"):
        path.write_bytes(content)
        put(FileStore(str(path)), "x")
    kept = sorted(aside.read_bytes() for aside in path.parent.glob("*.corrupt-*"))
    assert kept == [b"first", b"second"]


def test_corrupt_content_that_cannot_be_moved_is_not_overwritten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"rubbish")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(StoreUnavailable):
        put(FileStore(str(path)), "x")
    assert path.read_bytes() == b"rubbish"


@pytest.mark.parametrize("format_", [2, 99, 10**30])
def test_a_newer_format_is_neither_corrupt_nor_moved(path: Path, format_: int) -> None:
    content = json.dumps({"trakt-auth": format_, "what": "ever"}).encode()
    path.write_bytes(content)
    store = FileStore(str(path))
    for call in (
        lambda: store.load(KEY),
        lambda: store.accounts("client"),
        lambda: put(store, "x", replacing=1),
        lambda: put(store, "x"),
        lambda: store.delete(KEY),
    ):
        with pytest.raises(StoreUnavailable, match="newer") as caught:
            call()
        assert "Upgrade" in caught.value.hint
    assert path.read_bytes() == content
    assert {p.name for p in path.parent.iterdir()} == {"tokens.json", "tokens.json.lock"}


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary() | st.integers(0, 80).map(lambda cut: document()[:cut]))
def test_any_bytes_are_a_store_error_or_a_store(tmp_path: Path, content: bytes) -> None:
    target = tmp_path / "any"
    target.write_bytes(content)
    try:
        FileStore(str(target)).load(KEY)
    except StoreError as error:
        message = str(error)
        assert str(target) in message
    assert target.read_bytes() == content


def test_versions_do_not_repeat_after_the_file_was_lost(path: Path) -> None:
    store = FileStore(str(path))
    version = put(store, "x")
    path.unlink()
    path.with_name("tokens.json.lock").unlink()
    with pytest.raises(StoreConflict):
        put(store, "late", replacing=version)
    # A clock that stands still is the worst case: milliseconds since 1970.
    assert version > 1_700_000_000_000


# -- file: what cannot be written ----------------------------------------------------------------


def below_a_file(tmp_path: Path) -> str:
    (tmp_path / "file").write_text("x")
    return f"{tmp_path}/file/tokens.json"


def a_folder(tmp_path: Path) -> str:
    (tmp_path / "folder").mkdir()
    return f"{tmp_path}/folder"


def too_long(tmp_path: Path) -> str:
    return f"{tmp_path}/{'x' * 300}"


@pytest.mark.parametrize("where", [below_a_file, a_folder, too_long])
def test_a_path_that_can_be_neither_read_nor_written(
    tmp_path: Path, where: Callable[[Path], str]
) -> None:
    store = FileStore(where(tmp_path))
    for call in (
        lambda: store.load(KEY),
        lambda: store.accounts("client"),
        lambda: put(store, "x"),
        lambda: put(store, "x", replacing=1),
        lambda: store.delete(KEY),
    ):
        with pytest.raises(StoreUnavailable, match="cannot be") as caught:
            call()
        assert "--store" in caught.value.hint
        assert caught.value.retryable


@pytest.mark.parametrize("where", [below_a_file, too_long])
def test_a_lock_that_cannot_be_made(tmp_path: Path, where: Callable[[Path], str]) -> None:
    lock = FileStore(where(tmp_path)).lock(KEY)
    with pytest.raises(StoreUnavailable, match="lock file"):
        lock.acquire()
    lock.release()


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="only Linux has such a place")
def test_a_read_only_place() -> None:
    # Even root cannot make files here.
    store = FileStore("/sys/kernel/tokens.json")
    assert store.load(KEY) is None
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        put(store, "x")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        store.lock(KEY).acquire()


@pytest.mark.parametrize("failing", ["open", "fsync", "replace", "write"])
def test_a_full_disk_leaves_the_old_content(
    path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    store = FileStore(str(path))
    version = put(store, "old")
    content = path.read_bytes()
    really_open = os.open

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def open_elsewhere(name: str, flags: int, *rest: int, **more: int) -> int:
        if not str(name).endswith(".new"):
            return really_open(name, flags, *rest, **more)
        return full() if failing == "open" else really_open("/dev/full", os.O_WRONLY)

    with monkeypatch.context() as patch:
        if failing in ("open", "write"):
            patch.setattr(os, "open", open_elsewhere)
        else:
            patch.setattr(os, failing, full)
        for call in (lambda: put(store, "new", replacing=version), lambda: put(store, "new")):
            with pytest.raises(StoreUnavailable, match="No space left"):
                call()
        with pytest.raises(StoreUnavailable, match="No space left"):
            store.delete(KEY)
    assert path.read_bytes() == content
    assert len(list(path.parent.glob("*.new"))) <= 1
    put(store, "new", replacing=version)  # and the lock was released
    assert not list(path.parent.glob("*.new"))


def test_content_is_synced_before_it_is_renamed_and_the_folder_after(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watch_fsync(handle: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        order.append(f"sync {kind}")
        fsync(handle)

    def watch_replace(old: str, new: str) -> None:
        order.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(os, "replace", watch_replace)
    put(FileStore(str(path)), "x")
    assert order == ["sync file", "rename", "sync folder"]


def test_what_a_crash_left_is_cleaned_up(path: Path) -> None:
    left = path.with_name("tokens.json.new")
    left.write_bytes(b'{"half')
    left.chmod(0o644)
    put(FileStore(str(path)), "x")
    assert not left.exists()
    assert mode(path) == 0o600


def test_a_writer_that_never_ends(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_store, "WRITE_WAIT", 0.01)
    with (
        filelock.FileLock(f"{path}.lock", thread_local=False),
        pytest.raises(LockTimeout, match="locked for"),
    ):
        raise in_threads([lambda: put(FileStore(str(path)), "x")])[0]
    assert put(FileStore(str(path)), "x")


def test_writers_of_one_process_queue_in_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All writes together take longer than a writer waits for another one."""
    monkeypatch.setattr(file_store, "WRITE_WAIT", 1.0)
    order: list[str] = []
    all_wait = threading.Event()
    write = FileStore._write

    def slow(store: FileStore, document: Document) -> None:
        assert all_wait.wait(0.9)
        time.sleep(0.05)
        write(store, document)
        (newest,) = (s.payload for s in document.records.values() if s.version == document.version)
        order.append(newest)

    monkeypatch.setattr(FileStore, "_write", slow)
    numbers = [str(number) for number in range(32)]
    threads = [
        threading.Thread(target=put, args=(FileStore(str(path)), number)) for number in numbers
    ]
    turns = turns_at(os.path.realpath(path))
    for waiting, thread in enumerate(threads, 1):
        thread.start()
        until = time.monotonic() + 10
        while len(turns._queue) < waiting:
            assert time.monotonic() < until
            time.sleep(0.0005)
    all_wait.set()
    for thread in threads:
        thread.join(30)
    assert order == numbers


def test_a_writer_that_never_ends_ends_the_wait_of_all(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_store, "WRITE_WAIT", 0.2)
    begun = time.monotonic()
    with filelock.FileLock(f"{path}.lock", thread_local=False):
        raised = in_threads([partial(put, FileStore(str(path)), "x") for _ in range(32)])
    assert [type(error) for error in raised] == [LockTimeout] * 32
    assert time.monotonic() - begun < 3  # not one after the other


def test_a_long_queue_lets_other_processes_in(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(file_lock.time, "sleep", pauses.append)
    turns = turns_at(os.path.realpath(path))
    put(FileStore(str(path)), "one")
    assert pauses == []
    with turns.turn(1):
        turns.since = time.monotonic() - 1
        thread = threading.Thread(target=put, args=(FileStore(str(path)), "two"))
        thread.start()
        until = time.monotonic() + 10
        while len(turns._queue) < 2:
            assert time.monotonic() < until
    thread.join(30)
    assert pauses == [2 * file_lock.POLL]
    put(FileStore(str(path)), "three")
    assert len(pauses) == 1


# -- file: other processes -----------------------------------------------------------------------

PREPARED = """
import json, os, random, signal, sys, time
from trakt_auth.errors import StoreError
from trakt_auth.stores.record import AccountKey
from trakt_auth.stores.file import FileStore
path = sys.argv[1]
store = FileStore(path)
KEY = AccountKey("client", "default")
"""


def start(script: str, path: Path, *arguments: object) -> subprocess.Popen[str]:
    source = str(Path(file_store.__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", PREPARED + script, str(path), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": source},
    )


READER = """
import select
print("ready", flush=True)
seen, last = 0, 0
while not select.select([0], [], [], 0)[0]:  # until the test closes the pipe
    stored = store.load(KEY)
    assert stored.payload == stored.payload[0] * 5000 and stored.version >= last
    seen, last = seen + (stored.version > last), stored.version
print(seen)
"""


def test_a_reader_never_sees_half_a_file(path: Path) -> None:
    store = FileStore(str(path))
    put(store, "a" * 5000)
    with start(READER, path) as reader:
        assert reader.stdout is not None
        assert reader.stdin is not None
        assert reader.stdout.readline() == "ready\n"
        for number in range(150):
            put(store, "abcdefghij"[number % 10] * 5000)
        reader.stdin.close()
        seen = int(reader.stdout.read())
    assert reader.returncode == 0
    assert seen > 5  # they did overlap


# One process that forks the writers: starting an interpreter for each would take most of the time.
KILLER = """
random.seed(int(sys.argv[2]))
letters = "abcdefghij"
store.save(KEY, "a" * 5000, expires_at=None, replacing=None)
before, stages = store.load(KEY).version, set()
for _ in range(50):
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        number = 0
        while True:
            number += 1
            text = letters[number % 10] * 5000
            store.save(KEY, text, expires_at=None, replacing=None)
            os.write(tell, b".")
    os.close(tell)
    os.read(told, 1)  # it is writing; kill it at a random moment of the next two milliseconds
    end = time.perf_counter() + random.random() * 0.003
    while time.perf_counter() < end:
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(told)
    names = set(os.listdir(os.path.dirname(path)))
    assert names <= {"tokens.json", "tokens.json.lock", "tokens.json.new"}, names
    stages.add("tokens.json.new" in names)
    stored = store.load(KEY)
    assert stored.payload == stored.payload[0] * 5000
    assert stored.version > before
    before = stored.version
store.save(KEY, "end", expires_at=None, replacing=before)
assert not os.path.exists(path + ".new")
print("left behind" if True in stages else "never left behind")
"""


def test_fifty_writers_killed_at_random_moments(path: Path) -> None:
    with start(KILLER, path, 20261123) as killer:
        assert killer.stdout is not None
        said = killer.stdout.read()
    assert killer.returncode == 0
    assert said == "left behind\n"  # some died between the creation of the file and its renaming
    assert FileStore(str(path)).load(KEY) is not None


def test_a_lock_ends_with_its_holder(path: Path) -> None:
    script = (
        "lock = store.lock(KEY)\nassert lock.acquire()\nprint('held', flush=True)\nsys.stdin.read()"
    )
    lock = FileStore(str(path)).lock(KEY)
    with start(script, path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not lock.acquire()
        holder.kill()
    assert lock.acquire()
    lock.release()


COUNTER = """
print("ready", flush=True)
sys.stdin.readline()
lock = store.lock(KEY)
for _ in range(40):
    while not lock.acquire():
        os.sched_yield()
    # Without a version: only the lock protects the time between reading and writing.
    number = int(store.load(KEY).payload)
    store.save(KEY, str(number + 1), expires_at=None, replacing=None)
    lock.release()
"""


def test_two_processes_under_the_lock_lose_no_update(path: Path) -> None:
    put(FileStore(str(path)), "0")
    workers = [start(COUNTER, path) for _ in range(2)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.communicate("go\n", timeout=30)
    assert [worker.returncode for worker in workers] == [0, 0]
    stored = FileStore(str(path)).load(KEY)
    assert stored is not None
    assert stored.payload == "80"


def test_a_file_system_without_real_locks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """filelock would use a file instead, which stays locked after its holder has died."""
    import fcntl

    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    store = FileStore(str(tmp_path / "tokens"))
    for call in (store.lock(KEY).acquire, partial(put, store, "x")):
        with pytest.raises(StoreUnavailable, match="Function not implemented") as caught:
            call()
        assert "local disk" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("file:a?b@c", "file:a?b@c"),
        ("postgresql://me:geheim@host/db", "postgresql://...@host/db"),
        ("postgresql://h/db?user=u&password=geheim", "postgresql://h/db?..."),
        ("postgresql://me@h/db?sslpassword=geheim", "postgresql://...@h/db?..."),
        ("rediss://h?ssl_password=ge@heim", "rediss://..."),
        ("redis://me:ge?heim@h/0", "redis://..."),
        ("redis://me:ge@heim@h/0", "redis://...@h/0"),
    ],
)
def test_a_store_is_shown_without_secrets(url: str, seen: str) -> None:
    assert shown(url) == seen


def test_a_store_is_the_same_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pair that is kept for one store is found again for that store, and for no other."""
    monkeypatch.chdir(tmp_path)
    for same in (
        [f"file:{tmp_path}/t", "file:t", "FILE:./t", f"file://{tmp_path}/x/../t"],
        ["postgres://me:one@h/db?sslmode=x&password=y", "postgresql://me:two@h/db?sslmode=x"],
        ["postgresql+psycopg://me:one@h/db", "postgresql://me:two@h/db"],
        ["redis://me:one@h:6379/1", "redis://me:two@h:6379/1"],
        ["unix://me:one@/run/r.sock?db=1", "unix://me:two@/run/r.sock?db=1"],
        ["keyring:", "keyring:"],
    ):
        assert len({identity(url) for url in same}) == 1
        assert "one" not in identity(same[0])
    different = [
        *("file:t", "sqlite:t", "redis://h/1", "redis://h/2", "rediss://h/1", "redis://g/1"),
        *("postgresql://me@h/db", "postgresql://you@h/db", "postgresql://h/db?options=x"),
        *("keyring:", "keyring:other"),
    ]
    assert len({identity(url) for url in different}) == len(different)
    here = identity("file:t")
    monkeypatch.chdir("/")
    assert identity("file:t") != here
