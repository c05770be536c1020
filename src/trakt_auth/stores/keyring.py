"""Tokens in the keychain of the operating system: for desktops.

The texts of records and of the index are here. The library keyring is not used here, and no token
is interpreted.

A keychain has no compare-and-swap, and cannot list its entries. So every write happens under a
kernel lock, and an entry of its own, the index, lists the accounts. An account is added to the
index before its record is written, and removed after its record is deleted: a crash can leave a
name without a record, which is ignored, but no record without a name. Each record has its own
version and expiry.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import cast

from trakt_auth.errors import StoreCorrupt
from trakt_auth.stores.document import accounts_of, due_first
from trakt_auth.stores.engines.columns import to_bytes, to_text
from trakt_auth.stores.engines.file_lock import FileStoreLock, account_lock, write_lock
from trakt_auth.stores.engines.files import PRIVATE, first_version, unavailable
from trakt_auth.stores.engines.keychain import Keychain, Slot, corrupt
from trakt_auth.stores.record import LEASE, NOTHING, TOMBSTONE, AccountKey, Stored
from trakt_auth.stores.versions import check_version, conflict

__all__ = ["SERVICE", "KeyringStore", "marker"]

SERVICE = "trakt-auth"
WHAT = "OS keychain's lock"
WAIT = 60.0  # seconds; the holder of the lock may be waiting for a user to unlock the keychain
LONGEST = 200  # characters of a name; Windows allows a few hundred
INDEX = "index"
PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")


def marker(service: str = SERVICE) -> str:
    """Return the path of a file that exists once tokens were saved; the locks are beside it."""
    from hashlib import sha256

    from platformdirs import user_data_dir

    name = "keychain"
    if service != SERVICE:
        name += "-" + sha256(to_bytes(service)).hexdigest()[:16]
    return os.path.join(user_data_dir("trakt-auth", appauthor=False), name)


class KeyringStore:
    """Keeps records in the keychain that the library keyring finds."""

    def __init__(self, service: str = SERVICE, *, path: str | None = None) -> None:
        self.service = service
        self.path: str = path or marker(service)
        self._keychain = Keychain(service)

    def load(self, key: AccountKey) -> Stored | None:
        """Return the record of an account, None when there is none.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        found = self._keychain.read(_name(key))
        return _stored(found) if found and found.text else None

    def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Save a payload durably, return its version.

        With `replacing` None an unreadable entry is first moved aside; a logged warning names it.

        Raises: StoreConflict, StoreUnavailable, StoreCorrupt, LockTimeout.
        """
        name = _name(key)
        with write_lock(self.path, WHAT, WAIT):
            try:
                found = self._read(name, aside=replacing is None)
            except StoreCorrupt:
                if replacing != NOTHING:
                    raise
                raise conflict(key) from None  # unreadable, but it exists
            version = found.version if found and found.text else NOTHING
            check_version(key, version, replacing=replacing)
            version = self._add_to_index(key, found, aside=replacing is None)
            text = _dump(payload, expires_at)
            written = self._keychain.write(name, version, text, after=found)
            if payload.startswith(TOMBSTONE):  # the other slot still holds the tokens
                version += 1
                self._keychain.write(name, version, text, after=written)
            self._mark()
            return version

    def delete(self, key: AccountKey, *, replacing: int | None = None) -> None:
        """Delete a record, or only the version `replacing` of it.

        Raises: StoreConflict, StoreUnavailable, StoreCorrupt, LockTimeout.
        """
        with write_lock(self.path, WHAT, WAIT):
            found = self._keychain.read(_name(key))
            version = found.version if found and found.text else NOTHING
            check_version(key, version, replacing=replacing)
            if found is not None:
                index = self._keychain.read(INDEX)
                version = max(found.version, index.version if index else first_version()) + 1
                self._keychain.delete(_name(key), version, after=found)
                names = _parse_names(index) - {key}
                self._keychain.write(INDEX, version, _dump_names(names), after=index)

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> FileStoreLock:  # noqa: ARG002
        """Return a lock that has not been acquired yet."""
        return account_lock(self.path, key)

    def accounts(self, client_id: str) -> list[str]:
        """Return the names of an application's accounts, sorted.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        return accounts_of(self._records(client_id), client_id)

    def due(self, client_id: str, *, before: datetime, limit: int) -> list[str]:
        """Return the accounts whose token expires before a moment, the earliest first.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        return due_first(self._records(client_id), client_id, before=before, limit=limit)

    def close(self) -> None:
        """Do nothing: no connection stays open."""

    def _records(self, client_id: str) -> dict[AccountKey, Stored]:
        names = _parse_names(self._keychain.read(INDEX))
        found = {key: self.load(key) for key in names if key.client_id == client_id}
        return {key: stored for key, stored in found.items() if stored is not None}

    def _read(self, name: str, *, aside: bool) -> Slot | None:
        try:
            found = self._keychain.read(name)
            if name == INDEX:
                _parse_names(found)
        except StoreCorrupt:
            if not aside:
                raise
            self._keychain.move_aside(name)
            return None
        return found

    def _add_to_index(self, key: AccountKey, found: Slot | None, *, aside: bool) -> int:
        """Add an account to the index, and return the version of its next record."""
        before = found.version if found else 0
        try:
            index = self._read(INDEX, aside=aside)
        except StoreCorrupt:  # saving a refreshed token is more important than the index
            return max(before, first_version()) + 1
        version = max(before, index.version if index else first_version()) + 1
        names = _parse_names(index) | {key}
        self._keychain.write(INDEX, version, _dump_names(names), after=index)
        return version

    def _mark(self) -> None:
        if not os.path.exists(self.path):
            try:
                handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, PRIVATE)
                with open(handle, "w", encoding="utf-8") as file:
                    file.write(f"The tokens are in the OS keychain, service {self.service!a}.\n")
            except OSError as error:
                raise unavailable(WHAT, self.path, "written", error) from None


# -- texts --------------------------------------------------------------------------------------


def _name(key: AccountKey) -> str:
    name = f"{_quoted(key.client_id)}/{_quoted(key.account)}"
    if len(name) <= LONGEST:
        return name
    from hashlib import sha256

    return "=" + sha256(name.encode()).hexdigest()


def _quoted(text: str) -> str:
    # Capitals are quoted too: on Windows names are not case-sensitive.
    return "".join(chr(byte) if byte in PLAIN else f"%{byte:02x}" for byte in to_bytes(text))


def _unquoted(text: str) -> str:
    from urllib.parse import unquote_to_bytes

    return to_text(unquote_to_bytes(text))


def _dump(payload: str, expires_at: datetime | None) -> str:
    content: dict[str, str | None] = {"end": expires_at.isoformat() if expires_at else None}
    try:
        payload.encode()
        content["payload"] = payload
    except UnicodeEncodeError:  # lone surrogates; reading JSON would join two of them into one
        content["hex"] = to_bytes(payload).hex()
    return json.dumps(content)


def _stored(found: Slot) -> Stored:
    try:
        content = json.loads(found.text)
        end, raw = content["end"], content.get("hex")
        return Stored(
            payload=_text(content["payload"]) if raw is None else _unhexed(raw),
            version=found.version,
            expires_at=None if end is None else datetime.fromisoformat(end).astimezone(UTC),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, OverflowError):
        raise corrupt() from None  # not chained: the cause would carry the text


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _unhexed(text: str) -> str:
    return to_text(bytes.fromhex(text))


def _dump_names(names: set[AccountKey]) -> str:
    clients: dict[str, list[str]] = {}
    for key in sorted(names, key=lambda key: (key.client_id, key.account)):
        clients.setdefault(_quoted(key.client_id), []).append(_quoted(key.account))
    return json.dumps(clients)


def _parse_names(index: Slot | None) -> set[AccountKey]:
    try:
        clients = cast("dict[str, list[str]]", json.loads(index.text)) if index else {}
        return {
            AccountKey(_unquoted(client), _unquoted(account))
            for client, accounts in clients.items()
            for account in accounts
        }
    except (AttributeError, TypeError, ValueError, RecursionError):
        raise corrupt() from None
