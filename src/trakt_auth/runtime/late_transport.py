"""HTTP clients that are made at the first request: the library costs more than a fresh token.

Nothing is decided here and no request is looked into.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from trakt_auth.errors import TraktAuthError, UsageError

TYPE_CHECKING = False  # `typing` would take a quarter of the time to import this library

if TYPE_CHECKING:
    from typing import Any

    from trakt_auth.protocol.http import HttpRequest, HttpResponse
    from trakt_auth.runtime.transport import AsyncHttpTransport, HttpTransport

__all__ = ["LateAsyncTransport", "LateTransport", "buildable"]


@contextmanager
def buildable() -> Generator[None]:
    """Turn what keeps an HTTP client from being made into a UsageError."""
    # What the environment asks for (a proxy, certificates) may not be there; nothing was sent.
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        raise _unusable(f": {error}") from None
    except TraktAuthError:
        raise
    except Exception as error:  # noqa: BLE001 - the library's own words may quote a proxy's password
        raise _unusable(f" ({type(error).__name__})") from None


def _unusable(why: str) -> UsageError:
    return UsageError(
        f"The HTTP client cannot be made{why}",
        hint="Check the environment's proxy and certificate settings, e.g. SSL_CERT_FILE.",
    )


class LateTransport:
    """Sends like HttpTransport, which it makes when it has to."""

    def __init__(self, timeout: float, inner: Any) -> None:  # noqa: ANN401 - see Desk
        self._timeout, self._inner = timeout, inner
        self.start_anew()

    def start_anew(self) -> None:
        """Forget the HTTP client, without touching it."""
        self._guard = threading.Lock()
        self._made: HttpTransport | None = None

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send and read the answer to its end.

        Raises: what HttpTransport raises; UsageError when it cannot be made.
        """
        with self._guard, buildable():
            if self._made is None:
                from trakt_auth.runtime.transport import HttpTransport

                self._made = HttpTransport(timeout=self._timeout, inner=self._inner)
        return self._made.send(request)

    def close(self) -> None:
        """Close connections."""
        if self._made is not None:
            self._made.close()


class LateAsyncTransport:
    """Sends like AsyncHttpTransport, which it makes when it has to."""

    def __init__(self, timeout: float, inner: Any) -> None:  # noqa: ANN401 - see Desk
        self._timeout, self._inner = timeout, inner
        self.start_anew()

    def start_anew(self) -> None:
        """Forget the HTTP client, without touching it."""
        self._made: AsyncHttpTransport | None = None

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send and read the answer to its end.

        Raises: what AsyncHttpTransport raises; UsageError when it cannot be made.
        """
        with buildable():
            if self._made is None:
                from trakt_auth.runtime.transport import AsyncHttpTransport

                self._made = AsyncHttpTransport(timeout=self._timeout, inner=self._inner)
        return await self._made.send(request)

    async def aclose(self) -> None:
        """Close connections."""
        if self._made is not None:
            await self._made.aclose()
