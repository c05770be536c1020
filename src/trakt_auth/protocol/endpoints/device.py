"""`POST /oauth/device/code` and `POST /oauth/device/token`: the device flow (RFC 8628).

Pure. How long to wait between two polls, and when to give up, is not decided here.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import trakt_auth.protocol.oauth_errors as oauth_errors
from trakt_auth.errors import (
    AccessDenied,
    DeviceCodeExpired,
    DeviceCodeUnknown,
    DeviceCodeUsed,
    OAuthError,
)
from trakt_auth.protocol.authorization import (
    DeviceAuthorization,
    DevicePoll,
    Granted,
    Pending,
    SlowDown,
)
from trakt_auth.protocol.decoding import JsonObject, if_valid
from trakt_auth.protocol.endpoints.messages import (
    SUCCESS,
    credentials,
    expiry,
    post,
    read_answer,
    required_text,
)
from trakt_auth.protocol.endpoints.token import parse_token_response
from trakt_auth.protocol.http import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from trakt_auth.protocol.application import Application, Endpoints

__all__ = [
    "build_device_code_request",
    "build_device_token_request",
    "parse_device_code_response",
    "parse_device_token_response",
]

PENDING, TOO_MANY_REQUESTS = 400, 429
DEFAULT_INTERVAL = 5.0  # seconds, RFC 8628 §3.2
SHORTEST_INTERVAL, LONGEST_INTERVAL = 1.0, 600.0  # seconds
DEFAULT_LIFE = 600.0  # seconds of a code
# For each status: the error's class, its OAuth error code, its message.
ERRORS: dict[int, tuple[type[OAuthError], str, str]] = {
    404: (DeviceCodeUnknown, "invalid_grant", "Trakt does not know this device code"),
    409: (DeviceCodeUsed, "invalid_grant", "This device code has been used already"),
    410: (DeviceCodeExpired, "expired_token", "The code expired before the user approved it"),
    418: (AccessDenied, "access_denied", "The user denied access"),
}
# A server may also answer 400 with one of these error codes (RFC 8628 §3.5).
OTHER = 0  # an error that a device token request does not know
STATUS_OF_ERROR = {  # RFC 8628 §3.5
    "authorization_pending": 400,
    "slow_down": 429,
    "expired_token": 410,
    "access_denied": 418,
}


def build_device_code_request(application: Application, endpoints: Endpoints) -> HttpRequest:
    """Build the request that starts the device flow (RFC 8628 §3.1)."""
    return post(application, endpoints, "/oauth/device/code", {"client_id": application.client_id})


def parse_device_code_response(
    response: HttpResponse, *, requested_at: datetime
) -> DeviceAuthorization:
    """Read the codes (RFC 8628 §3.2; Trakt writes `verification_url` for `verification_uri`).

    `requested_at` is the local time before the request; the expiry counts from it.

    Raises: OAuthError, ServerError.
    """

    def read(answer: JsonObject) -> DeviceAuthorization:
        return DeviceAuthorization(
            device_code=required_text(answer, "device_code"),
            user_code=_shown_text(answer, "user_code"),
            verification_uri=_shown_text(answer, "verification_url", "verification_uri"),
            expires_at=expiry(answer, requested_at, default=DEFAULT_LIFE),
            interval=_interval(answer),
        )

    return read_answer(response, "a device code", read)


def _interval(answer: JsonObject) -> float:
    seconds = if_valid(answer.lenient_number, "interval")
    if seconds is None or not 0 <= seconds <= LONGEST_INTERVAL:
        seconds = DEFAULT_INTERVAL
    return max(seconds, SHORTEST_INTERVAL)


def _shown_text(answer: JsonObject, *names: str) -> str:
    for name in names:
        text = (if_valid(answer.text, name) or "").strip()
        if text:
            return text
    raise answer.malformed(names[0], "is missing, empty or not text")


def build_device_token_request(
    application: Application, endpoints: Endpoints, *, device_code: str
) -> HttpRequest:
    """Build one poll (RFC 8628 §3.4; Trakt takes `code` and no `grant_type`)."""
    fields = credentials(application) | {"code": device_code}
    return post(application, endpoints, "/oauth/device/token", fields)


def parse_device_token_response(response: HttpResponse, *, requested_at: datetime) -> DevicePoll:
    """Read the answer to a poll. The status decides; the body of a 400 may name an error.

    200 and 201 granted, 400 pending, 404 unknown, 409 used, 410 expired, 418 denied, 429 slow down.

    Raises: DeviceCodeUnknown, DeviceCodeUsed, DeviceCodeExpired, AccessDenied; any other
        OAuthError that a 400 names; ServerError.
    """
    status = response.status
    if status in SUCCESS:
        return Granted(token=parse_token_response(response, requested_at=requested_at))
    if status == PENDING:
        named = oauth_errors.oauth_error(response)
        status = PENDING if named is None else STATUS_OF_ERROR.get(named.error, OTHER)
    if status == PENDING:
        return Pending()
    if status == TOO_MANY_REQUESTS:
        return SlowDown(retry_after=oauth_errors.retry_after(response))
    if status in ERRORS:
        kind, error, message = ERRORS[status]
        raise kind(error, status=response.status, message=message)
    raise oauth_errors.from_response(response)
