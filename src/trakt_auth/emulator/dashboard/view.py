"""What the control room shows: the site's state as rows of text.

Chooses and words; changes nothing and makes no HTML. Secrets appear as the start of their hash.
Only `room.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from trakt_auth.emulator.dashboard.control import waiting
from trakt_auth.emulator.dashboard.explain import explain
from trakt_auth.emulator.http.request_log import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trakt_auth.emulator.faults.armed import Fault
    from trakt_auth.emulator.http.request_log import Entry
    from trakt_auth.emulator.state.model import DeviceCode, Grant
    from trakt_auth.emulator.state.state import Site

__all__ = ["span", "view"]

_MOST_CODES = 50
_MOST_ACCOUNTS = 50
_MOST_LOGINS = 50
_MOST_GRANTS = 10
_MOST_LINES = 60
_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_ERROR, _BROKEN = 400, 500  # the lowest statuses of their kind


def view(site: Site, *, now: float) -> dict[str, object]:
    """Return everything that changes while the room is open."""
    codes = waiting(site, now)
    logins = list(islice(_logins(site, now=now), _MOST_LOGINS))
    return {
        "clock": _clock(site, now=now),
        "codes": [_code(site, one, now=now) for one in codes[-_MOST_CODES:]],
        "codes_in_all": len(codes),
        "logins": logins,
        "tokens": site.grants.counts(),
        "faults": [_fault(one) for one in site.faults.armed()],
        "log": [
            _line(number, entry)
            for number, entry in site.journal.newest(_MOST_LINES)
            if (entry.endpoint, entry.outcome) != ("/", "page")  # opening this very page
        ],
    }


def span(seconds: float) -> str:
    """Return a duration in its two largest units: `6 d 23 h`, `9 min 58 s`."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        amount, left = divmod(left, size)
        if amount or parts:
            parts.append(f"{amount} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 ")) or "0 s"


def _clock(site: Site, *, now: float) -> dict[str, object]:
    moment = datetime.fromtimestamp(now, UTC)
    clock = site.clock
    pace = "stands still" if clock.is_frozen else "runs"
    ahead = f"{span(clock.ahead)} ahead" if clock.ahead else "not moved"
    return {
        "date": f"{moment:%Y-%m-%d}",
        "time": f"{moment:%H:%M:%S}",
        "iso": moment.isoformat(timespec="seconds"),
        "how": f"{pace}, {ahead}",
    }


def _code(site: Site, one: DeviceCode, *, now: float) -> dict[str, object]:
    return {
        "user_code": one.user_code,
        "application": site.applications[one.client_id].title,
        "left": span(one.expires_at - now),
        "approved": one.status == "approved",
        "account": "" if one.account is None else one.account.username,
        "polls": one.polls,
    }


def _logins(site: Site, *, now: float) -> Iterator[dict[str, object]]:
    """Go through who is signed in to what, newest account first."""
    for account in islice(reversed(site.accounts.values()), _MOST_ACCOUNTS):
        for client_id in sorted({*account.approved, *account.grants}):
            known = account.grants.get(client_id, {}).values()
            newest = islice((one for one in reversed(known) if one.alive), _MOST_GRANTS)
            yield {
                "account": account.username,
                "client_id": client_id,
                "application": site.applications[client_id].title,
                "grants": [_grant(site, grant, now=now) for grant in newest],
            }


def _grant(site: Site, grant: Grant, *, now: float) -> dict[str, object]:
    lifetime = site.options.access_token_lifetime
    refresh = next((one for one in reversed(grant.refresh) if one.spent_at is None), None)
    return {
        "number": grant.number,
        "access": [
            {
                "mark": shown(token.key.hex()),
                "left": span(token.expires_at - now),
                "share": min(100, round(100 * (token.expires_at - now) / lifetime)),
            }
            for token in reversed(site.grants.access_tokens(grant)[-3:])
        ],
        "refresh": "" if refresh is None else shown(refresh.key.hex()),
        "rotations": sum(one.spent_at is not None for one in grant.refresh),
    }


def _fault(one: Fault) -> dict[str, object]:
    often = "every time" if one.times is None else f"{one.times - one.fired} more"
    chance = "" if one.probability >= 1 else f", {one.probability:.0%} of requests"
    given = ", ".join(f"{name} {_plain(value)}" for name, value in one.kind.parameters().items())
    return {
        "number": one.number,
        "name": one.kind.name,
        "where": one.endpoint,
        "often": f"{often}{chance}",
        "fired": one.fired,
        "given": given,
    }


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _line(number: int, entry: Entry) -> dict[str, object]:
    said = explain(entry)
    return {
        "number": number,
        "time": f"{datetime.fromtimestamp(entry.at, UTC):%H:%M:%S}",
        "method": entry.method,
        "endpoint": entry.endpoint,
        "status": "cut" if entry.status is None else str(entry.status),
        "tone": _tone(entry),
        "sentence": said.sentence,
        "source": said.source,
        "account": entry.notes.get("account", ""),
        "sent": entry.sent,
        "answered": entry.answered,
    }


def _tone(entry: Entry) -> str:
    """Return how it went: `good`, `wait`, `no` or `broken`; the words say it too."""
    if entry.status is None or entry.status >= _BROKEN:
        return "broken"
    if entry.outcome in {"pending", "slow_down"}:
        return "wait"
    return "no" if entry.status >= _ERROR else "good"
