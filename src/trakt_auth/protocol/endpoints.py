"""Trakt's six authentication endpoints: one `build_x` and one `parse_x` for each.

Pure, and the only place for Trakt's own spellings: URLs, JSON keys, status codes.
No clock, no randomness, no I/O.

All OAuth calls go to the authorization server (`https://auth.trakt.tv`), as JSON, with the
application's credentials in the body: Trakt refuses HTTP Basic. The client secret is optional
and left out of a public client's requests. https://developer.trakt.tv/docs/authentication-oauth
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

import trakt_auth.protocol.oauth_errors as refusals
from trakt_auth.errors import (
    AccessDenied,
    DeviceCodeExpired,
    DeviceCodeUnknown,
    DeviceCodeUsed,
    OAuthError,
    UnexpectedResponse,
)
from trakt_auth.protocol.authorization import (
    AuthorizationRequest,
    DeviceAuthorization,
    DevicePoll,
    Granted,
    Pending,
    SlowDown,
)
from trakt_auth.protocol.decoding import MalformedJsonError, from_json, to_json
from trakt_auth.protocol.http import HttpRequest, HttpResponse
from trakt_auth.protocol.token import Token

if TYPE_CHECKING:
    from trakt_auth.protocol.application import Application, Endpoints

__all__ = [
    "api_headers", "build_authorization_request", "build_device_code_request",
    "build_device_token_request", "build_exchange_request", "build_refresh_request",
    "build_revoke_request", "code_challenge", "parse_device_code_response",
    "parse_device_token_response", "parse_refresh_response", "parse_revoke_response",
    "parse_token_response",
]  # fmt: skip

T = TypeVar("T")

OK, PENDING, TOO_MANY_REQUESTS = 200, 400, 429
LONGEST_LIFE = 100 * 365 * 86400  # seconds; more is no time to live
DEVICE_ERRORS: dict[int, tuple[type[OAuthError], str, str]] = {
    404: (DeviceCodeUnknown, "invalid_grant", "Trakt does not know this device code"),
    409: (DeviceCodeUsed, "invalid_grant", "This device code has been used already"),
    410: (DeviceCodeExpired, "expired_token", "The code expired before anybody approved it"),
    418: (AccessDenied, "access_denied", "The person refused the connection"),
}
# RFC 8628 §3.5 lets a server say it with a 400 and an error code instead.
DEVICE_ERROR_STATUS = {"expired_token": 410, "access_denied": 418}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _TokenAnswer:
    access_token: str
    expires_in: float
    refresh_token: str | None = None
    token_type: str = "bearer"  # noqa: S105 - the type's name
    scope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _RefreshAnswer:
    access_token: str
    expires_in: object = None
    refresh_token: str | None = None
    token_type: object = None
    scope: object = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _DeviceCodeAnswer:
    device_code: str
    user_code: str
    verification_url: str
    expires_in: float
    interval: float = 5


def api_headers(application: Application) -> dict[str, str]:
    """Return the headers that Trakt requires on every call of its data API.

    https://developer.trakt.tv/docs/required-headers
    """
    return {
        "content-type": "application/json",
        "user-agent": application.user_agent,
        "trakt-api-key": application.client_id,
        "trakt-api-version": "2",
    }


def _credentials(application: Application) -> dict[str, str | None]:
    return {"client_id": application.client_id, "client_secret": application.client_secret}


def _post(
    application: Application, endpoints: Endpoints, path: str, fields: dict[str, str | None]
) -> HttpRequest:
    body = {key: value for key, value in fields.items() if value is not None}
    return HttpRequest(
        method="POST",
        url=endpoints.auth + path,
        headers=api_headers(application) | {"accept": "application/json"},
        body=to_json(body).encode(),
    )


def _read(kind: type[T], response: HttpResponse, what: str) -> T:
    """Decode a 200, or raise what any other answer means."""
    if response.status != OK:
        raise refusals.from_response(response)
    try:
        return from_json(kind, response.body)
    except MalformedJsonError as error:
        raise UnexpectedResponse(
            f"The answer is not {what}: {error}",
            status=response.status,
            body=refusals.excerpt(response),
        ) from None


def _after(requested_at: datetime, seconds: float, response: HttpResponse) -> datetime:
    with suppress(OverflowError, ValueError):
        if seconds > 0:
            return requested_at + timedelta(seconds=seconds)
    message = "The answer's expires_in is not a number of seconds"
    raise UnexpectedResponse(message, status=response.status)


def code_challenge(code_verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 §4.2)."""
    digest = sha256(code_verifier.encode("ascii")).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def build_authorization_request(
    application: Application,
    endpoints: Endpoints,
    *,
    redirect_uri: str,
    state: str,
    code_verifier: str | None,
    signup: bool = False,
    force_login: bool = False,
) -> AuthorizationRequest:
    """Build the address to send the person to (RFC 6749 §4.1.1, RFC 7636 §4.3); sends nothing.

    `signup` opens on the form for a new account; `force_login` asks the person to sign in even
    if they are, so that they can choose another account.
    """
    from urllib.parse import urlencode

    query = {
        "response_type": "code",
        "client_id": application.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
    }
    if code_verifier is not None:
        query["code_challenge"] = code_challenge(code_verifier)
        query["code_challenge_method"] = "S256"
    if signup:
        query["signup"] = "true"
    if force_login:
        query["prompt"] = "login"
    return AuthorizationRequest(
        url=f"{endpoints.auth}/oauth/authorize?{urlencode(query)}",
        state=state,
        redirect_uri=redirect_uri,
        code_verifier=code_verifier,
    )


def build_exchange_request(
    application: Application,
    endpoints: Endpoints,
    *,
    code: str,
    redirect_uri: str,
    code_verifier: str | None,
) -> HttpRequest:
    """Build the exchange of a code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5)."""
    fields = _credentials(application) | {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": code_verifier,
    }
    return _post(application, endpoints, "/oauth/token", fields)


def build_refresh_request(
    application: Application, endpoints: Endpoints, *, refresh_token: str
) -> HttpRequest:
    """Build a refresh (RFC 6749 §6). The refresh token works once: send it once."""
    fields = _credentials(application) | {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "redirect_uri": application.redirect_uri,
    }
    return _post(application, endpoints, "/oauth/token", fields)


def parse_token_response(response: HttpResponse, *, requested_at: datetime) -> Token:
    """Read tokens (RFC 6749 §5.1); `requested_at` is the local moment before the request.

    Trakt's own `created_at` is not used: the expiry counts from `requested_at`, so a wrong clock
    on either side does no harm.

    Raises: OAuthError, ServerError.
    """
    answer = _read(_TokenAnswer, response, "a token")
    if not answer.access_token:
        raise UnexpectedResponse("The answer's access_token is empty", status=response.status)
    return Token(
        access_token=answer.access_token,
        refresh_token=answer.refresh_token or None,
        token_type=answer.token_type,
        scope=answer.scope,
        created_at=requested_at,
        expires_at=_after(requested_at, answer.expires_in, response),
    )


def parse_refresh_response(
    response: HttpResponse, *, requested_at: datetime, replacing: Token
) -> Token:
    """Read what a refresh brought (RFC 6749 §6), and be lenient: the pair before it is spent.

    What is missing or odd beside the tokens is as it was in the token being replaced, its
    refresh token and its time to live included (RFC 6749 §5.1 only recommends `expires_in`).

    Raises: OAuthError, ServerError.
    """
    answer = _read(_RefreshAnswer, response, "a token")
    if not answer.access_token:
        raise UnexpectedResponse("The answer's access_token is empty", status=response.status)
    life = replacing.lifetime.total_seconds()
    given = answer.expires_in
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 < given < LONGEST_LIFE:
        life = given
    return Token(
        access_token=answer.access_token,
        refresh_token=answer.refresh_token or replacing.refresh_token,
        token_type=answer.token_type
        if isinstance(answer.token_type, str)
        else replacing.token_type,
        scope=answer.scope if isinstance(answer.scope, str) else replacing.scope,
        created_at=requested_at,
        expires_at=_after(requested_at, life, response),
    )


def build_revoke_request(
    application: Application, endpoints: Endpoints, *, token: str
) -> HttpRequest:
    """Build a revocation (RFC 7009 §2.1) of an access or refresh token."""
    fields = _credentials(application) | {"token": token}
    return _post(application, endpoints, "/oauth/revoke", fields)


def parse_revoke_response(response: HttpResponse) -> None:
    """Check a revocation: 200 with no body, also for a token that was already dead.

    Raises: OAuthError, ServerError.
    """
    if response.status != OK:
        raise refusals.from_response(response)


def build_device_code_request(application: Application, endpoints: Endpoints) -> HttpRequest:
    """Build the request that starts the device flow (RFC 8628 §3.1)."""
    return _post(application, endpoints, "/oauth/device/code", {"client_id": application.client_id})


def parse_device_code_response(
    response: HttpResponse, *, requested_at: datetime
) -> DeviceAuthorization:
    """Read the codes (RFC 8628 §3.2; Trakt writes `verification_url`).

    Raises: OAuthError, ServerError.
    """
    answer = _read(_DeviceCodeAnswer, response, "a device code")
    if not (answer.device_code and answer.user_code.strip() and answer.verification_url.strip()):
        raise UnexpectedResponse("The answer's codes are empty", status=response.status)
    return DeviceAuthorization(
        device_code=answer.device_code,
        user_code=answer.user_code.strip(),
        verification_uri=answer.verification_url.strip(),
        expires_at=_after(requested_at, answer.expires_in, response),
        interval=max(answer.interval, 1),
    )


def build_device_token_request(
    application: Application, endpoints: Endpoints, *, device_code: str
) -> HttpRequest:
    """Build one poll (RFC 8628 §3.4; Trakt takes `code` and no `grant_type`)."""
    fields = _credentials(application) | {"code": device_code}
    return _post(application, endpoints, "/oauth/device/token", fields)


def parse_device_token_response(response: HttpResponse, *, requested_at: datetime) -> DevicePoll:
    """Read the answer to a poll: the status says it, the body counts only where it is JSON.

    200 granted, 400 pending, 404 unknown, 409 used, 410 expired, 418 refused, 429 slow down.

    Raises: DeviceCodeUnknown, DeviceCodeUsed, DeviceCodeExpired, AccessDenied; any other
        OAuthError that a 400 names; ServerError.
    """
    status = response.status
    if status == OK:
        return Granted(token=parse_token_response(response, requested_at=requested_at))
    if status == TOO_MANY_REQUESTS:
        return SlowDown(retry_after=refusals.retry_after(response))
    said = refusals.oauth_error(response)
    if status == PENDING:
        if said is None or said.error == "authorization_pending":
            return Pending()
        if said.error == "slow_down":
            return SlowDown(retry_after=refusals.retry_after(response))
        status = DEVICE_ERROR_STATUS.get(said.error, status)
    if status in DEVICE_ERRORS:
        kind, error, message = DEVICE_ERRORS[status]
        raise kind(error, status=response.status, message=message)
    raise refusals.from_response(response)
