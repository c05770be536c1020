"""What a handler gives back: an answer, and the exception that carries one early.

Plain JSON and OAuth error bodies; no routing, no state, no pages.
Any file of the emulator may import this one.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field

__all__ = [
    "Answer",
    "Refused",
    "empty",
    "json_answer",
    "oauth_error",
    "redirect",
    "text_answer",
    "traced",
    "unauthorized",
]


@dataclass(slots=True, kw_only=True)
class Answer:
    """A response on its way out; `outcome` is the word that the counters and the log use for it."""

    status: int
    outcome: str
    body: bytes = field(default=b"", repr=False)
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)


class Refused(Exception):
    """Raised by a handler's helper to end the request with `answer`."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.outcome)
        self.answer = answer


def empty(status: int, outcome: str) -> Answer:
    """Return an answer without a body."""
    return Answer(status=status, outcome=outcome)


def json_answer(content: object, *, status: int = 200, outcome: str = "ok") -> Answer:
    """Return JSON that no cache may keep (RFC 6749 section 5.1)."""
    headers = {
        "content-type": "application/json; charset=utf-8",
        "cache-control": "no-store",
        "pragma": "no-cache",
    }
    body = json.dumps(content, separators=(",", ":")).encode()
    return Answer(status=status, outcome=outcome, body=body, headers=headers)


def oauth_error(error: str, description: str, *, status: int = 400) -> Answer:
    """Return an OAuth error body (RFC 6749 section 5.2)."""
    content = {"error": error, "error_description": description}
    return json_answer(content, status=status, outcome=error)


def text_answer(text: str, *, status: int, outcome: str, media_type: str = "text/plain") -> Answer:
    """Return text or HTML, as the edge in front of Trakt does (facts section 6)."""
    headers = {"content-type": f"{media_type}; charset=UTF-8", "cache-control": "no-store"}
    return Answer(status=status, outcome=outcome, body=text.encode(), headers=headers)


def redirect(location: str, *, outcome: str, status: int = 303) -> Answer:
    """Send the browser to `location`; 303 makes the next request a GET."""
    headers = {"location": location, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Answer(status=status, outcome=outcome, headers=headers)


def traced(answer: Answer) -> Answer:
    """Add the headers by which the API's own answers differ from the edge's (facts section 6)."""
    answer.headers["x-request-id"] = secrets.token_hex(16)
    answer.headers["x-runtime"] = "0.001"
    return answer


def unauthorized() -> Answer:
    """Return the 401 of the data API (facts section 2)."""
    answer = traced(empty(401, "invalid_token"))
    answer.headers["www-authenticate"] = (
        'Bearer realm="Trakt", error="invalid_token", '
        'error_description="The access token is invalid or has expired"'
    )
    return answer
