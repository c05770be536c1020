"""What a check of `trakt-auth doctor` says, and the checks of the configuration.

Reads settings; no store, no socket.
`doctor` and the other files of checks import this one.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from trakt_auth.cli.commands.login import is_loopback
from trakt_auth.cli.settings import TRAKT_API, TRAKT_AUTH, Settings
from trakt_auth.cli.terminal.output import FAILED
from trakt_auth.errors import TraktAuthError, UsageError
from trakt_auth.protocol.application import Endpoints

__all__ = ["Check", "Mark", "configuration", "failed", "fine", "is_private", "off", "status_of"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
LIBRARIES = re.compile(
    r"(python(-\w+)?|curl|wget|httpx2?|requests|urllib3?|aiohttp|okhttp)(?![\w-])", re.IGNORECASE
)
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"


class Mark(enum.Enum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the report. `advice` is what to do, `status` the exit status of a failure."""

    name: str
    mark: Mark
    said: str
    advice: str = ""
    status: int = FAILED


def fine(name: str, said: str) -> Check:
    """Return a check that found nothing."""
    return Check(name=name, mark=Mark.OK, said=said)


def off(name: str, said: str, advice: str) -> Check:
    """Return a check that found something to look at."""
    return Check(name=name, mark=Mark.WARN, said=said, advice=advice)


def failed(name: str, said: str, advice: str, *, status: int = FAILED) -> Check:
    """Return a check that found what keeps the program from working."""
    return Check(name=name, mark=Mark.FAIL, said=said, advice=advice, status=status)


def of_error(name: str, error: TraktAuthError, *, status: int = FAILED) -> Check:
    """Return the failure that an error stands for."""
    return failed(name, f"{error}.", error.hint, status=status)


def configuration(settings: Settings) -> Iterator[Check]:
    """Check what the environment says, each part for itself."""
    try:
        application = settings.application()
    except UsageError as error:
        yield of_error("application", error)
        return
    yield fine("application", f"The client id is {application.client_id!r}.")
    if application.client_secret == application.client_id:
        yield failed(
            "client secret",
            "TRAKT_CLIENT_SECRET is the same text as TRAKT_CLIENT_ID.",
            "Copy the secret from the application's page on Trakt, or unset the variable.",
        )
    yield _user_agent(application.user_agent)
    yield _redirect_uri(application.redirect_uri)
    yield from _servers(settings)


def _user_agent(user_agent: str) -> Check:
    if LIBRARIES.match(user_agent):
        return off(
            "user agent",
            f"{user_agent!r} names a library, and Trakt's edge refuses such requests.",
            "Set TRAKT_USER_AGENT to your program's name and version, e.g. my-player/1.2.",
        )
    return fine("user agent", f"Requests are sent as {user_agent!r}.")


def _redirect_uri(uri: str | None) -> Check:
    name = "redirect URI"
    if uri is None:
        return fine(name, "None is set; only `login --browser` needs one.")
    if uri == OUT_OF_BAND:
        return fine(name, "Trakt shows a code to paste.")
    if ":" not in uri or "://" not in uri or "?" in uri or "#" in uri:
        return failed(
            name,
            f"{uri!r} is none that Trakt registers: SCHEME://... without ? and #.",
            "Set TRAKT_REDIRECT_URI to one of the application's, letter by letter.",
        )
    if is_loopback(uri):
        return fine(name, f"The browser comes back to {uri} on this computer.")
    return off(
        name,
        f"{uri} does not lead to a port of this computer, so the answer has to be pasted.",
        "To receive it, register an address such as http://127.0.0.1:8765/callback.",
    )


def _servers(settings: Settings) -> Iterator[Check]:
    name = "servers"
    try:
        endpoints = settings.endpoints() or Endpoints()
    except UsageError as error:
        yield of_error(name, error)
        return
    shown = " and ".join(sorted({endpoints.auth, endpoints.api}))
    if not is_private(endpoints):
        yield failed(
            name,
            f"{shown}: http:// to another computer shows every token to the network.",
            "Write https:// in TRAKT_AUTH_URL and TRAKT_API_URL.",
        )
    elif (endpoints.auth == TRAKT_AUTH) != (endpoints.api == TRAKT_API):
        yield off(
            name,
            f"{shown}: one of them is Trakt's and the other is not; tokens work with their own.",
            "Set both TRAKT_AUTH_URL and TRAKT_API_URL, or neither.",
        )
    elif endpoints.auth == TRAKT_AUTH:
        yield fine(name, f"Trakt's own, {shown}.")
    else:
        yield fine(name, f"{shown}, not Trakt's own.")


def is_private(endpoints: Endpoints) -> bool:
    """Tell whether tokens travel encrypted, or do not leave this computer."""
    parts = [urlsplit(url) for url in (endpoints.auth, endpoints.api)]
    return all(part.scheme == "https" or part.hostname in LOOPBACK for part in parts)


def status_of(checks: list[Check]) -> int:
    """Return the exit status: that of the failures where they agree on one."""
    statuses = {check.status for check in checks if check.mark is Mark.FAIL}
    return statuses.pop() if len(statuses) == 1 else FAILED if statuses else 0
