"""HTTP by httpx2, for requests to the authorization server.

Nothing of OAuth and no retries live here. TLS certificates are always verified, redirects are
never followed (a credential must not travel on), and a response is read up to a limit of size and
time. httpx2 takes longer to import than the rest of the library, so it is imported when the first
request is sent, which is on a worker thread and never on an event loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trakt_auth.errors import TraktAuthError, TransportError, UsageError
from trakt_auth.protocol.http import HttpRequest, HttpResponse
from trakt_auth.runtime.deadline import Deadline
from trakt_auth.runtime.workers import client_closed

if TYPE_CHECKING:
    import ssl

    import httpx2

__all__ = ["HttpTransport", "usage_error_if_not_buildable"]

LARGEST_BODY = 1 << 20  # bytes; a token response has a few hundred


class HttpTransport:
    """Sends requests; safe to use from many threads. `timeout` is in seconds.

    `inner` is an httpx2 transport to use in place of the network.
    """

    def __init__(self, *, timeout: float, inner: httpx2.BaseTransport | None = None) -> None:
        self._timeout, self._inner = timeout, inner
        self._closed = False
        self.start_anew()

    def start_anew(self) -> None:
        """Forget the HTTP client without touching it, as in a forked child."""
        self._guard = threading.Lock()
        self._client: httpx2.Client | None = None
        self._tls: ssl.SSLContext | None = None

    def send(
        self, request: HttpRequest, check: Callable[[], object] = lambda: None
    ) -> HttpResponse:
        """Send and read the response to its end, all within `timeout`.

        `check` is called when the connection stands, just before the body is sent; if it raises,
        the body is not sent.

        Raises: TransportError; UsageError when the transport is closed or cannot be built; what
            `check` raises.
        """
        client = self.prepare()
        sent = False

        def body() -> Generator[bytes]:
            nonlocal sent
            check()
            if deadline.left <= 0:
                raise TimeoutError("the connection took too long")
            sent = True
            yield request.body

        # Uncompressed: a compressed answer could go on for ever and yield nothing.
        headers = {"accept-encoding": "identity", "content-length": str(len(request.body))}
        with (
            Deadline(self._timeout) as deadline,
            _translated(request, deadline, lambda: sent),
            client.stream(
                request.method,
                request.url,
                headers={**request.headers, **headers},
                content=body() if request.body else b"",
                extensions={"trace": deadline.trace},
            ) as response,
        ):
            received = bytearray()
            for chunk in response.iter_bytes():
                received += chunk
                if len(received) > LARGEST_BODY:
                    raise _TooMuchError("the answer is larger than 1 MiB")
        return _response(response, received)

    def prepare(self) -> httpx2.Client:
        """Build the HTTP client if there is none yet, which takes long.

        Raises: UsageError when the transport is closed or cannot be built.
        """
        with self._guard:
            if self._closed:
                raise client_closed()
            self._client = self._client or self._build()
            return self._client

    def settings(self) -> dict[str, Any]:
        """Return what every HTTP client is built with; the first call reads the certificates.

        Raises: UsageError.
        """
        with self._guard:
            return self._settings()

    def close(self) -> None:
        """Close connections."""
        with self._guard:
            self._closed = True
            if self._client is not None:
                self._client.close()

    def _settings(self) -> dict[str, Any]:
        verify = True if self._inner else self._make_tls_context()
        return {"timeout": self._timeout, "transport": self._inner, "verify": verify}

    def _make_tls_context(self) -> ssl.SSLContext:
        with usage_error_if_not_buildable():
            if self._tls is None:
                import httpx2

                self._tls = httpx2.create_ssl_context()
            return self._tls

    def _build(self) -> httpx2.Client:
        with usage_error_if_not_buildable():
            import httpx2

            return httpx2.Client(
                **self._settings(),
                # A kept connection may be dead at the other end, and then it is unknown whether a
                # token was spent.
                limits=httpx2.Limits(max_keepalive_connections=0),
            )


@contextmanager
def usage_error_if_not_buildable() -> Generator[None]:
    """Turn what keeps an HTTP client from being built into a UsageError; nothing was sent."""
    # The environment may ask for a proxy or for certificates that are not there.
    try:
        yield
    except TraktAuthError:
        raise
    except (ImportError, OSError, ValueError) as error:
        raise _not_buildable(f": {error}") from None
    except Exception as error:  # noqa: BLE001 - its message may quote a proxy's password
        raise _not_buildable(f" ({type(error).__name__})") from None


def _not_buildable(why: str) -> UsageError:
    return UsageError(
        f"The HTTP client cannot be made{why}",
        hint="Check the environment's proxy and certificate settings, e.g. SSL_CERT_FILE.",
    )


class _TooMuchError(Exception):
    """The response is larger than any real one."""


def _response(response: httpx2.Response, body: bytearray) -> HttpResponse:
    return HttpResponse(
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        body=bytes(body),
    )


@contextmanager
def _translated(
    request: HttpRequest, deadline: Deadline, was_sent: Callable[[], bool]
) -> Generator[None, Any, None]:
    # httpx2's errors hold the request, whose body is a secret, so only their words are kept.
    import httpx2

    host = request.url.split("/")[2]
    not_sent = httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError
    try:
        yield
    except TraktAuthError:
        raise
    except httpx2.InvalidURL as error:
        raise UsageError(f"The URL cannot be used: {error}") from None
    except Exception as error:  # noqa: BLE001 - by now the request may have been processed
        if isinstance(error, not_sent) or (request.body and not was_sent()):
            message = f"{host} cannot be reached: {_words(error)}"
            raise TransportError(message, outcome_unknown=False) from None
        why = "the answer takes too long" if deadline.is_over else _words(error)
        raise TransportError(f"{host} gave no whole answer: {why}", outcome_unknown=True) from None


def _words(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
