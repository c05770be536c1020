"""HTTP by httpx2, sync and async (asyncio and trio).

And the only file that builds httpx2 clients. Nothing of OAuth, no retries.

TLS certificates are always verified, redirects are never followed (a credential must not
travel on), and an answer is read up to a limit of size and time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import httpx2

from trakt_auth.errors import TransportError, UsageError
from trakt_auth.protocol.http import HttpRequest, HttpResponse

__all__ = ["AsyncHttpTransport", "HttpTransport", "in_process"]

LARGEST_BODY = 1 << 20  # bytes; a token answer has a few hundred
# A kept connection may be dead at the other end, and then nobody knows whether a token was spent.
NO_REUSE = httpx2.Limits(max_keepalive_connections=0)


class HttpTransport:
    """Sends requests; safe to use from many threads. `timeout` is in seconds."""

    def __init__(self, *, timeout: float, inner: httpx2.BaseTransport | None = None) -> None:
        self._timeout = timeout
        self._client = httpx2.Client(timeout=timeout, transport=inner, limits=NO_REUSE)

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send and read the answer to its end.

        Raises: TransportError, UsageError when the client was closed.
        """
        with (
            _translated(request, self._client),
            self._client.stream(
                request.method, request.url, headers=request.headers, content=request.body
            ) as answer,
        ):
            body = _Body(self._timeout)
            for chunk in answer.iter_bytes():
                body.take(chunk)
        return _response(answer, body)

    def close(self) -> None:
        """Close connections."""
        self._client.close()


class AsyncHttpTransport:
    """Sends requests on asyncio or trio. `timeout` is in seconds."""

    def __init__(self, *, timeout: float, inner: httpx2.AsyncBaseTransport | None = None) -> None:
        self._timeout = timeout
        self._client = httpx2.AsyncClient(timeout=timeout, transport=inner, limits=NO_REUSE)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send and read the answer to its end.

        Raises: TransportError, UsageError when the client was closed.
        """
        with _translated(request, self._client):
            async with self._client.stream(
                request.method, request.url, headers=request.headers, content=request.body
            ) as answer:
                body = _Body(self._timeout)
                async for chunk in answer.aiter_bytes():
                    body.take(chunk)
        return _response(answer, body)

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()


def in_process(handle: Callable[[HttpRequest], HttpResponse]) -> httpx2.MockTransport:
    """Return a transport for httpx2 that calls a function instead of the network.

    A ConnectionError raised by the function stands for an answer that was lost.
    """

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked = HttpRequest(
            method=request.method,
            url=str(request.url),
            headers=dict(request.headers),
            body=request.read(),
        )
        try:
            response = handle(asked)
        except ConnectionError as error:
            raise httpx2.ReadError(str(error), request=request) from None
        return httpx2.Response(
            response.status, headers=dict(response.headers), content=response.body
        )

    return httpx2.MockTransport(answer)


class _TooMuchError(Exception):
    """The answer is larger, or comes more slowly, than any real one."""


class _Body:
    """Collects an answer; what has arrived whole is never refused for having been slow."""

    def __init__(self, timeout: float) -> None:
        self.content = bytearray()
        self._deadline = time.monotonic() + timeout
        self._late = False

    def take(self, chunk: bytes) -> None:
        """Add a piece, unless the answer has no end in sight."""
        if self._late:
            raise _TooMuchError("the answer takes too long")
        if len(self.content) + len(chunk) > LARGEST_BODY:
            raise _TooMuchError("the answer is larger than 1 MiB")
        self.content += chunk
        self._late = time.monotonic() > self._deadline


def _response(answer: httpx2.Response, body: _Body) -> HttpResponse:
    return HttpResponse(
        status=answer.status_code,
        headers={name.lower(): value for name, value in answer.headers.items()},
        body=bytes(body.content),
    )


@contextmanager
def _translated(
    request: HttpRequest, client: httpx2.Client | httpx2.AsyncClient
) -> Generator[None, Any, None]:
    # httpx2's errors carry the request, whose body is a secret: their words are kept, they not.
    host = request.url.split("/")[2]
    if client.is_closed:
        raise UsageError(
            "The client is closed", hint="Make the call inside the client's `with` block."
        )
    try:
        yield
    except (
        httpx2.ConnectError,
        httpx2.ConnectTimeout,
        httpx2.PoolTimeout,
        httpx2.ProxyError,
    ) as error:
        raise TransportError(
            f"{host} cannot be reached: {_words(error)}", outcome_unknown=False
        ) from None
    except httpx2.InvalidURL as error:
        raise UsageError(f"The URL cannot be used: {error}") from None
    except Exception as error:  # noqa: BLE001 - by now the request may have been processed
        raise TransportError(
            f"{host} gave no whole answer: {_words(error)}", outcome_unknown=True
        ) from None


def _words(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
