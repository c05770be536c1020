"""Which error an unsuccessful answer is: OAuth's own (RFC 6749 §5.2), or the server's trouble.

Pure. Only an OAuth error in the body says something about a login; every other answer becomes a
`ServerError`, after which the login may be as good as before.
"""

from __future__ import annotations

import re
from math import ceil

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
from trakt_auth.protocol.decoding import JsonObject, MalformedJsonError
from trakt_auth.protocol.http import HttpResponse, http_date

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
LONGEST_RETRY_AFTER = 3600.0  # seconds; a longer one is cut to this
SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
FORBIDDEN, LOCKED, TOO_MANY_REQUESTS, SERVER_ERRORS = 403, 423, 429, 500
EXCERPT = 200  # characters
SHORT_BODY = 32  # bytes; the answer to a blocked integration has 9
# OAuth's error codes look like this. Some, as `authorization_pending`, are as long as a secret.
ERROR_CODE = re.compile(r"[a-z_]{1,40}")
# Any secret that an answer repeats is a long run of these characters.
SECRET = re.compile(r"[A-Za-z0-9_\-.~+/]{16,}")

BLOCKED = {
    "edge": (
        "Trakt's edge refused the request: Cloudflare, before Trakt saw it",
        "Give Application a user_agent with your program's own name, and send fewer requests.",
    ),
    "integration": (
        "Trakt blocks this integration",
        "Read Trakt's API use policy, and ask Trakt about the application.",
    ),
    "key_or_app": (
        "Trakt refused the client id: it is wrong, deleted, or the application is not approved",
        "Compare client_id with the application's page on Trakt.",
    ),
    "account_locked": (
        "The Trakt account is locked",
        "The user has to contact Trakt's support; trying again does not help.",
    ),
    "account_deactivated": (
        "The Trakt account is deactivated",
        "The user has to reactivate the account on Trakt.",
    ),
}


def retry_after(response: HttpResponse) -> float | None:
    """Return for how many seconds Retry-After asks, at most an hour; None without a valid one.

    Seconds, whole or decimal, or a date (RFC 9110 §10.2.3), which counts from the answer's `Date`:
    the local clock may be wrong.
    """
    text = response.headers.get("retry-after", "").strip()
    if SECONDS.fullmatch(text):
        return min(float(text), LONGEST_RETRY_AFTER)
    until, at = http_date(text), http_date(response.headers.get("date", ""))
    if until is None or at is None:
        return None
    return min(max((until - at).total_seconds(), 0), LONGEST_RETRY_AFTER)


def excerpt(response: HttpResponse) -> str:
    """Return the start of the body with everything masked that may be a secret."""
    return _masked(response.body[: 4 * EXCERPT].decode("utf-8", "replace"))


def _masked(text: str) -> str:
    # A terminal would obey control characters.
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return SECRET.sub("[...]", " ".join(printable.split()))[:EXCERPT]


def error_for(
    error: str, description: str | None = None, *, status: int | None = None
) -> OAuthError:
    """Return the exception for an OAuth error code; for an unknown code a plain OAuthError."""
    error = error if ERROR_CODE.fullmatch(error) else _masked(error)
    shown = _masked(description) if description else None
    return BY_NAME.get(error, OAuthError)(error, shown, status=status)


def oauth_error(response: HttpResponse) -> OAuthError | None:
    """Return the OAuth error in the body (RFC 6749 §5.2); None when there is none."""
    if response.media_type.endswith("html"):
        return None
    try:
        answer = JsonObject.parse(response.body)
        error, description = answer.text("error"), answer.optional_text("error_description")
    except MalformedJsonError:
        return None
    return error_for(error, description, status=response.status)


def from_response(response: HttpResponse) -> TraktAuthError:
    """Return the error for an answer that is not a success.

    The status alone decides at 429, 5xx and 423; else the OAuth error in the body, if there is one.
    """
    status, body = response.status, excerpt(response)
    wait = retry_after(response)
    if status == TOO_MANY_REQUESTS:
        when = "" if wait is None else f"; wait {ceil(wait)} seconds"
        return RateLimited(
            f"Trakt received too many requests (429){when}",
            status=status,
            body=body,
            retry_after=wait,
        )
    if status >= SERVER_ERRORS:
        return Unavailable(
            f"Trakt is unavailable ({status})", status=status, body=body, retry_after=wait
        )
    error = None if status == LOCKED else oauth_error(response)
    # A 403 may come from Cloudflare or from the check of the client id, with `error` in a JSON of
    # its own, so it counts as OAuth's only with a known error code.
    if error is not None and (status != FORBIDDEN or error.error in BY_NAME):
        return error
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
