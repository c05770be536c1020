"""The pages of the device flow: enter the code, allow or deny, and the result.

Decides which page is shown; the HTML is in `templates/`, the rules of device codes in `state/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trakt_auth.emulator.pages.sessions import checked_form, visit
from trakt_auth.emulator.pages.sign_in import sign_in_url
from trakt_auth.emulator.state.codes import normalize_user_code

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.http.response import Response
    from trakt_auth.emulator.pages.sessions import Visit
    from trakt_auth.emulator.state.model import DeviceCode
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["activate", "confirm", "denied", "enter", "success"]

_LONGEST_CODE = 40


def activate(state: EmulatorState, request: Request) -> Response:
    """Ask for the code: `GET /activate`, or `GET /activate/CODE` with the code filled in.

    Trakt filled it in until July 2026; whether it still does is not documented.
    """
    browser = visit(state, request)
    code = _clean(request.path_parameters.get("code", ""))
    if browser.account is None:
        return browser.go(sign_in_url(_address(code)), outcome="sign_in")
    return browser.show("pages/activate.html", code=code, here=_address(code), problem="")


def enter(state: EmulatorState, request: Request) -> Response:
    """Look the code up, then do what the user chose: `POST /activate`."""
    browser = visit(state, request)
    fields = checked_form(browser)
    code = _clean(fields.get("code", ""))
    account = browser.account
    if account is None:
        return browser.go(sign_in_url(_address(code)), outcome="sign_in")
    request.notes["account"] = account.username
    device = state.codes.by_user_code(code)
    if device is None:
        return _unknown(browser, code)
    decision = fields.get("decision")
    final = _final_page(browser, state.apply_auto_approval(device, now=request.now), decision)
    if final is not None:
        return final
    if decision not in {"allow", "deny"}:
        # A page with its own URL: going back to it does not ask to send the form again.
        return browser.go(f"{_address(code)}/confirm", outcome="code_entered")
    allowed = decision == "allow"
    state.decide(device, username=account.username, approve=allowed, now=request.now)
    return _done(browser, allowed=allowed)


def confirm(state: EmulatorState, request: Request) -> Response:
    """Ask to allow or deny the device of a code: `GET /activate/CODE/confirm`."""
    browser = visit(state, request)
    code = _clean(request.path_parameters["code"])
    if browser.account is None:
        return browser.go(sign_in_url(_address(code)), outcome="sign_in")
    device = state.codes.by_user_code(code)
    if device is None:
        return _unknown(browser, code)
    final = _final_page(browser, state.apply_auto_approval(device, now=request.now), None)
    if final is not None:
        return final
    application = state.applications[device.client_id]
    return browser.show(
        "pages/confirm.html", application=application, code=code, here=_address(code)
    )


def success(state: EmulatorState, request: Request) -> Response:
    """Say that the device is connected: `GET /activate/success`."""
    text = "You can close this page and go back to your device."
    return visit(state, request).message("Device connected", text, tone="yes")


def denied(state: EmulatorState, request: Request) -> Response:
    """Say that the user denied the device: `GET /activate/denied`."""
    text = "The device did not get access to your account. You can close this page."
    return visit(state, request).message("Access denied", text)


def _unknown(browser: Visit, code: str) -> Response:
    return browser.show(
        "pages/activate.html",
        status=404,
        outcome="unknown",
        code=code,
        here=_address(code),
        problem="This code is not known. Check the code on your device.",
    )


def _final_page(browser: Visit, device: DeviceCode, decision: str | None) -> Response | None:
    """Return the page for a code that can no longer be allowed or denied, or None."""
    mine = device.account is not None and device.account is browser.account
    if decision == "allow" and mine and device.status in {"approved", "used"}:
        return _done(browser, allowed=True)  # the button was pressed twice
    if decision == "deny" and device.status == "denied":
        return _done(browser, allowed=False)
    link = ("/activate", "Enter another code")
    if browser.request.now >= device.expires_at:
        text = "Get a new code on your device."
        return browser.message(
            "Code expired", text, status=410, outcome="expired", tone="late", link=link
        )
    if device.status != "pending":
        text = "A code works once. If your device still shows it, get a new code there."
        return browser.message(
            "Code already used", text, status=409, outcome="used", tone="late", link=link
        )
    return None


def _done(browser: Visit, *, allowed: bool) -> Response:
    ending = "success" if allowed else "denied"
    return browser.go(f"/activate/{ending}", outcome="allowed" if allowed else "denied")


def _clean(typed: str) -> str:
    return normalize_user_code(typed)[:_LONGEST_CODE]


def _address(code: str) -> str:
    return f"/activate/{code}" if code else "/activate"
