"""The checks of `trakt-auth doctor` that ask Trakt: hosts, client id, token, clock.

Sends two requests that change nothing. One revokes a token that does not exist, which the server
answers with success if it accepts the client (RFC 7009 §2.2); the other is a GET of the API.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import trakt_auth.protocol as protocol
import trakt_auth.protocol.oauth_errors as oauth_errors
from trakt_auth.cli.commands.status_text import span
from trakt_auth.cli.doctor import check
from trakt_auth.cli.doctor.check import Check
from trakt_auth.cli.settings import command_for
from trakt_auth.cli.terminal.output import UNAVAILABLE, clean
from trakt_auth.errors import (
    Blocked,
    InvalidClient,
    OAuthError,
    RateLimited,
    TransportError,
    Unavailable,
    UsageError,
)
from trakt_auth.protocol.application import DEFAULT_PORTS, Application, Endpoints
from trakt_auth.protocol.endpoints.messages import OK
from trakt_auth.protocol.http import HttpRequest, HttpResponse

__all__ = ["check_network"]

TIMEOUT = 10.0  # seconds
TOLERANCE = 60.0  # seconds by which two clocks may differ
UNAUTHORIZED = 401
NOT_A_TOKEN = "trakt-auth-doctor"  # noqa: S105 - it is no secret
TLS = (
    "Check this computer's clock and its certificates. If a proxy or an antivirus program decrypts "
    "connections, add its certificate to the file that SSL_CERT_FILE names."
)
NETWORK = "Check this computer's network, its firewall and its proxy settings."


class _Sender:
    """Sends requests, and compares this computer's clock with the `Date` of each response."""

    def __init__(self) -> None:
        from trakt_auth.runtime.transport import HttpTransport

        self._transport = HttpTransport(timeout=TIMEOUT)
        self._transport.prepare()
        self.server_ahead: float | None = None  # seconds; None without a usable `Date`

    def send(self, request: HttpRequest) -> HttpResponse:
        before = datetime.now(UTC)
        response = self._transport.send(request)
        after = datetime.now(UTC)
        try:
            date = parsedate_to_datetime(response.headers.get("date", ""))
            self.server_ahead = (date - (before + (after - before) / 2)).total_seconds()
        except (TypeError, ValueError):  # no date, or one without a time zone
            pass
        return response

    def close(self) -> None:
        self._transport.close()


def check_network(
    application: Application, endpoints: Endpoints, *, account: str, access_token: str | None
) -> Iterator[Check]:
    """Ask both servers; with a token, find out whether the API accepts it."""
    try:
        sender = _Sender()
    except UsageError as error:
        yield check.from_error("network", error)
        return
    try:
        yield from _sign_in_server(sender, application, endpoints)
        yield from _api(sender, application, endpoints, account, access_token)
    finally:
        sender.close()
    if sender.server_ahead is not None:
        yield _clock(sender.server_ahead)


def _sign_in_server(
    sender: _Sender, application: Application, endpoints: Endpoints
) -> Iterator[Check]:
    request = protocol.build_revoke_request(application, endpoints, token=NOT_A_TOKEN)
    try:
        response = sender.send(request)
    except TransportError as error:
        yield _unreached("sign-in server", endpoints.auth, error)
        return
    yield check.passed("sign-in server", f"{_host(endpoints.auth)} answers.")
    yield _accepted("client id", response)


def _accepted(name: str, response: HttpResponse) -> Check:
    """Tell whether the client id, and the secret if there is one, were accepted."""
    if response.status == OK and "html" not in response.media_type:
        return check.passed(name, "The sign-in server accepts it.")
    error = oauth_errors.from_response(response)
    if isinstance(error, InvalidClient):
        said = "Trakt does not know this client id, or the client secret is wrong."
        advice = (
            "Compare both with the application's page on Trakt. If in doubt, unset "
            "TRAKT_CLIENT_SECRET: most applications need none."
        )
        return check.error(name, said, advice)
    if isinstance(error, OAuthError) or response.status == UNAUTHORIZED:
        said = f"Cannot be checked: the server answered {response.status} about the token."
        return check.warning(name, said, "Sign in to find out: trakt-auth login")
    return _refused(name, response)


def _api(
    sender: _Sender,
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
        response = sender.send(request)
    except TransportError as error:
        yield _unreached("API server", endpoints.api, error)
        return
    yield check.passed("API server", f"{_host(endpoints.api)} answers.")
    if response.status not in (OK, UNAUTHORIZED) or "html" in response.media_type:
        yield _refused("API key", response)
        return
    yield check.passed("API key", "The API accepts the client id.")
    if access_token is not None and response.status == UNAUTHORIZED:
        advice = (
            f"Run: {command_for('refresh', account)}; if that fails: "
            f"{command_for('login', account)}"
        )
        yield check.warning(f"login {account}", "The API rejects the access token.", advice)
    elif access_token is not None:
        yield check.passed(f"login {account}", "The API accepts the access token.")


def _refused(name: str, response: HttpResponse) -> Check:
    """Explain a response that says nothing about the login."""
    error = oauth_errors.from_response(response)
    if isinstance(error, RateLimited):
        return check.warning(name, f"Cannot be checked: {error}.", error.hint)
    if isinstance(error, Blocked):
        return check.from_error(name, error)
    if isinstance(error, Unavailable):
        return check.from_error(name, error, status=UNAVAILABLE)
    return check.error(name, f"{error}.", error.hint, status=UNAVAILABLE)


# -- no response ---------------------------------------------------------------------------------


def _unreached(name: str, url: str, error: TransportError) -> Check:
    said, advice = _why(url, error)
    return check.error(name, said, advice, status=UNAVAILABLE)


def _why(url: str, error: TransportError) -> tuple[str, str]:
    """Find out whether the name, the connection or TLS fails, by trying the first two again."""
    parts = urlsplit(url)
    host, reason = parts.hostname or "", str(error).rstrip(".")
    if error.outcome_unknown:
        return (
            f"{reason}.",
            "Try again. If it goes on, something between here and Trakt cuts the connection.",
        )
    proxy = getproxies().get(parts.scheme) or getproxies().get("all")
    if proxy and not proxy_bypass(host):
        place = proxy.rpartition("@")[2].rpartition("//")[2]  # without user and password
        return (
            f"Through the configured proxy {clean(place)}: {reason}.",
            "Check that proxy, or HTTPS_PROXY, ALL_PROXY and NO_PROXY.",
        )
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as failure:
        said = f"The name {host} cannot be resolved: {failure.strerror or failure}."
        return said, "Check the network connection and the name server (DNS), then try again."
    try:
        socket.create_connection((host, port), timeout=TIMEOUT).close()
    except OSError as failure:
        said = f"Cannot connect to {host}, port {port}: {failure.strerror or failure}."
        return said, NETWORK
    if "ssl" in reason.lower() or "certificate" in reason.lower():
        return f"{host} answers, but the secure connection (TLS) fails: {reason}.", TLS
    return f"{reason}.", NETWORK


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _clock(server_ahead: float) -> Check:
    if abs(server_ahead) <= TOLERANCE:
        return check.passed("clock", "This computer and the server agree on the time.")
    way = "behind" if server_ahead > 0 else "ahead of"
    return check.warning(
        "clock",
        f"This computer's clock is {span(abs(server_ahead))} {way} the server's. Tokens still "
        "work, since their lifetime is counted by this clock. But certificates may seem to have "
        "expired, and logs show wrong times.",
        "Let the system set its clock (NTP).",
    )
