"""Bearer authentication (RFC 6750 §2.1) for httpx2, sync and async.

Layer 5, a thin adapter: it asks the client for tokens and decides nothing about them.
The client's `api` and users of their own httpx2 clients import this file.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, TypeVar

import httpx2

from trakt_auth.adapters import TokenSource
from trakt_auth.errors import UsageError

T = TypeVar("T")

__all__ = ["BearerAuth", "api_client"]

UNAUTHORIZED = 401
PORTS = {"http": 80, "https": 443}


class BearerAuth(httpx2.Auth):
    """Puts a valid access token on every request to the API host, and on no other.

    After a 401 the token is refreshed and the request sent once more, unless its body can be
    read only once: then the 401 is returned, and the next request has the new token.

    Raises (from the request): whatever `client.token` raises; UsageError for another host.
    """

    def __init__(self, client: TokenSource, *, account: str = "default") -> None:
        self._client = client
        self._account = account
        self._origin = _origin(httpx2.URL(client.endpoints.api))

    def sync_auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Sign a request of an `httpx2.Client`."""
        access_token = self._sign(request, self._client.token(account=self._account))
        response = yield request
        if response.status_code == UNAUTHORIZED:
            token = self._client.refresh_rejected(access_token, account=self._account)
            if _replayable(request):
                self._sign(request, token)
                yield request

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Sign a request of an `httpx2.AsyncClient`."""
        access_token = self._sign(request, await self._client.token(account=self._account))
        response = yield request
        if response.status_code == UNAUTHORIZED:
            token = await self._client.refresh_rejected(access_token, account=self._account)
            if _replayable(request):
                self._sign(request, token)
                yield request

    def _sign(self, request: httpx2.Request, token: Any) -> str:  # noqa: ANN401 - a Token
        if _origin(request.url) != self._origin:
            raise UsageError(
                f"{request.url.host} is not the API host; it must not see the access token",
                hint="Use a client of your own for other hosts.",
            )
        access_token: str = token.access_token
        request.headers["Authorization"] = f"Bearer {access_token}"
        return access_token


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or PORTS.get(url.scheme)


def _replayable(request: httpx2.Request) -> bool:
    return isinstance(request.stream, httpx2.ByteStream)


def api_client(
    make: Callable[..., T],
    client: TokenSource,
    *,
    account: str,
    headers: Mapping[str, str],
    timeout: float,
    transport: Any = None,  # noqa: ANN401 - an httpx2 transport, sync or async
) -> T:
    """Make an `httpx2.Client` or `httpx2.AsyncClient` for the API. `timeout` is in seconds."""
    return make(
        auth=BearerAuth(client, account=account),
        base_url=client.endpoints.api,
        headers=headers,
        timeout=timeout,
        transport=transport,
    )
