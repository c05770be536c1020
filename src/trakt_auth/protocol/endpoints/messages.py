"""What the endpoints share: headers, the application's credentials, a POST, the reading of a 200.

Pure. No URL path and no JSON key of a single endpoint lives here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import trakt_auth.protocol.oauth_errors as oauth_errors
from trakt_auth.errors import UnexpectedResponse
from trakt_auth.protocol.decoding import JsonObject, MalformedJsonError, to_json
from trakt_auth.protocol.http import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from trakt_auth.protocol.application import Application, Endpoints

__all__ = ["OK", "api_headers", "credentials", "expiry", "post", "read_answer", "required_text"]

OK = 200
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
    """Read the JSON of a 200 with `read`. Its errors say that the answer is not `what`.

    Raises: OAuthError, ServerError.
    """
    if response.status != OK:
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


def expiry(answer: JsonObject, requested_at: datetime, seconds: float) -> datetime:
    """Return the end of a life of so many seconds, counted from the request."""
    if seconds > 0:
        with suppress(OverflowError):
            return requested_at + timedelta(seconds=seconds)
    raise answer.malformed("expires_in", "is not a number of seconds")
