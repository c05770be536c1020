"""What every adapter has to decide, once: which host, which header, which 401 is about us.

Layer 5. It sends nothing, asks for no token and knows no HTTP library.
The adapters import this file.
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TypeAlias

from trakt_auth.adapters import AsyncTokenSource, TokenSource
from trakt_auth.errors import UsageError
from trakt_auth.tokens import Token

__all__ = ["HEADER", "Bearer", "Origin", "Source", "missing", "origin", "require"]

HEADER = "Authorization"
SCHEME = "Bearer "
UNAUTHORIZED = 401
PORTS = {"http": 80, "https": 443}

Origin: TypeAlias = tuple[str, str | None, int | None]
Source: TypeAlias = TokenSource | AsyncTokenSource


def origin(scheme: str, host: str | None, port: int | None) -> Origin:
    """Return what two URLs of one server have in common (RFC 6454 §4)."""
    return scheme, host, port or PORTS.get(scheme)


class Bearer:
    """The rules for a bearer token (RFC 6750) that is meant for one origin.

    `api` is that origin. The HTTP library takes it out of the URL, as it does for its requests:
    what it connects to is then what is compared.
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
        that is another request, and the library may have left the header out: then the 401 is a
        stranger's, and no reason to refresh.
        """
        if status != UNAUTHORIZED or not isinstance(sent, str) or not sent.startswith(SCHEME):
            return None
        return sent.removeprefix(SCHEME)


def require(client: Source, *, awaits: bool) -> None:
    """Refuse a client whose methods are awaited where nobody awaits them, and the reverse.

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
