"""Requests that are answered by a function in this process, without a socket.

No emulator lives here: any function from request to response will do.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx2

from trakt_auth.protocol.http import HttpRequest, HttpResponse

__all__ = ["in_process"]


def in_process(handle: Callable[[HttpRequest], HttpResponse]) -> httpx2.MockTransport:
    """Return a transport for httpx2 that calls a function instead of the network.

    A ConnectionError raised by the function stands for a response that was lost.
    """

    def respond(request: httpx2.Request) -> httpx2.Response:
        received = HttpRequest(
            method=request.method,
            url=str(request.url),
            headers=dict(request.headers),
            body=request.read(),
        )
        try:
            response = handle(received)
        except ConnectionError as error:
            raise httpx2.ReadError(str(error), request=request) from None
        return httpx2.Response(
            response.status, headers=dict(response.headers), content=response.body
        )

    return httpx2.MockTransport(respond)
