"""The HTTP client for Trakt's API: bearer authentication (RFC 6750 §2.1) for httpx2.

It asks the client for tokens and decides nothing about them.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx2

from trakt_auth.client.bearer import Source
from trakt_auth.client.httpx_auth import HttpxAuth

T = TypeVar("T")

__all__ = ["BearerAuth", "api_client"]


class BearerAuth(HttpxAuth, httpx2.Auth):
    """Puts a valid access token on every request to the API host, and on no other.

    After a 401 the token is refreshed and the request sent once more, unless its body can be
    read only once: then the 401 is returned, and the next request has the new token.
    Give `httpx2.Client` one with a `Client`, `httpx2.AsyncClient` one with an `AsyncClient`.

    Raises (from the request): whatever `client.token` raises; UsageError for another host.
    """

    _bytes = httpx2.ByteStream

    def __init__(self, client: Source, *, account: str = "default") -> None:
        super().__init__(client, httpx2.URL(client.endpoints.api), account=account)


def api_client(
    make: Callable[..., T],
    client: Source,
    *,
    account: str,
    headers: Mapping[str, str],
    timeout: float,
    transport: Any,  # noqa: ANN401 - an httpx2 transport, sync or async
    verify: ssl.SSLContext | bool,
) -> T:
    """Make an `httpx2.Client` or `httpx2.AsyncClient` for the API. `timeout` is in seconds."""
    return make(
        auth=BearerAuth(client, account=account),
        base_url=client.endpoints.api,
        headers=headers,
        timeout=timeout,
        transport=transport,
        verify=verify,
    )
