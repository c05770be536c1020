"""Authorization requests (RFC 6749 section 4.1): parsing them, and the redirects that end them.

The client id and the redirect URI are checked before anything is redirected. No page is shown here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlencode, urlsplit

from trakt_auth.emulator.endpoints.openid import granted_scope
from trakt_auth.emulator.state.model import OUT_OF_BAND

if TYPE_CHECKING:
    from trakt_auth.emulator.state.model import Account, Application
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = [
    "AuthorizationError",
    "AuthorizationRequest",
    "InvalidAuthorizationRequest",
    "approval_redirect",
    "denial_redirect",
    "form_target",
    "parse_authorization_request",
]

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # the length of S256: RFC 7636 section 4.2
_PLAIN_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?")
_TRUE = frozenset({"1", "true", "yes"})


class InvalidAuthorizationRequest(Exception):
    """The client id or redirect URI is wrong, so there is no redirect: an error page is shown.

    The message is the text of that page; `application` is None if the client id is unknown.
    """

    def __init__(self, text: str, application: Application | None = None) -> None:
        super().__init__(text)
        self.application = application


class AuthorizationError(Exception):
    """The request is rejected by a redirect to `url`, with `error` (RFC 6749 section 4.1.2.1)."""

    def __init__(self, url: str, error: str) -> None:
        super().__init__(error)
        self.url = url
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A valid authorization request; `challenge` is that of PKCE."""

    application: Application
    redirect_uri: str
    state: str | None
    challenge: str | None
    signup: bool
    force_login: bool
    scope: str
    nonce: str | None

    @property
    def out_of_band(self) -> bool:
        """Whether the code is shown on a page instead of sent in a redirect."""
        return self.redirect_uri == OUT_OF_BAND


def parse_authorization_request(
    state: EmulatorState, query: dict[str, list[str]]
) -> AuthorizationRequest:
    """Parse and check an authorization request: the client id and the redirect URI first.

    Raises: InvalidAuthorizationRequest if one of those is wrong; AuthorizationError if anything
        else is.
    """
    if any(len(values) > 1 for values in query.values()):
        raise InvalidAuthorizationRequest("A parameter of this request is given more than once.")
    given = {name: values[0] for name, values in query.items()}
    application = state.applications.get(given.get("client_id", ""))
    if application is None:
        raise InvalidAuthorizationRequest(
            "The client_id of this request is missing or belongs to no application."
        )
    redirect_uri = given.get("redirect_uri")
    # Trakt compares exactly, and documents no exception for the port of a loopback address.
    if redirect_uri is None or not application.redirects_to(
        redirect_uri, exactly=not state.options.legacy
    ):
        raise InvalidAuthorizationRequest(
            "The redirect_uri of this request is missing, malformed or not registered for the "
            "application. It must be exactly the same as one that is registered.",
            application,
        )
    authorization = AuthorizationRequest(
        application=application,
        redirect_uri=redirect_uri,
        state=given.get("state"),
        challenge=given.get("code_challenge"),
        signup=given.get("signup", "").lower() in _TRUE,
        force_login=given.get("prompt") == "login",
        scope=granted_scope(state, given.get("scope", "")),
        nonce=given.get("nonce"),
    )
    _check_response_type(authorization, given.get("response_type"))
    _check_challenge(authorization, given.get("code_challenge_method"))
    return authorization


def approval_redirect(
    state: EmulatorState, authorization: AuthorizationRequest, account: Account, *, now: float
) -> str:
    """Approve a request; return the URL that sends the code to the application."""
    account.approved.add(authorization.application.client_id)
    code = state.codes.authorize(
        account,
        client_id=authorization.application.client_id,
        redirect_uri=authorization.redirect_uri,
        challenge=authorization.challenge,
        now=now,
        scope=authorization.scope,
        nonce=authorization.nonce,
    )
    if authorization.out_of_band:
        return f"/oauth/authorize/native?{urlencode({'code': code})}"
    return _with_state(authorization, {"code": code})


def denial_redirect(authorization: AuthorizationRequest) -> str:
    """Return the URL that tells the application that the user denied the request.

    What Trakt sends is not documented; this is RFC 6749 section 4.1.2.1.
    """
    if authorization.out_of_band:
        return "/oauth/authorize/denied"
    description = "The user denied the request"
    return _with_state(authorization, {"error": "access_denied", "error_description": description})


def form_target(state: EmulatorState, query: dict[str, list[str]]) -> str:
    """Return what a page's `form-action` must allow so that a form can end at the redirect URI.

    Chromium applies that directive to all redirects that follow a form.
    """
    try:
        authorization = parse_authorization_request(state, query)
    except (InvalidAuthorizationRequest, AuthorizationError):
        return ""
    url = urlsplit(authorization.redirect_uri)
    if authorization.out_of_band:
        return ""
    if url.scheme in {"http", "https"} and _PLAIN_HOST.fullmatch(url.netloc):
        return f"{url.scheme}://{url.netloc}"
    return f"{url.scheme}:"


def _check_response_type(authorization: AuthorizationRequest, response_type: str | None) -> None:
    if response_type is None:
        _redirect_error(authorization, "invalid_request", "missing response_type")
    if response_type != "code":
        _redirect_error(
            authorization, "unsupported_response_type", "only response_type=code is served"
        )


def _check_challenge(authorization: AuthorizationRequest, method: str | None) -> None:
    if authorization.challenge is None:
        if method is not None:
            _redirect_error(
                authorization, "invalid_request", "code_challenge_method without a code_challenge"
            )
        return
    if method != "S256":  # a missing one means `plain`: RFC 7636 section 4.3
        _redirect_error(authorization, "invalid_request", "code_challenge_method must be S256")
    if _CHALLENGE.fullmatch(authorization.challenge) is None:
        _redirect_error(authorization, "invalid_request", "code_challenge is malformed")


def _redirect_error(authorization: AuthorizationRequest, error: str, description: str) -> NoReturn:
    if authorization.out_of_band:
        raise InvalidAuthorizationRequest(
            f"This request is not valid: {error}, {description}.", authorization.application
        )
    url = _with_state(authorization, {"error": error, "error_description": description})
    raise AuthorizationError(url, error)


def _with_state(authorization: AuthorizationRequest, response: dict[str, str]) -> str:
    if authorization.state is not None:
        response["state"] = authorization.state
    return f"{authorization.redirect_uri}?{urlencode(response)}"
