"""The table of routes: which handler handles which path and method.

Finds the route of a request, and makes the responses for a path or a method without a handler.
What an endpoint does is not here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import trakt_auth.emulator.dashboard.control as control
import trakt_auth.emulator.dashboard.page as dashboard
import trakt_auth.emulator.endpoints.data_api as api
import trakt_auth.emulator.endpoints.device as device
import trakt_auth.emulator.endpoints.metadata as metadata
import trakt_auth.emulator.endpoints.openapi as openapi
import trakt_auth.emulator.endpoints.openid as openid
import trakt_auth.emulator.endpoints.responses as control_responses
import trakt_auth.emulator.endpoints.token as oauth
import trakt_auth.emulator.pages.activate as activate
import trakt_auth.emulator.pages.sign_in as pages
from trakt_auth.emulator.http.response import Response, json_response, oauth_error
from trakt_auth.emulator.pages.sessions import bare_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from trakt_auth.emulator.http.request import Kind, Request
    from trakt_auth.emulator.state.model import Account
    from trakt_auth.emulator.state.state import EmulatorState

    Handler = Callable[[EmulatorState, Request], Response]
    ApiHandler = Callable[[EmulatorState, Request, Account], object]

__all__ = ["Route", "find", "handle", "method_not_allowed", "not_found"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The handlers of a path by method; requests are counted and logged under `path`."""

    path: str
    kind: Kind
    handlers: dict[str, Handler]

    @property
    def allow(self) -> str:
        """The value of the `Allow` header."""
        return ", ".join(sorted({*self.handlers, *({"HEAD"} if "GET" in self.handlers else ())}))


def _route(
    kind: Kind, path: str, *, get: Handler | None = None, post: Handler | None = None
) -> Route:
    handlers = {"GET": get, "POST": post}
    return Route(
        path=path,
        kind=kind,
        handlers={method: one for method, one in handlers.items() if one is not None},
    )


def _api(path: str, handler: ApiHandler) -> Route:
    return _route("api", path, get=partial(api.call, handlers={"GET": handler}))


_ROUTES = (
    _route("oauth", "/oauth/token", post=oauth.token),
    _route("oauth", "/oauth/revoke", post=oauth.revoke),
    _route("oauth", "/oauth/device/code", post=device.device_code),
    _route("oauth", "/oauth/device/token", post=device.device_token),
    _route("metadata", "/.well-known/openid-configuration", get=metadata.metadata),
    _route("metadata", "/.well-known/oauth-authorization-server", get=metadata.metadata),
    _route("metadata", "/oauth/jwks", get=openid.jwks),
    _route("metadata", "/oauth/userinfo", get=openid.userinfo, post=openid.userinfo),
    _route("control", "/openapi.json", get=openapi.document),
    _api("/users/settings", api.settings),
    _api("/users/me", api.me),
    _api("/users/{slug}", api.user),
    _api("/sync/last_activities", api.last_activities),
    _route("page", "/", get=dashboard.show, post=dashboard.press_button),
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
    _route("control", "/emulator/room", get=dashboard.live_parts),
    _route("control", "/emulator/room.css", get=dashboard.static_file),
    _route("control", "/emulator/room.js", get=dashboard.static_file),
    _route("control", "/emulator/state", get=control.show_state),
    _route("control", "/emulator/clock", post=control.advance_clock),
    _route("control", "/emulator/faults", post=control.replace_faults),
    _route("control", "/emulator/responses", post=control_responses.register),
    _route("control", "/emulator/reset", post=control.reset),
    _route("control", "/emulator/device/{user_code}/approve", post=control.approve),
    _route("control", "/emulator/device/{user_code}/deny", post=control.deny),
)

_ANY = Route(path="(any other path)", kind="api", handlers={})

_FIXED = {route.path: route for route in _ROUTES if "{" not in route.path}
_PATTERNS = [
    (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)), route)
    for route in _ROUTES
    if "{" in route.path
]


_NOT_API = frozenset(route.path.split("/")[1] for route in _ROUTES if route.kind != "api")
_LONGEST_ENDPOINT = 200  # characters of a path in the log


def find(request: Request) -> Route | None:
    """Return the route of a request, and fill in its endpoint, kind and path parameters.

    Every path that is not the emulator's own is one of the data API.
    """
    route = _FIXED.get(request.path)
    for pattern, candidate in _PATTERNS if route is None else ():
        match = pattern.fullmatch(request.path)
        if match is not None:
            route = candidate
            request.path_parameters = match.groupdict()
    if route is None and request.path.split("/")[1] not in _NOT_API and not request.from_browser:
        route = _ANY
    if route is not None:
        request.kind = route.kind
        request.endpoint = route.path
    if route is _ANY:
        request.endpoint = quote(request.path, safe="/:,@~!$&'()*+;=")[:_LONGEST_ENDPOINT]
    return route


def handle(state: EmulatorState, request: Request, route: Route) -> Response:
    """Call the handler of a request's method.

    Raises: ErrorResponse as that handler does.
    """
    handler = route.handlers.get("GET" if request.method == "HEAD" else request.method)
    if handler is not None:
        return handler(state, request)
    registered = route.kind == "api" and state.responses.find(request.method, request.path)
    if route is _ANY or registered:
        return api.call(state, request, {})
    return method_not_allowed(route)


def not_found(request: Request) -> Response:
    """Return 404: a page for a browser, JSON for a program."""
    if "text/html" in request.headers.get("accept", ""):
        text = "The emulator has no such page."
        return bare_page("Not found", text, status=404, outcome="not_found")
    return json_response({"error": "not_found"}, status=404, outcome="not_found")


def method_not_allowed(route: Route) -> Response:
    """Return 405 or, for an OAuth endpoint, 404: Trakt's OAuth endpoints respond so to a GET."""
    if route.kind == "oauth":
        description = f"{route.path} accepts POST only"
        response = oauth_error("invalid_request", description, status=404)
    else:
        response = json_response({"error": "method_not_allowed"}, status=405)
    response.outcome = "wrong_method"
    response.headers["allow"] = route.allow
    return response
