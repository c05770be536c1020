"""What every adapter has to decide: which host, which header, which 401 is about our token.

It sends nothing, asks for no token and knows no HTTP library.
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Protocol, TypeAlias

from trakt_auth.errors import UsageError
from trakt_auth.protocol.application import DEFAULT_PORTS, Endpoints
from trakt_auth.protocol.token import Token

__all__ = [
    "HEADER",
    "AsyncTokenSource",
    "Bearer",
    "Origin",
    "Source",
    "TokenSource",
    "missing",
    "origin",
    "require",
]

HEADER = "Authorization"
SCHEME = "Bearer "
UNAUTHORIZED = 401


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


Origin: TypeAlias = tuple[str, str | None, int | None]
Source: TypeAlias = TokenSource | AsyncTokenSource


def origin(scheme: str, host: str | None, port: int | None) -> Origin:
    """Return what two URLs of one server have in common (RFC 6454 §4)."""
    return scheme, host, port or DEFAULT_PORTS.get(scheme)


class _Hidden(str):
    """A token whose repr shows nothing: tools that draw tracebacks print local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'...'"


class Bearer:
    """The rules for a bearer token (RFC 6750) that is meant for one origin.

    `api` is that origin, parsed by the HTTP library itself: so what is compared is what the
    library connects to.
    """

    def __init__(self, api: Origin) -> None:
        self._api = api

    def admit(self, target: Origin) -> None:
        """Refuse any origin but the API's.

        Raises: UsageError.
        """
        if target != self._api:
            scheme, host, port = target
            raise UsageError(
                f"{scheme}://{host}:{port} is not the API host; it must not see the access token",
                hint="Use a client of your own for other hosts, and do not follow redirects there.",
            )

    def header(self, token: Token) -> str:
        """Return the value of the `Authorization` header (RFC 6750 §2.1)."""
        return SCHEME + token.access_token

    def rejected(self, status: int, sent: str | bytes | None) -> str | None:
        """Return the access token that an answer refuses, None if it refuses none of ours.

        `sent` is the `Authorization` header of the request that was answered. After a redirect
        that is another request, and the library may have left the header out: then the 401 says
        nothing about our token.
        """
        if status != UNAUTHORIZED or not isinstance(sent, str) or not sent.startswith(SCHEME):
            return None
        return _Hidden(sent.removeprefix(SCHEME))


def require(client: Source, *, awaits: bool) -> None:
    """Refuse an AsyncClient where a Client is needed, and the reverse.

    Raises: UsageError.
    """
    if iscoroutinefunction(client.token) is not awaits:
        needed = "AsyncClient" if awaits else "Client"
        raise UsageError(
            f"{type(client).__name__} cannot sign these requests",
            hint=f"Give BearerAuth a trakt_auth.{needed}.",
        )


def missing(library: str, error: ImportError) -> UsageError:
    """Return the error for an extra that is not installed."""
    return UsageError(
        f"The adapter for {library} cannot be imported: {error}",
        hint=f"Install what it needs: pip install 'trakt-auth[{library}]'",
    )
