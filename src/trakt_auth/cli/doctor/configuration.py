"""The checks of `trakt-auth doctor` about the configuration: application, User-Agent, servers.

Reads settings only; opens no store and no socket.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from trakt_auth.cli.commands.login import is_loopback
from trakt_auth.cli.doctor import check
from trakt_auth.cli.doctor.check import Check
from trakt_auth.cli.settings import TRAKT_API, TRAKT_AUTH, Settings
from trakt_auth.errors import UsageError
from trakt_auth.protocol.application import Endpoints
from trakt_auth.protocol.redirect import OUT_OF_BAND

__all__ = ["check_configuration"]

LIBRARIES = re.compile(
    r"(python(-\w+)?|curl|wget|httpx2?|requests|urllib3?|aiohttp|okhttp)(?![\w-])", re.IGNORECASE
)


def check_configuration(settings: Settings) -> Iterator[Check]:
    """Check what the environment says, each variable by itself."""
    try:
        application = settings.application()
    except UsageError as error:
        yield check.from_error("application", error)
        return
    yield check.passed("application", f"The client id is {application.client_id!r}.")
    if application.client_secret == application.client_id:
        yield check.error(
            "client secret",
            "TRAKT_CLIENT_SECRET is the same text as TRAKT_CLIENT_ID.",
            "Copy the secret from the application's page on Trakt, or unset the variable.",
        )
    yield _user_agent(application.user_agent)
    yield _redirect_uri(application.redirect_uri)
    yield _servers(settings)


def _user_agent(user_agent: str) -> Check:
    name = "user agent"
    if LIBRARIES.match(user_agent):
        return check.warning(
            name,
            f"{user_agent!r} names a library; Cloudflare, in front of Trakt, blocks such requests.",
            "Set TRAKT_USER_AGENT to your program's name and version, e.g. my-player/1.2.",
        )
    return check.passed(name, f"Requests are sent as {user_agent!r}.")


def _redirect_uri(uri: str | None) -> Check:
    name = "redirect URI"
    if uri is None:
        return check.passed(name, "None is set; only `login --browser` needs one.")
    if uri == OUT_OF_BAND:
        return check.passed(name, "After the sign-in Trakt shows a code, which you paste.")
    if ":" not in uri or "://" not in uri or "?" in uri or "#" in uri:
        return check.error(
            name,
            f"Trakt cannot have registered {uri!r}: it has to be SCHEME://... without ? and #.",
            "Set TRAKT_REDIRECT_URI to a redirect URI of the application, exactly as registered.",
        )
    if is_loopback(uri):
        return check.passed(name, f"The browser returns to {uri} on this computer.")
    return check.warning(
        name,
        f"{uri} does not lead to a port of this computer, so you have to paste the answer.",
        "To receive it here, register an address such as http://127.0.0.1:8765/callback.",
    )


def _servers(settings: Settings) -> Check:
    name = "servers"
    try:
        endpoints = settings.endpoints() or Endpoints()
    except UsageError as error:
        return check.from_error(name, error)
    shown = " and ".join(sorted({endpoints.auth, endpoints.api}))
    if (endpoints.auth == TRAKT_AUTH) != (endpoints.api == TRAKT_API):
        return check.warning(
            name,
            f"{shown}: one is a server of Trakt and the other is not, but a token works only with "
            "the servers that belong together.",
            "Set both TRAKT_AUTH_URL and TRAKT_API_URL, or neither.",
        )
    if endpoints.auth == TRAKT_AUTH:
        return check.passed(name, f"Trakt's own: {shown}.")
    return check.passed(name, f"Not Trakt's own: {shown}.")
