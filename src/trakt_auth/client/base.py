"""What `Client` and `AsyncClient` share: settings, dependencies, and what must happen at the end.

No flow is written here and nothing is sent.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

import trakt_auth.protocol as protocol
from trakt_auth.client.arguments import expect, expect_seconds, expect_store, validate_account
from trakt_auth.client.retries import Retries
from trakt_auth.client.subscribers import Subscribers
from trakt_auth.client.token_cache import TokenCache
from trakt_auth.errors import StoreError, TokenNotSaved, UsageError
from trakt_auth.flows.context import Context
from trakt_auth.flows.events import Event, TokenUnsaved
from trakt_auth.protocol.application import Application, Endpoints
from trakt_auth.protocol.authorization import AuthorizationRequest
from trakt_auth.protocol.token import Token
from trakt_auth.runtime.clock import SystemClock
from trakt_auth.runtime.dependencies import Dependencies, tell_late
from trakt_auth.runtime.interfaces import Clock
from trakt_auth.runtime.runner import LEASE_PER_SEND
from trakt_auth.runtime.transport import HttpTransport, usage_error_if_not_buildable
from trakt_auth.runtime.workers import Workers
from trakt_auth.stores import open_store
from trakt_auth.stores.engines.forks import on_fork
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.wrappers.fallback import FallbackStore

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("trakt_auth")

__all__ = ["BaseClient"]

SEND_TIMEOUTS = 1.0  # the longest that a request takes, in timeouts: one deadline for all of it
LEASE_SLACK = 30.0  # seconds more to wait for a lock: the lease of a dead process ends by then


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
        transport: httpx2.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        expect_seconds("timeout", timeout)
        self.application: Application = expect("application", application, Application)
        self.endpoints: Endpoints = expect("endpoints", endpoints or Endpoints(), Endpoints)
        self._transport = HttpTransport(timeout=timeout, inner=transport)
        self._clock: Clock = clock or SystemClock()
        self._owned: list[TokenStore] = []
        self._store = FallbackStore(
            self._opened("store", store), self._opened("fallback", fallback), now=self._wall
        )
        self._retries = Retries(self._save_late, durable=fallback is not None)
        self._cache = TokenCache(self._wall, self._retries.__contains__)
        self._context = Context(
            application=application,
            endpoints=self.endpoints,
            lock_wait=LEASE_PER_SEND * SEND_TIMEOUTS * timeout + LEASE_SLACK,
            replay_unknown=replay_unknown,
        )
        self._subscribers = Subscribers()
        self._dependencies = Dependencies(
            transport=self._transport,
            store=self._store,
            clock=self._clock,
            workers=Workers(),
            readers=Workers(),
            on_change=self._on_change,
            notify_subscribers=self._subscribers.tell,
            send_seconds=SEND_TIMEOUTS * timeout,
        )
        self._guard = threading.Lock()
        self._apis: dict[str, Any] = {}
        _clients.add(self)
        on_fork(self, after_in_child=type(self)._start_anew)  # noqa: SLF001

    def _wall(self) -> datetime:
        return self._clock.now().wall

    def _start_anew(self) -> None:
        """Forget the parent's threads, locks and connections in a forked child.

        The child has none of the threads that would release them, and two processes on one
        connection would get each other's responses.
        """
        self._guard = threading.Lock()
        self._apis = {}
        for part in (
            self._dependencies.workers,
            self._dependencies.readers,
            self._retries,
            self._cache,
            self._subscribers,
            self._transport,
        ):
            part.start_anew()

    def _finish_work(self) -> None:
        """Wait for work under way, and try a last time to save what is unsaved."""
        # The interpreter waits for threads, but neither for daemons nor for one about to start.
        self._dependencies.workers.close()
        self._retries.close()
        self._dependencies.readers.close()

    def _opened(self, name: str, store: TokenStore | str | None) -> TokenStore:
        if store is None or isinstance(store, str):
            store = open_store("memory:" if store is None else store)
            self._owned.append(store)
        return expect_store(name, store)

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

        It is called after the store was written, one event after the other, on a thread of the
        client; it may use the client. An exception that it raises is logged and changes nothing.
        Returns a function that ends the subscription.
        """
        return self._subscribers.add(callback)

    def _last_seen(self, account: str, error: StoreError) -> Token | None:
        """Return the token last seen if it still serves while the store fails."""
        token = None if isinstance(error, TokenNotSaved) else self._cache.last_seen(account)
        if token is not None:
            logger.warning("Going on with the token last seen: %s", error)
        return token

    def _save_late(self, account: str) -> bool:
        """Offer an unsaved pair to the store; return whether nothing is unsaved any more."""
        key = self._context.key(account)
        try:
            tell_late(key, self._store.read(key), self._dependencies)
            return not self._store.pending(key)
        except StoreError:
            return False

    def _accounts(self) -> list[str]:
        return list(self._store.accounts(self._context.owner))

    def _unsaved(self) -> list[str]:
        return self._store.pending_accounts(self._context.owner)

    def _on_change(self, event: Event, version: int | None) -> None:
        if isinstance(event, TokenUnsaved):
            self._retries.add(event.account)
        self._cache.on_change(event, version)

    def _api(self, account: str, make: Callable[..., T]) -> T:
        from trakt_auth.client.api import api_client

        client: Any = self  # the methods that make it a source of tokens are the subclass's
        with self._guard, usage_error_if_not_buildable():
            if account not in self._apis:
                self._apis[account] = api_client(
                    make,
                    client,
                    account=validate_account(account),
                    headers=protocol.api_headers(self.application),
                    **self._transport.settings(),
                )
            api: T = self._apis[account]
            return api


# -- the end of the program ------------------------------------------------------------------------
_clients: WeakSet[BaseClient] = WeakSet()


@atexit.register
def _at_the_end() -> None:
    for client in list(_clients):
        client._finish_work()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
