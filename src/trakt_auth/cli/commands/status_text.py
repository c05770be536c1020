"""The report of `trakt-auth status` as text for a person.

Pure functions: a report and the current time in, text out.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from trakt_auth.cli.terminal.output import clean, uses_colour

__all__ = ["span", "table"]

WORDS = {
    "signed_in": ("signed in", "32"),
    "due": ("signed in, refresh is due", "32"),
    "expired": ("expired; the next use refreshes it", "33"),
    "login_required": ("login required", "31"),
    "unreadable": ("cannot be read", "31"),
}
OUTCOMES = {
    "begun": "started, not finished yet",
    "failed": "failed",
    "unknown": "the answer was lost",
    "refused": "refused by Trakt",
}


def table(report: dict[str, Any], now: datetime) -> str:
    """Return the whole report as aligned lines."""
    lines: list[str] = []
    for account in report["accounts"]:
        lines += [*_rows(account, now), ""]
    if not report["accounts"]:
        lines += ["Not signed in. Run `trakt-auth login`.", ""]
    if report["paused_until"]:
        lines.append(
            _row("pause", f"Trakt asked to wait until {_readable(report['paused_until'])}")
        )
    lines.append(_row("store", clean(report["store"])))
    lines.append(_row("", clean(report["store_reason"])))
    if report["key"]:
        lines.append(_row("encrypted", f"new records are encrypted with the key {report['key']}"))
    return "\n".join(lines) + "\n"


def _rows(account: dict[str, Any], now: datetime) -> list[str]:
    words, colour = WORDS[account["state"]]
    rows = [_row("account", clean(account["account"])), _row("state", _painted(words, colour))]
    if account["reason"]:
        rows.append(_row("reason", clean(account["reason"])))
    if account["expires_at"]:
        left = account["expires_in"]
        when = f"in {span(left)}" if left > 0 else f"{span(-left)} ago"
        rows.append(_row("expires", f"{when}, {_readable(account['expires_at'])}"))
    if account["refresh_due_at"] and account["state"] != "login_required":
        left = round((datetime.fromisoformat(account["refresh_due_at"]) - now).total_seconds())
        due = f"due in {span(left)}" if left > 0 else "due now"
        rows.append(_row("refresh", f"{due}, {_readable(account['refresh_due_at'])}"))
    if not account["refreshable"] and account["expires_at"]:
        rows.append(_row("refresh", "not possible: there is no refresh token"))
    if account["unsaved"]:
        rows.append(_row("unsaved", "the newest token could not be saved in this store yet"))
    return rows + _last_refresh(account["last_refresh"])


def _last_refresh(refresh: dict[str, Any] | None) -> list[str]:
    if refresh is None:
        return []
    rows = [_row("last try", f"{_readable(refresh['started_at'])}: {OUTCOMES[refresh['outcome']]}")]
    if refresh["reason"] and refresh["outcome"] != "refused":
        rows.append(_row("", clean(refresh["reason"])))
    if refresh["retry_at"]:
        rows.append(_row("next try", f"not before {_readable(refresh['retry_at'])}"))
    return rows


def _row(name: str, value: str) -> str:
    return f"{name:<10}{value}"


def _readable(text: str) -> str:
    return text.replace("T", " ").replace("Z", " UTC")


def span(seconds: float) -> str:
    """Write a duration in seconds in its two largest units."""
    left, parts = int(seconds), list[str]()
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " ".join(parts[:2]) or "0 seconds"


def _painted(text: str, colour: str) -> str:
    return f"\033[{colour}m{text}\033[0m" if uses_colour(sys.stdout) else text
