"""Encrypts the payloads of any store, so that reading the store or its backup shows no token.

The only file that uses cryptography. No engine is known here.

An encrypted payload is `trakt-auth-encrypted:1:KEY:TEXT`: the id of its key, then nonce and
AES-256-GCM ciphertext in base64. Client id and account are its associated data, so it cannot be
decrypted as the record of another account. The id is derived from the key, and only tells a wrong
key from damage.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from trakt_auth.errors import StoreConflict, StoreCorrupt, StoreUnavailable, UsageError
from trakt_auth.stores.engines.columns import to_bytes, to_text
from trakt_auth.stores.interface import Lock, TokenStore
from trakt_auth.stores.overwrite import overwrite
from trakt_auth.stores.record import (
    ENCRYPTED,
    LEASE,
    TOMBSTONE,
    AccountKey,
    Stored,
    encrypted_by,
    missing_key,
)

__all__ = ["EncryptedStore", "generate_key", "key_id"]

FORMAT = "1"
KEY_BYTES = 32
NONCE_BYTES = 12
REQUIRED = '{"format": 1, "encryption": "required"}'  # the payload of the mark
ENVELOPE = re.compile(ENCRYPTED + r"(?P<format>[0-9]+):(?P<key>[^:]*):?(?P<text>.*)", re.DOTALL)
HOW_TO_MAKE = "Make one with `trakt-auth rekey --generate`; it is 32 bytes in base64."


def generate_key() -> str:
    """Return a new random key, in base64."""
    import secrets

    return _base64(secrets.token_bytes(KEY_BYTES))


def key_id(key: str) -> str:
    """Return the id of a key, which may be shown: the key cannot be computed from it.

    Raises: UsageError if the text is not a key.
    """
    return _id(_key(key))


class EncryptedStore:
    """Any store, with encrypted payloads.

    The first key encrypts, and each key decrypts. A record that is not encrypted yet can be read,
    and is encrypted when it is saved; after `require_encryption` it is refused. A record that was
    encrypted with a key that is not in the list is never overwritten. Names, versions, expiries
    and the application's own record (the empty account) are not encrypted.
    """

    def __init__(self, inner: TokenStore, keys: Sequence[str]) -> None:
        """Wrap a store; `keys` is a list of one or more keys.

        Raises: UsageError if one of them is not a key.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if isinstance(keys, str) or not keys:
            raise UsageError("keys is not a list of one or more keys", hint=HOW_TO_MAKE)
        parsed = [_key(key) for key in keys]
        self.inner = inner
        self.key_id: str = _id(parsed[0])
        self._ciphers = {_id(key): AESGCM(key) for key in parsed}

    def load(self, key: AccountKey) -> Stored | None:
        """Return the record of an account, decrypted; None when there is none.

        Raises: StoreEncrypted if it needs another key; StoreCorrupt; what the store raises.
        """
        stored = self.inner.load(key)
        return None if stored is None else replace(stored, payload=self._decrypt(key, stored))

    def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Save a payload, encrypted with the first key; return its version.

        With `replacing` None any record is overwritten, unless it needs another key.

        Raises: StoreEncrypted if it does; what the store raises.
        """
        text = self._encrypt(key, payload)
        if replacing is None:
            return overwrite(self.inner, key, text, expires_at=expires_at, check=self._decrypt)
        return self.inner.save(key, text, expires_at=expires_at, replacing=replacing)

    def require_encryption(self, client_id: str, *, required: bool = True) -> None:
        """Refuse an application's unencrypted records from now on, in every program with a key.

        Call it when every record is encrypted. The mark is a record of its own in the store.

        Raises: what the store raises.
        """
        mark = _mark(client_id)
        if required:
            self.inner.save(mark, REQUIRED, expires_at=None, replacing=None)
        else:
            self.inner.delete(mark)

    def reencrypt(self, key: AccountKey, *, plain: bool = False) -> bool:
        """Encrypt a record with the first key, or decrypt it if `plain`; return whether it changed.

        Safe while other programs refresh tokens: what they save in between is not lost.

        Raises: StoreEncrypted if it needs another key; StoreCorrupt; what the store raises.
        """
        while True:
            stored = self.inner.load(key)
            if stored is None:
                return False
            payload = self._decrypt(key, stored)
            text = payload if plain else self._encrypt(key, payload)
            wanted = encrypted_by(replace(stored, payload=text))
            if key.account == "" or encrypted_by(stored) == wanted:
                return False
            with suppress(StoreConflict):
                self.inner.save(key, text, expires_at=stored.expires_at, replacing=stored.version)
                return True

    def delete(self, key: AccountKey, *, replacing: int | None = None) -> None:
        """Delete a record, or only the version `replacing` of it."""
        self.inner.delete(key, replacing=replacing)

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> Lock:
        """Return a lock that has not been acquired yet."""
        return self.inner.lock(key, lease=lease)

    def accounts(self, client_id: str) -> Sequence[str]:
        """Return the names of an application's accounts, sorted."""
        return self.inner.accounts(client_id)

    def due(self, client_id: str, *, before: datetime, limit: int) -> Sequence[str]:
        """Return the accounts whose token expires before a moment, the earliest first."""
        return self.inner.due(client_id, before=before, limit=limit)

    def close(self) -> None:
        """Close the store."""
        self.inner.close()

    def _encrypt(self, key: AccountKey, payload: str) -> str:
        # The store itself reads the beginning of what a sign-out left; it holds no secret.
        if key.account == "" or not payload or payload.startswith(TOMBSTONE):
            return payload
        import secrets

        nonce = secrets.token_bytes(NONCE_BYTES)
        secret = to_bytes(payload)
        encrypted = nonce + self._ciphers[self.key_id].encrypt(nonce, secret, _associated(key))
        return f"{ENCRYPTED}{FORMAT}:{self.key_id}:{_base64(encrypted)}"

    def _decrypt(self, key: AccountKey, stored: Stored) -> str:
        payload = stored.payload
        if key.account == "":
            return payload
        if _is_plain(payload):
            is_record = payload != "" and not payload.startswith(TOMBSTONE)
            if is_record and self.inner.load(_mark(key.client_id)) is not None:
                raise StoreCorrupt(
                    f"The record of account {key.account!r} is not encrypted, although all records"
                    " of this application are",
                    hint="A program without the key wrote it, or an intruder did: sign in again.",
                )
            return payload
        found = ENVELOPE.fullmatch(payload)
        if found is None:
            raise _corrupt(key)
        if found["format"] != FORMAT:
            raise StoreUnavailable(
                f"Account {key.account!r} was encrypted by a newer version of trakt-auth",
                hint="Upgrade trakt-auth.",
            )
        cipher = self._ciphers.get(found["key"])
        if cipher is None:
            raise missing_key(stored, f"account {key.account!r}")
        from cryptography.exceptions import InvalidTag

        try:
            encrypted = _from_base64(found["text"])
            nonce, secret = encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:]
            return to_text(cipher.decrypt(nonce, secret, _associated(key)))
        except (InvalidTag, ValueError):
            raise _corrupt(key) from None


def _is_plain(payload: str) -> bool:
    # As `Record.to_payload` writes it; no change of one character turns an envelope into this.
    return not payload or payload.startswith(('{"', TOMBSTONE))


def _mark(client_id: str) -> AccountKey:
    # The record of another application without accounts, so that no list of accounts shows it.
    return AccountKey(f"{ENCRYPTED}{client_id}", "")


def _associated(key: AccountKey) -> bytes:
    """Return the associated data of an account; with lengths, so that no two accounts share it."""
    parts = [to_bytes(part) for part in (key.client_id, key.account)]
    return b"".join([ENCRYPTED.encode(), *(b"%d:%b" % (len(part), part) for part in parts)])


def _corrupt(key: AccountKey) -> StoreCorrupt:
    return StoreCorrupt(
        f"The encrypted record of account {key.account!r} is damaged, or of another account"
    )


# -- keys and text -------------------------------------------------------------------------------


def _key(text: str) -> bytes:
    try:
        key = _from_base64(text.strip().rstrip("=").replace("+", "-").replace("/", "_"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        # Not even a part of it is shown.
        raise UsageError("An encryption key is not 32 bytes in base64", hint=HOW_TO_MAKE)
    return key


def _id(key: bytes) -> str:
    return sha256(b"trakt-auth key id\0" + key).hexdigest()[:16]


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def _from_base64(text: str) -> bytes:
    content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _base64(content) != text:  # the decoder skips characters that are not base64
        raise ValueError
    return content
