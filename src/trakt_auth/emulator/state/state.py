"""All the state of one emulator in one object, which every handler receives.

Owns the accounts, sessions, codes, grants and faults, and drops what has expired. No handler and no
wire format lives here; the caller says what time it is.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from trakt_auth.emulator.expiring_dict import ExpiringDict
from trakt_auth.emulator.faults.armed import Faults
from trakt_auth.emulator.hashing import digest
from trakt_auth.emulator.http.request_log import RequestLog
from trakt_auth.emulator.state.codes import Codes
from trakt_auth.emulator.state.grants import Grants
from trakt_auth.emulator.state.model import Account, Session
from trakt_auth.emulator.state.rate_limits import RateLimits
from trakt_auth.emulator.state.registered import RegisteredResponses

if TYPE_CHECKING:
    from trakt_auth.emulator.clock import Clock
    from trakt_auth.emulator.options import Options
    from trakt_auth.emulator.state.model import Application, DeviceCode

__all__ = ["DEFAULT_USERNAME", "SESSION_LIFETIME", "USERNAME_LIMIT", "EmulatorState"]

DEFAULT_USERNAME = "emulator-user"
"""The user who approves a code or is signed in when the caller names no other."""

SESSION_LIFETIME = 86_400.0
"""Seconds for which a browser stays signed in."""

USERNAME_LIMIT = 60
"""The most characters that a username may have."""


class EmulatorState:
    """The applications, accounts, sessions, codes, grants and faults of one server."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self.options: Options = options
        self.clock: Clock = clock
        self.applications: dict[str, Application] = {}
        self.faults: Faults = Faults()
        self.responses: RegisteredResponses = RegisteredResponses()
        self.clear()

    def clear(self) -> None:
        """Delete everything but the applications, the options, lasting responses and the time."""
        self.accounts: dict[str, Account] = {}
        self.sessions: ExpiringDict[bytes, Session] = ExpiringDict()
        self.codes: Codes = Codes(self.options)
        self.grants: Grants = Grants(self.options)
        self.request_log: RequestLog = RequestLog(self.options.log_size)
        self.rate_limits: RateLimits = RateLimits()
        self.faults.disarm()
        self.responses.clear()

    def expire(self, now: float) -> None:
        """Drop the sessions, codes and tokens that have expired by `now`."""
        self.sessions.expire(now)
        self.codes.expire(now)
        self.grants.expire(now)

    def get_or_create_account(self, username: str, *, now: float) -> Account:
        """Return the account of that name, in any case; it is created at its first use.

        Raises: ValueError for a name that is empty, too long or not printable.
        """
        name = username.strip()
        if not name or len(name) > USERNAME_LIMIT or not name.isprintable():
            raise ValueError(f"a username must have 1 to {USERNAME_LIMIT} printable characters")
        return self.accounts.setdefault(name.casefold(), Account(username=name, created_at=now))

    def end_login(self, account: Account, client_id: str) -> None:
        """End all tokens of a user for an application, which needs a new approval to get more."""
        account.approved.discard(client_id)
        self.grants.end_all(account, client_id)

    def open_session(self, account: Account | None, *, now: float) -> tuple[str, Session]:
        """Start a browser session; return the value of its cookie, and the session."""
        value = secrets.token_urlsafe(24)
        session = Session(csrf=secrets.token_urlsafe(24), account=account)
        self.sessions.put(digest(value), session, until=now + SESSION_LIFETIME)
        return value, session

    def apply_auto_approval(self, device: DeviceCode, *, now: float) -> DeviceCode:
        """Approve a pending device code if its `approved_at` has passed; return the code."""
        due = device.approved_at
        if device.status == "pending" and due is not None and due <= min(now, device.expires_at):
            device.status = "approved"
            device.account = self.get_or_create_account(DEFAULT_USERNAME, now=now)
        return device

    def decide(self, device: DeviceCode, *, username: str, approve: bool, now: float) -> None:
        """Approve or deny a device code for a user.

        Raises: ValueError for a code that is not pending, has expired, or for an invalid username.
        """
        self.apply_auto_approval(device, now=now)
        if now >= device.expires_at:
            raise ValueError("this code has expired")
        if device.status != "pending":
            raise ValueError(f"this code is already {device.status}")
        if approve:
            device.account = self.get_or_create_account(username, now=now)
            device.account.approved.add(device.client_id)
        device.status = "approved" if approve else "denied"
