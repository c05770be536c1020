"""Bearer authentication (RFC 6750 §2.1) for aiohttp, as a client middleware.

A thin adapter for a program's own aiohttp sessions: it asks the client for tokens and decides
nothing about them.
"""

from __future__ import annotations

from trakt_auth.client.bearer import (
    HEADER,
    AsyncTokenSource,
    Bearer,
    Origin,
    missing,
    origin,
    require,
)

try:
    from aiohttp import BytesPayload, ClientHandlerType, ClientRequest, ClientResponse
    from yarl import URL
except ImportError as _error:
    raise missing("aiohttp", _error) from None

__all__ = ["BearerAuth"]


class BearerAuth:
    """Puts a valid access token on every request to the API host, and refuses any other.

    After a 401 the token is refreshed and the request sent once more, unless its body can be
    read only once: then the 401 is returned, and the next request has the new token.
    For `ClientSession(middlewares=[...])`. aiohttp asks again at every redirect, so one that
    leads to another host ends with a UsageError.

    Raises: UsageError for a Client that is not asynchronous.
    Raises (from the request): whatever `client.token` raises; UsageError for another host.
    """

    def __init__(self, client: AsyncTokenSource, *, account: str = "default") -> None:
        require(client, awaits=True)
        self._client = client
        self._account = account
        self._bearer = Bearer(_origin(URL(client.endpoints.api)))

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Sign a request and send it, and once more after a 401."""
        self._bearer.admit(_origin(request.url))
        token = await self._client.token(account=self._account)
        request.headers[HEADER] = self._bearer.header(token)
        response = await handler(request)
        rejected = self._bearer.rejected(response.status, request.headers.get(HEADER))
        if rejected is None:
            return response
        try:
            token = await self._client.refresh_rejected(rejected, account=self._account)
        except BaseException:
            response.close()
            raise
        if token.access_token == rejected or not isinstance(request.body, bytes | BytesPayload):
            return response
        response.release()
        request.headers[HEADER] = self._bearer.header(token)
        return await handler(request)


def _origin(url: URL) -> Origin:
    return origin(url.scheme, url.host, url.port)
