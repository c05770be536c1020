"""The part of the state that can outlive the process, as plain JSON values and back.

Accounts, browser sessions, device codes and tokens; of secrets only the hashes. No file is read or
written here. Authorization codes, which live for a moment, are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trakt_auth.emulator.state.model import (
    AccessToken,
    Account,
    DeviceCode,
    Grant,
    RefreshToken,
    Session,
)
from trakt_auth.emulator.state.state import SESSION_LIFETIME

if TYPE_CHECKING:
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["restore", "snapshot"]

_VERSION = 1
_DEVICE = ("user_code", "client_id", "created_at", "expires_at", "approved_at", "status")
_POLLED = ("polled_at", "polls")


def snapshot(state: EmulatorState) -> dict[str, Any]:
    """Return the state as plain JSON values."""
    return {
        "version": _VERSION,
        "accounts": [_account(state, one) for one in state.accounts.values()],
        "sessions": [
            [key.hex(), one.csrf, one.account.username]
            for key, one in state.sessions.items()
            if one.account is not None
        ],
        "device_codes": [
            {"key": key.hex(), "account": None if one.account is None else one.account.username}
            | {name: getattr(one, name) for name in (*_DEVICE, *_POLLED)}
            for key, one in state.codes.device_items()
        ],
    }


def restore(state: EmulatorState, content: Any, *, now: float) -> None:  # noqa: ANN401 - any JSON
    """Put what `snapshot` returned into a new state.

    Raises: ValueError for anything else.
    """
    try:
        if content["version"] != _VERSION:
            raise ValueError(f"version {content['version']!r} is unknown")
        for given in content["accounts"]:
            _restore_account(state, given)
        for key, csrf, username in content["sessions"]:
            session = Session(csrf=csrf, account=state.get_or_create_account(username, now=now))
            state.sessions.put(bytes.fromhex(key), session, until=now + SESSION_LIFETIME)
        for given in content["device_codes"]:
            fields = {name: given[name] for name in (*_DEVICE, *_POLLED)}
            who = given["account"]
            account = None if who is None else state.get_or_create_account(who, now=now)
            device = DeviceCode(**fields, account=account)
            state.codes.restore_device(bytes.fromhex(given["key"]), device)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _account(state: EmulatorState, account: Account) -> dict[str, Any]:
    grants = [one for group in account.grants.values() for one in group.values()]
    return {
        "username": account.username,
        "created_at": account.created_at,
        "approved": sorted(account.approved),
        "grants": [
            {
                "number": grant.number,
                "client_id": grant.client_id,
                "created_at": grant.created_at,
                "scope": grant.scope,
                "access": [
                    [one.key.hex(), one.expires_at] for one in state.grants.access_tokens(grant)
                ],
                "refresh": [
                    [one.key.hex(), one.expires_at, one.arrivals, one.spent_at]
                    for one in grant.refresh_tokens
                ],
            }
            for grant in grants
        ],
    }


def _restore_account(state: EmulatorState, given: Any) -> None:  # noqa: ANN401 - any JSON
    account = state.get_or_create_account(given["username"], now=float(given["created_at"]))
    account.approved.update(given["approved"])
    for one in given["grants"]:
        grant = Grant(
            number=one["number"],
            client_id=one["client_id"],
            account=account,
            created_at=one["created_at"],
            scope=one["scope"],
        )
        access = [
            AccessToken(key=bytes.fromhex(key), grant=grant, expires_at=float(until))
            for key, until in one["access"]
        ]
        refresh = [
            RefreshToken(
                key=bytes.fromhex(key),
                grant=grant,
                expires_at=until,
                arrivals=arrivals,
                spent_at=spent_at,
            )
            for key, until, arrivals, spent_at in one["refresh"]
        ]
        state.grants.restore(grant, access, refresh)
