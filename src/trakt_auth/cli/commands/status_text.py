"""The report of `trakt-auth status` in words, aligned for reading.

Pure: a report and a moment in, text out.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from trakt_auth.cli.terminal.output import clean, coloured

__all__ = ["span", "table"]

WORDS = {
    "signed_in": ("signed in", "32"),
    "due": ("signed in, refresh is due", "32"),
    "expired": ("expired, to be refreshed at the next use", "33"),
    "login_required": ("login required", "31"),
    "unreadable": ("cannot be read", "31"),
}
OUTCOMES = {
    "begun": "begun, and not finished yet",
    "failed": "failed",
    "unknown": "its answer was lost",
    "refused": "refused",
}


def table(report: dict[str, Any], now: datetime) -> str:
    """Lay out the whole report."""
    lines: list[str] = []
    for account in report["accounts"]:
        lines += [*_rows(account, now), ""]
    if not report["accounts"]:
        lines += ["Nobody is signed in. Run `trakt-auth login`.", ""]
    if report["paused_until"]:
        lines.append(_row("pause", f"Trakt asked for one until {_when(report['paused_until'])}"))
    lines.append(_row("store", clean(report["store"])))
    lines.append(_row("", clean(report["store_reason"])))
    if report["key"]:
        lines.append(_row("encrypted", f"what is saved is encrypted by the key {report['key']}"))
    return "\n".join(lines) + "\n"


def _rows(account: dict[str, Any], now: datetime) -> list[str]:
    words, colour = WORDS[account["state"]]
    rows = [_row("account", clean(account["account"])), _row("state", _painted(words, colour))]
    if account["reason"]:
        rows.append(_row("reason", clean(account["reason"])))
    if account["expires_at"]:
        left = account["expires_in"]
        said = f"in {span(left)}" if left > 0 else f"{span(-left)} ago"
        rows.append(_row("expires", f"{said}, {_when(account['expires_at'])}"))
    if account["refresh_due_at"] and account["state"] != "login_required":
        left = round((datetime.fromisoformat(account["refresh_due_at"]) - now).total_seconds())
        due = f"due in {span(left)}" if left > 0 else "due now"
        rows.append(_row("refresh", f"{due}, {_when(account['refresh_due_at'])}"))
    if not account["refreshable"] and account["expires_at"]:
        rows.append(_row("refresh", "not possible: there is no refresh token"))
    if account["unsaved"]:
        rows.append(_row("unsaved", "its newest token is put aside until the store takes it"))
    return rows + _last(account["last_refresh"])


def _last(refresh: dict[str, Any] | None) -> list[str]:
    if refresh is None:
        return []
    rows = [_row("last try", f"{_when(refresh['started_at'])}: {OUTCOMES[refresh['outcome']]}")]
    if refresh["reason"] and refresh["outcome"] != "refused":
        rows.append(_row("", clean(refresh["reason"])))
    if refresh["retry_at"]:
        rows.append(_row("next try", f"not before {_when(refresh['retry_at'])}"))
    return rows


def _row(name: str, value: str) -> str:
    return f"{name:<10}{value}"


def _when(text: str) -> str:
    return text.replace("T", " ").replace("Z", " UTC")


def span(seconds: float) -> str:
    """Write a duration in its two largest units."""
    left, parts = int(seconds), list[str]()
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " ".join(parts[:2]) or "0 seconds"


def _painted(text: str, colour: str) -> str:
    return f"\033[{colour}m{text}\033[0m" if coloured(sys.stdout) else text
