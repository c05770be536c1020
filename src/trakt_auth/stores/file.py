"""Tokens in one private file: for scripts, and wherever there is no keyring.

Every write makes a new file, 0600 from birth, syncs it and renames it over the old one, so a
reader sees the old content or the new and a crash leaves no half. Locks are the kernel's: they
end with their holder.
"""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trakt_auth.errors import StoreCorrupt, StoreUnavailable
from trakt_auth.stores.engines.file_lock import FileStoreLock, account_lock, only_writer
from trakt_auth.stores.engines.files import (
    PRIVATE,
    first_version,
    move_aside,
    sync_folder,
    unavailable,
)
from trakt_auth.stores.record import LEASE, NOTHING, AccountKey, Stored, changed, due_first

__all__ = ["FileStore"]

FORMAT = 1
WRITE_WAIT = 10.0  # seconds; a write takes milliseconds, so waiting longer means a dead disk
WHAT = "token file"


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
            if replacing is not None and replacing != (there.version if there else NOTHING):
                raise changed(key)
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

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> FileStoreLock:  # noqa: ARG002
        """Return a lock that has not been taken yet."""
        return account_lock(self.path, key)

    def accounts(self, client_id: str) -> list[str]:
        """Return the names of an application's accounts, sorted.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        keys = self._read().records
        return sorted(key.account for key in keys if key.client_id == client_id and key.account)

    def due(self, client_id: str, *, before: datetime, limit: int) -> list[str]:
        """Return the accounts whose token ends before a moment, the first to end first.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        return due_first(self._read().records, client_id, before=before, limit=limit)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    # -- reading ---------------------------------------------------------------------------------

    def _read(self) -> _Content:
        try:
            with open(self.path, "rb") as file:
                text = file.read()
        except FileNotFoundError:
            return _Content(first_version(), {})
        except OSError as error:
            raise unavailable(WHAT, self.path, "read", error) from None
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
            move_aside(self.path, WHAT)
            return _Content(first_version(), {})

    # -- writing ---------------------------------------------------------------------------------

    def _writing(self) -> AbstractContextManager[None]:
        return only_writer(self.path, WHAT, WRITE_WAIT)

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
            sync_folder(os.path.dirname(self.path))
        except OSError as error:
            raise unavailable(WHAT, self.path, "written", error) from None


class _NewerError(Exception):
    """The file's format is newer than this library."""


def _parse(document: Any) -> _Content:  # noqa: ANN401 - that it is what we wrote is found out here
    format_ = document["trakt-auth"]
    if isinstance(format_, int) and format_ > FORMAT:
        raise _NewerError
    records: dict[AccountKey, Stored] = {}
    for entry in document["records"]:
        client_id, account, payload = (
            _text(entry[name]) for name in ("client_id", "account", "payload")
        )
        end = entry["expires_at"]
        records[AccountKey(client_id, account)] = Stored(
            payload=payload,
            version=int(entry["version"]),
            expires_at=None if end is None else datetime.fromisoformat(end).astimezone(UTC),
        )
    return _Content(int(document["version"]), records)


def _json(text: str) -> str | dict[str, str]:
    try:
        text.encode()
    except UnicodeEncodeError:  # halves of characters; JSON would join two of them
        return {"hex": text.encode(errors="surrogatepass").hex()}
    return text


def _text(value: Any) -> str:  # noqa: ANN401 - see _parse
    if isinstance(value, str):
        return value
    return bytes.fromhex(value["hex"]).decode(errors="surrogatepass")


def _dump(content: _Content) -> bytes:
    records = [
        {
            "client_id": _json(key.client_id),
            "account": _json(key.account),
            "version": stored.version,
            "expires_at": stored.expires_at.isoformat() if stored.expires_at else None,
            "payload": _json(stored.payload),
        }
        for key, stored in content.records.items()
    ]
    document = {"trakt-auth": FORMAT, "version": content.version, "records": records}
    return (json.dumps(document, indent=1) + "\n").encode()
