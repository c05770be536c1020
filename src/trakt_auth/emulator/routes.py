"""Which handler answers which path and method.

A table and a lookup; no handler's work is done here.
Only `core.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import trakt_auth.emulator.dashboard.control as control
import trakt_auth.emulator.dashboard.page as room
import trakt_auth.emulator.endpoints.data_api as api
import trakt_auth.emulator.endpoints.device as device
import trakt_auth.emulator.endpoints.metadata as metadata
import trakt_auth.emulator.endpoints.openapi as openapi
import trakt_auth.emulator.endpoints.token as oauth
import trakt_auth.emulator.pages.activate as activate
import trakt_auth.emulator.pages.sign_in as pages
from trakt_auth.emulator.http.response import Answer, json_answer, oauth_error
from trakt_auth.emulator.pages.sessions import bare_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.state import Site

    Handler = Callable[[Site, Request], Answer]

__all__ = ["Route", "find", "wrong_method", "wrong_path"]

_Kind = Literal["oauth", "api", "page", "control"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path's handlers by method; `path` is also the name by which requests are counted."""

    path: str
    kind: _Kind
    handlers: dict[str, Handler]

    @property
    def allow(self) -> str:
        """The methods, for the `Allow` header."""
        return ", ".join(sorted({*self.handlers, *({"HEAD"} if "GET" in self.handlers else ())}))


def _route(
    kind: _Kind, path: str, *, get: Handler | None = None, post: Handler | None = None
) -> Route:
    handlers = {"GET": get, "POST": post}
    return Route(
        path=path,
        kind=kind,
        handlers={method: one for method, one in handlers.items() if one is not None},
    )


_ROUTES = (
    _route("oauth", "/oauth/token", post=oauth.token),
    _route("oauth", "/oauth/revoke", post=oauth.revoke),
    _route("oauth", "/oauth/device/code", post=device.device_code),
    _route("oauth", "/oauth/device/token", post=device.device_token),
    _route("api", "/.well-known/openid-configuration", get=metadata.metadata),
    _route("control", "/openapi.json", get=openapi.document),
    _route("api", "/users/settings", get=api.settings),
    _route("api", "/users/me", get=api.me),
    _route("api", "/sync/last_activities", get=api.last_activities),
    _route("page", "/", get=room.room, post=room.press),
    _route("page", "/sign-in", get=pages.sign_in, post=pages.do_sign_in),
    _route("page", "/sign-up", get=pages.sign_in, post=pages.do_sign_in),
    _route("page", "/sign-out", post=pages.sign_out),
    _route("page", "/oauth/authorize", get=pages.authorize, post=pages.decide),
    _route("page", "/oauth/authorize/native", get=pages.native),
    _route("page", "/oauth/authorize/denied", get=pages.authorize_denied),
    _route("page", "/activate", get=activate.activate, post=activate.enter),
    _route("page", "/activate/success", get=activate.success),
    _route("page", "/activate/denied", get=activate.denied),
    _route("page", "/activate/{code}", get=activate.activate),
    _route("page", "/activate/{code}/confirm", get=activate.confirm),
    _route("control", "/emulator/room", get=room.live),
    _route("control", "/emulator/room.css", get=room.asset),
    _route("control", "/emulator/room.js", get=room.asset),
    _route("control", "/emulator/state", get=control.state),
    _route("control", "/emulator/clock", post=control.clock),
    _route("control", "/emulator/faults", post=control.faults),
    _route("control", "/emulator/reset", post=control.reset),
    _route("control", "/emulator/device/{user_code}/approve", post=control.approve),
    _route("control", "/emulator/device/{user_code}/deny", post=control.deny),
)

_FIXED = {route.path: route for route in _ROUTES if "{" not in route.path}
_PATTERNS = [
    (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)), route)
    for route in _ROUTES
    if "{" in route.path
]


def find(request: Request) -> Route | None:
    """Return the route of a request, whose endpoint and path words are filled in."""
    route = _FIXED.get(request.path)
    for pattern, candidate in _PATTERNS if route is None else ():
        match = pattern.fullmatch(request.path)
        if match is not None:
            route = candidate
            request.words = match.groupdict()
    if route is not None:
        request.endpoint = route.path
    return route


def wrong_path(request: Request) -> Answer:
    """Return 404, as a page to a browser and as JSON to a program."""
    if "text/html" in request.headers.get("accept", ""):
        text = "The emulator has no such page."
        return bare_page("Not found", text, status=404, outcome="not_found")
    return json_answer({"error": "not_found"}, status=404, outcome="not_found")


def wrong_method(route: Route) -> Answer:
    """Return 405; on an OAuth endpoint 404, which is what was seen there (facts section 3)."""
    if route.kind == "oauth":
        description = f"{route.path} is there for POST only"
        answer = oauth_error("invalid_request", description, status=404)
    else:
        answer = json_answer({"error": "method_not_allowed"}, status=405)
    answer.outcome = "wrong_method"
    answer.headers["allow"] = route.allow
    return answer
