"""`POST /oauth/token` and `POST /oauth/revoke`: how tokens are obtained, refreshed and revoked.

Pure. Whether a token is due, and what to do when the server refuses, is not decided here.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import trakt_auth.protocol.oauth_errors as oauth_errors
from trakt_auth.protocol.decoding import JsonObject, if_valid
from trakt_auth.protocol.endpoints.messages import (
    OK,
    credentials,
    expiry,
    post,
    read_answer,
    required_text,
)
from trakt_auth.protocol.http import HttpRequest, HttpResponse
from trakt_auth.protocol.token import Token

if TYPE_CHECKING:
    from trakt_auth.protocol.application import Application, Endpoints

__all__ = [
    "build_exchange_request",
    "build_refresh_request",
    "build_revoke_request",
    "parse_refresh_response",
    "parse_revoke_response",
    "parse_token_response",
]

PATH = "/oauth/token"
LONGEST_LIFE = 100 * 365 * 86400  # seconds; a longer `expires_in` is taken for a mistake


def build_exchange_request(
    application: Application,
    endpoints: Endpoints,
    *,
    code: str,
    redirect_uri: str,
    code_verifier: str | None,
) -> HttpRequest:
    """Build the exchange of a code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5)."""
    fields = credentials(application) | {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": code_verifier,
    }
    return post(application, endpoints, PATH, fields)


def build_refresh_request(
    application: Application, endpoints: Endpoints, *, refresh_token: str
) -> HttpRequest:
    """Build a refresh (RFC 6749 §6). A refresh token works once: send the request once."""
    fields = credentials(application) | {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "redirect_uri": application.redirect_uri,
    }
    return post(application, endpoints, PATH, fields)


def parse_token_response(response: HttpResponse, *, requested_at: datetime) -> Token:
    """Read tokens (RFC 6749 §5.1); `requested_at` is the local time before the request.

    The expiry counts from `requested_at` and not from Trakt's own `created_at`, so that a wrong
    clock on either side does no harm.

    Raises: OAuthError, ServerError.
    """

    def read(answer: JsonObject) -> Token:
        return Token(
            access_token=required_text(answer, "access_token"),
            refresh_token=answer.optional_text("refresh_token") or None,
            token_type=answer.text("token_type", default="bearer"),
            scope=answer.optional_text("scope"),
            created_at=requested_at,
            expires_at=expiry(answer, requested_at, answer.number("expires_in")),
        )

    return read_answer(response, "a token", read)


def parse_refresh_response(
    response: HttpResponse, *, requested_at: datetime, replacing: Token
) -> Token:
    """Read the answer to a refresh (RFC 6749 §6); lenient, since the pair before it is spent.

    What is missing or malformed beside the tokens is taken from the token that is replaced: the
    refresh token, the time to live (RFC 6749 §5.1 only recommends `expires_in`), type and scope.

    Raises: OAuthError, ServerError.
    """

    def read(answer: JsonObject) -> Token:
        scope = if_valid(answer.text, "scope")
        token_type = if_valid(answer.text, "token_type")
        return Token(
            access_token=required_text(answer, "access_token"),
            refresh_token=answer.optional_text("refresh_token") or replacing.refresh_token,
            token_type=replacing.token_type if token_type is None else token_type,
            scope=replacing.scope if scope is None else scope,
            created_at=requested_at,
            expires_at=expiry(answer, requested_at, _seconds(answer, replacing)),
        )

    return read_answer(response, "a token", read)


def _seconds(answer: JsonObject, replacing: Token) -> float:
    seconds = if_valid(answer.number, "expires_in")
    if seconds is not None and 0 < seconds < LONGEST_LIFE:
        return seconds
    return replacing.lifetime.total_seconds()


def build_revoke_request(
    application: Application, endpoints: Endpoints, *, token: str
) -> HttpRequest:
    """Build a revocation (RFC 7009 §2.1) of an access or refresh token."""
    fields = credentials(application) | {"token": token}
    return post(application, endpoints, "/oauth/revoke", fields)


def parse_revoke_response(response: HttpResponse) -> None:
    """Check a revocation: a 200, also for a token that had ended before (RFC 7009 §2.2).

    Raises: OAuthError, ServerError.
    """
    if response.status != OK:
        raise oauth_errors.from_response(response)
