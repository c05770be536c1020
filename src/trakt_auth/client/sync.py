"""`Client`: what users hold. Each method runs one flow.

No order of steps lives here: see `flows`. What is shared with `AsyncClient` is in `base`.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from trakt_auth.client.arguments import expect, validate_account
from trakt_auth.client.base import BaseClient
from trakt_auth.errors import StoreError
from trakt_auth.flows import login, refresh, revocation
from trakt_auth.flows.steps import Flow
from trakt_auth.protocol.authorization import AuthorizationRequest, DeviceAuthorization, DevicePoll
from trakt_auth.protocol.token import Token
from trakt_auth.runtime import dependencies, runner
from trakt_auth.runtime.runner import OnPoll

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

__all__ = ["Client"]


class Client(BaseClient):
    """Signs people in to Trakt and keeps them signed in. Safe to use from many threads.

    `store` is a TokenStore, a URL for `open_store` (`file:PATH`, `postgresql://...`), or None for
    memory. `fallback` is a second one: it keeps a new pair that `store` cannot take, until it can;
    with None that is this process's memory.
    `endpoints` are Trakt's own unless given, for instance `Endpoints.at(url)` for the emulator.
    `timeout`, in seconds, bounds a request, from connecting to the last byte. `replay_unknown` is
    for the impatient: it spends a refresh token again at once although the answer to the last try
    was lost, which can end the login. `transport` is an httpx2 transport that serves sync and async
    calls, for tests; `clock` is for tests too.

    Every method raises errors of the tree in `trakt_auth.errors` and nothing else.
    """

    def exchange_code(
        self, request: AuthorizationRequest, callback: str, *, account: str = "default"
    ) -> Token:
        """Finish the authorization code grant, and keep the tokens (RFC 6749 §4.1.3).

        `request` is what `authorization_request` returned; `callback` is the URL that Trakt
        redirected to, or its query alone; for an out-of-band redirect URI also the bare code. Its
        address, state and `iss` are compared first: if one differs, the redirect was not asked for
        here, and nothing is sent. A code works once and for a few minutes. The person sees nothing
        of this; when it is done, show them that they are connected.

        200 brings the tokens; 400 and 401 carry an OAuth error: `invalid_grant` the code is
        spent, expired or another application's, `invalid_request` the redirect URI differs by a
        letter, `invalid_client` the client id or secret is wrong.
        https://developer.trakt.tv/docs/authentication-oauth

        Raises:
            StateMismatch: the redirect is not an answer to this request.
            AccessDenied: the person said no.
            OAuthError: the server refused; see above.
            CallbackError: `callback` carries no code; StateMismatch is one kind of it.
            TokenNotSaved: the store failed; the token is in the error.
        """
        account = validate_account(account)
        return self._run(
            login.exchange_code(
                self._context,
                expect("request", request, AuthorizationRequest),
                expect("callback", callback, str),
                account=account,
            )
        )

    def start_device(self) -> DeviceAuthorization:
        """Start the device flow: ask for the codes to show (RFC 8628 §3.1).

        For applications without a browser or keyboard: media centres, TVs, services, scripts.
        The application's steps: show `user_code` and `verification_uri` exactly as they are (and
        the address as a QR code, if you can draw), keep `device_code` to yourself, then
        `wait_for_device`. What the person does: opens the address on a phone or computer, signs
        in or signs up there, types the code, and allows the connection; the page then tells them
        that the device is connected. Ask for a code only when the person is about to use it: it
        lives for about ten minutes.

        200 brings the codes; 429 asks for patience; `invalid_client` the client id is wrong.

        Raises:
            OAuthError: the server refused.
            RateLimited: `retry_after` says for how many seconds.
        """
        return self._run(login.start_device(self._context))

    def poll_device(self, device: DeviceAuthorization, *, account: str = "default") -> DevicePoll:
        """Ask once whether the person has answered (RFC 8628 §3.4), for those who wait themselves.

        Wait `device.interval` seconds before the first poll and between two. Each answer of
        Trakt's has its status:

        - 200 `Granted`: the tokens, kept already.
        - 400 `Pending`: not yet; go on.
        - 429 `SlowDown`: add 5 seconds to the interval, for good.
        - 404 `DeviceCodeUnknown`, 409 `DeviceCodeUsed`, 410 `DeviceCodeExpired`: start again.
        - 418 `AccessDenied`: the person said no.

        Raises:
            DeviceCodeUnknown, DeviceCodeUsed, DeviceCodeExpired, AccessDenied: see above.
            OAuthError: a 400 that names another error.
            TokenNotSaved: the store failed; the token is in the error.
        """
        account = validate_account(account)
        return self._run(
            login.poll_device(
                self._context, expect("device", device, DeviceAuthorization), account=account
            )
        )

    def wait_for_device(
        self,
        device: DeviceAuthorization,
        *,
        account: str = "default",
        cancel: threading.Event | None = None,
        on_poll: OnPoll | None = None,
    ) -> Token:
        """Wait until the person has answered, and keep the tokens (RFC 8628 §3.5).

        Polls at the server's interval, slows down when asked to, goes on after network faults
        and 5xx, and stops by the local clock when the code has expired. Set `cancel` to call it
        off at once. `on_poll` is called after each answer, to show that something happens. A
        restarted program goes on with `DeviceAuthorization.from_json`.

        Raises:
            AccessDenied: the person said no (418).
            DeviceCodeExpired: the person did not answer in time (410, or the local clock).
            DeviceCodeUsed, DeviceCodeUnknown: start again (409, 404).
            Cancelled: `cancel` was set.
            TokenNotSaved: the store failed; the token is in the error.
        """
        flow = login.wait_for_device(
            self._context,
            expect("device", device, DeviceAuthorization),
            account=validate_account(account),
        )
        return runner.run(flow, self._dependencies, cancel=cancel, on_poll=on_poll)

    def token(self, *, account: str = "default") -> Token:
        """Return a token that is valid now; refreshed first if it is due (RFC 6749 §6).

        Call it before every use and keep nothing: a fresh token costs no I/O. Over all threads,
        processes and hosts that share the store, one refreshes; a token that is due but still
        valid is served to everybody else meanwhile. https://developer.trakt.tv/docs/authentication-oauth

        Raises:
            LoginRequired: no login is stored, or the refresh was refused for good.
            RateLimited, Unavailable, Blocked, TransportError: the token has expired and Trakt
                cannot be asked; the login is untouched.
            StoreError: the store cannot be read or written; nothing was sent.
            TokenNotSaved: the store failed after the refresh; the token is in the error.
        """
        if (token := self._cache.fresh(account)) is not None:
            return token
        account = validate_account(account)
        try:
            record = self._run(refresh.fresh_token(self._context, account=account))
        except StoreError as error:
            if (token := self._last_seen(account, error)) is None:
                raise
            return token
        self._cache.remember(account, record)
        return record.token

    def refresh(self, *, account: str = "default") -> Token:
        """Refresh now, due or not. `token` refreshes by itself; this is for tests and buttons.

        200 replaces both tokens at once; `invalid_grant` means that the refresh token is spent
        or revoked and the person has to sign in again.

        Raises: what `token` raises; TransportError with `outcome_unknown` when the answer to the
            last refresh was lost and another could end a login that still works.
        """
        account = validate_account(account)
        return self._run(refresh.refresh(self._context, account=account)).token

    def refresh_rejected(self, access_token: str, *, account: str = "default") -> Token:
        """Return another token than the one that the API has just answered with a 401.

        For adapters to HTTP libraries: send the request once more with what it returns, at most
        once. If another caller has refreshed meanwhile, nothing is sent. It is the same token when
        that has itself replaced a rejected one a moment ago: then it is not the token's fault. The
        moment is a minute, doubled by each further rejection in a row, up to 12 hours.

        Raises: what `token` raises.
        """
        self._cache.forget(account, access_token)
        flow = refresh.refresh_rejected(
            self._context, account=validate_account(account), rejected=access_token
        )
        return self._run(flow).token

    def revoke(self, *, account: str = "default") -> None:
        """Sign out: tell Trakt (RFC 7009), and forget the tokens here in any case.

        Not required, but it spares the person an unused connection in their account's list.
        Trakt answers 200 whether or not the token was alive; an unreachable server is no error.

        Raises:
            StoreError: the tokens could not be forgotten.
        """
        self._run(revocation.revoke(self._context, account=validate_account(account)))

    def adopt(self, token: Token, *, account: str = "default") -> Token:
        """Take over a token that was obtained elsewhere; refreshed at once if it has expired.

        From then on no other program may refresh it: the refresh token works once.

        Raises: what `token` raises.
        """
        return self._run(
            login.adopt(
                self._context, expect("token", token, Token), account=validate_account(account)
            )
        )

    def accounts(self) -> list[str]:
        """Return the names of this application's accounts in the store, sorted.

        Raises: StoreError.
        """
        return dependencies.read_on_worker(self._accounts, self._dependencies)

    def unsaved(self) -> list[str]:
        """Return the accounts whose newest token the store could not take yet, sorted.

        Raises: StoreError when the fallback store cannot be read.
        """
        return dependencies.read_on_worker(self._unsaved, self._dependencies)

    @property
    def api(self) -> httpx2.Client:
        """An httpx2 client for Trakt's API, signed in as `default`, with Trakt's headers."""
        return self.api_for("default")

    def api_for(self, account: str) -> httpx2.Client:
        """Return an httpx2 client for Trakt's API, signed in as `account`."""
        import httpx2

        return self._api(account, httpx2.Client)

    def close(self) -> None:
        """Wait for a refresh under way and save what is unsaved, then close connections."""
        self._finish_work()
        for api in self._apis.values():
            api.close()
        self._transport.close()
        for store in self._owned:
            store.close()

    def _run(self, flow: Flow[T]) -> T:
        return runner.run(flow, self._dependencies)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()
