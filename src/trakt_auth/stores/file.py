"""Tokens in one private file: for scripts, and wherever the system has no keychain.

Every write makes a new file with mode 0600, syncs it and renames it over the old one, so a reader
sees the old content or the new one, and a crash leaves nothing half-written. Locks are the
kernel's, which end when their holder ends. Which save is a conflict is not decided here.
"""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from typing import Any

from trakt_auth.errors import StoreCorrupt, StoreUnavailable
from trakt_auth.stores.document import Document, DocumentStore
from trakt_auth.stores.engines.columns import to_bytes, to_text
from trakt_auth.stores.engines.file_lock import FileStoreLock, account_lock, write_lock
from trakt_auth.stores.engines.files import (
    create_private,
    first_version,
    move_aside,
    open_regular,
    sync_folder,
    unavailable,
)
from trakt_auth.stores.record import LEASE, AccountKey, Stored

__all__ = ["FileStore"]

FORMAT = 1
WRITE_WAIT = 10.0  # seconds; a write takes milliseconds, so a longer wait means a disk that hangs
WHAT = "token file"


class FileStore(DocumentStore):
    """Keeps records in a JSON file that only its owner can read.

    A save that replaces any version moves an unreadable file aside first, and logs a warning with
    its new name.
    """

    def __init__(self, path: str) -> None:
        # Symbolic links are resolved: renaming must replace the file, not the link.
        self.path: str = os.path.realpath(os.path.expanduser(path))

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> FileStoreLock:  # noqa: ARG002
        """Return a lock that has not been acquired yet."""
        return account_lock(self.path, key)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    # -- reading ---------------------------------------------------------------------------------

    def _read(self) -> Document:
        try:
            with open(open_regular(self.path), "rb") as file:
                text = file.read()
        except FileNotFoundError:
            return Document(first_version(), {})
        except OSError as error:
            raise unavailable(WHAT, self.path, "read", error) from None
        if not text.strip():  # made by `touch`, or to be mounted into a container
            return Document(first_version(), {})
        try:
            return _parse(json.loads(text))
        except _NewerError:
            raise StoreUnavailable(
                f"The token file {self.path} was written by a newer version of trakt-auth",
                hint="Upgrade trakt-auth, or name another file.",
            ) from None
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError, OverflowError):
            # Not chained: the cause would carry the text, tokens included.
            raise StoreCorrupt(f"{self.path} is not a readable token file") from None

    def _read_to_overwrite(self) -> Document:
        try:
            return self._read()
        except StoreCorrupt:
            move_aside(self.path, WHAT)
            return Document(first_version(), {})

    # -- writing ---------------------------------------------------------------------------------

    def _only_writer(self) -> AbstractContextManager[object]:
        return write_lock(self.path, WHAT, WRITE_WAIT)

    def _write(self, document: Document) -> None:
        new = f"{self.path}.new"
        try:
            # This process has the write lock, so a file of this name was left by a crash.
            with suppress(FileNotFoundError):
                os.unlink(new)
            with open(create_private(new, like=self.path), "wb") as file:
                file.write(_dump(document))
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self.path)
            sync_folder(os.path.dirname(self.path))
        except OSError as error:
            raise unavailable(WHAT, self.path, "written", error) from None


class _NewerError(Exception):
    """The file's format is newer than this library."""


def _parse(content: Any) -> Document:  # noqa: ANN401 - any JSON; what is not ours raises
    format_ = content["trakt-auth"]
    if isinstance(format_, int) and format_ > FORMAT:
        raise _NewerError
    records: dict[AccountKey, Stored] = {}
    for entry in content["records"]:
        client_id, account, payload = (
            _from_json(entry[name]) for name in ("client_id", "account", "payload")
        )
        end = entry["expires_at"]
        records[AccountKey(client_id, account)] = Stored(
            payload=payload,
            version=int(entry["version"]),
            expires_at=None if end is None else datetime.fromisoformat(end).astimezone(UTC),
        )
    return Document(int(content["version"]), records)


def _dump(document: Document) -> bytes:
    records = [
        {
            "client_id": _to_json(key.client_id),
            "account": _to_json(key.account),
            "version": stored.version,
            "expires_at": stored.expires_at.isoformat() if stored.expires_at else None,
            "payload": _to_json(stored.payload),
        }
        for key, stored in document.records.items()
    ]
    content = {"trakt-auth": FORMAT, "version": document.version, "records": records}
    return (json.dumps(content, indent=1) + "\n").encode()


def _to_json(text: str) -> str | dict[str, str]:
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates; reading JSON would join two of them into one
        return {"hex": to_bytes(text).hex()}
    return text


def _from_json(value: Any) -> str:  # noqa: ANN401 - see _parse
    if isinstance(value, str):
        return value
    return to_text(bytes.fromhex(value["hex"]))
