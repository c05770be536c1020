"""Tokens in one private file: for scripts, and wherever there is no keyring.

Layer 4, and the only file that uses filelock. `open_store` imports this file.

Every write makes a new file, 0600 from birth, syncs it and renames it over the old one, so a
reader sees the old content or the new and a crash leaves no half. Locks are the kernel's: they
end with their holder.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trakt_auth.errors import LockTimeout, StoreConflict, StoreCorrupt, StoreUnavailable
from trakt_auth.records import AccountKey, Stored

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["FileStore"]

FORMAT = 1
WRITE_WAIT = 10.0  # seconds; a write takes milliseconds, so waiting longer means a dead disk
PRIVATE = 0o600


@dataclass(slots=True)
class _Content:
    """The whole file: the last version given out, and the records."""

    version: int
    records: dict[AccountKey, Stored]


class FileStore:
    """Keeps records in a JSON file that only its owner can read."""

    def __init__(self, path: str) -> None:
        # A link is followed once, so that renaming replaces the file and not the link.
        self.path = os.path.realpath(os.path.expanduser(path))

    def load(self, key: AccountKey) -> Stored | None:
        """Return what is kept, None when nothing is.

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
        """Keep a payload durably, return its version.

        With `replacing` None an unreadable file is first moved aside; a warning names it.

        Raises: StoreConflict, StoreUnavailable, StoreCorrupt.
        """
        with self._writing():
            content = self._read() if replacing is not None else self._read_or_move_aside()
            there = content.records.get(key)
            if replacing is not None and (there is None or there.version != replacing):
                raise StoreConflict(f"Account {key.account!r} was changed by somebody else")
            content.version += 1
            content.records[key] = Stored(
                payload=payload, version=content.version, expires_at=expires_at
            )
            self._write(content)
            return content.version

    def delete(self, key: AccountKey) -> None:
        """Forget; harmless when there is nothing.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        with self._writing():
            content = self._read()
            if content.records.pop(key, None) is not None:
                self._write(content)

    def lock(self, key: AccountKey) -> FileStoreLock:
        """Return a lock that has not been taken yet."""
        from hashlib import sha256

        name = f"{key.client_id}\0{key.account}".encode(errors="surrogatepass")
        return FileStoreLock(f"{self.path}.{sha256(name).hexdigest()[:16]}.lock")

    def accounts(self, client_id: str) -> list[str]:
        """Return the names of an application's accounts, sorted.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        keys = self._read().records
        return sorted(key.account for key in keys if key.client_id == client_id and key.account)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    # -- reading ---------------------------------------------------------------------------------

    def _read(self) -> _Content:
        try:
            with open(self.path, "rb") as file:
                text = file.read()
        except FileNotFoundError:
            return _Content(_first_version(), {})
        except OSError as error:
            raise self._unavailable("read", error) from None
        try:
            return _parse(json.loads(text))
        except _NewerError:
            raise StoreUnavailable(
                f"The token file {self.path} was written by a newer version of trakt-auth",
                hint="Upgrade trakt-auth, or name another file.",
            ) from None
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError, OverflowError):
            # Not chained: the cause would carry the text, tokens included.
            raise StoreCorrupt(f"The token file {self.path} is not readable as one") from None

    def _read_or_move_aside(self) -> _Content:
        try:
            return self._read()
        except StoreCorrupt:
            aside = f"{self.path}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
            try:
                os.rename(self.path, aside)
            except OSError as error:
                raise self._unavailable("written", error) from None
            import logging

            logging.getLogger("trakt_auth").warning(
                "The unreadable token file %s was kept as %s", self.path, aside
            )
            return _Content(_first_version(), {})

    # -- writing ---------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Generator[None, None, None]:
        from filelock import Timeout

        folder = os.path.dirname(self.path)
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            lock = _file_lock(f"{self.path}.lock")
            lock.acquire(timeout=WRITE_WAIT, poll_interval=0.005)
        except Timeout:
            raise LockTimeout(
                f"The token file {self.path} has been locked for {WRITE_WAIT:.0f} seconds"
            ) from None
        except OSError as error:
            raise self._unavailable("written", error) from None
        try:
            yield
        finally:
            lock.release()

    def _write(self, content: _Content) -> None:
        new = f"{self.path}.new"
        try:
            # Nobody else writes while we hold the lock: what is there was left by a crash.
            with suppress(FileNotFoundError):
                os.unlink(new)
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
            with open(handle, "wb") as file:
                file.write(_dump(content))
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self.path)
            _sync_folder(os.path.dirname(self.path))
        except OSError as error:
            raise self._unavailable("written", error) from None

    def _unavailable(self, what: str, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(
            f"The token file {self.path} cannot be {what}: {error.strerror or error}",
            hint="Check its folder, its owner and the free space, or name another with --store.",
        )


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
            raise StoreUnavailable(
                f"The lock file {self._path} cannot be used: {error.strerror or error}"
            ) from None
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


def _first_version() -> int:
    # Not 0: a file that was lost or moved aside must not give out its old versions again.
    return time.time_ns() // 1_000_000


def _file_lock(path: str) -> BaseFileLock:
    from filelock import FileLock

    # Not shared over threads: two threads of one process exclude each other as well.
    return FileLock(path, thread_local=False, mode=PRIVATE)


def _sync_folder(folder: str) -> None:
    if os.name == "nt":  # pragma: no cover - there a folder cannot be opened, nor needs to be
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _NewerError(Exception):
    """The file's format is newer than this library."""


def _parse(document: Any) -> _Content:  # noqa: ANN401 - that it is what we wrote is found out here
    format_ = document["trakt-auth"]
    if isinstance(format_, int) and format_ > FORMAT:
        raise _NewerError
    records: dict[AccountKey, Stored] = {}
    for entry in document["records"]:
        client_id, account, payload = entry["client_id"], entry["account"], entry["payload"]
        if not all(isinstance(text, str) for text in (client_id, account, payload)):
            raise TypeError
        end = entry["expires_at"]
        records[AccountKey(client_id, account)] = Stored(
            payload=payload,
            version=int(entry["version"]),
            expires_at=None if end is None else datetime.fromisoformat(end).astimezone(UTC),
        )
    return _Content(int(document["version"]), records)


def _dump(content: _Content) -> bytes:
    records = [
        {
            "client_id": key.client_id,
            "account": key.account,
            "version": stored.version,
            "expires_at": stored.expires_at.isoformat() if stored.expires_at else None,
            "payload": stored.payload,
        }
        for key, stored in content.records.items()
    ]
    document = {"trakt-auth": FORMAT, "version": content.version, "records": records}
    return (json.dumps(document, indent=1) + "\n").encode()
