"""`AsyncClient`: `Client` for asyncio and trio, over the same flows.

Each method is documented in `sync`; what both share is in `base`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from trakt_auth.client.arguments import expect, validate_account
from trakt_auth.client.base import BaseClient
from trakt_auth.errors import StoreError, UsageError
from trakt_auth.flows import login, refresh, revocation
from trakt_auth.flows.steps import Flow
from trakt_auth.protocol.authorization import AuthorizationRequest, DeviceAuthorization, DevicePoll
from trakt_auth.protocol.token import Token
from trakt_auth.runtime import dependencies, runner
from trakt_auth.runtime.jobs import in_trio
from trakt_auth.runtime.runner import OnPoll

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

__all__ = ["AsyncClient"]


class AsyncClient(BaseClient):
    """`Client` for asyncio and trio: the same names, arguments and behaviour, with `await`.

    Each method is documented there. A task that is cancelled stops waiting at once; a refresh,
    a code exchange or a poll that is under way is finished and saved all the same.
    """

    async def exchange_code(
        self, request: AuthorizationRequest, callback: str, *, account: str = "default"
    ) -> Token:
        """Finish the authorization code grant; see `Client.exchange_code`."""
        account = validate_account(account)
        flow = login.exchange_code(
            self._context,
            expect("request", request, AuthorizationRequest),
            expect("callback", callback, str),
            account=account,
        )
        return await self._run(flow)

    async def start_device(self) -> DeviceAuthorization:
        """Start the device flow; see `Client.start_device`."""
        return await self._run(login.start_device(self._context))

    async def poll_device(
        self, device: DeviceAuthorization, *, account: str = "default"
    ) -> DevicePoll:
        """Ask once whether the person has answered; see `Client.poll_device`."""
        flow = login.poll_device(
            self._context,
            expect("device", device, DeviceAuthorization),
            account=validate_account(account),
        )
        return await self._run(flow)

    async def wait_for_device(
        self,
        device: DeviceAuthorization,
        *,
        account: str = "default",
        on_poll: OnPoll | None = None,
    ) -> Token:
        """Wait until the person has answered; see `Client.wait_for_device`. Cancel the task."""
        flow = login.wait_for_device(
            self._context,
            expect("device", device, DeviceAuthorization),
            account=validate_account(account),
        )
        return await runner.run_async(flow, self._dependencies, on_poll=on_poll)

    async def token(self, *, account: str = "default") -> Token:
        """Return a token that is valid now; see `Client.token`."""
        if (token := self._cache.fresh(account)) is not None:
            return token
        account = validate_account(account)
        try:
            record = await self._run(refresh.fresh_token(self._context, account=account))
        except StoreError as error:
            if (token := self._last_seen(account, error)) is None:
                raise
            return token
        self._cache.remember(account, record)
        return record.token

    async def refresh(self, *, account: str = "default") -> Token:
        """Refresh now, due or not; see `Client.refresh`."""
        flow = refresh.refresh(self._context, account=validate_account(account))
        return (await self._run(flow)).token

    async def refresh_rejected(self, access_token: str, *, account: str = "default") -> Token:
        """Return another token than the rejected one; see `Client.refresh_rejected`."""
        self._cache.forget(account, access_token)
        flow = refresh.refresh_rejected(
            self._context, account=validate_account(account), rejected=access_token
        )
        return (await self._run(flow)).token

    async def revoke(self, *, account: str = "default") -> None:
        """Sign out; see `Client.revoke`."""
        await self._run(revocation.revoke(self._context, account=validate_account(account)))

    async def adopt(self, token: Token, *, account: str = "default") -> Token:
        """Take over a token; see `Client.adopt`."""
        flow = login.adopt(
            self._context, expect("token", token, Token), account=validate_account(account)
        )
        return await self._run(flow)

    async def accounts(self) -> list[str]:
        """Return the names of the accounts in the store; see `Client.accounts`."""
        return await dependencies.read_on_worker_async(self._accounts, self._dependencies)

    async def unsaved(self) -> list[str]:
        """Return the accounts whose newest token is not saved yet; see `Client.unsaved`."""
        return await dependencies.read_on_worker_async(self._unsaved, self._dependencies)

    @property
    def api(self) -> httpx2.AsyncClient:
        """An httpx2 client for Trakt's API; see `Client.api`."""
        return self.api_for("default")

    def api_for(self, account: str) -> httpx2.AsyncClient:
        """Return an httpx2 client for Trakt's API, signed in as an account."""
        import httpx2

        return self._api(account, httpx2.AsyncClient)

    async def aclose(self) -> None:
        """Wait for a refresh under way and save what is unsaved, then close connections."""
        import anyio

        with anyio.CancelScope(shield=True):
            await _in_thread(self._finish_work)
            self._transport.close()
            for api in self._apis.values():
                await api.aclose()
            for store in self._owned:
                await _in_thread(store.close)

    def _prepare(self, backend: str) -> None:
        import anyio

        self._transport.prepare()
        # httpx2 imports this at its first request; a loop of this thread's own does it now.
        anyio.run(anyio.sleep, 0, backend=backend)

    async def _run(self, flow: Flow[T]) -> T:
        return await runner.run_async(flow, self._dependencies)

    async def __aenter__(self) -> Self:
        """Return the client, after `api` has been made ready on a worker thread.

        Importing the HTTP library and reading the TLS certificates would block the event loop.
        """
        prepare = partial(self._prepare, "trio" if in_trio() else "asyncio")
        with suppress(UsageError):  # raised when a request needs what cannot be built
            await dependencies.read_on_worker_async(prepare, self._dependencies)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        await self.aclose()


async def _in_thread(work: Callable[[], object]) -> None:
    from anyio import CapacityLimiter
    from anyio.to_thread import run_sync

    # A limiter of its own: the program's threads may use up the shared one, and wait for us.
    await run_sync(work, limiter=CapacityLimiter(1))
