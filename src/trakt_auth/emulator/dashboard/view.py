"""What the dashboard shows: the emulator's state as plain values for its templates.

Changes nothing and makes no HTML. Secrets are shown as the start of their hash.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from trakt_auth.emulator.dashboard.control import describe_application, open_device_codes
from trakt_auth.emulator.dashboard.explain import explain
from trakt_auth.emulator.dashboard.selection import kind_of
from trakt_auth.emulator.http.request_log import short_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trakt_auth.emulator.faults.armed import Fault
    from trakt_auth.emulator.http.request_log import Entry
    from trakt_auth.emulator.state.model import DeviceCode, Grant
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["format_duration", "view"]

_MAX_CODES = 50
_MAX_ACCOUNTS = 50
_MAX_LOGINS = 50
_MAX_GRANTS = 10
_MAX_LINES = 60
_MAX_SEARCHED = 3000  # log entries, among which those of one kind are looked for
_MAX_APPLICATIONS = 5
_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_CLIENT_ERROR, _SERVER_ERROR = 400, 500  # the lowest status of each


def view(state: EmulatorState, *, now: float, log_kind: str = "") -> dict[str, object]:
    """Return everything that can change while the dashboard is open.

    `log_kind` limits the log to one of `LOG_KINDS`.
    """
    codes = open_device_codes(state, now)
    logins = list(islice(_logins(state, now=now), _MAX_LOGINS))
    return {
        "clock": _clock(state, now=now),
        "codes": [_code(state, one, now=now) for one in codes[-_MAX_CODES:]],
        "code_count": len(codes),
        "logins": logins,
        "tokens": state.grants.counts(),
        "faults": [_fault(one) for one in state.faults.armed()],
        "log": list(islice(_lines(state, log_kind), _MAX_LINES)),
        "applications": [
            describe_application(one)
            for one in islice(state.applications.values(), _MAX_APPLICATIONS)
        ],
    }


def format_duration(seconds: float) -> str:
    """Return a duration in seconds as text, in its two largest units: `6 d 23 h`, `9 min 58 s`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        amount, left = divmod(left, size)
        if amount or parts:
            parts.append(f"{amount} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 ")) or "0 s"


def _clock(state: EmulatorState, *, now: float) -> dict[str, object]:
    moment = datetime.fromtimestamp(now, UTC)
    clock = state.clock
    pace = "frozen" if clock.is_frozen else "running"
    ahead = f"advanced by {format_duration(clock.ahead)}" if clock.ahead else "not advanced"
    return {
        "date": f"{moment:%Y-%m-%d}",
        "time": f"{moment:%H:%M:%S}",
        "iso": moment.isoformat(timespec="seconds"),
        "how": f"{pace}, {ahead}",
    }


def _code(state: EmulatorState, one: DeviceCode, *, now: float) -> dict[str, object]:
    return {
        "user_code": one.user_code,
        "application": state.applications[one.client_id].title,
        "left": format_duration(one.expires_at - now),
        "approved": one.status == "approved",
        "account": "" if one.account is None else one.account.username,
        "polls": one.polls,
    }


def _logins(state: EmulatorState, *, now: float) -> Iterator[dict[str, object]]:
    """Yield each account with each of its applications, newest account first."""
    for account in islice(reversed(state.accounts.values()), _MAX_ACCOUNTS):
        for client_id in sorted({*account.approved, *account.grants}):
            known = account.grants.get(client_id, {}).values()
            newest = islice((one for one in reversed(known) if one.alive), _MAX_GRANTS)
            yield {
                "account": account.username,
                "client_id": client_id,
                "application": state.applications[client_id].title,
                "grants": [_grant(state, grant, now=now) for grant in newest],
            }


def _grant(state: EmulatorState, grant: Grant, *, now: float) -> dict[str, object]:
    lifetime = state.options.access_token_lifetime
    refresh = next((one for one in reversed(grant.refresh_tokens) if one.spent_at is None), None)
    return {
        "number": grant.number,
        "access": [
            {
                "hash": short_hash(token.key.hex()),
                "left": format_duration(token.expires_at - now),
                "share": min(100, round(100 * (token.expires_at - now) / lifetime)),
            }
            for token in reversed(state.grants.access_tokens(grant)[-3:])
        ],
        "refresh": "" if refresh is None else short_hash(refresh.key.hex()),
        "rotations": sum(one.spent_at is not None for one in grant.refresh_tokens),
    }


def _fault(one: Fault) -> dict[str, object]:
    remaining = "every time" if one.times is None else f"{one.times - one.fired} more"
    probability = "" if one.probability >= 1 else f", {one.probability:.0%} of requests"
    parameters = ", ".join(
        f"{name} {_plain(value)}" for name, value in one.kind.parameters().items()
    )
    return {
        "number": one.number,
        "name": one.kind.name,
        "where": one.endpoint,
        "remaining": f"{remaining}{probability}",
        "fired": one.fired,
        "parameters": parameters,
    }


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _lines(state: EmulatorState, kind: str) -> Iterator[dict[str, object]]:
    """Yield the log entries of a kind, or of all, newest first."""
    for number, entry in state.request_log.newest(_MAX_SEARCHED):
        is_this_page = (entry.endpoint, entry.outcome) == ("/", "page")
        if not is_this_page and kind in {"", kind_of(entry.endpoint)}:
            yield _line(number, entry)


def _line(number: int, entry: Entry) -> dict[str, object]:
    explanation = explain(entry)
    return {
        "number": number,
        "time": f"{datetime.fromtimestamp(entry.at, UTC):%H:%M:%S}",
        "method": entry.method,
        "endpoint": entry.endpoint,
        "status": "cut" if entry.status is None else str(entry.status),
        "tone": _tone(entry),
        "sentence": explanation.sentence,
        "source": explanation.source,
        "account": entry.notes.get("account", ""),
        "request_fields": entry.request_fields,
        "response_fields": entry.response_fields,
    }


def _tone(entry: Entry) -> str:
    """Return the CSS class for the outcome: `good`, `wait`, `no` or `broken`."""
    if entry.status is None or entry.status >= _SERVER_ERROR:
        return "broken"
    if entry.outcome in {"pending", "slow_down"}:
        return "wait"
    return "no" if entry.status >= _CLIENT_ERROR else "good"
