"""`EmulatedTrakt`: a Trakt for one test, with clients that talk to it and a clock of its own.

Wires the emulator to the library's clients; what is checked afterwards is in `checks`.
Tests use it by itself, as `trakt_emulator` (see `plugin`) or in a `TraktTestCase`.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from trakt_auth.emulator import BUILT_IN_APPLICATION, Clock, ConnectionLost, Options
from trakt_auth.emulator.state.state import AUTO_ACCOUNT
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

__all__ = ["AUTO_ACCOUNT", "EMULATED_APPLICATION", "EmulatedTrakt"]

T = TypeVar("T")

ORIGIN = "http://trakt.test"  # reserved (RFC 2606): a request that strays to the network ends there
PATIENCE = 20.0  # seconds, the clients' own timeout

EMULATED_APPLICATION = Application(
    BUILT_IN_APPLICATION.client_id,
    user_agent="trakt-emulator-test/1.0",
    redirect_uri=BUILT_IN_APPLICATION.redirect_uris[0],
)


class EmulatedTrakt(Checks):
    """A Trakt that runs inside a test, on a clock that only the test moves.

    Usable as a context manager, whose end closes its clients and its port. `application` is the
    one under test, registered here as it is; the emulator's built-in one unless given. `now` is
    where the clock stands at first: a moment with a time zone, or seconds since the epoch; the
    present unless given. `faults` are armed from the start: names, or `{"fault": name, ...}`.
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
            raise TypeError(f"there is no setting {', '.join(unknown)}; there are {known}")
        super().__init__(clock=Clock.frozen(_seconds(now)), **settings)
        self.application = application
        self.time = VirtualClock(self.clock)
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
                raise ValueError("a fault is a name, or a mapping whose key 'fault' is its name")
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
        """Close the clients that were made here, and the port."""
        self._url = None
        self._closing.close()

    @property
    def url(self) -> str:
        """The address on 127.0.0.1, for programs of any kind; it is served from the first use on.

        Raises: ImportError when the `emulator` extra is missing.
        """
        if self._url is None:
            self._url = self._closing.enter_context(self.serving())
        return self._url

    # -- clients ---------------------------------------------------------------------------------

    def client(self, username: str | None = None, **settings: Any) -> Client:  # noqa: ANN401
        """Make a `Client` on this Trakt and its clock, signed in if a user name is given.

        The settings are those of `Client`. It reaches the emulator in process, without a socket;
        `endpoints=Endpoints.at(trakt.url)` takes it over the network. Closed with this object.
        """
        from trakt_auth.client.sync import Client

        client = self._make(Client, username, settings)
        self._closing.callback(client.close)
        return client

    def async_client(self, username: str | None = None, **settings: Any) -> AsyncClient:  # noqa: ANN401
        """Make an `AsyncClient`, for asyncio and trio; arguments as in `client`.

        In process it holds nothing that has to be closed; over the network use `async with`.
        """
        from trakt_auth.client.asynchronous import AsyncClient

        return self._make(AsyncClient, username, settings)

    def transport(self, *, timeout: float = PATIENCE) -> httpx2.MockTransport:
        """Return a transport for httpx2, sync and async, that leads here whatever the host.

        An answer that is later than `timeout` seconds is lost, and no real time passes.
        """
        from trakt_auth.runtime.transport import in_process

        def answer(request: HttpRequest) -> HttpResponse:
            return self._answer(request, timeout)

        return in_process(answer)

    def issue_tokens(
        self, username: str = AUTO_ACCOUNT, *, client_id: str | None = None
    ) -> dict[str, str | int]:
        """Sign a person in without any flow; return the token response's fields."""
        return super().issue_tokens(username, client_id=client_id or self.application.client_id)

    def end_login(self, username: str, *, client_id: str | None = None) -> None:
        """End every token of a person for an application, as when they disconnect it on Trakt."""
        super().end_login(username, client_id=client_id or self.application.client_id)

    # -- the person ------------------------------------------------------------------------------

    def approve(self, question: Question = None, *, username: str = AUTO_ACCOUNT) -> str:
        """Say yes as a person would; return the user code, or for an authorization the redirect.

        `question` is a device's user code or what `start_device` returned, the URL of an
        authorization page or what `authorization_request` returned. Without one it is the only
        device code that waits. The redirect is the URL to hand to `exchange_code`.

        Raises: LookupError for an unknown code, or if not exactly one waits; ValueError for one
            that is settled or expired; BadAsk for an authorization that Trakt would not show.
        """
        asked = self._asked(question)
        if "://" in asked:
            return self.approve_authorization(asked, username=username)
        self.approve_device(asked, username=username)
        return asked

    def deny(self, question: Question = None) -> str:
        """Say no as a person would; as in `approve`."""
        asked = self._asked(question)
        if "://" in asked:
            return self.deny_authorization(asked)
        self.deny_device(asked)
        return asked

    @contextmanager
    def fault(self, name: str, **settings: object) -> Generator[Fault]:
        """Misbehave inside a `with` block; fail at its end if no request met the fault.

        Settings as in `arm`: for one request unless `times` says otherwise (None: the block).
        """
        __tracebackhide__ = True
        armed = self.arm(name, **settings)
        try:
            yield armed
        finally:
            self.disarm(armed)
        if not armed.fired:
            self._fail(f"no request met the fault {name}")

    # -- inside ----------------------------------------------------------------------------------

    def _asked(self, question: Question) -> str:
        if isinstance(question, AuthorizationRequest):
            return question.url
        if isinstance(question, DeviceAuthorization):
            return question.user_code
        if question is not None:
            return question
        codes = cast("list[dict[str, str]]", self.state()["device_codes"])
        waiting = [one["user_code"] for one in codes if one["status"] == "pending"]
        if len(waiting) != 1:
            raise LookupError(f"{len(waiting) or 'no'} device codes are waiting; say which one")
        return waiting[0]

    def _make(self, kind: Callable[..., T], username: str | None, given: dict[str, Any]) -> T:
        from trakt_auth.client.sync import Client
        from trakt_auth.stores import open_store

        settings: dict[str, Any] = {"timeout": PATIENCE, "clock": self.time, **given}
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

    def _answer(self, request: HttpRequest, timeout: float) -> HttpResponse:
        reply, left, late = self.respond(request), timeout, False
        while True:
            late = late or reply.delay > left
            passing = min(reply.delay, left)
            self.time.advance(passing)
            left -= passing
            if reply.resume is None:
                break
            reply = reply.resume()  # processed in the end, whether or not its sender still waits
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
