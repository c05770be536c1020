"""Serves the emulator on a port: uvicorn listens, starlette parses requests.

The only file that imports starlette and uvicorn. It waits, sends and ends connections as the
emulator's replies say, and decides nothing.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, cast

from trakt_auth.emulator.http.request import BODY_LIMIT
from trakt_auth.protocol.http import HttpRequest

try:
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import Response
    from starlette.routing import Mount
    from uvicorn import Config, Server
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ImportError as _error:  # pragma: no cover - the tests have the extra
    raise ImportError(
        "serving the emulator needs an extra: pip install 'trakt-auth[emulator]'"
    ) from _error

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Protocol

    from starlette.types import Receive, Scope, Send

    from trakt_auth.emulator.dispatch import Reply

    class Responder(Protocol):
        """What is served: an `Emulator`."""

        def process(self, request: HttpRequest, *, peer: str) -> Reply:
            """Process a request; the caller does what the reply says."""
            ...


__all__ = ["serve", "serving"]

_TRANSPORT = "trakt_auth.runtime.transport"
_HOST_HEADER = re.compile(r"[A-Za-z0-9._:\[\]-]+")
_START_LIMIT = 30.0  # seconds
_BACKLOG = 2048  # connections that may wait to be accepted
_SIGNALS = 0.1  # seconds between two looks whether a signal has ended the server
_GRACE = 1  # seconds for responses that are being sent when the server ends
_CLOSING = 0.001  # seconds between two looks whether the connections are closed


def serve(
    emulator: Responder, *, host: str, port: int, ready: Callable[[str], None] = lambda _: None
) -> None:
    """Serve until Ctrl-C; `ready` is called with the URL once connections are accepted.

    Raises: OSError if the port cannot be had, before anything else happens.
    """
    listener = _listen(host, port)
    url = _url(listener)
    with closing(listener), suppress(KeyboardInterrupt):
        _Server(emulator, ready=lambda: ready(url), log_level="critical").run([listener])


@contextmanager
def serving(emulator: Responder, *, host: str, port: int) -> Generator[str]:
    """Serve from a background thread while the context is open; its value is the URL.

    Raises: OSError if the port cannot be had.
    """
    listener = _listen(host, port)
    started = threading.Event()
    server = _Server(emulator, ready=started.set)
    thread = threading.Thread(target=server.run, args=([listener],), name="emulator", daemon=True)
    with closing(listener):
        thread.start()
        try:
            if not started.wait(_START_LIMIT):
                raise RuntimeError("the emulator's server did not start")
            yield _url(listener)
        finally:
            server.stop()
            thread.join()


class _Server(Server):
    """A uvicorn server that reports when it is ready and stops without waiting for slow faults."""

    def __init__(
        self, emulator: Responder, *, ready: Callable[[], None], log_level: str | None = None
    ) -> None:
        self._ready = ready
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        adapter = _Adapter(emulator, self._stopping)
        super().__init__(
            Config(
                Starlette(routes=[Mount("/", app=adapter)]),
                http=_Protocol,
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=log_level,
                access_log=False,
                proxy_headers=False,  # a forged one would make another machine look like this one
                server_header=False,
                date_header=False,  # the emulator sets it, by its own clock
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._ready()

    def stop(self) -> None:
        """End the server from another thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the server has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)

    # uvicorn's own two methods sleep for 0.1 seconds each, which every served test would pay.

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _SIGNALS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        del sockets  # their owner closes them
        self._stopping.set()
        for listener in self.servers:
            listener.close()
        state, now = self.server_state, asyncio.get_running_loop().time
        for connection in list(state.connections):
            connection.shutdown()
        last = now() + _GRACE
        while (state.connections or state.tasks) and now() < last:  # noqa: ASYNC110 - no event
            await asyncio.sleep(_CLOSING)


class _Protocol(H11Protocol):
    """HTTP/1.1 that gives the application its transport, so that a fault can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT: transport}


class _Adapter:
    """The ASGI application of the only route: it passes each request to the emulator."""

    def __init__(self, emulator: Responder, stopping: asyncio.Event) -> None:
        self._emulator = emulator
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        peer = request.client.host if request.client is not None else ""
        try:
            read = await _read(request)
        except ClientDisconnect:  # the request never arrived in full
            return
        reply = self._emulator.process(read, peer=peer)
        while reply.resume is not None:
            await self._pause(reply.delay)
            reply = reply.resume()
        await self._pause(reply.delay)
        if reply.response is None:
            await _cut(scope, receive, reset=reply.cut == "reset")
            return
        http = reply.response
        await Response(http.body, http.status, dict(http.headers))(scope, receive, send)

    async def _pause(self, seconds: float) -> None:
        if seconds:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)


async def _read(request: Request) -> HttpRequest:
    """Read a request; a body that is too long only as far as the emulator needs to reject it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            break
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        joint = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{joint}{value}" if name in headers else value
    host = headers.get("host", "")
    path = cast("bytes", request.scope.get("raw_path", b"/")).decode("latin-1")
    query = cast("bytes", request.scope["query_string"]).decode("latin-1")
    # A host with characters that could change the URL's meaning is left out: the emulator then
    # rejects the URL.
    origin = f"{request.scope['scheme']}://{host if _HOST_HEADER.fullmatch(host) else ''}"
    url = f"{origin}/{path.removeprefix('/')}?{query}"
    return HttpRequest(method=request.method, url=url, headers=headers, body=bytes(body))


async def _cut(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """End the connection without a response: with a TCP reset, or by closing it."""
    transport = cast("asyncio.Transport", scope["state"][_TRANSPORT])
    if reset:
        connection = cast("socket.socket", transport.get_extra_info("socket"))
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # on, for 0 seconds
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _listen(host: str, port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off, which delays responses by 40 ms, only if the protocol is
    # named here.
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere the option lets two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    """Return the base URL; for a listener on all addresses, that of the loopback address."""
    address = cast("tuple[str, int]", listener.getsockname()[:2])
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])  # noqa: S104
    return f"http://[{host}]:{address[1]}" if ":" in host else f"http://{host}:{address[1]}"
