"""Three endpoints of Trakt's data API: enough to see that a token works, and whose it is.

Checks the required headers and the bearer token; issues no token.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trakt_auth.emulator.hashing import fingerprint
from trakt_auth.emulator.http.response import (
    ErrorResponse,
    Response,
    json_response,
    oauth_error,
    unauthorized,
    with_trace_headers,
)

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import Account
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["last_activities", "me", "settings"]

_ACTIVITIES = {
    "movies": ("watched", "collected", "rated", "watchlisted", "favorited", "commented", "paused"),
    "episodes": ("watched", "collected", "rated", "watchlisted", "commented", "paused"),
    "shows": ("rated", "watchlisted", "favorited", "commented", "hidden", "dropped"),
    "seasons": ("rated", "watchlisted", "commented", "hidden"),
    "lists": ("liked", "updated", "commented"),
    "watchlist": ("updated",),
    "favorites": ("updated",),
    "account": ("settings", "followed", "following", "pending", "requested"),
}


def settings(state: EmulatorState, request: Request) -> Response:
    """Answer `GET /users/settings`."""
    account = _caller(state, request)
    content = {
        "user": _person(account),
        "account": {
            "timezone": "Europe/Amsterdam",
            "date_format": "dmy",
            "time_24hr": True,
            "cover_image": None,
        },
        "sharing_text": {
            "watching": "I'm watching [item]",
            "watched": "I just watched [item]",
            "rated": "[item] [stars]",
        },
        "limits": {
            "list": {"count": 5, "item_count": 100},
            "watchlist": {"item_count": 100},
            "favorites": {"item_count": 100},
        },
    }
    return _found(content)


def me(state: EmulatorState, request: Request) -> Response:
    """Answer `GET /users/me`."""
    return _found(_person(_caller(state, request)))


def last_activities(state: EmulatorState, request: Request) -> Response:
    """Answer `GET /sync/last_activities`."""
    moment = _timestamp(_caller(state, request).created_at)
    content: dict[str, object] = {"all": moment}
    for kind, verbs in _ACTIVITIES.items():
        content[kind] = {f"{verb}_at": moment for verb in verbs}
    return _found(content)


def _caller(state: EmulatorState, request: Request) -> Account:
    """Return the account of the bearer token, which works with its own application's key only."""
    client_id = _check_headers(state, request)
    scheme, _, text = request.headers.get("authorization", "").strip().partition(" ")
    grant = state.grants.find_access(text.strip()) if scheme.lower() == "bearer" else None
    if grant is None or grant.client_id != client_id:
        raise ErrorResponse(unauthorized())
    request.notes["account"] = grant.account.username
    request.notes["access_token"] = fingerprint(text.strip())
    return grant.account


def _check_headers(state: EmulatorState, request: Request) -> str:
    """Check the headers that Trakt requires; return the client id."""
    client_id = request.headers.get("trakt-api-key", "")
    if client_id not in state.applications:
        raise ErrorResponse(
            with_trace_headers(oauth_error("forbidden", "invalid API key", status=403))
        )
    request.notes["client_id"] = client_id
    # Trakt requires this header; the status for a missing one is not documented.
    if request.headers.get("trakt-api-version", "").strip() != "2":
        description = "trakt-api-version: 2 is required"
        raise ErrorResponse(with_trace_headers(oauth_error("invalid_request", description)))
    # Trakt documents 412 for a wrong type. No type at all is accepted, since a GET has no body.
    if request.media_type not in {"", "application/json"}:
        description = "content-type: application/json is required"
        raise ErrorResponse(
            with_trace_headers(oauth_error("invalid_request", description, status=412))
        )
    return client_id


def _found(content: object) -> Response:
    response = with_trace_headers(json_response(content))
    response.headers["cache-control"] = "private, max-age=0, must-revalidate"
    return response


def _person(account: Account) -> dict[str, object]:
    return {
        "username": account.username,
        "private": False,
        "deleted": False,
        "name": account.username,
        "vip": False,
        "vip_ep": False,
        "ids": {"slug": account.slug, "uuid": fingerprint(account.username) * 2},
        "joined_at": _timestamp(account.created_at),
        "location": "",
        "about": "",
        "gender": None,
        "age": None,
        "images": {"avatar": {"full": None}},
    }


def _timestamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
