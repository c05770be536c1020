"""`AsyncClient`: `Client` for asyncio and trio, one line over the same flows.

Documented in `client`, method by method; what both share is in `desk`.
"""

from __future__ import annotations

from types import TracebackType

from trakt_auth.client.base import BaseClient, validate_account
from trakt_auth.client.late import Late
from trakt_auth.errors import StoreError
from trakt_auth.protocol.authorization import AuthorizationRequest, DeviceAuthorization, DevicePoll
from trakt_auth.protocol.token import Token

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library

if TYPE_CHECKING:
    from typing import Self

    import httpx2

    import trakt_auth.flows.login as flows
    import trakt_auth.flows.refresh as renewal
    import trakt_auth.runtime.runner as runner
    from trakt_auth.runtime.runner import OnPoll
else:
    flows, renewal = Late("trakt_auth.flows.login"), Late("trakt_auth.flows.refresh")
    runner = Late("trakt_auth.runtime.runner")

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
        flow = flows.exchange_code(
            self._context, request, callback, account=validate_account(account)
        )
        return await runner.run_async(flow, self._dependencies)

    async def start_device(self) -> DeviceAuthorization:
        """Start the device flow; see `Client.start_device`."""
        return await runner.run_async(flows.start_device(self._context), self._dependencies)

    async def poll_device(
        self, device: DeviceAuthorization, *, account: str = "default"
    ) -> DevicePoll:
        """Ask once whether the person has answered; see `Client.poll_device`."""
        flow = flows.poll_device(self._context, device, account=validate_account(account))
        return await runner.run_async(flow, self._dependencies)

    async def wait_for_device(
        self,
        device: DeviceAuthorization,
        *,
        account: str = "default",
        on_poll: OnPoll | None = None,
    ) -> Token:
        """Wait until the person has answered; see `Client.wait_for_device`. Cancel the task."""
        flow = flows.wait_for_device(self._context, device, account=validate_account(account))
        return await runner.run_async(flow, self._dependencies, on_poll=on_poll)

    async def token(self, *, account: str = "default") -> Token:
        """Return a token that is valid now; see `Client.token`."""
        if (token := self._fresh(account)) is not None:
            return token
        mark, flow = (
            self._mark(account),
            renewal.fresh_token(self._context, account=validate_account(account)),
        )
        try:
            return self._remember(account, mark, await runner.run_async(flow, self._dependencies))
        except StoreError as error:
            if (token := self._outlasting(account, error)) is None:
                raise
            return token

    async def refresh(self, *, account: str = "default") -> Token:
        """Refresh now, due or not; see `Client.refresh`."""
        flow = renewal.refresh(self._context, account=validate_account(account))
        return await runner.run_async(flow, self._dependencies)

    async def refresh_rejected(self, access_token: str, *, account: str = "default") -> Token:
        """Return another token than the rejected one; see `Client.refresh_rejected`."""
        self._forget(account, access_token)
        flow = renewal.refresh_rejected(
            self._context, account=validate_account(account), rejected=access_token
        )
        return await runner.run_async(flow, self._dependencies)

    async def revoke(self, *, account: str = "default") -> None:
        """Sign out; see `Client.revoke`."""
        await runner.run_async(
            flows.revoke(self._context, account=validate_account(account)), self._dependencies
        )

    async def adopt(self, token: Token, *, account: str = "default") -> Token:
        """Take over a token; see `Client.adopt`."""
        flow = flows.adopt(self._context, token, account=validate_account(account))
        return await runner.run_async(flow, self._dependencies)

    async def accounts(self) -> list[str]:
        """Return the names of the accounts in the store; see `Client.accounts`."""
        return await runner.read_apart_async(self._accounts, self._dependencies)

    async def unsaved(self) -> list[str]:
        """Return the accounts whose newest token is not saved yet; see `Client.unsaved`."""
        return await runner.read_apart_async(self._unsaved, self._dependencies)

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
        from anyio.to_thread import run_sync

        # A limiter of its own: the shared one may be used up by threads that wait for us.
        one = anyio.CapacityLimiter(1)
        with anyio.CancelScope(shield=True):
            await run_sync(self._settle, limiter=one)
            self._transport.close()
            for api in self._apis.values():
                await api.aclose()
            await self._async_transport.aclose()
            for store in self._owned:
                await run_sync(store.close, limiter=one)

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        await self.aclose()
