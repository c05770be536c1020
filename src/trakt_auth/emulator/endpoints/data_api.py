"""Three paths of the data API: enough to see that a token works, and for whom.

Checks the required headers and the bearer token; knows nothing of how tokens come to be.
`routes.py` and `fault_answers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trakt_auth.emulator.expiring_dict import fingerprint
from trakt_auth.emulator.http.response import (
    Answer,
    Refused,
    json_answer,
    oauth_error,
    traced,
    unauthorized,
)

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import Account
    from trakt_auth.emulator.state.state import Site

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


def settings(site: Site, request: Request) -> Answer:
    """Answer `GET /users/settings`."""
    account = _caller(site, request)
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


def me(site: Site, request: Request) -> Answer:
    """Answer `GET /users/me`."""
    return _found(_person(_caller(site, request)))


def last_activities(site: Site, request: Request) -> Answer:
    """Answer `GET /sync/last_activities`."""
    moment = _timestamp(_caller(site, request).created_at)
    content: dict[str, object] = {"all": moment}
    for kind, verbs in _ACTIVITIES.items():
        content[kind] = {f"{verb}_at": moment for verb in verbs}
    return _found(content)


def _caller(site: Site, request: Request) -> Account:
    """Return whose token this is; a token works only with the key of its own application."""
    client_id = _key(site, request)
    scheme, _, text = request.headers.get("authorization", "").strip().partition(" ")
    grant = site.grants.find_access(text.strip()) if scheme.lower() == "bearer" else None
    if grant is None or grant.client_id != client_id:
        raise Refused(unauthorized())
    request.notes["account"] = grant.account.username
    request.notes["access_token"] = fingerprint(text.strip())
    return grant.account


def _key(site: Site, request: Request) -> str:
    """Check the required headers (facts section 6); return the client id."""
    client_id = request.headers.get("trakt-api-key", "")
    if client_id not in site.applications:
        raise Refused(traced(oauth_error("forbidden", "invalid API key", status=403)))
    request.notes["client_id"] = client_id
    # The header is required, but which status its absence gets is not published.
    if request.headers.get("trakt-api-version", "").strip() != "2":
        description = "trakt-api-version: 2 is required"
        raise Refused(traced(oauth_error("invalid_request", description)))
    # Facts section 6: 412 for a wrong type. None at all passes, since a GET has no body.
    if request.media_type not in {"", "application/json"}:
        description = "content-type: application/json is required"
        raise Refused(traced(oauth_error("invalid_request", description, status=412)))
    return client_id


def _found(content: object) -> Answer:
    answer = traced(json_answer(content))
    answer.headers["cache-control"] = "private, max-age=0, must-revalidate"
    return answer


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
