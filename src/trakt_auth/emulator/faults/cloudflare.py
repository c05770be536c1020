"""The responses that Cloudflare, in front of Trakt, makes itself: blocks, overload, rate limits.

Makes responses only; when they are sent is decided elsewhere.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING

from trakt_auth.emulator.http.response import text_response

if TYPE_CHECKING:
    from trakt_auth.emulator.http.response import Response

__all__ = ["forbidden", "interstitial", "is_default_agent", "overloaded", "refuse_default_agent"]

_CLOUDFLARE_FIRST = 520  # statuses from here on are Cloudflare's own, not Trakt's
_TOO_MANY = 429

# Which agents Cloudflare blocks is not published; users report it for missing and default ones.
# An application whose name starts like a library's is not blocked: "nodecast/1.0" passes.
_DEFAULT_AGENT = re.compile(
    r"(python(-requests|-urllib|-httpx2?)?|aiohttp|httpx2?|urllib3|requests|java|okhttp"
    r"|go-http-client|axios|node|node-fetch|undici|libwww-perl|ruby|faraday|apache-httpclient"
    r"|guzzlehttp)(?![\w-])",
    re.IGNORECASE,
)

_REASONS = {
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Time-out",
    520: "Web server is returning an unknown error",
    521: "Web server is down",
    522: "Connection timed out",
}


def is_default_agent(agent: str) -> bool:
    """Whether a `User-Agent` is empty or names an HTTP library instead of an application."""
    return not agent.strip() or _DEFAULT_AGENT.match(agent.strip()) is not None


def forbidden(*, plain: bool = False) -> Response:
    """Return Cloudflare's 403: an HTML page or, if `plain`, the line `error code: 1010`."""
    if plain:
        response = text_response("error code: 1010", status=403, outcome="edge_forbidden")
    else:
        html = _page("Attention Required! | Cloudflare", "Sorry, you have been blocked")
        response = text_response(html, status=403, outcome="edge_forbidden", media_type="text/html")
    return _from_cloudflare(response)


def refuse_default_agent(agent: str) -> Response | None:
    """Return 403 for a `User-Agent` that is missing or a library's default, else None."""
    return forbidden() if is_default_agent(agent) else None


def overloaded(status: int, *, retry_after: int | None, now: float) -> Response:
    """Return 429 as a line of text, or another status as an HTML page.

    `retry_after` is in seconds; `now` is in seconds since the epoch.
    """
    if status == _TOO_MANY:
        response = text_response("error code: 1015", status=status, outcome=str(status))
    else:
        reason = _REASONS.get(status, "Error")
        html = _page(f"{status} {reason}", reason)
        response = text_response(html, status=status, outcome=str(status), media_type="text/html")
    if retry_after is not None:
        response.headers["retry-after"] = str(retry_after)
    if status == _TOO_MANY and retry_after is not None:
        response.headers["x-ratelimit"] = json.dumps(
            {
                "name": "UNAUTHED_API_GET_LIMIT",
                "period": 300,
                "limit": 500,
                "remaining": 0,
                "until": int(now) + retry_after,
            }
        )
    if status == _TOO_MANY or status >= _CLOUDFLARE_FIRST:
        _from_cloudflare(response)
    return response


def interstitial() -> Response:
    """Return Cloudflare's HTML page with status 200; users got one in place of a token."""
    html = _page("Just a moment...", "Checking your browser before you continue")
    response = text_response(html, status=200, outcome="html_200", media_type="text/html")
    return _from_cloudflare(response)


def _from_cloudflare(response: Response) -> Response:
    response.headers.update({"server": "cloudflare", "cf-ray": f"{secrets.token_hex(8)}-AMS"})
    return response


def _page(title: str, line: str) -> str:
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{line}</h1><p>Trakt emulator: a fault or an option made this page.</p></body>"
        "</html>"
    )
