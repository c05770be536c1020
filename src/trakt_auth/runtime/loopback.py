"""The loopback receiver for the redirect: one path, one state, one answer (RFC 8252 §7.3).

No token and no exchange lives here; the HTTP server is the standard library's.
"""

from __future__ import annotations

import errno
import hmac
import os
import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from string import Template
from typing import Any, Self
from urllib.parse import parse_qs

from trakt_auth.errors import Cancelled, TraktAuthError, UsageError

__all__ = ["CallbackReceiver"]

# Browsers spell hosts and ports in one way only, so any other spelling would never match.
_LOOPBACK_URI = re.compile(
    r"(?ai)http://(localhost|127\.0\.0\.1|\[::1\]):([1-9][0-9]{0,4})(/[\w.~!$&'()*+,;=:@%/-]*)?",
)
# A browser tries one family after the other for `localhost`. Another program that listens on the
# one that is left out would receive the code.
_ADDRESSES = {"localhost": ["127.0.0.1", "::1"], "127.0.0.1": ["127.0.0.1"], "[::1]": ["::1"]}
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
_POLL_SECONDS = 0.05
_CONNECTION_SECONDS = 10.0
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Allow": "GET",
    "Connection": "close",
}
_HTML = Path(__file__).with_suffix(".html")
_STRANGER = "<p>Start again from the program, and use only the page it opens last.</p>"


@dataclass(frozen=True, slots=True)
class _Page:
    """A response: `text` is HTML; `answer` is the redirect that the one accepting page is for."""

    status: HTTPStatus
    title: str = ""
    text: str = ""
    answer: str | None = field(default=None, repr=False)


class _Inbox:
    """Checks requests, and keeps the first that is the answer."""

    def __init__(self, uri: str, host: str, path: str, state: str, app: str | None) -> None:
        self._uri, self._host, self._path = uri, host, path
        self._app = _shown(app or "the program")
        # A state that UTF-8 cannot spell never matches; an exception would print it.
        self._state = state.encode(errors="surrogatepass")
        self._claim = threading.Lock()
        self.answer: str | None = None
        self.closed = threading.Event()

    def page_for(self, target: str, hosts: list[str]) -> _Page:
        """Return the page for a GET of `target`; only one page ever carries an answer."""
        path, _, query = target.partition("?")
        # Another host name means DNS rebinding: a page of another site is asking.
        if [host.strip().lower() for host in hosts] != [self._host]:
            return _Page(HTTPStatus.MISDIRECTED_REQUEST)
        if path != self._path:
            return _Page(HTTPStatus.NOT_FOUND)
        fields = parse_qs(query, keep_blank_values=True)
        states, verdict = fields.get("state", []), fields.get("code", []) + fields.get("error", [])
        # No browser sends "#" or raw bytes, and another parser might read them differently.
        clean = "#" not in query and query.isascii() and query.isprintable()
        single = clean and len(states) == len(verdict) == 1 and verdict[0] != ""
        if not (single and hmac.compare_digest(states[0].encode(), self._state)):
            return _Page(HTTPStatus.BAD_REQUEST, "Not the expected answer", _STRANGER)
        # Never released: only the first request that takes it is accepted.
        first = self._claim.acquire(blocking=False)
        title, text = (
            _words(fields)
            if first
            else ("Already answered", "The program has received the answer before.")
        )
        text = f"<p>{text}</p>\n<p>You can close this page and go back to {self._app}.</p>"
        answer = f"{self._uri}?{query}" if first else None
        return _Page(HTTPStatus.OK if first else HTTPStatus.GONE, title, text, answer)


class _Handler(BaseHTTPRequestHandler):
    """One connection, one request; everything but GET ends in `send_error`."""

    # Seconds for a read, and for the whole connection. Browsers open some ahead of need.
    timeout = _CONNECTION_SECONDS

    def __init__(self, inbox: _Inbox, *connection: Any) -> None:  # noqa: ANN401 - socketserver's
        self._inbox = inbox
        super().__init__(*connection)

    def do_GET(self) -> None:
        """Answer a GET; `wait` ends after the page was sent, since the program may exit then."""
        # Not `self.path`, in which leading slashes are merged: the path has to be exact.
        page = self._inbox.page_for(self.requestline.split()[1], self.headers.get_all("Host", []))
        try:
            self._send(page)
        finally:
            if page.answer is not None:
                self._inbox.answer = page.answer
                self._inbox.closed.set()

    def send_error(self, code: int, *_: Any, **__: Any) -> None:  # noqa: ANN401 - inherited
        """Answer what `http.server` refuses, without repeating the request on the page."""
        self._send(_Page(HTTPStatus(405 if code == HTTPStatus.NOT_IMPLEMENTED else code)))

    def _send(self, page: _Page) -> None:
        html = Template(_HTML.read_text(encoding="utf-8"))
        body = html.substitute(title=page.title or page.status.phrase, text=page.text).encode()
        self.send_response_only(page.status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - inherited
        """Stay silent: the request line holds the code."""


class _Server(ThreadingTCPServer):
    """A thread for each connection, so that an idle connection delays no other.

    Connections are bounded in number and in time, so that a local program that opens many of them
    and sends slowly costs little. The newest is always served, since it may be the redirect.
    """

    allow_reuse_address = os.name != "nt"  # there, it would let another program share the port
    daemon_threads = True
    request_queue_size = 128  # with a full queue, the kernel would let the redirect wait a second
    most_connections = 32
    serving = False

    def __init__(self, host: str, port: int, inbox: _Inbox) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._guard = threading.Lock()
        self._deadlines: dict[socket.socket, float] = {}  # the oldest connection comes first
        super().__init__((host, port), partial(_Handler, inbox))

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, peer = super().get_request()
        with self._guard:
            surplus = len(self._deadlines) - self.most_connections + 1
            for oldest in list(self._deadlines)[: max(0, surplus)]:
                self._end(oldest, socket.SHUT_RDWR)
            self._deadlines[connection] = time.monotonic() + _CONNECTION_SECONDS
        return connection, peer

    def service_actions(self) -> None:
        """End the connections whose time is up, however slowly they go on sending."""
        now = time.monotonic()
        with self._guard:
            for connection, deadline in list(self._deadlines.items()):
                if deadline <= now:
                    self._end(connection, socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - inherited
        with self._guard:
            self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Free the port and end all reads; a page that is being written is still written."""
        super().server_close()
        with self._guard:
            for connection in list(self._deadlines):
                self._end(connection, socket.SHUT_RD)

    def _end(self, connection: socket.socket, how: int) -> None:
        del self._deadlines[connection]
        with suppress(OSError):
            connection.shutdown(how)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: browsers break connections all the time."""


class CallbackReceiver:
    """Waits on this computer for the browser's redirect; a context manager, used once.

    `redirect_uri` is the registered one, letter by letter; `app_name` is shown on the page.
    Raises: UsageError when the URI is not a loopback one (RFC 8252 §7.3) or the state is empty.
    """

    def __init__(self, redirect_uri: str, *, state: str, app_name: str | None = None) -> None:
        match = _LOOPBACK_URI.fullmatch(redirect_uri)
        if match is None or int(match[2]) > 0xFFFF:  # noqa: PLR2004 - the last port
            raise UsageError(
                "The redirect URI must be http, a loopback host, a port and a path, no more.",
                hint="Use one like http://127.0.0.1:8765/callback, registered exactly like that "
                "in the application's settings on Trakt.",
            )
        if not state:
            raise UsageError("The state is empty, so any page could pose as the answer.")
        self._addresses, self._port = _ADDRESSES[match[1].lower()], int(match[2])
        host = f"{match[1]}:{match[2]}".lower().removesuffix(":80")  # as browsers send it
        self._inbox = _Inbox(redirect_uri, host, match[3] or "/", state, app_name)
        self._servers: list[_Server] = []

    def __enter__(self) -> Self:
        """Listen on the loopback addresses alone. Raises: UsageError when one cannot be had."""
        missing: OSError | None = None
        address = ""
        try:
            for address in self._addresses:
                try:
                    self._servers.append(_Server(address, self._port, self._inbox))
                except OSError as error:
                    # This computer may lack one of the two families, and then no browser uses it.
                    if error.errno not in _NO_SUCH_FAMILY:
                        raise
                    missing = error
            if missing is not None and not self._servers:
                raise missing
        except OSError as error:
            self.close()
            raise UsageError(
                f"Cannot listen on {address}, port {self._port}: {error.strerror}.",
                hint="Close the program that uses the port or wait; or register another one on "
                "Trakt and set TRAKT_REDIRECT_URI; or sign in with a device code.",
            ) from error
        for server in self._servers:
            serve = partial(server.serve_forever, _POLL_SECONDS)
            server.serving = True
            threading.Thread(target=serve, name="trakt-auth-callback", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self, timeout: float | None = None, cancel: threading.Event | None = None) -> str:
        """Return the URL of the redirect that is ours, code or error; `timeout` is in seconds.

        Raises: Cancelled by `cancel` or `close`; TraktAuthError when no answer came in time.
        """
        if not self._servers and not self._inbox.closed.is_set():
            raise UsageError("The receiver is not listening: wait inside its `with` block.")
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while not self._inbox.closed.is_set():
            left = deadline - time.monotonic()
            if cancel is not None and cancel.is_set():
                self.cancel()
            elif left <= 0:
                late = f"No answer came from the browser within {timeout:g} seconds."
                raise TraktAuthError(late, hint="Start again, or sign in with a device code.")
            # In slices, to look at both events, and because Windows cannot interrupt a wait.
            self._inbox.closed.wait(min(left, _POLL_SECONDS))
        if self._inbox.answer is None:
            raise Cancelled("The wait for the browser was cancelled.")
        return self._inbox.answer

    def cancel(self) -> None:
        """End `wait` at once, from any thread."""
        self._inbox.closed.set()

    def close(self) -> None:
        """Free the port and end `wait`; closing again does nothing."""
        self.cancel()
        servers, self._servers = self._servers, []
        for server in servers:
            with server:
                if server.serving:  # otherwise `shutdown` would wait for ever
                    server.shutdown()


def _words(fields: dict[str, list[str]]) -> tuple[str, str]:
    if "code" in fields:
        return "Trakt has answered", "The program has the answer and completes the sign-in."
    if fields["error"] == ["access_denied"]:
        return "Nothing was granted", "The request was declined."
    said = [_shown(text) for text in fields["error"] + fields.get("error_description", [])[:1]]
    return "Trakt reported an error", ": ".join(said)


def _shown(value: str, longest: int = 300) -> str:
    clean = "".join(letter if letter.isprintable() else " " for letter in value[:longest])
    return escape(clean) + ("…" if len(value) > longest else "")
