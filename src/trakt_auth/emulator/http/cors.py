"""Cross-origin requests of browser applications (CORS, the Fetch standard section 3.3).

Decides which origins may read a response, and answers preflight requests; routes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trakt_auth.emulator.http.request import FOR_PROGRAMS
from trakt_auth.emulator.http.response import Response, empty_response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import Application

__all__ = ["allow_origin", "is_preflight", "preflight"]

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS = "authorization, content-type, trakt-api-key, trakt-api-version"
_EXPOSED = (
    "Retry-After, WWW-Authenticate, X-Account-Deactivated, X-Account-Locked, "
    "X-Pagination-Item-Count, X-Pagination-Limit, X-Pagination-Page, X-Pagination-Page-Count, "
    "X-Ratelimit, X-Request-Id"
)
_MAX_AGE = "600"  # seconds for which a browser may remember the answer to a preflight


def is_preflight(request: Request) -> bool:
    """Whether a browser asks, before it sends a request of a script, whether it may."""
    return (
        request.method == "OPTIONS"
        and request.kind in FOR_PROGRAMS
        and "origin" in request.headers
        and "access-control-request-method" in request.headers
    )


def preflight(request: Request, applications: Iterable[Application]) -> Response:
    """Answer a preflight; it names no application, so an origin of any of them is allowed."""
    response = empty_response(204, "preflight")
    origin = request.headers["origin"]
    if any(application.allows_origin(origin) for application in applications):
        asked = request.headers.get("access-control-request-headers", "")
        valid = asked.isascii() and asked.isprintable()
        response.headers.update(
            {
                "access-control-allow-origin": _shown(origin),
                "access-control-allow-methods": _METHODS,
                "access-control-allow-headers": (asked if valid else "") or _HEADERS,
                "access-control-max-age": _MAX_AGE,
            }
        )
    response.headers["vary"] = "Origin, Access-Control-Request-Headers"
    return response


def allow_origin(
    request: Request, response: Response, applications: Mapping[str, Application]
) -> None:
    """Let a script read the response if the application that it belongs to has its origin."""
    origin = request.headers.get("origin")
    if origin is None or request.kind not in FOR_PROGRAMS:
        return
    application = applications.get(request.notes.get("client_id", ""))
    asked = applications.values() if application is None else (application,)
    response.headers["vary"] = "Origin"
    if any(one.allows_origin(origin) for one in asked):
        response.headers["access-control-allow-origin"] = _shown(origin)
        response.headers["access-control-expose-headers"] = _EXPOSED


def _shown(origin: str) -> str:
    """Return the origin, or `*` for a text that no header could have."""
    return origin if origin.isascii() and origin.isprintable() and origin else "*"
