"""The checks of `trakt-auth doctor` that ask Trakt: hosts, client id, token, clock.

Sends two requests that change nothing: a revocation of a token that does not exist,
which RFC 7009 answers like any other once the client is known, and a GET of the API.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import trakt_auth.protocol.endpoints as protocol
import trakt_auth.protocol.oauth_errors as refusals
from trakt_auth.cli.commands.status_text import span
from trakt_auth.cli.doctor.configuration import Check, failed, fine, of_error, off
from trakt_auth.errors import (
    Blocked,
    InvalidClient,
    OAuthError,
    RateLimited,
    TransportError,
    Unavailable,
    UsageError,
)
from trakt_auth.protocol.application import Application, Endpoints
from trakt_auth.protocol.http import HttpRequest, HttpResponse
from trakt_auth.runtime.transport import usage_error_if_not_buildable

__all__ = ["network"]

TIMEOUT = 10.0  # seconds
TOLERANCE = 60.0  # seconds by which two clocks may differ
UNAVAILABLE = 5
UNAUTHORIZED = 401
NO_TOKEN = "trakt-auth-doctor"  # noqa: S105 - the point is that it is none
TLS = (
    "Check this computer's clock and its certificates; a proxy or an antivirus program that looks "
    "into connections needs its certificate in SSL_CERT_FILE."
)
NETWORK = "Check this computer's network, its firewall and its proxy settings."


class _Answers:
    """Sends requests, and keeps what the `Date` headers say about this computer's clock."""

    def __init__(self) -> None:
        from trakt_auth.runtime.transport import HttpTransport

        self._transport = HttpTransport(timeout=TIMEOUT)
        self.ahead: float | None = None  # seconds by which the server's clock is

    def to(self, request: HttpRequest) -> HttpResponse:
        before = datetime.now(UTC)
        response = self._transport.send(request)
        after = datetime.now(UTC)
        try:
            date = parsedate_to_datetime(response.headers.get("date", ""))
            self.ahead = (date - (before + (after - before) / 2)).total_seconds()
        except (TypeError, ValueError):  # none, or none with a time zone
            pass
        return response

    def close(self) -> None:
        self._transport.close()


def network(
    application: Application, endpoints: Endpoints, *, account: str, access_token: str | None
) -> Iterator[Check]:
    """Ask both servers; with a token, find out whether the API takes it."""
    try:
        with usage_error_if_not_buildable():
            answers = _Answers()
    except UsageError as error:
        yield of_error("network", error)
        return
    try:
        yield from _sign_in_server(answers, application, endpoints)
        yield from _api(answers, application, endpoints, account, access_token)
    finally:
        answers.close()
    if answers.ahead is not None:
        yield _clock(answers.ahead)


def _sign_in_server(
    answers: _Answers, application: Application, endpoints: Endpoints
) -> Iterator[Check]:
    request = protocol.build_revoke_request(application, endpoints, token=NO_TOKEN)
    try:
        response = answers.to(request)
    except TransportError as error:
        yield _unreached("sign-in server", endpoints.auth, error)
        return
    yield fine("sign-in server", f"{_host(endpoints.auth)} answers.")
    yield _accepted("client id", response)


def _accepted(name: str, response: HttpResponse) -> Check:
    """Tell whether the client id, and the secret if there is one, were accepted."""
    if response.status == protocol.OK and "html" not in response.media_type:
        return fine(name, "The server that signs people in accepts it.")
    error = refusals.from_response(response)
    if isinstance(error, InvalidClient):
        said = "Trakt does not know this client id, or the client secret is another's."
        advice = (
            "Compare both with the application's page on Trakt; unset TRAKT_CLIENT_SECRET if in "
            "doubt, it is not needed."
        )
        return failed(name, said, advice)
    if isinstance(error, OAuthError) or response.status == UNAUTHORIZED:
        said = f"No verdict: the server answered {response.status} to a token that is none."
        return off(name, said, "Sign in to find out: trakt-auth login")
    return _refused(name, response)


def _api(
    answers: _Answers,
    application: Application,
    endpoints: Endpoints,
    account: str,
    access_token: str | None,
) -> Iterator[Check]:
    headers = protocol.api_headers(application)
    if access_token is not None:
        headers["authorization"] = f"Bearer {access_token}"
    request = HttpRequest(method="GET", url=f"{endpoints.api}/users/settings", headers=headers)
    try:
        response = answers.to(request)
    except TransportError as error:
        yield _unreached("API server", endpoints.api, error)
        return
    yield fine("API server", f"{_host(endpoints.api)} answers.")
    if response.status not in (protocol.OK, UNAUTHORIZED) or "html" in response.media_type:
        yield _refused("API key", response)
        return
    yield fine("API key", "The API accepts the client id.")
    if access_token is not None and response.status == UNAUTHORIZED:
        advice = "Run: trakt-auth refresh; if that is refused too: trakt-auth login"
        yield off(f"login {account}", "The API does not take the access token.", advice)
    elif access_token is not None:
        yield fine(f"login {account}", "The API takes the access token.")


def _refused(name: str, response: HttpResponse) -> Check:
    """Put an answer into words that says nothing about a login."""
    error = refusals.from_response(response)
    if isinstance(error, RateLimited):
        return off(name, f"No verdict: {error}.", error.hint)
    if isinstance(error, Blocked):
        return of_error(name, error)
    if isinstance(error, Unavailable):
        return of_error(name, error, status=UNAVAILABLE)
    return failed(name, f"{error}.", error.hint, status=UNAVAILABLE)


# -- when no answer came -------------------------------------------------------------------------


def _unreached(name: str, url: str, error: TransportError) -> Check:
    said, advice = _why(url, error)
    return failed(name, said, advice, status=UNAVAILABLE)


def _why(url: str, error: TransportError) -> tuple[str, str]:
    """Tell name, connection and TLS apart, by trying the first two again."""
    parts = urlsplit(url)
    host, words = parts.hostname or "", str(error).rstrip(".")
    if error.outcome_unknown:
        return f"{words}.", "Try again; if it stays, something between here and Trakt cuts it."
    if parts.scheme in getproxies() and not proxy_bypass(host):
        return f"Through the proxy that the environment names, {words}.", NETWORK
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as reason:
        said = f"The name {host} leads to no address: {reason.strerror or reason}."
        return said, "Check the network connection and the name server (DNS), then try again."
    try:
        socket.create_connection((host, port), timeout=TIMEOUT).close()
    except OSError as reason:
        said = f"{host}, port {port}, takes no connection: {reason.strerror or reason}."
        return said, NETWORK
    if "ssl" in words.lower() or "certificate" in words.lower():
        return f"{host} is there, but no safe connection (TLS) can be made: {words}.", TLS
    return f"{words}.", NETWORK


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _clock(ahead: float) -> Check:
    if abs(ahead) <= TOLERANCE:
        return fine("clock", "This computer and the server agree on the time.")
    way = "behind" if ahead > 0 else "ahead of"
    return off(
        "clock",
        f"This computer is {span(abs(ahead))} {way} the server. Tokens do not mind, their ends "
        "are counted here; but certificates can seem to have ended, and logs tell wrong times.",
        "Let the system set its clock (NTP).",
    )
