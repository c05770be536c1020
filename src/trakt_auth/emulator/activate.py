"""The pages of the device flow: enter the code, allow or deny, and how it ended.

Decides who sees which page; the HTML is in `templates/`, the rules of codes are in `site.py`.
Only `routes.py` imports this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trakt_auth.emulator.codes import clean_user_code
from trakt_auth.emulator.pages import sign_in_url
from trakt_auth.emulator.sessions import checked_form, visit

if TYPE_CHECKING:
    from trakt_auth.emulator.answers import Answer
    from trakt_auth.emulator.records import DeviceCode
    from trakt_auth.emulator.request import Request
    from trakt_auth.emulator.sessions import Visit
    from trakt_auth.emulator.site import Site

__all__ = ["activate", "denied", "enter", "success"]

_LONGEST_CODE = 40


def activate(site: Site, request: Request) -> Answer:
    """Ask for the code: `GET /activate`, or `GET /activate/CODE` with the code filled in.

    Whether Trakt's new host still fills it in is unknown (facts section 1).
    """
    browser = visit(site, request)
    code = clean_user_code(request.words.get("code", ""))[:_LONGEST_CODE]
    if browser.account is None:
        return browser.go(sign_in_url(_address(code)), outcome="sign_in")
    return browser.show("activate.html", code=code, here=_address(code), problem="")


def enter(site: Site, request: Request) -> Answer:
    """Look the code up, ask, and carry out what the person chose: `POST /activate`."""
    browser = visit(site, request)
    fields = checked_form(browser)
    code = clean_user_code(fields.get("code", ""))[:_LONGEST_CODE]
    account = browser.account
    if account is None:
        return browser.go(sign_in_url(_address(code)), outcome="sign_in")
    request.notes["account"] = account.username
    device = site.codes.by_user_code(code)
    if device is None:
        return browser.show(
            "activate.html",
            status=404,
            outcome="unknown",
            code=code,
            here=_address(code),
            problem="This code is not known. Look at your device again.",
        )
    settled = _settled(browser, site.settle(device, now=request.now))
    if settled is not None:
        return settled
    decision = fields.get("decision")
    if decision not in {"allow", "deny"}:
        application = site.applications[device.client_id]
        return browser.show("confirm.html", application=application, code=code)
    allowed = decision == "allow"
    site.decide(device, username=account.username, approve=allowed, now=request.now)
    outcome = "allowed" if allowed else "denied"
    return browser.go("/activate/success" if allowed else "/activate/denied", outcome=outcome)


def success(site: Site, request: Request) -> Answer:
    """End an allowed code: `GET /activate/success`."""
    text = "Your device is connected. You can close this page and go back to it."
    return visit(site, request).message("Device connected", text)


def denied(site: Site, request: Request) -> Answer:
    """End a denied code: `GET /activate/denied`."""
    text = "The device was given no access. You can close this page."
    return visit(site, request).message("Access denied", text)


def _settled(browser: Visit, device: DeviceCode) -> Answer | None:
    if browser.request.now >= device.expires_at:
        text = "This code has expired. Ask your device for a new one."
        return browser.message("Code expired", text, status=410, outcome="expired")
    if device.status != "pending":
        text = "This code has been used already. Ask your device for a new one if need be."
        return browser.message("Code already used", text, status=409, outcome="used")
    return None


def _address(code: str) -> str:
    return f"/activate/{code}" if code else "/activate"
