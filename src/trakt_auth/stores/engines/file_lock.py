"""Kernel locks on files of their own: one for each account, one for writing a store's file.

And the only file that uses filelock. They end with their holder, however it ends.
"""
# (pathlib would slow down every `trakt-auth token`)

from __future__ import annotations

import errno
import math
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trakt_auth.errors import LockTimeout, StoreUnavailable
from trakt_auth.stores.engines.files import PRIVATE, unavailable
from trakt_auth.stores.record import AccountKey

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["FileStoreLock", "account_lock", "only_writer"]

NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
ELSEWHERE = (
    "Its file system has no real locks: put the store on a local disk, or use one that needs none,"
    " e.g. postgresql://..."
)


def account_lock(path: str, key: AccountKey) -> FileStoreLock:
    """Return the lock of an account of the store at `path`, not taken yet."""
    from hashlib import sha256

    name = f"{key.client_id}\0{key.account}".encode(errors="surrogatepass")
    return FileStoreLock(f"{path}.{sha256(name).hexdigest()[:16]}.lock")


@contextmanager
def only_writer(path: str, what: str, wait: float) -> Generator[None, None, None]:
    """Be the only one who writes the file; make its folder if it is missing.

    Raises: LockTimeout, StoreUnavailable.
    """
    from filelock import Timeout

    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        lock = _file_lock(f"{path}.lock")
        lock.acquire(timeout=wait, poll_interval=0.005)
    except Timeout:
        raise LockTimeout(f"The {what} {path} has been locked for {wait:.0f} seconds") from None
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise _unusable(f"{path}.lock", error) from None
        raise unavailable(what, path, "written", error) from None
    try:
        yield
    finally:
        lock.release()


class FileStoreLock:
    """One account's lock: a kernel lock on a file of its own, which ends with its holder."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock: BaseFileLock | None = None

    def acquire(self) -> bool:
        """Take it if it is free.

        Raises: StoreUnavailable.
        """
        from filelock import Timeout

        lock = _file_lock(self._path)
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as error:
            raise _unusable(self._path, error) from None
        self._lock = lock
        return True

    def remaining(self) -> float:
        """Return infinity: it cannot lapse."""
        return math.inf

    def release(self) -> None:
        """Give it back."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _unusable(path: str, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"The lock file {path} cannot be used: {error.strerror or error}",
        hint=ELSEWHERE if error.errno in NO_LOCKS else None,
    )


def _file_lock(path: str) -> BaseFileLock:
    from filelock import FileLock

    # Not shared over threads: two threads of one process exclude each other as well. A lock that is
    # only a file, for file systems without the real one, would outlive a holder that dies.
    return FileLock(path, thread_local=False, mode=PRIVATE, fallback_to_soft=False)
