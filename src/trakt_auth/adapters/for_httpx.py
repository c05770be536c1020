"""Bearer authentication (RFC 6750 §2.1) for httpx, sync and async.

A thin adapter: it asks the client for tokens and decides nothing about them.
"""

from __future__ import annotations

from trakt_auth.client.bearer import Source, missing
from trakt_auth.client.httpx_auth import HttpxAuth

try:
    import httpx
except ImportError as _error:
    raise missing("httpx", _error) from None

__all__ = ["BearerAuth"]


class BearerAuth(HttpxAuth, httpx.Auth):
    """Puts a valid access token on every request to the API host, and on no other.

    After a 401 the token is refreshed and the request sent once more, unless its body can be
    read only once: then the 401 is returned, and the next request has the new token.
    Give `httpx.Client` one with a `Client`, `httpx.AsyncClient` one with an `AsyncClient`.

    Raises (from the request): whatever `client.token` raises; UsageError for another host.
    """

    _bytes = httpx.ByteStream

    def __init__(self, client: Source, *, account: str = "default") -> None:
        super().__init__(client, httpx.URL(client.endpoints.api), account=account)
