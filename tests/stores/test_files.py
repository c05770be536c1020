"""Where a file may be: mounted by itself, on a read-only disk, empty, a pipe, another user's."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from trakt_auth.errors import StoreError, StoreUnavailable
from trakt_auth.stores import open_store
from trakt_auth.stores.engines import files
from trakt_auth.stores.engines.sqlite_connection import CHECK_EVERY
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import AccountKey

KEY = AccountKey("client", "default")
KINDS = ("file", "sqlite")
Mount = Callable[..., None]

as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may do this"
)


def put(store: TokenStore, text: str, *, replacing: int | None = None) -> int:
    return store.save(KEY, text, expires_at=None, replacing=replacing)


def payload(store: TokenStore) -> str | None:
    stored = store.load(KEY)
    return None if stored is None else stored.payload


@pytest.fixture
def stores() -> Iterator[Callable[[str], TokenStore]]:
    with ExitStack() as stack:

        def opened(url: str) -> TokenStore:
            store = open_store(url)
            stack.callback(store.close)
            return store

        yield opened


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mount one place at another, and unmount it after the test."""
    with ExitStack() as stack:

        def mounted(source: Path, target: Path, *, read_only: bool = False) -> None:
            done = subprocess.run(["mount", "--bind", source, target], check=False)
            if done.returncode:
                pytest.skip("nothing can be mounted here")
            stack.callback(subprocess.run, ["umount", "--lazy", target], check=False)
            if read_only:
                subprocess.run(["mount", "-o", "remount,bind,ro", target], check=True)

        yield mounted


# -- an empty file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("replacing", [None, 0])
def test_an_empty_file_is_no_store_yet(
    tmp_path: Path, stores: Callable[[str], TokenStore], kind: str, replacing: int | None
) -> None:
    path = tmp_path / "tokens"
    path.touch()
    store = stores(f"{kind}:{path}")
    assert store.load(KEY) is None
    assert list(store.accounts("client")) == []
    store.delete(KEY)
    put(store, "one", replacing=replacing)
    assert payload(stores(f"{kind}:{path}")) == "one"
    assert not list(tmp_path.glob("*corrupt*"))


# -- mounts ----------------------------------------------------------------------------------------


@as_root
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["tokens", "with space\\and\tmore"])
def test_a_file_mounted_by_itself_is_read_and_refused_before_anything_is_written(
    tmp_path: Path, mount: Mount, stores: Callable[[str], TokenStore], kind: str, name: str
) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside" / name
    writer = stores(f"{kind}:{outside}")
    put(writer, "one")
    writer.close()
    content = outside.read_bytes()
    inside.parent.mkdir()
    inside.touch()
    mount(outside, inside)
    store = stores(f"{kind}:{inside}")
    assert payload(store) == "one"
    for write in (
        lambda: store.lock(KEY).acquire(),
        lambda: put(store, "two"),
        lambda: store.delete(KEY),
    ):
        with pytest.raises(StoreUnavailable, match="mounted by itself") as caught:
            write()
        assert "Mount the file's folder" in (caught.value.hint or "")
    assert outside.read_bytes() == content
    assert payload(store) == "one"


@as_root
@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_file_mounted_by_itself_is_refused(
    tmp_path: Path, mount: Mount, stores: Callable[[str], TokenStore], kind: str
) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.touch()
    inside.touch()
    mount(outside, inside)
    store = stores(f"{kind}:{inside}")
    assert store.load(KEY) is None
    for write in (lambda: store.lock(KEY).acquire(), lambda: put(store, "x")):
        with pytest.raises(StoreUnavailable, match="mounted by itself"):
            write()
    assert outside.read_bytes() == b""


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EXDEV])
def test_a_mount_that_only_the_kernel_knows_is_explained_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stores: Callable[[str], TokenStore], code: int
) -> None:
    store = stores(f"file:{tmp_path}/tokens")
    put(store, "one")
    monkeypatch.setattr(files, "MOUNTS", str(tmp_path / "missing"))

    def busy(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", busy)
    with pytest.raises(StoreUnavailable, match="mounted by itself"):
        put(store, "two")
    assert payload(store) == "one"


@as_root
@pytest.mark.parametrize("kind", KINDS)
def test_a_store_on_a_read_only_disk_can_be_read(
    tmp_path: Path, mount: Mount, stores: Callable[[str], TokenStore], kind: str
) -> None:
    writable, read_only = tmp_path / "writable", tmp_path / "read only"
    read_only.mkdir()
    writer = stores(f"{kind}:{writable}/tokens")
    put(writer, "one")
    writer.close()
    (writable / "tokens").chmod(0o644)
    mount(writable, read_only, read_only=True)
    reader = stores(f"{kind}:{read_only}/tokens")
    assert payload(reader) == "one"
    assert list(reader.accounts("client")) == ["default"]
    for write in (lambda: reader.lock(KEY).acquire(), lambda: put(reader, "x")):
        with pytest.raises(StoreUnavailable, match=r"[Rr]ead-?only"):
            write()
    for text in ("two", "three"):  # what is written on the other side is seen
        put(writer, text)
        time.sleep(CHECK_EVERY)
        assert payload(reader) == text
        writer.close()
        time.sleep(CHECK_EVERY)
        assert payload(reader) == text


# -- no regular file -------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("kind", KINDS)
def test_a_named_pipe_is_refused_and_not_waited_for(
    tmp_path: Path, stores: Callable[[str], TokenStore], kind: str
) -> None:
    path = tmp_path / "tokens"
    os.mkfifo(path)
    store = stores(f"{kind}:{path}")
    raised: list[BaseException] = []

    def use() -> None:
        for call in (lambda: store.load(KEY), lambda: put(store, "x"), lambda: store.delete(KEY)):
            try:
                call()
            except StoreError as error:
                raised.append(error)

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert [type(error) for error in raised] == [StoreUnavailable] * 3
    assert all("not a regular file" in str(error) for error in raised)
    assert stat.S_ISFIFO(path.stat().st_mode)


# -- owners and modes ------------------------------------------------------------------------------


@as_root
@pytest.mark.parametrize("kind", KINDS)
def test_root_leaves_files_to_their_owner(
    tmp_path: Path, stores: Callable[[str], TokenStore], kind: str
) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    os.chown(folder, 12345, 23456)
    store = stores(f"{kind}:{folder}/new/folder/tokens")
    lock = store.lock(KEY)
    assert lock.acquire()
    put(store, "one")
    put(store, "two")
    owners = {path: (path.stat().st_uid, path.stat().st_gid) for path in folder.rglob("*")}
    assert len(owners) >= 5  # two folders, the store, two locks
    assert set(owners.values()) == {(12345, 23456)}
    os.chown(folder / "new/folder/tokens", 34567, 45678)  # the file's own owner goes first
    put(store, "three")
    found = (folder / "new/folder/tokens").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (34567, 45678, 0o600)
    lock.release()


def test_files_of_sqlite_of_another_mode_are_private_after_opening(
    tmp_path: Path, stores: Callable[[str], TokenStore]
) -> None:
    path = tmp_path / "tokens"
    put(stores(f"sqlite:{path}"), "one")
    names = [path, tmp_path / "tokens-wal", tmp_path / "tokens-shm"]
    for name in names:
        name.chmod(0o644)
    assert payload(stores(f"sqlite:{path}")) == "one"
    assert {stat.S_IMODE(name.stat().st_mode) for name in names} == {0o600}


def test_a_file_whose_owner_cannot_be_set_is_closed_again(tmp_path, monkeypatch):
    def refuse(handle, *_owner):
        opened.append(handle)
        raise PermissionError(1, "not permitted")

    opened = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(PermissionError):
        files.create_private(str(tmp_path / "new"), like=str(tmp_path / "old"))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


def test_a_folder_that_another_process_makes_first_is_used(tmp_path, monkeypatch):
    files.make_folder(str(tmp_path / "there"))
    files.make_folder(str(tmp_path / "there"))
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        files.make_folder(str(tmp_path / "file"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    files.make_folder(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
