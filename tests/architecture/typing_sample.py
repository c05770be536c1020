"""What users write, for the type checkers alone: `mypy --strict` and `pyright`; it is never run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import assert_never, assert_type

import httpx2

from trakt_auth import (
    AccessDenied,
    Application,
    AsyncClient,
    AuthorizationRequest,
    Blocked,
    Client,
    DeviceAuthorization,
    DevicePoll,
    Endpoints,
    Event,
    Granted,
    LoginNeeded,
    LoginRequired,
    OAuthError,
    Pending,
    RateLimited,
    SlowDown,
    Token,
    TokenNotSaved,
    TokenObtained,
    TokenRefreshed,
    TokenRevoked,
    TokenState,
    TokenUnsaved,
    TraktAuthError,
    TransportError,
    open_store,
    protocol,
)
from trakt_auth.adapters.for_httpx2 import BearerAuth
from trakt_auth.protocol.http import HttpRequest, HttpResponse
from trakt_auth.stores.interface import Lock, TokenStore
from trakt_auth.stores.record import AccountKey, Record, Stored


class OwnStore:
    """A store that a program brings needs no base class."""

    def load(self, key: AccountKey) -> Stored | None:
        raise NotImplementedError

    def save(
        self, key: AccountKey, payload: str, *, expires_at: datetime | None, replacing: int | None
    ) -> int:
        raise NotImplementedError

    def delete(self, key: AccountKey, *, replacing: int | None = None) -> None:
        raise NotImplementedError

    def lock(self, key: AccountKey, *, lease: float = 60) -> Lock:
        raise NotImplementedError

    def due(self, client_id: str, *, before: datetime, limit: int) -> list[str]:
        raise NotImplementedError

    def accounts(self, client_id: str) -> list[str]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def sync_use() -> None:
    app = Application("id", user_agent="t/1", client_secret=None, redirect_uri="https://x/cb")
    for store in (None, "memory:", open_store("file:x"), OwnStore()):
        Client(
            app,
            store=store,
            fallback=store,
            endpoints=Endpoints.at("http://127.0.0.1:1"),
            timeout=5,
        )
    with Client(app) as client:
        assert_type(client, Client)
        device = client.start_device()
        assert_type(device, DeviceAuthorization)
        assert_type(DeviceAuthorization.from_json(device.to_json()), DeviceAuthorization)
        assert_type(show(client.poll_device(device)), str)
        token = client.wait_for_device(device, account="a", cancel=threading.Event(), on_poll=show)
        assert_type(token, Token)
        assert_type(token.state(datetime.now(UTC)), TokenState)
        request = client.authorization_request(signup=True)
        assert_type(request, AuthorizationRequest)
        assert_type(client.exchange_code(request, "https://x/cb?code=c"), Token)
        assert_type(client.token(account="a"), Token)
        assert_type(client.refresh(), Token)
        assert_type(client.refresh_rejected("a1"), Token)
        assert_type(client.adopt(token), Token)
        assert_type(client.accounts(), list[str])
        assert_type(client.api, httpx2.Client)
        assert_type(client.api_for("a"), httpx2.Client)
        assert_type(client.subscribe(hear), Callable[[], None])
        client.revoke(account="a")
        httpx2.Client(auth=BearerAuth(client))


async def async_use(app: Application) -> None:
    async with AsyncClient(app, store=open_store("memory:")) as client:
        assert_type(client, AsyncClient)
        device = await client.start_device()
        assert_type(device, DeviceAuthorization)
        assert_type(await client.poll_device(device), DevicePoll)
        assert_type(await client.wait_for_device(device), Token)
        assert_type(client.authorization_request(), AuthorizationRequest)
        assert_type(await client.token(), Token)
        assert_type(await client.refresh(), Token)
        assert_type(await client.accounts(), list[str])
        assert_type(client.api, httpx2.AsyncClient)
        httpx2.AsyncClient(auth=BearerAuth(client))
        await client.revoke()


def show(poll: DevicePoll) -> str:
    match poll:
        case Pending():
            return "waiting"
        case SlowDown(retry_after=seconds):
            assert_type(seconds, float | None)
            return f"slower: {seconds}"
        case Granted(token=token):
            return f"until {token.expires_at}"
        case _:
            assert_never(poll)


def hear(event: Event) -> None:
    match event:
        case (
            TokenObtained(account=account, token=token)
            | TokenRefreshed(account=account, token=token)
        ):
            assert_type(token, Token)
        case TokenUnsaved(account=account, token=token):
            assert_type(token, Token)
        case TokenRevoked(account=account):
            pass
        case LoginNeeded(account=account, reason=reason):
            assert_type(reason, str)
        case _:
            assert_never(event)
    assert_type(account, str)


def fail(client: Client) -> object:
    try:
        return client.token()
    except LoginRequired as error:
        return assert_type(error.account, str), assert_type(error.reason, str)
    except RateLimited as error:
        return assert_type(error.retry_after, float | None)
    except Blocked as error:
        return assert_type(error.cause, str)
    except TransportError as error:
        return assert_type(error.outcome_unknown, bool)
    except AccessDenied:
        return None
    except OAuthError as error:
        return assert_type(error.error, str), assert_type(error.error_description, str | None)
    except TokenNotSaved as error:
        return client.adopt(error.token)
    except TraktAuthError as error:
        return assert_type(error.retryable, bool), assert_type(error.hint, str)


def own_http(app: Application, send: Callable[[HttpRequest], HttpResponse]) -> Token:
    request = protocol.build_refresh_request(app, Endpoints(), refresh_token="r1")
    assert_type(request, HttpRequest)
    return protocol.parse_token_response(send(request), requested_at=datetime.now(UTC))


def own_store(store: TokenStore, key: AccountKey) -> Record | None:
    stored = store.load(key)
    return None if stored is None else Record.from_stored(stored)
