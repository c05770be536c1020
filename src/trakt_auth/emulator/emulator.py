"""The emulator itself: one request in, one answer out, under one lock, on its own clock.

No sockets, no waiting, no handler's work: `pipeline.py` answers, `server.py` serves.
The package root exports `Emulator`; tests and `server.py` use it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import trakt_auth.emulator.dashboard.control as control
from trakt_auth.emulator.clock import Clock
from trakt_auth.emulator.dispatch import Pipeline
from trakt_auth.emulator.endpoints.token import token_body
from trakt_auth.emulator.http.request import split_query
from trakt_auth.emulator.options import Options
from trakt_auth.emulator.pages.authorization import RefusedAsk, denial, grant, read_ask
from trakt_auth.emulator.state.model import OUT_OF_BAND, Application
from trakt_auth.emulator.state.state import AUTO_ACCOUNT, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from typing import Unpack

    from trakt_auth.emulator.dispatch import Reply
    from trakt_auth.emulator.faults.armed import Fault
    from trakt_auth.emulator.http.request_log import Entry
    from trakt_auth.emulator.options import Settings
    from trakt_auth.protocol.http import HttpRequest, HttpResponse

__all__ = ["BUILT_IN_APPLICATION", "ConnectionLost", "Emulator"]

BUILT_IN_APPLICATION = Application(
    client_id="emulator",
    client_secret="emulator-secret",  # noqa: S106 - published, for a server on one's own desk
    redirect_uris=(
        "http://127.0.0.1:8765/callback",
        "http://localhost:8765/callback",
        OUT_OF_BAND,
    ),
    name="Emulator demo",
)

_LOOPBACK = "127.0.0.1"


class ConnectionLost(ConnectionError):
    """The connection ended without an answer; `processed` says whether the request took effect."""

    def __init__(self, *, processed: bool) -> None:
        super().__init__("the connection ended without an answer")
        self.processed = processed


class Emulator:
    """A Trakt authorization server on a desk; every duration is in seconds.

    The keyword arguments are the fields of `Options`. `applications` are registered beside the
    built-in one (client id `emulator`, secret `emulator-secret`).
    """

    def __init__(
        self,
        *,
        applications: Iterable[Application] = (),
        clock: Clock | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        self._site = Site(Options(**settings), clock or Clock())
        self._lock = threading.RLock()
        self._pipeline = Pipeline(self._site, self._lock)
        self.on_delay: Callable[[float], None] = _ignore
        """Called by `handle` with the seconds by which an answer is late.

        It may sleep, advance a clock, or raise what a client's timeout raises. By default nothing
        happens and the answer is there at once.
        """
        for application in (BUILT_IN_APPLICATION, *applications):
            self._site.applications[application.client_id] = application

    @property
    def clock(self) -> Clock:
        """The clock that decides what has expired."""
        return self._site.clock

    @property
    def options(self) -> Options:
        """The choices this server was made with."""
        return self._site.options

    @property
    def log(self) -> list[Entry]:
        """The newest requests, oldest first, with secrets as short hashes."""
        with self._lock:
            return list(self._site.journal.entries)

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer a request in process; a fault that cuts the connection is a `ConnectionLost`."""
        reply = self.respond(request)
        while reply.resume is not None:
            self.on_delay(reply.delay)
            reply = reply.resume()
        if reply.delay:
            self.on_delay(reply.delay)
        if reply.response is None:
            raise ConnectionLost(processed=reply.processed)
        return reply.response

    def respond(self, request: HttpRequest, *, peer: str = _LOOPBACK) -> Reply:
        """Answer a request from the address `peer`; waiting and cutting is left to the caller."""
        return self._pipeline.respond(request, peer=peer)

    def register_application(
        self,
        client_id: str,
        client_secret: str | None = None,
        redirect_uris: Iterable[str] = (),
        name: str = "",
    ) -> Application:
        """Register an application, or change one; without a secret it is a public client."""
        application = Application(
            client_id=client_id,
            client_secret=client_secret,
            redirect_uris=tuple(redirect_uris),
            name=name,
        )
        with self._lock:
            self._site.applications[client_id] = application
        return application

    def approve_device(self, user_code: str, *, username: str = AUTO_ACCOUNT) -> None:
        """Approve a device code as a person would on `/activate`.

        An unknown code is a `LookupError`; one that is settled or expired is a `ValueError`.
        """
        self._decide(user_code, username=username, approve=True)

    def deny_device(self, user_code: str) -> None:
        """Deny a device code as a person would on `/activate`; errors as in `approve_device`."""
        self._decide(user_code, username=AUTO_ACCOUNT, approve=False)

    def _decide(self, user_code: str, *, username: str, approve: bool) -> None:
        with self._lock:
            now = self.clock.now()
            device = self._site.codes.by_user_code(user_code)
            if device is None:
                raise LookupError(f"no device code is called {user_code!r}")
            self._site.decide(device, username=username, approve=approve, now=now)

    def approve_authorization(self, url: str, *, username: str = AUTO_ACCOUNT) -> str:
        """Approve an authorization URL as a person would; return the URL they are sent to.

        A request that is refused at its redirect URI returns that URL too; one whose client id or
        redirect URI is wrong raises `BadAsk`, since it ends on a page.
        """
        with self._lock:
            now = self.clock.now()
            try:
                ask = read_ask(self._site, split_query(urlsplit(url).query))
            except RefusedAsk as refused:
                return refused.url
            account = self._site.account(username, now=now)
            return urljoin(url, grant(self._site, ask, account, now=now))

    def deny_authorization(self, url: str) -> str:
        """Deny an authorization URL as a person would; return the URL they are sent to."""
        with self._lock:
            try:
                ask = read_ask(self._site, split_query(urlsplit(url).query))
            except RefusedAsk as refused:
                return refused.url
            return urljoin(url, denial(ask))

    def issue_tokens(
        self, username: str = AUTO_ACCOUNT, *, client_id: str = BUILT_IN_APPLICATION.client_id
    ) -> dict[str, str | int]:
        """Sign a person in without any flow; return the token response's fields."""
        with self._lock:
            now, site = self.clock.now(), self._site
            if client_id not in site.applications:
                raise LookupError(f"no application is called {client_id!r}")
            opened = site.grants.open(site.account(username, now=now), client_id, now=now)
            lifetime = site.options.access_token_lifetime
            return token_body(site.grants.issue(opened, now=now, lifetime=lifetime), now=now)

    def end_login(self, username: str, *, client_id: str = BUILT_IN_APPLICATION.client_id) -> None:
        """End every token of a person for an application, as when they disconnect it on Trakt."""
        with self._lock:
            account = self._site.account(username, now=self.clock.now())
            self._site.end_login(account, client_id)

    def arm(self, fault: str, **settings: object) -> Fault:
        """Arm a fault, for one request unless `times` says otherwise (None: until disarmed).

        The settings are the fault's own parameters and the matchers `endpoint`, `times`, `skip`,
        `probability`, `seed`, `grant_type` and `client_id`; a mistake is a `ValueError`.
        """
        with self._lock:
            return self._site.faults.arm(fault, **settings)

    def disarm(self, fault: Fault | None = None) -> None:
        """Disarm one fault, or all of them."""
        with self._lock:
            self._site.faults.disarm(fault)

    def state(self, *, limit: int | None = None) -> dict[str, object]:
        """Return everything that can be seen, as plain JSON values; `limit` cuts long lists."""
        with self._lock:
            now = self.clock.now()
            self._site.expire(now)
            return control.describe(self._site, now=now, limit=limit)

    def reset(self) -> None:
        """Forget accounts, sessions, codes, tokens, faults and the log.

        The applications stay, and so does the clock: time does not go backwards.
        """
        with self._lock:
            self._site.clear()

    def serving(self, host: str = "127.0.0.1", port: int = 0) -> AbstractContextManager[str]:
        """Serve on a socket from a background thread; the context's value is the base URL."""
        # A server needs the `emulator` extra; the emulator in process does not.
        from trakt_auth.emulator.server import serving

        return serving(self, host=host, port=port)


def _ignore(seconds: float) -> None:
    del seconds
