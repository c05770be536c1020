"""Kernel locks on files: one file for each account, one for writing to a store.

The only file that uses filelock. The kernel releases a lock when its holder ends, for whatever
reason. What is written under a lock is not known here.
"""
# (pathlib would slow down every `trakt-auth token`)

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from trakt_auth.errors import LockTimeout, StoreUnavailable
from trakt_auth.stores.engines.columns import to_bytes
from trakt_auth.stores.engines.files import (
    PRIVATE,
    create_private,
    is_mounted,
    make_folder,
    mounted,
    unavailable,
)
from trakt_auth.stores.engines.turns import turns_at
from trakt_auth.stores.record import AccountKey

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["FileStoreLock", "account_lock", "write_lock"]

POLL = 0.005  # seconds between two tries to get a lock that another process has
STRETCH = 0.1  # seconds for which the threads of one process may keep the lock among themselves
UNSUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
USE_LOCAL_DISK = (
    "Its file system has no kernel locks: put the store on a local disk, or use a store that needs"
    " none, e.g. postgresql://..."
)


def account_lock(path: str, key: AccountKey) -> FileStoreLock:
    """Return the lock of an account of the store at `path`, not acquired yet."""
    from hashlib import sha256

    name = to_bytes(f"{key.client_id}\0{key.account}")
    return FileStoreLock(f"{path}.{sha256(name).hexdigest()[:16]}.lock", path)


@contextmanager
def write_lock(path: str, what: str, wait: float) -> Generator[None, None, None]:
    """Be the only writer of the file at `path`; make its folder if it is missing.

    Threads of this process take turns in the order in which they asked; the file lock is between
    processes. `what` names the file in errors; `wait` is the longest time in seconds to wait for
    another writer.

    Raises: LockTimeout, StoreUnavailable.
    """
    turns = turns_at(path)
    with ExitStack() as stack:
        try:
            left = stack.enter_context(turns.turn(wait))
            if time.monotonic() - turns.since > STRETCH:
                # Other processes poll, so they would never find the lock free.
                time.sleep(2 * POLL)
                turns.since = time.monotonic()
            lock = _acquired(path, what, left)
            turns.moved = time.monotonic()
        except TimeoutError:  # filelock's Timeout is one too
            raise LockTimeout(f"The {what} {path} has been locked for {wait:.0f} seconds") from None
        stack.callback(lock.release)
        yield


def _acquired(path: str, what: str, left: Callable[[], float]) -> BaseFileLock:
    try:
        if is_mounted(path):
            raise mounted(what, path)
        _prepare(f"{path}.lock")
        lock = _file_lock(f"{path}.lock")
        lock.acquire(timeout=max(left(), 0), poll_interval=POLL)
    except TimeoutError:
        raise
    except OSError as error:
        if error.errno in UNSUPPORTED:
            raise _unusable(f"{path}.lock", error) from None
        raise unavailable(what, path, "written", error) from None
    return lock


class FileStoreLock:
    """One account's lock: a kernel lock on a file of its own."""

    def __init__(self, path: str, store: str = "") -> None:
        """Name the lock file, and the file whose account it locks, which may be missing."""
        self._path, self._store = path, store
        self._lock: BaseFileLock | None = None

    def acquire(self) -> bool:
        """Acquire the lock if it is free; return whether it was.

        Raises: StoreUnavailable.
        """
        from filelock import Timeout

        if self._store and is_mounted(
            self._store
        ):  # said here too, before a user is asked to sign in
            raise mounted("file", self._store)
        lock = _file_lock(self._path)
        try:
            _prepare(self._path)
            lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            raise _unusable(self._path, error) from None
        self._lock = lock
        return True

    def remaining(self) -> float:
        """Return infinity: the lock does not expire."""
        return math.inf

    def release(self) -> None:
        """Release the lock; harmless when it is not held."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _prepare(path: str) -> None:
    """Create a lock file and its folder where they are missing."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        make_folder(folder)
    if not os.path.exists(path):
        with suppress(FileExistsError):
            os.close(create_private(path, like=path))


def _unusable(path: str, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"The lock file {path} cannot be used: {error.strerror or error}",
        hint=USE_LOCAL_DISK if error.errno in UNSUPPORTED else None,
    )


def _file_lock(path: str) -> BaseFileLock:
    from filelock import FileLock

    # Not thread-local: two threads of one process exclude each other too, and any thread may
    # release. No soft lock, which is filelock's replacement where the kernel has none: the file
    # would stay locked after its holder has died.
    return FileLock(path, thread_local=False, mode=PRIVATE, fallback_to_soft=False)
