"""Answers of the edge in front of Trakt: Cloudflare's pages, overload pages, plain-text limits.

Bodies only; when they are given is decided elsewhere.
The fault kinds and `core.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING

from trakt_auth.emulator.http.response import text_answer

if TYPE_CHECKING:
    from trakt_auth.emulator.http.response import Answer

__all__ = ["blocked_agent", "edge_forbidden", "interstitial", "is_default_agent", "overloaded"]

_CLOUDFLARE_FIRST = 520  # 520 to 522 are Cloudflare's own (facts section 6)
_TOO_MANY = 429

# Which agents the edge blocks is not published: facts section 6 names missing and default ones.
# An application whose name only begins like a library's is not meant: "nodecast/1.0" passes.
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
    """Whether a `User-Agent` is missing, or is a library's own and names no application."""
    return not agent.strip() or _DEFAULT_AGENT.match(agent.strip()) is not None


def edge_forbidden(*, plain: bool = False) -> Answer:
    """Return Cloudflare's 403: a page, or the line `error code: 1010`."""
    if plain:
        answer = text_answer("error code: 1010", status=403, outcome="edge_forbidden")
    else:
        html = _page("Attention Required! | Cloudflare", "Sorry, you have been blocked")
        answer = text_answer(html, status=403, outcome="edge_forbidden", media_type="text/html")
    return _from_cloudflare(answer)


def blocked_agent(agent: str) -> Answer | None:
    """Return the 403 that a missing or default `User-Agent` gets, or None for a named one."""
    return edge_forbidden() if is_default_agent(agent) else None


def overloaded(status: int, *, retry_after: int | None, now: float) -> Answer:
    """Return 429 as a line of text or 5xx as a page; `retry_after` is in seconds."""
    if status == _TOO_MANY:
        answer = text_answer("error code: 1015", status=status, outcome=str(status))
    else:
        reason = _REASONS.get(status, "Error")
        html = _page(f"{status} {reason}", reason)
        answer = text_answer(html, status=status, outcome=str(status), media_type="text/html")
    if retry_after is not None:
        answer.headers["retry-after"] = str(retry_after)
    if status == _TOO_MANY and retry_after is not None:
        answer.headers["x-ratelimit"] = json.dumps(
            {
                "name": "UNAUTHED_API_GET_LIMIT",
                "period": 300,
                "limit": 500,
                "remaining": 0,
                "until": int(now) + retry_after,
            }
        )
    if status == _TOO_MANY or status >= _CLOUDFLARE_FIRST:
        _from_cloudflare(answer)
    return answer


def interstitial() -> Answer:
    """Return the HTML that came with status 200 instead of a token (facts section 2)."""
    html = _page("Just a moment...", "Checking your browser before you continue")
    answer = text_answer(html, status=200, outcome="html_200", media_type="text/html")
    return _from_cloudflare(answer)


def _from_cloudflare(answer: Answer) -> Answer:
    answer.headers.update({"server": "cloudflare", "cf-ray": f"{secrets.token_hex(8)}-AMS"})
    return answer


def _page(title: str, line: str) -> str:
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{line}</h1><p>Trakt emulator: an armed fault or option gave this page.</p>"
        "</body></html>"
    )
