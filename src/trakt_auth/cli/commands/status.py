"""`trakt-auth status`: who is signed in, by the store alone; shows no token, sends no request.

Whether a login is over is decided in `flows.policy`; here its state gets a name.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from trakt_auth.cli.commands.status_text import table
from trakt_auth.cli.settings import Settings
from trakt_auth.cli.terminal.output import DONE, FAILED, LOGIN_REQUIRED, write_result
from trakt_auth.errors import StoreCorrupt, StoreEncrypted
from trakt_auth.flows.policy import NO_LOGIN, why_over
from trakt_auth.protocol.application import Endpoints
from trakt_auth.protocol.token import TokenState
from trakt_auth.stores.record import AccountKey, Record, login_of, pause_from
from trakt_auth.stores.wrappers.encrypted import key_id

__all__ = ["status"]

UNREADABLE = "unreadable"
STATES = {
    TokenState.FRESH: "signed_in",
    TokenState.STALE: "due",
    TokenState.EXPIRED: "expired",
}


def status(settings: Settings, *, as_json: bool) -> int:
    """Report all accounts, or the one that --account names; return the exit status."""
    now = datetime.now(UTC)
    report = _report(settings, now)
    text = json.dumps(report, indent=2) + "\n" if as_json else table(report, now)
    written = write_result(text, painted=not as_json)
    states = [account["state"] for account in report["accounts"]]
    if UNREADABLE in states:
        return FAILED
    if settings.account is not None and states == ["login_required"]:
        return LOGIN_REQUIRED
    return written or DONE


def _report(settings: Settings, now: datetime) -> dict[str, Any]:
    client_id = settings.application().client_id
    (_, reason), keys = settings.store_choice(), settings.keys()
    store, fallback = settings.open_store(), settings.open_fallback()
    with settings.client() as client:
        unsaved = client.unsaved()
    known = {*store.accounts(settings.owner()), *unsaved}
    accounts: list[dict[str, Any]] = []
    for name in sorted(known) if settings.account is None else [settings.account]:
        key = AccountKey(settings.owner(), name)
        try:
            # A first login that could not be saved is in the fallback store only.
            stored = store.load(key)
            if login_of(stored) is None and fallback is not None and name in unsaved:
                stored = fallback.load(key)
            account = _account(name, login_of(stored), now)
        except (StoreCorrupt, StoreEncrypted) as error:  # report the other accounts all the same
            account = _account(name, None, now)
            account |= {"state": UNREADABLE, "reason": f"{error}. {error.hint}"}
        accounts.append(account | {"unsaved": name in unsaved})
    pause = store.load(AccountKey(settings.owner(), ""))
    until = pause_from(pause) if pause else None
    store.close()
    return {
        "client_id": client_id,
        "issuer": (settings.endpoints() or Endpoints()).issuer,
        "store": settings.store_shown(),
        "store_reason": reason,
        "key": key_id(keys[0]) if keys else None,
        "paused_until": _time(until) if until and until > now else None,
        "accounts": accounts,
    }


def _account(name: str, record: Record | None, now: datetime) -> dict[str, Any]:
    token = record.token if record else None
    state, reason = _state(name, record, now)
    expires_at = token.expires_at if token else None
    return {
        "account": name,
        "state": state,
        "reason": reason,
        "refreshable": token is not None and token.refresh_token is not None,
        "created_at": _time(token.created_at) if token else None,
        "expires_at": _time(expires_at),
        "expires_in": round((expires_at - now).total_seconds()) if expires_at else None,
        "refresh_due_at": _time(token.due_at(name)) if token and token.refresh_token else None,
        "last_refresh": _last_refresh(record),
    }


def _state(name: str, record: Record | None, now: datetime) -> tuple[str, str | None]:
    if record is None:
        return "login_required", NO_LOGIN
    over = why_over(record, now)
    if over is not None:
        return "login_required", over
    return STATES[record.token.state(now, account=name)], None


def _last_refresh(record: Record | None) -> dict[str, Any] | None:
    attempt = record.attempt if record else None
    if attempt is None:
        return None
    return {
        "outcome": attempt.outcome.value,
        "started_at": _time(attempt.started_at),
        "failures": attempt.failures,
        "retry_at": _time(attempt.retry_at),
        "lost_at": _time(attempt.lost_at),
        "access_rejected": attempt.access_rejected,
        "reason": attempt.reason or None,
    }


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
