"""Bearer authentication for HTTP libraries: thin, one file each.

Layer 5. Each adapter asks the client for a token and, after a 401, once for another.
Users import these files; an adapter imports its library and nothing of layers 2 to 4.
"""

from __future__ import annotations

from typing import Protocol

from trakt_auth.models import Endpoints
from trakt_auth.tokens import Token

__all__ = ["AsyncTokenSource", "TokenSource"]


class TokenSource(Protocol):
    """What an adapter needs of a client."""

    endpoints: Endpoints

    def token(self, *, account: str) -> Token:
        """Return a token that is valid now."""
        ...

    def refresh_rejected(self, access_token: str, *, account: str) -> Token:
        """Return another token than the one that was answered with a 401, or that if none helps."""
        ...


class AsyncTokenSource(Protocol):
    """The same with `await`."""

    endpoints: Endpoints

    async def token(self, *, account: str) -> Token:
        """Return a token that is valid now."""
        ...

    async def refresh_rejected(self, access_token: str, *, account: str) -> Token:
        """Return another token than the one that was answered with a 401, or that if none helps."""
        ...
