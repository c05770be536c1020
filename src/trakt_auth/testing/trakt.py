"""`EmulatedTrakt`: an emulated Trakt for one test, its virtual clock, and clients that use both.

Connects the emulator with the library's clients; the assertions are in `checks.py`. pytest is not
imported.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from trakt_auth.emulator import BUILT_IN_APPLICATION, Clock, ConnectionLost, Options
from trakt_auth.emulator.state.state import DEFAULT_USERNAME
from trakt_auth.protocol.application import Application, Endpoints
from trakt_auth.protocol.authorization import AuthorizationRequest, DeviceAuthorization
from trakt_auth.protocol.token import Token
from trakt_auth.testing.checks import Checks
from trakt_auth.testing.clock import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    import httpx2

    from trakt_auth.client.asynchronous import AsyncClient
    from trakt_auth.client.sync import Client
    from trakt_auth.emulator import Fault
    from trakt_auth.protocol.http import HttpRequest, HttpResponse
    from trakt_auth.stores.interface import TokenStore

    Question = DeviceAuthorization | AuthorizationRequest | str | None

__all__ = ["DEFAULT_USERNAME", "EMULATED_APPLICATION", "EmulatedTrakt"]

T = TypeVar("T")

# `.test` is reserved (RFC 2606): a request that is sent over the network by mistake goes nowhere.
ORIGIN = "https://trakt.test"
DEFAULT_TIMEOUT = 20.0  # seconds, as the clients' own

EMULATED_APPLICATION = Application(
    BUILT_IN_APPLICATION.client_id,
    user_agent="trakt-emulator-test/1.0",
    redirect_uri=BUILT_IN_APPLICATION.redirect_uris[0],
)


class EmulatedTrakt(Checks):
    """An emulated Trakt that runs inside a test, with a virtual clock.

    As a context manager it closes its clients and its port at the end. `application` is the one
    under test, which is registered here; by default it is the emulator's built-in one. `now` is
    what the clock shows at first: a datetime with a time zone, or seconds since the epoch; by
    default it is the present. `faults` are armed from the start: names, or `{"fault": name, ...}`.
    All other settings are the fields of `trakt_auth.emulator.Options`; durations are in seconds.

    Raises: TypeError for an unknown setting, ValueError for a value that no server could have.
    """

    def __init__(
        self,
        *,
        application: Application = EMULATED_APPLICATION,
        now: datetime | float | None = None,
        faults: Iterable[str | Mapping[str, object]] = (),
        **settings: Any,  # noqa: ANN401 - the fields of Options
    ) -> None:
        names = {field.name for field in fields(Options)}
        if unknown := sorted(settings.keys() - names):
            known = ", ".join(sorted({"application", "now", "faults", *names}))
            raise TypeError(f"there is no setting {', '.join(unknown)}; the settings are {known}")
        super().__init__(clock=Clock.frozen(_seconds(now)), **settings)
        self.application: Application = application
        self.time: VirtualClock = VirtualClock(self.clock)
        self._closing = ExitStack()
        self._url: str | None = None
        if application != EMULATED_APPLICATION:
            uri = application.redirect_uri
            self.register_application(
                application.client_id, application.client_secret, [] if uri is None else [uri]
            )
        for fault in faults:
            given = {"fault": fault} if isinstance(fault, str) else dict(fault)
            if "fault" not in given:
                raise ValueError(
                    "a fault must be a name, or a mapping whose key 'fault' is its name"
                )
            self.arm(str(given.pop("fault")), **given)

    def __enter__(self) -> Self:
        """Return the emulated Trakt."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the clients that were created here, and the port."""
        self._url = None
        self._closing.close()

    @property
    def url(self) -> str:
        """The URL on 127.0.0.1, for programs in any language; its port is opened at the first use.

        Raises: ImportError without the `emulator` extra.
        """
        if self._url is None:
            self._url = self._closing.enter_context(self.serving())
        return self._url

    # -- clients -----------------------------------------------------------------------------------

    def client(self, username: str | None = None, **settings: Any) -> Client:  # noqa: ANN401
        """Create a `Client` for this Trakt and its clock, signed in if a username is given.

        The settings are those of `Client`. It calls the emulator in process, without a socket; with
        `endpoints=Endpoints.at(trakt.url)` it uses the network. It is closed with this object.
        """
        from trakt_auth.client.sync import Client

        client = self._make(Client, username, settings)
        self._closing.callback(client.close)
        return client

    def async_client(self, username: str | None = None, **settings: Any) -> AsyncClient:  # noqa: ANN401
        """Create an `AsyncClient`, for asyncio and trio; the arguments are those of `client`.

        In process it needs no closing; over the network use `async with`.
        """
        from trakt_auth.client.asynchronous import AsyncClient

        return self._make(AsyncClient, username, settings)

    def transport(self, *, timeout: float = DEFAULT_TIMEOUT) -> httpx2.MockTransport:
        """Return a transport for httpx2, sync and async, that sends all hosts' requests here.

        A response that is later than `timeout` seconds is lost; that takes no real time.
        """
        from trakt_auth.testing.in_process import in_process

        def respond(request: HttpRequest) -> HttpResponse:
            return self._respond_within(timeout, request)

        return in_process(respond)

    def issue_tokens(
        self, username: str = DEFAULT_USERNAME, *, client_id: str | None = None
    ) -> dict[str, str | int]:
        """Sign a user in without a flow; return the fields of the token response."""
        return super().issue_tokens(username, client_id=client_id or self.application.client_id)

    def end_login(self, username: str, *, client_id: str | None = None) -> None:
        """End all tokens of a user for an application, as when the user disconnects it on Trakt."""
        super().end_login(username, client_id=client_id or self.application.client_id)

    # -- the user ----------------------------------------------------------------------------------

    def approve(self, question: Question = None, *, username: str = DEFAULT_USERNAME) -> str:
        """Allow access, as a user does; return the user code or, for an authorization, a URL.

        `question` is what the user is asked: a user code or what `start_device` returned, the URL
        of an authorization page or what `authorization_request` returned. None stands for the only
        device code that is pending. The returned URL is that of the redirect: pass it to
        `exchange_code`.

        Raises: LookupError for an unknown code, or for None unless exactly one code is pending;
            ValueError for a code that is not pending any more; InvalidAuthorizationRequest for an
            authorization whose client id or redirect URI is wrong.
        """
        asked = self._asked(question)
        if "://" in asked:
            return self.approve_authorization(asked, username=username)
        self.approve_device(asked, username=username)
        return asked

    def deny(self, question: Question = None) -> str:
        """Deny access, as a user does; the rest is as in `approve`."""
        asked = self._asked(question)
        if "://" in asked:
            return self.deny_authorization(asked)
        self.deny_device(asked)
        return asked

    @contextmanager
    def fault(self, name: str, **settings: object) -> Generator[Fault]:
        """Arm a fault inside a `with` block; the test fails at its end if no request met it.

        The settings are those of `arm`: the fault affects one request unless `times` says otherwise
        (None: every request in the block).
        """
        __tracebackhide__ = True
        armed = self.arm(name, **settings)
        try:
            yield armed
        finally:
            self.disarm(armed)
        if not armed.fired:
            self._fail(f"no request met the fault {name}")

    # -- internals ---------------------------------------------------------------------------------

    def _asked(self, question: Question) -> str:
        if isinstance(question, AuthorizationRequest):
            return question.url
        if isinstance(question, DeviceAuthorization):
            return question.user_code
        if question is not None:
            return question
        codes = cast("list[dict[str, str]]", self.state()["device_codes"])
        pending = [one["user_code"] for one in codes if one["status"] == "pending"]
        if len(pending) != 1:
            raise LookupError(f"{len(pending) or 'no'} device codes are pending; say which one")
        return pending[0]

    def _make(self, kind: Callable[..., T], username: str | None, given: dict[str, Any]) -> T:
        from trakt_auth.client.sync import Client
        from trakt_auth.stores import open_store

        settings: dict[str, Any] = {"timeout": DEFAULT_TIMEOUT, "clock": self.time, **given}
        if "endpoints" not in given:
            settings["endpoints"] = Endpoints.at(ORIGIN)
            settings.setdefault("transport", self.transport(timeout=settings["timeout"]))
        application: Application = settings.pop("application", self.application)
        store: TokenStore | str = settings.pop("store", None) or "memory:"
        if isinstance(store, str):
            store = open_store(store)
            self._closing.callback(store.close)
        if username is not None:
            token = self._sign_in(username, application.client_id)
            with Client(application, store=store, **settings) as signing_in:
                signing_in.adopt(token)
        return kind(application, store=store, **settings)

    def _sign_in(self, username: str, client_id: str) -> Token:
        issued: dict[str, Any] = self.issue_tokens(username, client_id=client_id)
        now = self.time.now().wall
        return Token(
            access_token=issued["access_token"],
            refresh_token=issued["refresh_token"],
            created_at=now,
            expires_at=now + timedelta(seconds=issued["expires_in"]),
        )

    def _respond_within(self, timeout: float, request: HttpRequest) -> HttpResponse:
        reply, left, late = self.process(request), timeout, False
        while True:
            late = late or reply.delay > left
            passing = min(reply.delay, left)
            self.time.advance(passing)
            left -= passing
            if reply.resume is None:
                break
            reply = reply.resume()  # the request is processed even if its client has timed out
        if late or reply.response is None:
            raise ConnectionLost(processed=reply.processed)
        return reply.response


def _seconds(now: datetime | float | None) -> float:
    if now is None:
        return float(int(time.time()))
    if not isinstance(now, datetime):
        return now
    if now.tzinfo is None:
        raise ValueError("now has no time zone: use datetime(..., tzinfo=UTC)")
    return now.timestamp()
