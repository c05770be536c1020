"""One way to drive both clients, on the emulator's clock."""

import inspect
from datetime import datetime, timedelta

from trakt_auth import Application, Endpoints, Token
from trakt_auth.stores.record import AccountKey

REDIRECT_URI = "http://127.0.0.1:8765/callback"
APP = Application("emulator", user_agent="trakt-auth-tests/1", redirect_uri=REDIRECT_URI)


class Driver:
    """Calls either client's methods; `await driver.name(...)` works for both."""

    def __init__(self, client):
        self.client = client

    @property
    def api(self):
        return self.client.api

    def __getattr__(self, name):
        method = getattr(self.client, name)

        async def call(*args, **kwargs):
            result = method(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return call

    async def get(self, *args, **kwargs):
        return await self.request("GET", *args, **kwargs)

    async def request(self, *args, **kwargs):
        result = self.api.request(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result


def token_of(issued, *, now: datetime) -> Token:
    """Make a Token of what the emulator issued."""
    return Token(
        access_token=issued["access_token"],
        refresh_token=issued["refresh_token"],
        created_at=now,
        expires_at=now + timedelta(seconds=issued["expires_in"]),
    )


def refreshes(emulator) -> int:
    """How many refreshes the emulator answered with tokens."""
    return emulator.state()["tokens"]["rotations"]


def most_arrivals(emulator) -> int:
    """How often the most-sent refresh token arrived."""
    return emulator.state()["tokens"]["most_arrivals_of_one_refresh_token"]


def key_of(url: str, account: str = "default") -> AccountKey:
    """Where a store keeps an account of the emulator's built-in application."""
    return AccountKey(Endpoints.at(url).owner(APP.client_id), account)
