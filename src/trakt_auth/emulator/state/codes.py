"""Device codes and authorization codes: making them, finding them, and when they expire.

Knows no wire format and no status codes, and reads no clock: the caller says what time it is.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from trakt_auth.emulator.expiring_dict import ExpiringDict
from trakt_auth.emulator.hashing import digest
from trakt_auth.emulator.state.model import OUT_OF_BAND, AuthorizationCode, DeviceCode

if TYPE_CHECKING:
    from trakt_auth.emulator.options import Options
    from trakt_auth.emulator.state.model import Account

__all__ = ["AUTHORIZATION_CODE_LIFETIME", "Codes", "normalize_user_code"]

AUTHORIZATION_CODE_LIFETIME = 600.0
"""In seconds; RFC 6749 section 4.1.2 recommends at most ten minutes."""

_KEPT_AFTER_EXPIRY = 86_400.0  # seconds in which a poll still gets 409, 410 or 418, and then 404
_ALPHABET = "BCDFGHJKMNPQRSTVWXYZ23456789"  # no vowels, so no words; no 0 1 I L O
_HEX = frozenset("0123456789ABCDEF")
_LENGTH = 8


class Codes:
    """All device codes and authorization codes by hash, and all user codes as they are shown."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._devices: ExpiringDict[bytes, DeviceCode] = ExpiringDict()
        self._user_codes: ExpiringDict[str, DeviceCode] = ExpiringDict()
        self._authorizations: ExpiringDict[bytes, AuthorizationCode] = ExpiringDict()

    def expire(self, now: float) -> None:
        """Drop the codes that `now` have expired and are no longer kept."""
        self._devices.expire(now)
        self._user_codes.expire(now)
        self._authorizations.expire(now)

    def start_device(self, client_id: str, *, now: float) -> tuple[str, DeviceCode]:
        """Create a device code; return it as text, and its record."""
        user_code = self._new_user_code()
        delay = self._options.auto_approve
        device = DeviceCode(
            user_code=user_code,
            client_id=client_id,
            created_at=now,
            expires_at=now + self._options.device_lifetime,
            approved_at=None if delay is None else now + delay,
        )
        text = secrets.token_hex(32) if self._options.legacy else secrets.token_urlsafe(33)
        until = device.expires_at + _KEPT_AFTER_EXPIRY
        self._devices.put(digest(text), device, until=until)
        self._user_codes.put(user_code, device, until=until)
        return text, device

    def device_items(self) -> list[tuple[bytes, DeviceCode]]:
        """Return the hashes and the records of all device codes that are kept."""
        return self._devices.items()

    def restore_device(self, key: bytes, device: DeviceCode) -> None:
        """Keep a device code again whose hash is `key`."""
        until = device.expires_at + _KEPT_AFTER_EXPIRY
        self._devices.put(key, device, until=until)
        self._user_codes.put(device.user_code, device, until=until)

    def device(self, text: str) -> DeviceCode | None:
        """Return the record of a device code, or None."""
        return self._devices.get(digest(text))

    def by_user_code(self, typed: str) -> DeviceCode | None:
        """Return the record of the device code whose user code was typed, or None."""
        return self._user_codes.get(normalize_user_code(typed))

    def devices(self) -> list[DeviceCode]:
        """Return the records of all device codes that are kept, oldest first."""
        return self._devices.values()

    def authorize(
        self,
        account: Account,
        *,
        client_id: str,
        redirect_uri: str,
        challenge: str | None,
        now: float,
        scope: str = "public",
        nonce: str | None = None,
    ) -> str:
        """Create an authorization code; one that a user has to copy by hand is short."""
        text = _short_code() if redirect_uri == OUT_OF_BAND else secrets.token_urlsafe(24)
        code = AuthorizationCode(
            client_id=client_id,
            redirect_uri=redirect_uri,
            account=account,
            challenge=challenge,
            scope=scope,
            nonce=nonce,
        )
        self._authorizations.put(digest(text), code, until=now + AUTHORIZATION_CODE_LIFETIME)
        return text

    def authorization(self, text: str) -> AuthorizationCode | None:
        """Return the record of an authorization code that has not expired, used or not, or None."""
        return self._authorizations.get(digest(text))

    def outstanding(self) -> int:
        """Return how many authorization codes have not been exchanged."""
        return sum(code.grant is None for code in self._authorizations.values())

    def _new_user_code(self) -> str:
        while True:
            code = secrets.token_hex(4).upper() if self._options.legacy else _short_code()
            if code not in self._user_codes:
                return code


def normalize_user_code(typed: str) -> str:
    """Return a user code in upper case, without spaces, dashes and invisible characters."""
    return "".join(one for one in typed.upper() if one.isascii() and one.isalnum())


def _short_code() -> str:
    """Return 8 random characters that are not all hexadecimal digits.

    User codes were hexadecimal before July 2026. A program that still checks for that fails here.
    """
    while True:
        code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        if not _HEX.issuperset(code):
            return code
