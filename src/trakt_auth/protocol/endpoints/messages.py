"""What the endpoints share: headers, the application's credentials, a POST, the reading of answers.

Pure. No URL path and no JSON key of a single endpoint lives here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import trakt_auth.protocol.oauth_errors as oauth_errors
from trakt_auth.errors import UnexpectedResponse
from trakt_auth.protocol.decoding import JsonObject, MalformedJsonError, if_valid, to_json
from trakt_auth.protocol.http import HttpRequest, HttpResponse, http_date

if TYPE_CHECKING:
    from trakt_auth.protocol.application import Application, Endpoints

__all__ = [
    "OK",
    "SUCCESS",
    "api_headers",
    "credentials",
    "expiry",
    "local_time",
    "post",
    "read_answer",
    "required_text",
]

OK = 200
SUCCESS = (OK, 201)
LONGEST_LIFE = 100 * 365 * 86400  # seconds; more is not a time to live
WRONG_CLOCK = timedelta(days=1)
T = TypeVar("T")


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


def credentials(application: Application) -> dict[str, str | None]:
    """Return the fields by which a request names its application (RFC 6749 §2.3.1)."""
    return {"client_id": application.client_id, "client_secret": application.client_secret}


def post(
    application: Application, endpoints: Endpoints, path: str, fields: dict[str, str | None]
) -> HttpRequest:
    """Build a POST of JSON to the authorization server; fields that are None are left out."""
    body = {key: value for key, value in fields.items() if value is not None}
    return HttpRequest(
        method="POST",
        url=endpoints.auth + path,
        headers=api_headers(application) | {"accept": "application/json"},
        body=to_json(body).encode(),
    )


def read_answer(response: HttpResponse, what: str, read: Callable[[JsonObject], T]) -> T:
    """Read the JSON of a 200 or 201 with `read`. Its errors say that the answer is not `what`.

    Raises: OAuthError, ServerError.
    """
    if response.status not in SUCCESS:
        raise oauth_errors.from_response(response)
    try:
        return read(JsonObject.parse(response.body))
    except MalformedJsonError as error:
        raise UnexpectedResponse(
            f"The answer is not {what}: {error}",
            status=response.status,
            body=oauth_errors.excerpt(response),
        ) from None


def required_text(answer: JsonObject, name: str) -> str:
    """Return text that may not be empty; raise MalformedJsonError if it is."""
    text = answer.text(name)
    if not text:
        raise answer.malformed(name, "is empty")
    return text


def expiry(answer: JsonObject, created_at: datetime, *, default: float) -> datetime:
    """Return the end of a life of `expires_in` seconds: a number, a decimal or digits in a text.

    Anything else counts as `default`: what stands beside a code or a pair of tokens is no reason
    to lose it.
    """
    seconds = if_valid(answer.lenient_number, "expires_in")
    if seconds is None or not 0 < seconds < LONGEST_LIFE:
        seconds = default
    try:
        return created_at + timedelta(seconds=seconds)
    except OverflowError:  # a local clock at the end of the calendar
        return datetime.max.replace(tzinfo=UTC)


def local_time(response: HttpResponse, requested_at: datetime) -> datetime:
    """Return the time that an expiry counts from: `requested_at`, the local time of the request.

    A local clock that is more than a day off the answer's `Date` is wrong; then it is the `Date`.
    """
    date = http_date(response.headers.get("date", ""))
    return requested_at if date is None or abs(requested_at - date) <= WRONG_CLOCK else date
