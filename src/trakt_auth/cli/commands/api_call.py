"""One call to Trakt's data API, signed in; the only file of `cli` that imports httpx2.

The client's own `api` does the work; here its answers and errors become this program's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from trakt_auth.client.sync import Client
from trakt_auth.errors import TraktAuthError, TransportError, UsageError

__all__ = ["Answer", "call", "username"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API said."""

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
) -> Answer:
    """Send a request as an account; any answer is returned, whatever its status.

    Raises: TransportError, UsageError, and what `client.token` raises.
    """
    try:
        answer = client.api_for(account).request(method, path, content=body, headers=headers)
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise UsageError(f"This request cannot be sent: {error}") from None
    except httpx2.HTTPError as error:
        sent = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
        words = str(error) or type(error).__name__
        raise TransportError(f"Trakt's API gave no answer: {words}", outcome_unknown=sent) from None
    return Answer(status=answer.status_code, reason=answer.reason_phrase, body=answer.content)


def username(client: Client, account: str) -> str | None:
    """Return who is signed in, None when Trakt cannot tell just now."""
    try:
        answer = call(client, account, "GET", "/users/settings")
        content: Any = json.loads(answer.body)
        name = content["user"]["username"]
    except (TraktAuthError, ValueError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None
