"""What every call of Trakt's data API has to pass: the key, the headers, the token, the limits.

Checks only; the answers are made elsewhere.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trakt_auth.emulator.hashing import fingerprint
from trakt_auth.emulator.http.response import (
    ErrorResponse,
    empty_response,
    oauth_error,
    unauthorized,
    with_trace_headers,
)

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import Account
    from trakt_auth.emulator.state.rate_limits import RateLimit
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["rate_limit_header", "require_access"]


def require_access(
    state: EmulatorState, request: Request, *, public: bool = False
) -> tuple[Account | None, RateLimit | None]:
    """Check a call; return its account, and its rate limit if those are counted.

    The account is None only for a call without a token to a `public` path.

    Raises: ErrorResponse with 403 for the key, 400 or 412 for another header, 401 for the access
        token, 429 for too many calls.
    """
    client_id = _check_headers(state, request)
    if public and not request.headers.get("authorization"):
        account = None
    else:
        account = _bearer_account(state, request, client_id)
    if not state.options.rate_limits:
        return account, None
    user = None if account is None else account.slug
    caller = client_id if account is not None else f"{client_id} {request.peer}"
    limit = state.rate_limits.count(request.method, user=user, caller=caller, now=request.now)
    if limit.exceeded:
        response = with_trace_headers(empty_response(429, "rate_limited"))
        response.headers["retry-after"] = str(limit.retry_after(request.now))
        response.headers["x-ratelimit"] = rate_limit_header(limit)
        request.notes["reason"] = limit.name
        raise ErrorResponse(response)
    return account, limit


def rate_limit_header(limit: RateLimit) -> str:
    """Return the value of `X-Ratelimit`."""
    return json.dumps(limit.to_dict(), separators=(",", ":"))


def _bearer_account(state: EmulatorState, request: Request, client_id: str) -> Account:
    """Return the account of the bearer token, which works with its own application's key only."""
    scheme, text = request.authorization
    grant = state.grants.find_access(text) if scheme == "bearer" else None
    if grant is None or grant.client_id != client_id:
        request.notes["reason"] = _why_not(scheme, known=grant is not None)
        raise ErrorResponse(unauthorized())
    request.notes["account"] = grant.account.username
    request.notes["access_token"] = fingerprint(text)
    return grant.account


def _why_not(scheme: str, *, known: bool) -> str:
    if scheme.lower() != "bearer":
        return "no bearer token"
    return "the token belongs to another application" if known else "unknown or expired token"


def _check_headers(state: EmulatorState, request: Request) -> str:
    """Check the headers that Trakt requires; return the client id."""
    client_id = request.headers.get("trakt-api-key", "")
    if client_id not in state.applications:
        request.notes["reason"] = "unknown trakt-api-key" if client_id else "no trakt-api-key"
        raise ErrorResponse(
            with_trace_headers(oauth_error("forbidden", "invalid API key", status=403))
        )
    request.notes["client_id"] = client_id
    # Trakt requires this header; the status for a missing one is not documented.
    if request.headers.get("trakt-api-version", "").strip() != "2":
        description = "trakt-api-version: 2 is required"
        raise ErrorResponse(with_trace_headers(oauth_error("invalid_request", description)))
    # Trakt documents 412 for a wrong type. No type at all is accepted, since a GET has no body.
    if request.media_type not in {"", "application/json"}:
        description = "content-type: application/json is required"
        raise ErrorResponse(
            with_trace_headers(oauth_error("invalid_request", description, status=412))
        )
    return client_id
