"""The pages of the authorization code flow: sign in, sign up, allow or deny, the code to copy.

Decides which page is shown; the HTML is in `templates/`, the checks are in `authorization.py`.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from trakt_auth.emulator.http.request import split_query
from trakt_auth.emulator.pages.authorization import (
    AuthorizationError,
    AuthorizationRequest,
    InvalidAuthorizationRequest,
    approval_redirect,
    denial_redirect,
    form_target,
    parse_authorization_request,
)
from trakt_auth.emulator.pages.sessions import checked_form, visit
from trakt_auth.emulator.state.state import USERNAME_LIMIT

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.http.response import Response
    from trakt_auth.emulator.pages.sessions import Visit
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = [
    "authorize",
    "authorize_denied",
    "decide",
    "do_sign_in",
    "native",
    "sign_in",
    "sign_in_url",
    "sign_out",
]

_NEXT = re.compile(r"/(oauth/authorize\?|activate(/|$))[!-\[\]-~]*")  # our own paths, no backslash
_KNOWN_ACCOUNTS = 5
_KNOWN_APPLICATIONS = 25


def sign_in(state: EmulatorState, request: Request) -> Response:
    """Show the form that asks for a username: `GET /sign-in` and `GET /sign-up`."""
    return _sign_in_form(visit(state, request), _next(request.query.get("next", [""])[0]))


def do_sign_in(state: EmulatorState, request: Request) -> Response:
    """Sign in; a new name creates an account: `POST /sign-in` and `POST /sign-up`."""
    browser = visit(state, request)
    fields = checked_form(browser)
    following = _next(fields.get("next", ""))
    try:
        account = state.get_or_create_account(fields.get("username", ""), now=request.now)
    except ValueError as error:
        return _sign_in_form(browser, following, problem=f"{error}.".capitalize())
    browser.sign_in(account)
    request.notes["account"] = account.username
    return browser.go(following, outcome="signed_in")


def sign_out(state: EmulatorState, request: Request) -> Response:
    """Sign out and show the sign-in page: `POST /sign-out`."""
    browser = visit(state, request)
    following = _next(checked_form(browser).get("next", ""))
    browser.sign_in(None)
    return browser.go(sign_in_url(following), outcome="signed_out")


def authorize(state: EmulatorState, request: Request) -> Response:
    """Ask the user to allow the application: `GET /oauth/authorize`.

    As at Trakt, an application that was allowed before gets its code without a question.
    """
    browser = visit(state, request)
    authorization = _parse_or_respond(browser)
    if not isinstance(authorization, AuthorizationRequest):
        return authorization
    query = {name: values for name, values in request.query.items() if name != "prompt"}
    here = f"/oauth/authorize?{urlencode(query, doseq=True)}"
    account = browser.account
    if account is None or authorization.force_login:
        # The URL that leads back here lacks `prompt`: the user has to sign in only once.
        url = sign_in_url(here, signup=authorization.signup and account is None)
        return browser.go(url, outcome="sign_in")
    request.notes["account"] = account.username
    if authorization.application.client_id in account.approved:
        return browser.go(
            approval_redirect(state, authorization, account, now=request.now),
            outcome="already_approved",
        )
    return browser.show(
        "pages/authorize.html",
        form_target=form_target(state, request.query),
        application=authorization.application,
        authorization=authorization,
        here=here,
    )


def decide(state: EmulatorState, request: Request) -> Response:
    """Do what the user chose: `POST /oauth/authorize`."""
    browser = visit(state, request)
    decision = checked_form(browser).get("decision")
    authorization = _parse_or_respond(browser)
    if not isinstance(authorization, AuthorizationRequest):
        return authorization
    if browser.account is None:
        return browser.go("/sign-in", outcome="sign_in")
    request.notes["account"] = browser.account.username
    if decision == "allow":
        return browser.go(
            approval_redirect(state, authorization, browser.account, now=request.now),
            outcome="allowed",
        )
    if decision == "deny":
        return browser.go(denial_redirect(authorization), outcome="denied")
    text = "The form contains neither allow nor deny."
    return browser.message("Something went wrong", text, status=400, outcome="bad_form")


def native(state: EmulatorState, request: Request) -> Response:
    """Show the code of an out-of-band request: `GET /oauth/authorize/native`.

    Trakt has this path; whether it still shows such a page is not documented.
    """
    browser = visit(state, request)
    text = request.query.get("code", [""])[0]
    code = state.codes.authorization(text)
    if code is None or code.grant is not None:
        text = "This code is unknown, was used, or has expired. Start again in the application."
        return browser.message("No such code", text, status=404, outcome="unknown", tone="late")
    application = state.applications[code.client_id]
    return browser.show("pages/code.html", outcome="code_shown", code=text, application=application)


def authorize_denied(state: EmulatorState, request: Request) -> Response:
    """Say that the user denied an out-of-band request: `GET /oauth/authorize/denied`."""
    text = "The application did not get access to your account. You can close this page."
    return visit(state, request).message("Access denied", text)


def sign_in_url(following: str, *, signup: bool = False) -> str:
    """Return the URL of the sign-in page that leads to `following`."""
    return f"/{'sign-up' if signup else 'sign-in'}?{urlencode({'next': following})}"


def _parse_or_respond(browser: Visit) -> AuthorizationRequest | Response:
    """Parse the request, or return the response that rejects it: a page or a redirect."""
    request = browser.request
    try:
        authorization = parse_authorization_request(browser.state, request.query)
    except InvalidAuthorizationRequest as error:
        return _bad_request(browser, error)
    except AuthorizationError as error:
        return browser.go(error.url, outcome=error.error)
    request.notes["client_id"] = authorization.application.client_id
    return authorization


def _bad_request(browser: Visit, error: InvalidAuthorizationRequest) -> Response:
    """Show what is wrong beside what is registered: there is no URI to redirect to."""
    return browser.show(
        "pages/bad_request.html",
        status=400,
        outcome="bad_request",
        title="This sign-in request is not valid",
        text=str(error),
        tone="no",
        link=None,
        application=error.application,
        redirect_uri=browser.request.query.get("redirect_uri", [""])[0],
        client_ids=list(islice(browser.state.applications, _KNOWN_APPLICATIONS)),
    )


def _sign_in_form(browser: Visit, following: str, *, problem: str = "") -> Response:
    state = browser.state
    known = list(state.accounts.values())[-_KNOWN_ACCOUNTS:]
    return browser.show(
        "pages/sign_in.html",
        status=400 if problem else 200,
        outcome="bad_form" if problem else "page",
        form_target=form_target(state, split_query(urlsplit(following).query)),
        signup=browser.request.path == "/sign-up",
        following=following,
        other=sign_in_url(following, signup=browser.request.path != "/sign-up"),
        known=[account.username for account in known],
        limit=USERNAME_LIMIT,
        problem=problem,
    )


def _next(given: str) -> str:
    """Return where to go after signing in: one of the emulator's own pages, never another site."""
    return given if _NEXT.fullmatch(given) else "/activate"
