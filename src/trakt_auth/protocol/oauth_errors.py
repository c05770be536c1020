"""Answers that are not what was asked for, told apart: who refused, and does it concern a login?

Pure. Only Trakt's own OAuth error body says anything about a grant; everything else is
a ServerError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trakt_auth.errors import (
    AccessDenied,
    Blocked,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    OAuthError,
    RateLimited,
    ServerError,
    TraktAuthError,
    UnauthorizedClient,
    Unavailable,
    UnexpectedResponse,
    UnsupportedGrantType,
)
from trakt_auth.protocol.decoding import MalformedJsonError, from_json
from trakt_auth.protocol.http import HttpResponse

__all__ = ["error_for", "excerpt", "from_response", "oauth_error", "retry_after"]

BY_NAME: dict[str, type[OAuthError]] = {
    "access_denied": AccessDenied,
    "invalid_client": InvalidClient,
    "invalid_grant": InvalidGrant,
    "invalid_request": InvalidRequest,
    "invalid_scope": InvalidScope,
    "unauthorized_client": UnauthorizedClient,
    "unsupported_grant_type": UnsupportedGrantType,
}
FORBIDDEN, LOCKED, TOO_MANY_REQUESTS, SERVER_ERRORS = 403, 423, 429, 500
EXCERPT = 200  # characters
SHORT_BODY = 32  # bytes; the blocked-integration answer has 9
ERROR_CODE = re.compile(r"[a-z_]{1,40}")  # `authorization_pending` is long, and no secret
# Long runs of token characters: whatever secret an answer echoes, it is one of these.
SECRET = re.compile(r"[A-Za-z0-9_\-.~+/]{16,}")

BLOCKED = {
    "edge": (
        "Trakt's edge refused the request before Trakt saw it",
        "Name your own program in user_agent, and slow down; wait if you sent many requests.",
    ),
    "integration": (
        "Trakt blocks this integration",
        "Ask Trakt about the application; see their API use policy.",
    ),
    "key_or_app": (
        "Trakt refused the client id: it is wrong, deleted, or the application is not approved",
        "Compare the client id with the application's page on Trakt.",
    ),
    "account_locked": (
        "The Trakt account is locked",
        "The person has to contact Trakt's support; retrying does not help.",
    ),
    "account_deactivated": (
        "The Trakt account is deactivated",
        "The person has to reactivate the account on Trakt.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _OAuthErrorAnswer:
    error: str
    error_description: str | None = None


def retry_after(response: HttpResponse) -> float | None:
    """Return Retry-After in seconds; None without one, or where it is a date."""
    value = response.headers.get("retry-after", "").strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) < 10 else None  # noqa: PLR2004


def excerpt(response: HttpResponse) -> str:
    """Return the start of the body, with everything that may be a secret masked."""
    return _masked(response.body[: 4 * EXCERPT].decode("utf-8", "replace"))


def _masked(text: str) -> str:
    # What a terminal would obey is not passed on to one.
    harmless = "".join(letter if letter.isprintable() else " " for letter in text)
    return SECRET.sub("[...]", " ".join(harmless.split()))[:EXCERPT]


def error_for(
    error: str, description: str | None = None, *, status: int | None = None
) -> OAuthError:
    """Return the exception for an OAuth error code; an unknown code is a plain OAuthError."""
    error = error if ERROR_CODE.fullmatch(error) else _masked(error)
    shown = _masked(description) if description else None
    return BY_NAME.get(error, OAuthError)(error, shown, status=status)


def oauth_error(response: HttpResponse) -> OAuthError | None:
    """Return the OAuth error of the body (RFC 6749 §5.2), None where there is none."""
    if response.media_type.endswith("html"):
        return None
    try:
        answer = from_json(_OAuthErrorAnswer, response.body)
    except MalformedJsonError:
        return None
    return error_for(answer.error, answer.error_description, status=response.status)


def from_response(response: HttpResponse) -> TraktAuthError:
    """Return the error that an answer stands for, once it is clear that it is one.

    By status where the status alone decides (429, 5xx, 423), else by the body's OAuth error.
    """
    status, body = response.status, excerpt(response)
    wait = retry_after(response)
    if status == TOO_MANY_REQUESTS:
        when = "" if wait is None else f"; it asks to wait {wait:.0f} seconds"
        return RateLimited(
            f"Trakt is being asked too often (429){when}",
            status=status,
            body=body,
            retry_after=wait,
        )
    if status >= SERVER_ERRORS:
        return Unavailable(
            f"Trakt is unavailable ({status})", status=status, body=body, retry_after=wait
        )
    said = None if status == LOCKED else oauth_error(response)
    # A 403 from the edge or the key check can carry JSON of its own; OAuth's codes are known.
    if said is not None and (status != FORBIDDEN or said.error in BY_NAME):
        return said
    if status in (FORBIDDEN, LOCKED):
        return _blocked(response, body)
    return _unexpected(response, body)


def _blocked(response: HttpResponse, body: str) -> Blocked:
    cause = _cause(response)
    message, hint = BLOCKED[cause]
    return Blocked(
        f"{message} ({response.status})",
        cause=cause,
        status=response.status,
        body=body,
        hint=hint,
    )


def _cause(response: HttpResponse) -> str:
    headers = response.headers
    if response.status == LOCKED:
        deactivated = headers.get("x-account-deactivated", "").lower() == "true"
        return "account_deactivated" if deactivated else "account_locked"
    from_trakt = "x-request-id" in headers or "x-runtime" in headers
    if response.media_type.endswith("html") or b"error code: 1" in response.body[:EXCERPT]:
        return "key_or_app" if from_trakt else "edge"
    if 0 < len(response.body) <= SHORT_BODY and response.media_type == "text/plain":
        return "integration"
    return "key_or_app"


def _unexpected(response: HttpResponse, body: str) -> ServerError:
    kind = response.media_type or "no content type"
    return UnexpectedResponse(
        f"Trakt's answer is not one that it documents: {response.status}, {kind}",
        status=response.status,
        body=body,
    )
