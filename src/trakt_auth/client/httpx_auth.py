"""Bearer authentication for httpx and its continuation httpx2, which have the same interface.

It imports neither of the two: `client.api` and `adapters.for_httpx` say which library's requests
and responses these are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

from trakt_auth.client.bearer import HEADER, Bearer, Origin, Source, origin, require
from trakt_auth.protocol.token import Token

__all__ = ["HttpxAuth"]


class HttpxAuth:
    """The library's `Auth`, sync and async; a subclass says how it parses a URL and keeps bytes."""

    _bytes: type[Any]  # the type of a body that can be sent twice

    def __init__(self, client: Source, api: Any, *, account: str) -> None:  # noqa: ANN401
        self._client: Any = client  # checked by `require` at the first request
        self._account = account
        self._bearer = Bearer(_origin(api))

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:  # noqa: ANN401
        """Sign a request of a synchronous client."""
        require(self._client, awaits=False)
        self._bearer.admit(_origin(request.url))
        self._sign(request, self._client.token(account=self._account))
        rejected = self._rejected((yield request))
        if rejected is not None:
            token = self._client.refresh_rejected(rejected, account=self._account)
            if self._send_again(request, token, rejected):
                yield request

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:  # noqa: ANN401
        """Sign a request of an asynchronous client."""
        require(self._client, awaits=True)
        self._bearer.admit(_origin(request.url))
        self._sign(request, await self._client.token(account=self._account))
        rejected = self._rejected((yield request))
        if rejected is not None:
            token = await self._client.refresh_rejected(rejected, account=self._account)
            if self._send_again(request, token, rejected):
                yield request

    def _sign(self, request: Any, token: Token) -> None:  # noqa: ANN401
        request.headers[HEADER] = self._bearer.header(token)

    def _rejected(self, response: Any) -> str | None:  # noqa: ANN401
        sent = response.request.headers.get(HEADER)
        return self._bearer.rejected(response.status_code, sent)

    def _send_again(self, request: Any, token: Token, rejected: str) -> bool:  # noqa: ANN401
        if token.access_token == rejected or not isinstance(request.stream, self._bytes):
            return False
        self._sign(request, token)
        return True


def _origin(url: Any) -> Origin:  # noqa: ANN401
    return origin(url.scheme, url.host, url.port)
