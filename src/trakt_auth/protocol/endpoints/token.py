"""`POST /oauth/token` and `POST /oauth/revoke`: how tokens are obtained, refreshed and revoked.

Pure. Whether a token is due, and what to do when the server refuses, is not decided here.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import trakt_auth.protocol.oauth_errors as oauth_errors
from trakt_auth.protocol.decoding import JsonObject, if_valid
from trakt_auth.protocol.endpoints.messages import (
    OK,
    credentials,
    expiry,
    local_time,
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
DEFAULT_LIFE = 86400.0  # seconds, when the answer does not say
B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1


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
    clock on either side does no harm; a local clock that is days off is replaced by the answer's
    `Date`. Only the access token has to be there: the code is spent, so the pair is not thrown
    away for what stands beside it.

    Raises: OAuthError, ServerError.
    """
    return _parse(response, requested_at, refresh_token=None, token_type="bearer", scope=None)  # noqa: S106 - the type's name


def parse_refresh_response(
    response: HttpResponse, *, requested_at: datetime, replacing: Token
) -> Token:
    """Read the answer to a refresh (RFC 6749 §6).

    What is missing or malformed beside the access token is as it was in the token that is
    replaced: its refresh token, type and scope.

    Raises: OAuthError, ServerError.
    """
    return _parse(
        response,
        requested_at,
        refresh_token=replacing.refresh_token,
        token_type=replacing.token_type,
        scope=replacing.scope,
    )


def _parse(
    response: HttpResponse,
    requested_at: datetime,
    *,
    refresh_token: str | None,
    token_type: str,
    scope: str | None,
) -> Token:
    created_at = local_time(response, requested_at)

    def read(answer: JsonObject) -> Token:
        access_token = required_text(answer, "access_token")
        if not B64TOKEN.fullmatch(access_token):
            raise answer.malformed("access_token", "has characters that a header cannot hold")
        return Token(
            access_token=access_token,
            refresh_token=if_valid(answer.text, "refresh_token") or refresh_token,
            token_type=if_valid(answer.text, "token_type") or token_type,
            scope=if_valid(answer.text, "scope") or scope,
            created_at=created_at,
            expires_at=expiry(answer, created_at, default=DEFAULT_LIFE),
        )

    return read_answer(response, "a token", read)


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
