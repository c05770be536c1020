"""Encrypts payloads: reading a store or its backup shows no token.

The only file that uses cryptography. No engine is known here: it wraps any store.

An encrypted payload is `trakt-auth-encrypted:1:KEY:TEXT`: the id of its key, then nonce and
AES-256-GCM ciphertext in base64. Client id and account are authenticated with it, so that it can
be decrypted in its own place alone. The id is derived from the key: it tells a wrong key from
damage, and nothing else.
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
from trakt_auth.stores.interface import Lock, TokenStore
from trakt_auth.stores.record import (
    ENCRYPTED,
    LEASE,
    NOTHING,
    AccountKey,
    Stored,
    encrypted_by,
    no_key,
)

__all__ = ["EncryptedStore", "generate_key", "key_id"]

FORMAT = "1"
KEY_BYTES = 32
NONCE_BYTES = 12
ENVELOPE = re.compile(ENCRYPTED + r"(?P<format>[0-9]+):(?P<key>[^:]*):?(?P<text>.*)", re.DOTALL)
HOW_TO_MAKE = "Make one with `trakt-auth rekey --generate`; it is 32 bytes in base64."


def generate_key() -> str:
    """Return a new key, as text."""
    import secrets

    return _base64(secrets.token_bytes(KEY_BYTES))


def key_id(key: str) -> str:
    """Return the name of a key: it may be shown, the key cannot be found by it.

    Raises: UsageError for what is no key.
    """
    return _id(_key(key))


class EncryptedStore:
    """Any store, with payloads that only the holder of a key can read.

    The first key encrypts, all of them decrypt. What is not encrypted yet can be read, and is
    encrypted when it is saved; what another key encrypted is never overwritten. Names, versions,
    ends and the application's own notes (the empty account) stay as they are.
    """

    def __init__(self, inner: TokenStore, keys: Sequence[str]) -> None:
        """Take a store and its keys.

        Raises: UsageError for what is no key.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if isinstance(keys, str) or not keys:
            raise UsageError("keys is not a list of one or more keys", hint=HOW_TO_MAKE)
        known = [_key(key) for key in keys]
        self.inner = inner
        self.key_id = _id(known[0])
        self._ciphers = {_id(key): AESGCM(key) for key in known}

    def load(self, key: AccountKey) -> Stored | None:
        """Return what is kept, opened; None when nothing is.

        Raises: StoreEncrypted when it needs another key; StoreCorrupt; what the store raises.
        """
        stored = self.inner.load(key)
        return None if stored is None else replace(stored, payload=self._opened(key, stored))

    def save(
        self,
        key: AccountKey,
        payload: str,
        *,
        expires_at: datetime | None,
        replacing: int | None,
    ) -> int:
        """Keep a payload, encrypted by the first key; return its version.

        With `replacing` None whatever is there is overwritten, unless another key encrypted it.

        Raises: StoreEncrypted when it is; what the store raises.
        """
        text = self._encrypted(key, payload)
        while replacing is None:
            there = self._to_overwrite(key)
            with suppress(StoreConflict):
                # As it was looked at: nobody encrypts it with another key in between.
                return self.inner.save(key, text, expires_at=expires_at, replacing=there)
        return self.inner.save(key, text, expires_at=expires_at, replacing=replacing)

    def reencrypt(self, key: AccountKey, *, plain: bool = False) -> bool:
        """Encrypt a record by the first key, or no longer; return whether anything had to be done.

        Safe while others refresh: what they save in between is what is encrypted.

        Raises: StoreEncrypted when it needs another key; StoreCorrupt; what the store raises.
        """
        while True:
            stored = self.inner.load(key)
            if stored is None:
                return False
            payload = self._opened(key, stored)
            text = payload if plain else self._encrypted(key, payload)
            wanted = encrypted_by(replace(stored, payload=text))
            if key.account == "" or encrypted_by(stored) == wanted:
                return False
            with suppress(StoreConflict):
                self.inner.save(key, text, expires_at=stored.expires_at, replacing=stored.version)
                return True

    def delete(self, key: AccountKey) -> None:
        """Forget; harmless when there is nothing."""
        self.inner.delete(key)

    def lock(self, key: AccountKey, *, lease: float = LEASE) -> Lock:
        """Return a lock that has not been taken yet."""
        return self.inner.lock(key, lease=lease)

    def accounts(self, client_id: str) -> Sequence[str]:
        """Return the names of an application's accounts, sorted."""
        return self.inner.accounts(client_id)

    def due(self, client_id: str, *, before: datetime, limit: int) -> Sequence[str]:
        """Return the accounts whose token ends before a moment, the first to end first."""
        return self.inner.due(client_id, before=before, limit=limit)

    def close(self) -> None:
        """Close the store."""
        self.inner.close()

    def _to_overwrite(self, key: AccountKey) -> int | None:
        try:
            stored = self.inner.load(key)
        except StoreCorrupt:  # a new login takes its place, as it does without a key
            return None
        if stored is None:
            return NOTHING
        with suppress(StoreCorrupt):
            self._opened(key, stored)
        return stored.version

    def _encrypted(self, key: AccountKey, payload: str) -> str:
        if key.account == "" or not payload:  # nothing: no key may be needed to see that
            return payload
        import secrets

        nonce = secrets.token_bytes(NONCE_BYTES)
        secret = payload.encode(errors="surrogatepass")
        encrypted = nonce + self._ciphers[self.key_id].encrypt(nonce, secret, _place(key))
        return f"{ENCRYPTED}{FORMAT}:{self.key_id}:{_base64(encrypted)}"

    def _opened(self, key: AccountKey, stored: Stored) -> str:
        payload = stored.payload
        if key.account == "" or _is_plain(payload):
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
            raise no_key(stored, f"account {key.account!r}")
        from cryptography.exceptions import InvalidTag

        try:
            encrypted = _from_base64(found["text"])
            nonce, secret = encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:]
            return cipher.decrypt(nonce, secret, _place(key)).decode(errors="surrogatepass")
        except (InvalidTag, ValueError):
            raise _corrupt(key) from None


def _is_plain(payload: str) -> bool:
    # As `records` writes it; no single slip turns an envelope into this.
    return not payload or payload.startswith('{"')


def _place(key: AccountKey) -> bytes:
    """Return what is authenticated with a payload; lengths, so that no two keys are alike."""
    parts = [part.encode(errors="surrogatepass") for part in (key.client_id, key.account)]
    return b"".join([ENCRYPTED.encode(), *(b"%d:%b" % (len(part), part) for part in parts)])


def _corrupt(key: AccountKey) -> StoreCorrupt:
    return StoreCorrupt(
        f"The encrypted record of account {key.account!r} is damaged, or another account's"
    )


# -- keys and text -------------------------------------------------------------------------------


def _key(text: str) -> bytes:
    try:
        key = _from_base64(text.strip().rstrip("=").replace("+", "-").replace("/", "_"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        # Not shown, not even in part.
        raise UsageError("An encryption key is not 32 bytes in base64", hint=HOW_TO_MAKE)
    return key


def _id(key: bytes) -> str:
    return sha256(b"trakt-auth key id\0" + key).hexdigest()[:16]


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def _from_base64(text: str) -> bytes:
    content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _base64(content) != text:  # the decoder passes over what it does not know
        raise ValueError
    return content
