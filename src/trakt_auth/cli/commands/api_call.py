"""One call to Trakt's data API, signed in; the only file of `cli` that imports httpx2.

`Client.api_for` does the work; here its responses and errors become those of this program.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from trakt_auth.client.sync import Client
from trakt_auth.errors import TraktAuthError, TransportError, UsageError

__all__ = ["Response", "call", "username"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The response of the API."""

    status: int
    reason: str
    body: bytes = field(repr=False)


def call(
    client: Client,
    account: str,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send a request as an account and return the response, whatever its status.

    Raises: TransportError, UsageError, and what `client.token` raises.
    """
    try:
        response = client.api_for(account).request(method, path, content=body, headers=headers)
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise UsageError(
            f"This request cannot be sent: {error}", hint="Correct PATH or --header and try again."
        ) from None
    except httpx2.HTTPError as error:
        sent = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
        reason = str(error) or type(error).__name__
        raise TransportError(
            f"Trakt's API gave no answer: {reason}", outcome_unknown=sent
        ) from None
    return Response(
        status=response.status_code, reason=response.reason_phrase, body=response.content
    )


def username(client: Client, account: str) -> str | None:
    """Return the name of the user who is signed in, None when Trakt does not tell it now."""
    try:
        content: Any = json.loads(call(client, account, "GET", "/users/settings").body)
        name = content["user"]["username"]
    except (TraktAuthError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None
