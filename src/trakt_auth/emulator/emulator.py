"""`Emulator`: everything that a program can do with an emulator in its own process.

One lock makes its methods safe to call from any thread. No socket and no waiting: `dispatch.py`
processes requests, `server.py` serves a port.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, cast
from urllib.parse import urljoin, urlsplit

import trakt_auth.emulator.dashboard.control as control
from trakt_auth.emulator.clock import Clock
from trakt_auth.emulator.dispatch import Dispatcher
from trakt_auth.emulator.endpoints.token import token_body
from trakt_auth.emulator.http.request import split_query
from trakt_auth.emulator.options import Options
from trakt_auth.emulator.pages.authorization import (
    AuthorizationError,
    approval_redirect,
    denial_redirect,
    parse_authorization_request,
)
from trakt_auth.emulator.state.model import OUT_OF_BAND, Application
from trakt_auth.emulator.state.registered import NOT_GIVEN, RegisteredResponse, make_response
from trakt_auth.emulator.state.snapshot import restore, snapshot
from trakt_auth.emulator.state.state import DEFAULT_USERNAME, EmulatorState
from trakt_auth.emulator.state_file import StateFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from typing import Unpack

    from trakt_auth.emulator.dispatch import Reply
    from trakt_auth.emulator.faults.armed import Fault
    from trakt_auth.emulator.http.request_log import Entry
    from trakt_auth.emulator.options import Settings
    from trakt_auth.emulator.pages.authorization import AuthorizationRequest
    from trakt_auth.protocol.http import HttpRequest, HttpResponse

__all__ = ["BUILT_IN_APPLICATION", "ConnectionLost", "Emulator"]

BUILT_IN_SECRET = "emulator-secret"  # noqa: S105 - published: it protects nothing
BUILT_IN_APPLICATION = Application(
    client_id="emulator",
    client_secret=BUILT_IN_SECRET,
    redirect_uris=(
        "http://127.0.0.1:8765/callback",
        "http://localhost:8765/callback",
        OUT_OF_BAND,
    ),
    name="Emulator demo",
)

_LOOPBACK = "127.0.0.1"


class ConnectionLost(ConnectionError):
    """The connection ended without a response; `processed`: whether the request took effect."""

    def __init__(self, *, processed: bool) -> None:
        super().__init__("the connection ended without a response")
        self.processed = processed


class Emulator:
    """An emulated Trakt: its authorization server, and a part of its API.

    The keyword arguments are the fields of `Options`; durations are in seconds. `applications` are
    registered in addition to the built-in one (client id `emulator`, secret `emulator-secret`).
    Its methods may be called from any thread.

    Raises: ValueError for an option that no server could have.
    """

    def __init__(
        self,
        *,
        applications: Iterable[Application] = (),
        clock: Clock | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        self._state = EmulatorState(Options(**settings), clock or Clock())
        self._lock = threading.RLock()
        self._dispatcher = Dispatcher(self._state, self._lock)
        self.on_delay: Callable[[float], None] = _ignore
        """Called by `handle` with the seconds by which a response is late.

        It may sleep, advance a clock, or raise what a client's timeout raises. By default it does
        nothing, and the response comes at once.
        """
        for application in (BUILT_IN_APPLICATION, *applications):
            self._state.applications[application.client_id] = application

    @property
    def clock(self) -> Clock:
        """The emulator's clock, which decides what has expired."""
        return self._state.clock

    @property
    def options(self) -> Options:
        """The options that this emulator was created with."""
        return self._state.options

    @property
    def log(self) -> list[Entry]:
        """The latest requests, oldest first, with short hashes in place of secrets."""
        with self._lock:
            return list(self._state.request_log.entries)

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Process a request in this process and return the response; nothing is sent.

        Raises: ConnectionLost if a fault ends the connection without a response.
        """
        reply = self.process(request)
        while reply.resume is not None:
            self.on_delay(reply.delay)
            reply = reply.resume()
        if reply.delay:
            self.on_delay(reply.delay)
        if reply.response is None:
            raise ConnectionLost(processed=reply.processed)
        return reply.response

    def process(self, request: HttpRequest, *, peer: str = _LOOPBACK) -> Reply:
        """Process a request from the address `peer`; the caller does what the reply says."""
        return self._dispatcher.respond(request, peer=peer)

    def register_application(
        self,
        client_id: str,
        client_secret: str | None = None,
        redirect_uris: Iterable[str] = (),
        name: str = "",
        allowed_origins: Iterable[str] = (),
    ) -> Application:
        """Register an application, or replace the one with that client id.

        Without a secret it is a public client. Scripts of the `allowed_origins` may read the
        responses that belong to it; if there are none, scripts of any origin may.

        Raises: ValueError for a client id, redirect URI or origin that Trakt would not accept.
        """
        application = Application(
            client_id=client_id,
            client_secret=client_secret,
            redirect_uris=tuple(redirect_uris),
            name=name,
            allowed_origins=tuple(allowed_origins),
        )
        with self._lock:
            self._state.applications[client_id] = application
        return application

    def allow_origins(self, origins: Iterable[str]) -> None:
        """Let only scripts of these origins read responses of the built-in application.

        Raises: ValueError for a text that is not an origin.
        """
        one = BUILT_IN_APPLICATION
        self.register_application(
            one.client_id, BUILT_IN_SECRET, one.redirect_uris, one.name, origins
        )

    def approve_device(self, user_code: str, *, username: str = DEFAULT_USERNAME) -> None:
        """Approve a device code, as a user does on `/activate`.

        Raises: LookupError for an unknown code; ValueError for one that is not pending any more,
            or for an invalid username.
        """
        self._decide(user_code, username=username, approve=True)

    def deny_device(self, user_code: str) -> None:
        """Deny a device code, as a user does on `/activate`.

        Raises: LookupError for an unknown code; ValueError for one that is not pending any more.
        """
        self._decide(user_code, username=DEFAULT_USERNAME, approve=False)

    def _decide(self, user_code: str, *, username: str, approve: bool) -> None:
        with self._lock:
            now = self.clock.now()
            device = self._state.codes.by_user_code(user_code)
            if device is None:
                raise LookupError(f"no device code is called {user_code!r}")
            self._state.decide(device, username=username, approve=approve, now=now)

    def approve_authorization(self, url: str, *, username: str = DEFAULT_USERNAME) -> str:
        """Allow the application, as a user does at an authorization URL.

        Returns the URL that the user is redirected to; it carries a code or, for a request that is
        not valid, an error.

        Raises: InvalidAuthorizationRequest if the client id or the redirect URI is wrong: then the
            user sees an error page and is not redirected. ValueError for an invalid username.
        """
        with self._lock:
            now = self.clock.now()
            try:
                authorization = self._parse_authorization(url)
            except AuthorizationError as error:
                return error.url
            account = self._state.get_or_create_account(username, now=now)
            return urljoin(url, approval_redirect(self._state, authorization, account, now=now))

    def deny_authorization(self, url: str) -> str:
        """Deny the application, as a user does at an authorization URL.

        Returns the URL that the user is redirected to, which carries an error.

        Raises: InvalidAuthorizationRequest as in `approve_authorization`.
        """
        with self._lock:
            try:
                authorization = self._parse_authorization(url)
            except AuthorizationError as error:
                return error.url
            return urljoin(url, denial_redirect(authorization))

    def _parse_authorization(self, url: str) -> AuthorizationRequest:
        return parse_authorization_request(self._state, split_query(urlsplit(url).query))

    def issue_tokens(
        self, username: str = DEFAULT_USERNAME, *, client_id: str = BUILT_IN_APPLICATION.client_id
    ) -> dict[str, str | int]:
        """Sign a user in without a flow; return the fields of the token response.

        Raises: LookupError for an unknown application; ValueError for an invalid username.
        """
        with self._lock:
            now, state = self.clock.now(), self._state
            if client_id not in state.applications:
                raise LookupError(f"no application is called {client_id!r}")
            account = state.get_or_create_account(username, now=now)
            opened = state.grants.open(account, client_id, now=now)
            lifetime = state.options.access_token_lifetime
            return token_body(state.grants.issue(opened, now=now, lifetime=lifetime), now=now)

    def end_login(self, username: str, *, client_id: str = BUILT_IN_APPLICATION.client_id) -> None:
        """End all tokens of a user for an application, as when the user disconnects it on Trakt."""
        with self._lock:
            account = self._state.get_or_create_account(username, now=self.clock.now())
            self._state.end_login(account, client_id)

    def arm(self, fault: str, **settings: object) -> Fault:
        """Arm a fault, for one request unless `times` says otherwise (None: until disarmed).

        The settings are the fault's own parameters and the matchers `endpoint`, `times`, `skip`,
        `probability`, `seed`, `grant_type` and `client_id`.

        Raises: ValueError for an unknown fault, or a setting that is unknown or invalid.
        """
        with self._lock:
            return self._state.faults.arm(fault, **settings)

    def disarm(self, fault: Fault | None = None) -> None:
        """Disarm one fault, or all if it is None."""
        with self._lock:
            self._state.faults.disarm(fault)

    def respond(
        self,
        path: str,
        *,
        json: object = NOT_GIVEN,
        text: str = "",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        method: str = "*",
        times: int | None = None,
        public: bool = False,
    ) -> RegisteredResponse:
        """Register what the data API answers at `path`, once the key and the token are checked.

        `path` may be a pattern, such as `/sync/watched/*`; of the responses that match a request,
        the latest is sent. The body is `json`, `text` or empty. `method` limits it to one method;
        `times` is how often it is sent (None: for good); a `public` one needs no access token.

        Raises: ValueError for a value that no response could have.
        """
        given: dict[str, object] = {
            "path": path, "status": status, "method": method, "times": times, "public": public,
            "headers": headers or {}, "text": text,
        }  # fmt: skip
        if json is not NOT_GIVEN:
            given["json"] = json
        made = make_response(given)
        with self._lock:
            self._state.responses.add(made)
        return made

    def keep_in(self, path: str) -> None:
        """Read accounts, codes and tokens from a file, and write them there after each request.

        A clock that is behind the time of the file is advanced to it.

        Raises: ValueError for a file that no emulator has written; OSError.
        """
        file = StateFile(path)
        with self._lock:
            content = file.read()
            if content is not None:
                at = content.get("now")
                if not isinstance(at, int | float):
                    raise ValueError("the time is missing")
                self.clock.advance(max(0, at - self.clock.now()))
                restore(self._state, content.get("state"), now=self.clock.now())

            def save() -> None:
                ahead = self.clock.now() if self.clock.now() - time.time() > 1 else 0
                file.write({"now": int(ahead), "state": snapshot(self._state)})

            save()
            self._dispatcher.on_processed = save

    def load_responses(self, specifications: object) -> None:
        """Register a list of responses that stay when the emulator is reset.

        Raises: ValueError for anything else than a list of responses.
        """
        if not isinstance(specifications, list):
            raise ValueError('the responses must be a list: [{"path": ..., "json": ...}]')  # noqa: TRY004
        made = [make_response(one) for one in cast("list[object]", specifications)]
        with self._lock:
            for one in made:
                self._state.responses.add(one, lasting=True)

    def state(self, *, limit: int | None = None) -> dict[str, object]:
        """Return the state as plain JSON values; `limit` is the most items of each long list."""
        with self._lock:
            now = self.clock.now()
            self._state.expire(now)
            return control.describe(self._state, now=now, limit=limit)

    def reset(self) -> None:
        """Delete accounts, sessions, codes, tokens, faults, registered responses and the log.

        The applications stay, and so does the time: the clock never goes backwards.
        """
        with self._lock:
            self._state.clear()

    def serving(self, host: str = "127.0.0.1", port: int = 0) -> AbstractContextManager[str]:
        """Serve a port from a background thread; the value of the context is the base URL.

        Port 0 picks a free one.

        Raises: ImportError without the `emulator` extra; OSError if the port cannot be had.
        """
        # Imported here because only a server needs the `emulator` extra.
        from trakt_auth.emulator.server import serving

        return serving(self, host=host, port=port)


def _ignore(seconds: float) -> None:
    del seconds
