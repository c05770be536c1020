"""Codes that wait for a person: device codes and authorization codes.

Holds the tables and their rules; knows no wire format, no status codes, no clock of its own.
`site.py` owns the one instance; the handlers, the pages and the control room use it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from trakt_auth.emulator.expiring_dict import Table, digest
from trakt_auth.emulator.state.model import OUT_OF_BAND, AuthorizationCode, DeviceCode

if TYPE_CHECKING:
    from trakt_auth.emulator.options import Options
    from trakt_auth.emulator.state.model import Account

__all__ = ["AUTHORIZATION_CODE_LIFETIME", "Codes", "clean_user_code"]

AUTHORIZATION_CODE_LIFETIME = 600.0
"""Seconds; RFC 6749 section 4.1.2 recommends at most ten minutes."""

_REMEMBERED = 86_400.0  # seconds for which 409, 410 and 418 can still be told from 404
_ALPHABET = "BCDFGHJKMNPQRSTVWXYZ23456789"  # no vowels, so no words, and no 0 1 I L O
_HEX = frozenset("0123456789ABCDEF")
_LENGTH = 8


class Codes:
    """Every device code and authorization code, by hash; user codes as they are shown."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._devices: Table[bytes, DeviceCode] = Table()
        self._user_codes: Table[str, DeviceCode] = Table()
        self._authorizations: Table[bytes, AuthorizationCode] = Table()

    def expire(self, now: float) -> None:
        """Drop the codes of which nothing more needs to be told by `now`."""
        self._devices.expire(now)
        self._user_codes.expire(now)
        self._authorizations.expire(now)

    def start_device(self, client_id: str, *, now: float) -> tuple[str, DeviceCode]:
        """Make a device code; return it in the clear, with its record."""
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
        until = device.expires_at + _REMEMBERED
        self._devices.put(digest(text), device, until=until)
        self._user_codes.put(user_code, device, until=until)
        return text, device

    def device(self, text: str) -> DeviceCode | None:
        """Find a device code."""
        return self._devices.get(digest(text))

    def by_user_code(self, typed: str) -> DeviceCode | None:
        """Find a device code by what a person typed."""
        return self._user_codes.get(clean_user_code(typed))

    def devices(self) -> list[DeviceCode]:
        """Return the device codes that are remembered, oldest first."""
        return self._devices.values()

    def authorize(
        self,
        account: Account,
        *,
        client_id: str,
        redirect_uri: str,
        challenge: str | None,
        now: float,
    ) -> str:
        """Make an authorization code; one that a person must copy by hand is short."""
        text = _short_code() if redirect_uri == OUT_OF_BAND else secrets.token_urlsafe(24)
        code = AuthorizationCode(
            client_id=client_id, redirect_uri=redirect_uri, account=account, challenge=challenge
        )
        self._authorizations.put(digest(text), code, until=now + AUTHORIZATION_CODE_LIFETIME)
        return text

    def authorization(self, text: str) -> AuthorizationCode | None:
        """Find an authorization code, used or not, until it expires."""
        return self._authorizations.get(digest(text))

    def outstanding(self) -> int:
        """Return how many authorization codes have not been exchanged."""
        return sum(code.grant is None for code in self._authorizations.values())

    def _new_user_code(self) -> str:
        while True:
            code = secrets.token_hex(4).upper() if self._options.legacy else _short_code()
            if code not in self._user_codes:
                return code


def clean_user_code(typed: str) -> str:
    """Return a user code without the case, spaces, dashes and invisible signs that typing adds."""
    return "".join(sign for sign in typed.upper() if sign.isascii() and sign.isalnum())


def _short_code() -> str:
    """Make 8 characters that are never all hexadecimal (facts section 3)."""
    while True:
        code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        if not _HEX.issuperset(code):
            return code
