"""Bearer authentication for httpx and its continuation httpx2, which have the same interface.

It imports neither of the two: `client.api` and `adapters.for_httpx` say what a request is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, MutableMapping
from typing import Any, Generic, Protocol, TypeVar

from trakt_auth.client.bearer import HEADER, Bearer, Source, origin, require
from trakt_auth.protocol.token import Token

__all__ = ["FamilyAuth"]


class Url(Protocol):
    """Where a request goes."""

    @property
    def scheme(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...


class Request(Protocol):
    """What is needed of a request."""

    @property
    def url(self) -> Url: ...
    @property
    def headers(self) -> MutableMapping[str, str]: ...
    @property
    def stream(self) -> object: ...


RequestT = TypeVar("RequestT", bound=Request)
ResponseT = TypeVar("ResponseT", bound="Response")


class Response(Protocol):
    """What is needed of a response."""

    status_code: int

    @property
    def request(self) -> Request: ...


class FamilyAuth(Generic[RequestT, ResponseT]):
    """The library's `Auth`, sync and async; a subclass says how it parses a URL and keeps bytes."""

    _bytes: type[Any]  # the type of a body that can be sent twice

    def __init__(self, client: Source, api: Url, *, account: str) -> None:
        self._client: Any = client  # checked by `require` at the first request
        self._account = account
        self._bearer = Bearer(_origin(api))

    def sync_auth_flow(self, request: RequestT) -> Generator[RequestT, ResponseT, None]:
        """Sign a request of a synchronous client."""
        require(self._client, awaits=False)
        self._bearer.admit(_origin(request.url))
        self._sign(request, self._client.token(account=self._account))
        rejected = self._rejected((yield request))
        if rejected is not None:
            token = self._client.refresh_rejected(rejected, account=self._account)
            if token.access_token != rejected and self._replayable(request):
                self._sign(request, token)
                yield request

    async def async_auth_flow(self, request: RequestT) -> AsyncGenerator[RequestT, ResponseT]:
        """Sign a request of an asynchronous client."""
        require(self._client, awaits=True)
        self._bearer.admit(_origin(request.url))
        self._sign(request, await self._client.token(account=self._account))
        rejected = self._rejected((yield request))
        if rejected is not None:
            token = await self._client.refresh_rejected(rejected, account=self._account)
            if token.access_token != rejected and self._replayable(request):
                self._sign(request, token)
                yield request

    def _sign(self, request: RequestT, token: Token) -> None:
        request.headers[HEADER] = self._bearer.header(token)

    def _rejected(self, response: ResponseT) -> str | None:
        sent = response.request.headers.get(HEADER)
        return self._bearer.rejected(response.status_code, sent)

    def _replayable(self, request: RequestT) -> bool:
        return isinstance(request.stream, self._bytes)


def _origin(url: Url) -> tuple[str, str | None, int | None]:
    return origin(url.scheme, url.host, url.port)
