"""Everything that one emulated Trakt consists of, in one value that the handlers are given.

Owns the tables and brings them up to date; no handler and no wire format is here.
`core.py` makes it; the handlers receive it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from trakt_auth.emulator.expiring_dict import Table, digest
from trakt_auth.emulator.faults.armed import Faults
from trakt_auth.emulator.http.request_log import Journal
from trakt_auth.emulator.state.codes import Codes
from trakt_auth.emulator.state.grants import Grants
from trakt_auth.emulator.state.model import Account, Session

if TYPE_CHECKING:
    from trakt_auth.emulator.clock import Clock
    from trakt_auth.emulator.options import Options
    from trakt_auth.emulator.state.model import Application, DeviceCode

__all__ = ["AUTO_ACCOUNT", "SESSION_LIFETIME", "USERNAME_LIMIT", "Site"]

AUTO_ACCOUNT = "emulator-user"
"""Who approves a device code when nobody else is named."""

SESSION_LIFETIME = 86_400.0
"""Seconds for which a browser stays signed in."""

USERNAME_LIMIT = 60


class Site:
    """The applications, accounts, sessions, codes, grants and faults of one server."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self.options = options
        self.clock = clock
        self.applications: dict[str, Application] = {}
        self.faults = Faults()
        self.clear()

    def clear(self) -> None:
        """Forget everything but the applications, the options and the time."""
        self.accounts: dict[str, Account] = {}
        self.sessions: Table[bytes, Session] = Table()
        self.codes = Codes(self.options)
        self.grants = Grants(self.options)
        self.journal = Journal(self.options.log_size)
        self.faults.disarm()

    def expire(self, now: float) -> None:
        """Drop what has run out by `now`."""
        self.sessions.expire(now)
        self.codes.expire(now)
        self.grants.expire(now)

    def account(self, username: str, *, now: float) -> Account:
        """Find the account of that name, or make it; any readable name will do."""
        name = username.strip()
        if not name or len(name) > USERNAME_LIMIT or not name.isprintable():
            raise ValueError(f"a username has 1 to {USERNAME_LIMIT} readable characters")
        return self.accounts.setdefault(name.casefold(), Account(username=name, created_at=now))

    def end_login(self, account: Account, client_id: str) -> None:
        """End every token of a person for an application, which must ask again to get more."""
        account.approved.discard(client_id)
        self.grants.end_family(account, client_id)

    def open_session(self, account: Account | None, *, now: float) -> tuple[str, Session]:
        """Start a browser session; return the cookie's value with it."""
        value = secrets.token_urlsafe(24)
        session = Session(csrf=secrets.token_urlsafe(24), account=account)
        self.sessions.put(digest(value), session, until=now + SESSION_LIFETIME)
        return value, session

    def settle(self, device: DeviceCode, *, now: float) -> DeviceCode:
        """Approve a device code whose time for approving itself has come."""
        due = device.approved_at
        if device.status == "pending" and due is not None and due <= min(now, device.expires_at):
            device.status = "approved"
            device.account = self.account(AUTO_ACCOUNT, now=now)
        return device

    def decide(self, device: DeviceCode, *, username: str, approve: bool, now: float) -> None:
        """Let a person approve or deny a device code that is pending and has not expired."""
        self.settle(device, now=now)
        if now >= device.expires_at:
            raise ValueError("this code has expired")
        if device.status != "pending":
            raise ValueError(f"this code is already {device.status}")
        if approve:
            device.account = self.account(username, now=now)
            device.account.approved.add(device.client_id)
        device.status = "approved" if approve else "denied"
