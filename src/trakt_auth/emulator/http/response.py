"""The emulator's own response value, the usual kinds of it, and the exception that carries one.

JSON bodies, OAuth error bodies, text and redirects; no routing, no state, no HTML pages.
Imports nothing of the project.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field

__all__ = [
    "ErrorResponse",
    "Response",
    "empty_response",
    "json_response",
    "oauth_error",
    "redirect",
    "text_response",
    "unauthorized",
    "with_legacy_challenge",
    "with_trace_headers",
]


@dataclass(slots=True, kw_only=True)
class Response:
    """What a handler returns; `outcome` is the word for it in the counters and the request log."""

    status: int
    outcome: str
    body: bytes = field(default=b"", repr=False)
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)


class ErrorResponse(Exception):
    """Raised anywhere below a handler: the request ends at once with `response`."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.outcome)
        self.response = response


def empty_response(status: int, outcome: str) -> Response:
    """Return a response without a body."""
    return Response(status=status, outcome=outcome)


def json_response(content: object, *, status: int = 200, outcome: str = "ok") -> Response:
    """Return JSON that no cache may store (RFC 6749 section 5.1)."""
    headers = {
        "content-type": "application/json; charset=utf-8",
        "cache-control": "no-store",
        "pragma": "no-cache",
    }
    body = json.dumps(content, separators=(",", ":")).encode()
    return Response(status=status, outcome=outcome, body=body, headers=headers)


def oauth_error(error: str, description: str, *, status: int = 400) -> Response:
    """Return an OAuth error body (RFC 6749 section 5.2)."""
    content = {"error": error, "error_description": description}
    return json_response(content, status=status, outcome=error)


def text_response(
    text: str, *, status: int, outcome: str, media_type: str = "text/plain"
) -> Response:
    """Return plain text, or text of another media type such as HTML, that no cache may store."""
    headers = {"content-type": f"{media_type}; charset=UTF-8", "cache-control": "no-store"}
    return Response(status=status, outcome=outcome, body=text.encode(), headers=headers)


def redirect(location: str, *, outcome: str, status: int = 303) -> Response:
    """Send the browser to `location`; after 303 it sends a GET, whatever it sent before."""
    headers = {"location": location, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Response(status=status, outcome=outcome, headers=headers)


def with_legacy_challenge(response: Response, description: str) -> Response:
    """Add the challenge that Trakt sent with an error of OAuth before July 2026."""
    response.headers["www-authenticate"] = (
        f'Bearer realm="Doorkeeper", error="{response.outcome}", error_description="{description}"'
    )
    return response


def with_trace_headers(response: Response) -> Response:
    """Add the headers that only Trakt's API sends: responses made by Cloudflare lack them."""
    response.headers["x-request-id"] = secrets.token_hex(16)
    response.headers["x-runtime"] = "0.001"
    return response


def unauthorized() -> Response:
    """Return the data API's 401 for a token that it does not accept (RFC 6750 section 3)."""
    response = with_trace_headers(empty_response(401, "invalid_token"))
    response.headers["www-authenticate"] = (
        'Bearer realm="Trakt", error="invalid_token", '
        'error_description="The access token is invalid or has expired"'
    )
    return response
