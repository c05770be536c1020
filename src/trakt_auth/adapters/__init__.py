"""Bearer authentication for HTTP libraries: thin, one file each.

Layer 5. Each adapter asks the client for a token and, after a 401, once for another.
Users import these files; an adapter imports its library and nothing of layers 2 to 4.
"""

from __future__ import annotations

from typing import Any, Protocol

from trakt_auth.models import Endpoints

__all__ = ["TokenSource"]


class TokenSource(Protocol):
    """What an adapter needs of a client; the async client's methods return awaitables."""

    endpoints: Endpoints

    def token(self, *, account: str) -> Any:  # noqa: ANN401 - a Token, or an awaitable of one
        """Return a token that is valid now."""
        ...

    def refresh_rejected(self, access_token: str, *, account: str) -> Any:  # noqa: ANN401
        """Return another token than the one that was answered with a 401."""
        ...
