"""The pages of the device flow: enter the code, allow or deny, and how it ended.

Decides who sees which page; the HTML is in `templates/`, the rules of codes are in `site.py`.
Only `routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trakt_auth.emulator.pages.sessions import checked_form, visit
from trakt_auth.emulator.pages.sign_in import sign_in_url
from trakt_auth.emulator.state.codes import clean_user_code

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.http.response import Answer
    from trakt_auth.emulator.pages.sessions import Visit
    from trakt_auth.emulator.state.model import DeviceCode
    from trakt_auth.emulator.state.state import Site

__all__ = ["activate", "confirm", "denied", "enter", "success"]

_LONGEST_CODE = 40


def activate(site: Site, request: Request) -> Answer:
    """Ask for the code: `GET /activate`, or `GET /activate/CODE` with the code filled in.

    Whether Trakt's new host still fills it in is unknown (facts section 1).
    """
    browser = visit(site, request)
    code = _given(request.words.get("code", ""))
    if browser.account is None:
        return browser.go(sign_in_url(_address(code)), outcome="sign_in")
    return browser.show("activate.html", code=code, here=_address(code), problem="")


def enter(site: Site, request: Request) -> Answer:
    """Look the code up, then carry out what the person chose: `POST /activate`."""
    browser = visit(site, request)
    fields = checked_form(browser)
    code = _given(fields.get("code", ""))
    account = browser.account
    if account is None:
        return browser.go(sign_in_url(_address(code)), outcome="sign_in")
    request.notes["account"] = account.username
    device = site.codes.by_user_code(code)
    if device is None:
        return _unknown(browser, code)
    decision = fields.get("decision")
    settled = _settled(browser, site.settle(device, now=request.now), decision)
    if settled is not None:
        return settled
    if decision not in {"allow", "deny"}:
        # A page of its own, so that going back to it asks nobody to send a form again.
        return browser.go(f"{_address(code)}/confirm", outcome="code_entered")
    allowed = decision == "allow"
    site.decide(device, username=account.username, approve=allowed, now=request.now)
    return _done(browser, allowed=allowed)


def confirm(site: Site, request: Request) -> Answer:
    """Ask to allow or deny the device of a code: `GET /activate/CODE/confirm`."""
    browser = visit(site, request)
    code = _given(request.words["code"])
    if browser.account is None:
        return browser.go(sign_in_url(_address(code)), outcome="sign_in")
    device = site.codes.by_user_code(code)
    if device is None:
        return _unknown(browser, code)
    settled = _settled(browser, site.settle(device, now=request.now), None)
    if settled is not None:
        return settled
    application = site.applications[device.client_id]
    return browser.show("confirm.html", application=application, code=code, here=_address(code))


def success(site: Site, request: Request) -> Answer:
    """End an allowed code: `GET /activate/success`."""
    text = "You can close this page and go back to your device."
    return visit(site, request).message("Device connected", text, tone="yes")


def denied(site: Site, request: Request) -> Answer:
    """End a denied code: `GET /activate/denied`."""
    text = "The device was given no access. You can close this page."
    return visit(site, request).message("Access denied", text)


def _unknown(browser: Visit, code: str) -> Answer:
    return browser.show(
        "activate.html",
        status=404,
        outcome="unknown",
        code=code,
        here=_address(code),
        problem="This code is not known. Look at your device again.",
    )


def _settled(browser: Visit, device: DeviceCode, decision: str | None) -> Answer | None:
    """Return the page for a code that cannot be decided any more, or None."""
    mine = device.account is not None and device.account is browser.account
    if decision == "allow" and mine and device.status in {"approved", "used"}:
        return _done(browser, allowed=True)  # the button was pressed twice
    if decision == "deny" and device.status == "denied":
        return _done(browser, allowed=False)
    onward = ("/activate", "Enter another code")
    if browser.request.now >= device.expires_at:
        text = "Ask your device for a new one."
        return browser.message(
            "Code expired", text, status=410, outcome="expired", tone="late", onward=onward
        )
    if device.status != "pending":
        text = "It connects one device, once. Ask your device for a new one if need be."
        return browser.message(
            "Code already used", text, status=409, outcome="used", tone="late", onward=onward
        )
    return None


def _done(browser: Visit, *, allowed: bool) -> Answer:
    ending = "success" if allowed else "denied"
    return browser.go(f"/activate/{ending}", outcome="allowed" if allowed else "denied")


def _given(typed: str) -> str:
    return clean_user_code(typed)[:_LONGEST_CODE]


def _address(code: str) -> str:
    return f"/activate/{code}" if code else "/activate"
