"""What the sync and the async client have in common: settings, dependencies, the tokens last seen.

No flow is written here and nothing is sent.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from weakref import WeakSet

from trakt_auth.client.late import Late
from trakt_auth.errors import StoreEncrypted, StoreError, TokenNotSaved, UsageError
from trakt_auth.protocol.application import Application, Endpoints
from trakt_auth.protocol.authorization import AuthorizationRequest
from trakt_auth.protocol.token import Token, TokenState
from trakt_auth.runtime.late_transport import LateAsyncTransport, LateTransport, buildable
from trakt_auth.stores import open_store

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library

if TYPE_CHECKING:
    from typing import Any, TypeVar

    import trakt_auth.client.retries as retries
    import trakt_auth.flows.events as events
    import trakt_auth.flows.refresh as renewal
    import trakt_auth.flows.saving as keeping
    import trakt_auth.protocol.endpoints as protocol
    import trakt_auth.runtime.clock as clocks
    import trakt_auth.runtime.runner as runner
    import trakt_auth.runtime.storing as storing
    import trakt_auth.runtime.workers as workers
    from trakt_auth.flows.events import Event
    from trakt_auth.runtime.interfaces import Clock
    from trakt_auth.stores.interface import TokenStore

    T = TypeVar("T")
else:
    clocks, events = Late("trakt_auth.runtime.clock"), Late("trakt_auth.flows.events")
    workers, protocol = Late("trakt_auth.runtime.workers"), Late("trakt_auth.protocol.endpoints")
    keeping, retries = Late("trakt_auth.flows.saving"), Late("trakt_auth.client.retries")
    renewal, runner = Late("trakt_auth.flows.refresh"), Late("trakt_auth.runtime.runner")
    storing = Late("trakt_auth.runtime.storing")

__all__ = ["BaseClient", "validate_account"]

FRESH = TokenState.FRESH
LONGEST_NAME = 500  # characters; what PostgreSQL can index
OFF_THE_NETWORK = 5  # connect, write, wait, read, read the rest: each may take one timeout
UNSAVED = timedelta(seconds=30)  # for which an unsaved token is served without asking the store
PATIENCE = 30.0  # seconds on top, so that the lease of a program that died runs out meanwhile


class BaseClient:
    """Holds one application's settings and dependencies; see `Client` for the arguments."""

    def __init__(
        self,
        application: Application,
        *,
        store: TokenStore | str | None = None,
        fallback: TokenStore | str | None = None,
        endpoints: Endpoints | None = None,
        timeout: float = 20.0,
        replay_unknown: bool = False,
        transport: Any = None,  # noqa: ANN401 - an httpx2 transport; the type would import httpx2
        clock: Clock | None = None,
    ) -> None:
        if timeout <= 0:
            raise UsageError("timeout is not a number of seconds above 0")
        self.application = application
        self.endpoints = endpoints or Endpoints()
        self._timeout = timeout
        self._inner = transport
        self._transport = LateTransport(timeout, transport)
        self._async_transport = LateAsyncTransport(timeout, transport)
        self._owned: list[TokenStore] = []
        self._store, self._fallback = self._opened(store), self._opened(fallback)
        self._clock = clock or clocks.SystemClock()
        self._context = renewal.Context(
            application=application,
            endpoints=self.endpoints,
            lock_wait=OFF_THE_NETWORK * timeout + PATIENCE,
            replay_unknown=replay_unknown,
        )
        self._dependencies = self._make_dependencies()
        self._known: dict[str, tuple[Token, datetime, datetime]] = {}
        self._marks: dict[str, int] = {}
        self._versions: dict[str, int] = {}
        self._subscribers: list[Callable[[Event], object]] = []
        self._durable = fallback is not None
        self._start_anew()
        _clients.add(self)

    def _start_anew(self) -> None:
        # In a forked child too: its parent's threads are not here to give back what they hold, and
        # two processes that spoke on one connection would get each other's answers.
        self._guard = threading.Lock()
        self._apis: dict[str, Any] = {}
        for threads in (self._dependencies.workers, self._dependencies.readers):
            threads.start_anew()
        self._retries = retries.Retries(self._offer, durable=self._durable)
        self._transport.start_anew()
        self._async_transport.start_anew()

    def _settle(self) -> None:
        """Let what is under way land, and offer what is unsaved to the store a last time."""
        # The interpreter waits for threads, but neither for daemons nor for one about to start.
        self._dependencies.workers.close()
        self._retries.close()
        self._dependencies.readers.close()

    def _opened(self, store: TokenStore | str | None) -> TokenStore:
        if store is None or isinstance(store, str):
            store = open_store("memory:" if store is None else store)
            self._owned.append(store)
        return store

    def _make_dependencies(self) -> runner.Dependencies:
        return runner.Dependencies(
            transport=self._transport,
            async_transport=self._async_transport,
            store=self._store,
            fallback=self._fallback,
            clock=self._clock,
            workers=workers.Workers(),
            readers=workers.Workers(),
            on_change=self._on_change,
            notify_subscribers=self._notify_subscribers,
            send_seconds=OFF_THE_NETWORK * self._timeout,
        )

    def __repr__(self) -> str:
        """Name the application and the server, no secret."""
        return f"{type(self).__name__}({self.application.client_id!r}, at={self.endpoints.auth!r})"

    def authorization_request(
        self,
        *,
        state: str | None = None,
        signup: bool = False,
        force_login: bool = False,
        redirect_uri: str | None = None,
        pkce: bool = True,
    ) -> AuthorizationRequest:
        """Build the address to send a person to; sends nothing (RFC 6749 §4.1.1).

        The application's steps: send the person to `request.url`; keep the request (`to_json`)
        until Trakt redirects back; hand both to `exchange_code`. What the person sees: a sign-in
        page unless they are signed in (or `force_login`), a form for a new account with
        `signup`, then the question whether the application may connect; nothing at all when it
        already is. `redirect_uri` must be registered for the application, letter by letter.

        `state` is made from a secure source unless given; PKCE (RFC 7636, S256) is on by default.

        Raises: UsageError when no redirect URI is known.
        """
        import secrets

        redirect_uri = redirect_uri or self.application.redirect_uri
        if redirect_uri is None:
            raise UsageError(
                "There is no redirect URI",
                hint="Give Application(redirect_uri=...) one that is registered on Trakt.",
            )
        return protocol.build_authorization_request(
            self.application,
            self.endpoints,
            redirect_uri=redirect_uri,
            state=state or secrets.token_urlsafe(32),
            code_verifier=secrets.token_urlsafe(64) if pkce else None,
            signup=signup,
            force_login=force_login,
        )

    def subscribe(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Call `callback` with every event of `trakt_auth.flows.events`.

        It is called on the thread that did it, after the store was written; what it raises is
        logged and harms nothing. Returns a function that ends the subscription.
        """
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def _fresh(self, account: str) -> Token | None:
        known = self._known.get(account)
        # A clock that was set back says that what was reckoned with it is not to be relied on.
        return known[0] if known and known[1] <= self._clock.now().wall < known[2] else None

    def _outlasting(self, account: str, error: StoreError) -> Token | None:
        """Return the token last seen if it outlasts the store's failure."""
        known = self._known.get(account)
        if isinstance(error, TokenNotSaved) or known is None:
            return None
        if self._clock.now().wall >= known[0].expires_at:
            return None
        import logging

        logging.getLogger("trakt_auth").warning("Going on with the token last seen: %s", error)
        return known[0]

    def _offer(self, account: str) -> bool:
        return runner.run(keeping.offer(self._context.key(account)), self._dependencies, alone=True)

    def _accounts(self) -> list[str]:
        return storing.accounts(self._store, self.application.client_id)

    def _unsaved(self) -> list[str]:
        names = self._fallback.accounts(self.application.client_id)
        return [name for name in names if self._is_aside(name)]

    def _is_aside(self, account: str) -> bool:
        try:
            stored = self._fallback.load(self._context.key(account))
        except StoreEncrypted:  # what was let go of is not
            return True
        return stored is not None and stored.payload != ""

    def _mark(self, account: str) -> int:
        return self._marks.get(account, 0)

    def _dated(self, account: str, token: Token) -> tuple[Token, datetime, datetime]:
        """Return a token with the moments between which it is served without another look."""
        at = self._clock.now().wall
        until = token.due_at(account) if token.state(at, account=account) is FRESH else at
        return token, at, min(until, at + UNSAVED) if account in self._retries else until

    def _remember(self, account: str, mark: int, token: Token) -> Token:
        dated = self._dated(account, token)
        # What another thread has done meanwhile is newer than what this one has read.
        with self._guard:
            if mark == self._mark(account):
                self._known[account] = dated
        return token

    def _forget(self, account: str, rejected: str) -> None:
        with self._guard:
            known = self._known.get(account)
            if known is not None and known[0].access_token == rejected:
                del self._known[account]

    def _on_change(self, event: Event, version: int | None = None) -> None:
        if isinstance(event, events.TokenUnsaved):
            self._retries.add(event.account)
        known = None
        if not isinstance(event, events.TokenRevoked | events.LoginNeeded):
            known = self._dated(event.account, event.token)
        with self._guard:
            self._marks[event.account] = self._mark(event.account) + 1
            self._known.pop(event.account, None)
            last = self._versions.get(event.account, 0)
            self._versions[event.account] = max(version or 0, last)
            # What comes after something newer is forgotten, and so is what was: the store knows.
            if known is not None and (version is None or version >= last):
                self._known[event.account] = known

    def _notify_subscribers(self, event: Event) -> None:
        for callback in tuple(self._subscribers):
            try:
                callback(event)
            except Exception:
                import logging

                logging.getLogger("trakt_auth").exception("A subscriber failed")

    def _api(self, account: str, make: Callable[..., T]) -> T:
        from trakt_auth.client.api import api_client

        client: Any = self  # the methods that make it a source of tokens are the subclass's
        with self._guard, buildable():
            if account not in self._apis:
                self._apis[account] = api_client(
                    make,
                    client,
                    account=validate_account(account),
                    headers=protocol.api_headers(self.application),
                    timeout=self._timeout,
                    transport=self._inner,
                )
            api: T = self._apis[account]
            return api


def validate_account(account: str) -> str:
    """Return the name of an account, or refuse one that not every store can keep.

    Raises: UsageError.
    """
    if not account:
        raise UsageError("The name of an account is empty", hint='The usual one is "default".')
    if len(account) > LONGEST_NAME:
        raise UsageError(
            f"The name of an account has {len(account)} characters, more than {LONGEST_NAME}",
            hint="Name it by a number or a digest of your own.",
        )
    return account


# -- forks, and the end of the program ------------------------------------------------------------
_clients: WeakSet[BaseClient] = WeakSet()


def _after_fork_in_child() -> None:
    for desk in list(_clients):
        desk._start_anew()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


@atexit.register
def _at_the_end() -> None:
    for desk in list(_clients):
        desk._settle()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
