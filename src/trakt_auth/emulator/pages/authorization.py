"""What an authorization request asks for, and the answers to it that are redirects.

Validates before anything is redirected; shows nothing. PKCE is S256 only (facts section 4).
`pages.py` and `core.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlencode, urlsplit

from trakt_auth.emulator.state.model import OUT_OF_BAND

if TYPE_CHECKING:
    from trakt_auth.emulator.state.model import Account, Application
    from trakt_auth.emulator.state.state import Site

__all__ = ["Ask", "BadAsk", "RefusedAsk", "denial", "form_target", "grant", "read_ask"]

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # what S256 makes: RFC 7636 section 4.2
_PLAIN_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?")
_TRUE = frozenset({"1", "true", "yes"})


class BadAsk(Exception):
    """The request cannot be answered at its redirect URI; the text is for the error page."""


class RefusedAsk(Exception):
    """The request is refused, and `url` tells the application so (RFC 6749 section 4.1.2.1)."""

    def __init__(self, url: str, error: str) -> None:
        super().__init__(error)
        self.url = url
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A valid authorization request."""

    application: Application
    redirect_uri: str
    state: str | None
    challenge: str | None
    signup: bool
    force_login: bool

    @property
    def out_of_band(self) -> bool:
        """Whether the code is shown on a page instead of travelling in a redirect."""
        return self.redirect_uri == OUT_OF_BAND


def read_ask(site: Site, query: dict[str, list[str]]) -> Ask:
    """Check an authorization request: first who asks and where the answer goes, then the rest."""
    if any(len(values) > 1 for values in query.values()):
        raise BadAsk("A parameter of this request is given more than once.")
    given = {name: values[0] for name, values in query.items()}
    application = site.applications.get(given.get("client_id", ""))
    if application is None:
        raise BadAsk("The client_id of this request is missing or belongs to no application.")
    redirect_uri = given.get("redirect_uri")
    # Facts section 4: an exact, case-sensitive match; no exception for loopback ports.
    if redirect_uri is None or not application.redirects_to(
        redirect_uri, exactly=not site.options.legacy
    ):
        raise BadAsk(
            "The redirect_uri of this request is missing, malformed or not registered for the "
            "application. It must be the same, letter by letter, as one of those registered."
        )
    ask = Ask(
        application=application,
        redirect_uri=redirect_uri,
        state=given.get("state"),
        challenge=given.get("code_challenge"),
        signup=given.get("signup", "").lower() in _TRUE,
        force_login=given.get("prompt") == "login",
    )
    _check_response_type(ask, given.get("response_type"))
    _check_challenge(ask, given.get("code_challenge_method"))
    return ask


def grant(site: Site, ask: Ask, account: Account, *, now: float) -> str:
    """Approve a request; return the URL that carries the code to the application."""
    account.approved.add(ask.application.client_id)
    code = site.codes.authorize(
        account,
        client_id=ask.application.client_id,
        redirect_uri=ask.redirect_uri,
        challenge=ask.challenge,
        now=now,
    )
    if ask.out_of_band:
        return f"/oauth/authorize/native?{urlencode({'code': code})}"
    return _with_state(ask, {"code": code})


def denial(ask: Ask) -> str:
    """Return the URL that tells the application of a refusal.

    Facts section 4: what Trakt sends is not documented; this is RFC 6749 section 4.1.2.1.
    """
    if ask.out_of_band:
        return "/oauth/authorize/denied"
    description = "The user denied the request"
    return _with_state(ask, {"error": "access_denied", "error_description": description})


def form_target(site: Site, query: dict[str, list[str]]) -> str:
    """Return the source that `form-action` must name so that a form may end at the redirect URI.

    Chromium applies the directive to the whole chain of redirects that follows a form.
    """
    try:
        ask = read_ask(site, query)
    except (BadAsk, RefusedAsk):
        return ""
    url = urlsplit(ask.redirect_uri)
    if ask.out_of_band:
        return ""
    if url.scheme in {"http", "https"} and _PLAIN_HOST.fullmatch(url.netloc):
        return f"{url.scheme}://{url.netloc}"
    return f"{url.scheme}:"


def _check_response_type(ask: Ask, response_type: str | None) -> None:
    if response_type is None:
        _refuse(ask, "invalid_request", "missing response_type")
    if response_type != "code":
        _refuse(ask, "unsupported_response_type", "only response_type=code is served")


def _check_challenge(ask: Ask, method: str | None) -> None:
    if ask.challenge is None:
        if method is not None:
            _refuse(ask, "invalid_request", "code_challenge_method without a code_challenge")
        return
    if method != "S256":  # none means `plain`: RFC 7636 section 4.3
        _refuse(ask, "invalid_request", "code_challenge_method must be S256")
    if _CHALLENGE.fullmatch(ask.challenge) is None:
        _refuse(ask, "invalid_request", "code_challenge is malformed")


def _refuse(ask: Ask, error: str, description: str) -> NoReturn:
    if ask.out_of_band:
        raise BadAsk(f"This request is refused: {error}, {description}.")
    url = _with_state(ask, {"error": error, "error_description": description})
    raise RefusedAsk(url, error)


def _with_state(ask: Ask, answer: dict[str, str]) -> str:
    if ask.state is not None:
        answer["state"] = ask.state
    return f"{ask.redirect_uri}?{urlencode(answer)}"
