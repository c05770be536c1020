"""Trakt's data API, as far as an application's first minutes: any path, and what it answers.

After the checks of every call, a registered response is sent; else that of a known path. The bodies
follow Trakt's published schemas, `projects/api/src/contracts` in the repository trakt/trakt-api.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from trakt_auth.emulator.endpoints.api_access import rate_limit_header, require_access
from trakt_auth.emulator.http.response import (
    ErrorResponse,
    Response,
    json_response,
    oauth_error,
    with_trace_headers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import Account
    from trakt_auth.emulator.state.state import EmulatorState

    ApiHandler = Callable[[EmulatorState, Request, Account], object]

__all__ = ["account_subject", "call", "last_activities", "me", "settings", "user"]

_ACTIVITIES = {
    "movies": "watched collected rated watchlisted favorited commented paused hidden",
    "episodes": "watched collected rated watchlisted commented paused",
    "shows": "rated watchlisted favorited commented hidden dropped",
    "seasons": "rated watchlisted commented hidden",
    "comments": "liked reacted blocked",
    "lists": "liked reacted updated commented",
    "watchlist": "updated",
    "favorites": "updated",
    "collaborations": "updated",
    "saved_filters": "updated",
    "notes": "updated",
    "account": "settings followed following pending requested",
}
# The lists that applications ask for first; an empty account has nothing in them.
_LISTS = re.compile(
    r"/sync/(collection|favorites|history|playback|ratings|watched|watchlist)(/.+)?"
    r"|/users/[^/]+/(collection|comments|favorites|history|ratings|watched|watchlist)(/.+)?"
    r"|/users/likes(/.+)?|/users/[^/]+/(likes|lists)(/.+)?"
    r"|/search/[a-z,]+"
)
_AVATAR = "https://walter-r2.trakt.tv/hotlink-ok/placeholders/medium/fry.png"


def call(state: EmulatorState, request: Request, handlers: Mapping[str, ApiHandler]) -> Response:
    """Answer a call: `handlers` are those of its path by method, if the path is known.

    Raises: ErrorResponse for a call that fails the checks, or to which there is no answer.
    """
    method = "GET" if request.method == "HEAD" else request.method
    registered = state.responses.find(request.method, request.path)
    public = registered is not None and registered.public
    account, limit = require_access(state, request, public=public)
    if registered is not None:
        registered.sent += 1
        response = with_trace_headers(
            Response(status=registered.status, outcome="registered", body=registered.body)
        )
        response.headers.update(registered.headers)
    elif method in handlers and account is not None:
        response = _found(handlers[method](state, request, account))
    elif method == "GET" and _LISTS.fullmatch(request.path):
        response = _empty_list(request)
    else:
        raise ErrorResponse(_not_served(request))
    if limit is not None:
        response.headers.setdefault("x-ratelimit", rate_limit_header(limit))
    return response


def settings(state: EmulatorState, request: Request, account: Account) -> object:
    """Return the body of `GET /users/settings`."""
    del state
    person = _person(account, {"full", "images", "vip"})
    del person["deleted"]
    content: dict[str, object] = {
        "user": person | {"images": {"avatar": {"full": _AVATAR}}},
        "account": {
            "timezone": "Europe/Amsterdam",
            "date_format": "dmy",
            "time_24hr": True,
            "cover_image": None,
            "token": None,
            "display_ads": True,
        },
        "connections": dict.fromkeys(
            ("apple", "dropbox", "facebook", "google", "medium", "microsoft", "mastodon", "slack"),
            False,
        )
        | {"tumblr": False, "twitter": False},
        "sharing_text": {
            "watching": "I'm watching [item]",
            "watched": "I just watched [item]",
            "rated": "[item] [stars]",
        },
        "limits": {
            "list": {"count": 5, "item_count": 100},
            "watchlist": {"item_count": 100},
            "favorites": {"item_count": 100},
            "search": {"recent_count": 5},
            "collection": {"item_count": 100},
            "notes": {"item_count": 100},
            "recommendations": {"item_count": 50},
        },
        "permissions": {"commenting": True, "liking": True, "following": True},
    }
    if "browsing" in _extended(request):
        content["browsing"] = {
            "watch_popup_action": "now",
            "hide_episode_tags": False,
            "spoilers": {"episodes": "show", "shows": "show", "movies": "show", "comments": "show"},
        }
    return content


def me(state: EmulatorState, request: Request, account: Account) -> object:
    """Return the body of `GET /users/me`."""
    del state
    return _person(account, _extended(request))


def user(state: EmulatorState, request: Request, account: Account) -> object:
    """Return the body of `GET /users/{slug}` for an account of the emulator.

    Raises: ErrorResponse with 404 if there is no such account.
    """
    slug = request.path_parameters["slug"]
    for one in (account, *state.accounts.values()):
        if slug in {one.slug, one.username}:
            return _person(one, _extended(request))
    request.notes["reason"] = "no account has this slug"
    raise ErrorResponse(
        with_trace_headers(json_response({"error": "not_found"}, status=404, outcome="not_found"))
    )


def last_activities(state: EmulatorState, request: Request, account: Account) -> object:
    """Return the body of `GET /sync/last_activities`."""
    del state, request
    moment = _timestamp(account.created_at)
    content: dict[str, object] = {"all": moment}
    for kind, verbs in _ACTIVITIES.items():
        content[kind] = {f"{verb}_at": moment for verb in verbs.split()}
    return content


def account_subject(account: Account) -> str:
    """Return the UUID of an account, the same in every run for the same name."""
    return str(uuid5(NAMESPACE_URL, f"https://trakt.tv/users/{account.username.casefold()}"))


def _person(account: Account, extended: set[str]) -> dict[str, object]:
    number = int(account_subject(account)[:7], 16)
    ids = {"slug": account.slug, "trakt": number, "uuid": account_subject(account)}
    person: dict[str, object] = {
        "username": account.username,
        "private": False,
        "deleted": False,
        "name": account.username,
        "vip": False,
        "vip_ep": False,
        "director": False,
        "ids": ids,
    }
    if "full" in extended:
        joined = _timestamp(account.created_at)
        person |= {"joined_at": joined, "location": "", "about": "", "gender": None, "age": None}
    if "images" in extended or "full" in extended:
        person["images"] = {"avatar": {"full": _AVATAR}}
    if "vip" in extended:
        person |= {"vip_og": False, "vip_years": 0, "vip_cover_image": None}
    return person


def _extended(request: Request) -> set[str]:
    """Return the words of the query parameter `extended`."""
    return {word for text in request.query.get("extended", ()) for word in text.split(",")}


def _found(content: object) -> Response:
    response = with_trace_headers(json_response(content))
    response.headers["cache-control"] = "private, max-age=0, must-revalidate"
    return response


def _empty_list(request: Request) -> Response:
    """Return an empty list, with the headers by which a client reads it page by page."""
    response = _found([])
    response.outcome = "empty_list"
    for header, name, default in (("page", "page", "1"), ("limit", "limit", "10")):
        given = request.query.get(name, [default])[0]
        valid = given.isascii() and given.isdecimal() and len(given) < len("1000000")
        response.headers[f"x-pagination-{header}"] = given if valid else default
    response.headers["x-pagination-page-count"] = "0"
    response.headers["x-pagination-item-count"] = "0"
    return response


def _not_served(request: Request) -> Response:
    what = f"{request.method[:10]} {request.endpoint}"
    example = json.dumps({"path": request.endpoint, "json": []})
    request.notes["reason"] = "no response is registered for this path"
    description = (
        f"The emulator does not serve {what}. To answer it, register a response: "
        f"POST /emulator/responses {example}"
    )
    return with_trace_headers(oauth_error("not_served", description, status=404))


def _timestamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
