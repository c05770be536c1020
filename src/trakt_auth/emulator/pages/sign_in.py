"""The pages of the authorization code flow: sign in, sign up, allow or deny, the code to copy.

Decides who sees which page; the HTML is in `templates/`, the checks are in `authorize.py`.
Only `routes.py` and `activate.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from trakt_auth.emulator.http.request import split_query
from trakt_auth.emulator.pages.authorization import (
    Ask,
    BadAsk,
    RefusedAsk,
    denial,
    form_target,
    grant,
    read_ask,
)
from trakt_auth.emulator.pages.sessions import checked_form, visit
from trakt_auth.emulator.state.state import USERNAME_LIMIT

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.http.response import Answer
    from trakt_auth.emulator.pages.sessions import Visit
    from trakt_auth.emulator.state.state import Site

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

_NEXT = re.compile(r"/(oauth/authorize\?|activate(/|$))[!-\[\]-~]*")  # a path of ours, no backslash
_KNOWN_ACCOUNTS = 5


def sign_in(site: Site, request: Request) -> Answer:
    """Show the form that asks who you are: `GET /sign-in` and `GET /sign-up`."""
    return _sign_in_form(visit(site, request), _next(request.query.get("next", [""])[0]))


def do_sign_in(site: Site, request: Request) -> Answer:
    """Sign in under any name, which makes the account: `POST /sign-in` and `POST /sign-up`."""
    browser = visit(site, request)
    fields = checked_form(browser)
    following = _next(fields.get("next", ""))
    try:
        account = site.account(fields.get("username", ""), now=request.now)
    except ValueError as error:
        return _sign_in_form(browser, following, problem=f"{error}.".capitalize())
    browser.sign_in(account)
    request.notes["account"] = account.username
    return browser.go(following, outcome="signed_in")


def sign_out(site: Site, request: Request) -> Answer:
    """Forget who you are and ask again: `POST /sign-out`."""
    browser = visit(site, request)
    following = _next(checked_form(browser).get("next", ""))
    browser.sign_in(None)
    return browser.go(sign_in_url(following), outcome="signed_out")


def authorize(site: Site, request: Request) -> Answer:
    """Ask the person, or send them straight back (facts section 4): `GET /oauth/authorize`."""
    browser = visit(site, request)
    ask = _ask(browser)
    if not isinstance(ask, Ask):
        return ask
    query = {name: values for name, values in request.query.items() if name != "prompt"}
    here = f"/oauth/authorize?{urlencode(query, doseq=True)}"
    account = browser.account
    if account is None or ask.force_login:
        # Without `prompt` in the address to come back to, the person is asked only once.
        url = sign_in_url(here, signup=ask.signup and account is None)
        return browser.go(url, outcome="sign_in")
    request.notes["account"] = account.username
    if ask.application.client_id in account.approved:
        return browser.go(grant(site, ask, account, now=request.now), outcome="already_approved")
    return browser.show(
        "authorize.html",
        form_target=form_target(site, request.query),
        application=ask.application,
        ask=ask,
        here=here,
    )


def decide(site: Site, request: Request) -> Answer:
    """Carry out what the person chose: `POST /oauth/authorize`."""
    browser = visit(site, request)
    decision = checked_form(browser).get("decision")
    ask = _ask(browser)
    if not isinstance(ask, Ask):
        return ask
    if browser.account is None:
        return browser.go("/sign-in", outcome="sign_in")
    request.notes["account"] = browser.account.username
    if decision == "allow":
        return browser.go(grant(site, ask, browser.account, now=request.now), outcome="allowed")
    if decision == "deny":
        return browser.go(denial(ask), outcome="denied")
    text = "The form said neither allow nor deny."
    return browser.message("Something went wrong", text, status=400, outcome="bad_form")


def native(site: Site, request: Request) -> Answer:
    """Show the code of an out-of-band request: `GET /oauth/authorize/native`.

    The path is one of Trakt's; whether today's server shows such a page is unknown (section 4).
    """
    browser = visit(site, request)
    text = request.query.get("code", [""])[0]
    code = site.codes.authorization(text)
    if code is None or code.grant is not None:
        text = "This code is unknown, was used, or has expired. Start again in the application."
        return browser.message("No such code", text, status=404, outcome="unknown", tone="late")
    application = site.applications[code.client_id]
    return browser.show("code.html", outcome="code_shown", code=text, application=application)


def authorize_denied(site: Site, request: Request) -> Answer:
    """End a denied out-of-band request: `GET /oauth/authorize/denied`."""
    text = "The application was given no access. You can close this page."
    return visit(site, request).message("Access denied", text)


def sign_in_url(following: str, *, signup: bool = False) -> str:
    """Return the address of the sign-in page that goes on to `following`."""
    return f"/{'sign-up' if signup else 'sign-in'}?{urlencode({'next': following})}"


def _ask(browser: Visit) -> Ask | Answer:
    """Read the request, or return where a refused one ends: never at an unchecked address."""
    request = browser.request
    try:
        ask = read_ask(browser.site, request.query)
    except BadAsk as bad:
        title = "This sign-in request is not valid"
        return browser.message(title, str(bad), status=400, outcome="bad_request")
    except RefusedAsk as refused:
        return browser.go(refused.url, outcome=refused.error)
    request.notes["client_id"] = ask.application.client_id
    return ask


def _sign_in_form(browser: Visit, following: str, *, problem: str = "") -> Answer:
    site = browser.site
    known = list(site.accounts.values())[-_KNOWN_ACCOUNTS:]
    return browser.show(
        "sign_in.html",
        status=400 if problem else 200,
        outcome="bad_form" if problem else "page",
        form_target=form_target(site, split_query(urlsplit(following).query)),
        signup=browser.request.path == "/sign-up",
        following=following,
        other=sign_in_url(following, signup=browser.request.path != "/sign-up"),
        known=[account.username for account in known],
        limit=USERNAME_LIMIT,
        problem=problem,
    )


def _next(given: str) -> str:
    """Return where to go after signing in: a page of this server and nothing else."""
    return given if _NEXT.fullmatch(given) else "/activate"
