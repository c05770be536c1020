"""Explains what the faults that fired did to a request, with the status that was really sent.

Sentences only. What each fault does in general is in `explain.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request_log import Entry

__all__ = ["FIRED", "describe_fired", "outcome_stands"]

FIRED = {
    "answer_lost": "the request took effect, but the connection ended before the response.",
    "reset": "the connection was reset before the request was processed.",
    "slow": "the response was late.",
    "status": "an error of the servers in front of Trakt.",
    "cloudflare_403": "blocked by its User-Agent, as Cloudflare does.",
    "forbidden": "the key or the application was rejected.",
    "account_locked": "the user's account is locked or deactivated.",
    "unauthorized": "the access token was rejected, although it may be valid.",
    "html_200": "an HTML page in place of the token.",
    "json_200_without_token": "JSON that contains no token.",
    "truncated_json": "the request took effect, but the response ended in the middle.",
    "legacy_errors": "an invalid_grant had the form that Trakt used before July 2026.",
    "shorter_lifetime": "an access token that was issued expires sooner.",
    "skewed_clock": "the times in the response were wrong.",
    "device_error": "an OAuth error for a poll.",
    "refuse": "an OAuth error, whatever was requested.",
    "replay_family": "a refresh token was sent again, which can end all tokens of its user.",
    "replay_grace": "a refresh token was sent again, and could get the same response as before.",
}
"""What each fault did to a request on which it fired."""

_OUTCOME_STANDS = frozenset(
    {
        "answer_lost",
        "legacy_errors",
        "replay_family",
        "replay_grace",
        "shorter_lifetime",
        "skewed_clock",
        "slow",
        "truncated_json",
    }
)


def describe_fired(entry: Entry) -> str:
    """Return what the faults of an entry did, and the status with which the request ended."""
    fired = " ".join(f"Fault {name}: {FIRED[name]}" for name in entry.faults)
    if entry.status is None:
        return f"{fired} No response was sent."
    fields = entry.response_fields
    details = [f"Responded with {entry.status}"]
    if "error" in fields and not outcome_stands(entry):
        details.append(fields["error"])
    if "retry-after" in fields:
        details.append(f"Retry-After {fields['retry-after']}")
    return f"{fired} {', '.join(details)}."


def outcome_stands(entry: Entry) -> bool:
    """Whether the request was processed as usual, so that its own explanation is true as well."""
    return _OUTCOME_STANDS.issuperset(entry.faults)
