"""The dashboard at `/`: the page, the parts of it that change, its buttons and static files.

For users on this machine only. What the page shows is chosen in `view.py`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from trakt_auth.emulator.dashboard.control import require_local
from trakt_auth.emulator.dashboard.fault_form import fault_forms, parse_fault_form
from trakt_auth.emulator.dashboard.view import format_duration, view
from trakt_auth.emulator.http.response import Response, json_response, text_response
from trakt_auth.emulator.pages.sessions import checked_form, visit
from trakt_auth.emulator.state.state import DEFAULT_USERNAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.pages.sessions import Visit
    from trakt_auth.emulator.state.model import Account
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["live_parts", "press_button", "show", "static_file"]

_STATIC = Path(__file__).parent / "static"
_FILES = {
    "/emulator/room.css": ("dashboard.css", "text/css"),
    "/emulator/room.js": ("dashboard.js", "text/javascript"),
}
_CLOCK_STEPS = (
    (5, "5 s"),
    (60, "1 min"),
    (600, "10 min"),
    (3600, "1 h"),
    (86_400, "1 day"),
    (604_800, "7 days"),
)


def show(state: EmulatorState, request: Request) -> Response:
    """Show the dashboard or, to another machine, only what this server is: `GET /`."""
    browser = visit(state, request)
    if not request.local:
        text = "This server emulates signing in to Trakt. Its dashboard is available on its own "
        text += "machine only."
        return browser.message("Trakt emulator", text, tone="late")
    return browser.show(
        "dashboard/dashboard.html",
        scripted=True,
        origin=request.origin,
        clock_steps=_CLOCK_STEPS,
        fault_forms=fault_forms(),
        default_username=DEFAULT_USERNAME,
        dashboard=view(state, now=request.now),
    )


def live_parts(state: EmulatorState, request: Request) -> Response:
    """Answer `GET /emulator/room` with the parts of the page that change."""
    require_local(request)
    return visit(state, request).show(
        "dashboard/live.html",
        origin=request.origin,
        default_username=DEFAULT_USERNAME,
        dashboard=view(state, now=request.now),
    )


def press_button(state: EmulatorState, request: Request) -> Response:
    """Carry out the action of the button that was pressed: `POST /`."""
    require_local(request)
    browser = visit(state, request)
    fields = checked_form(browser)  # its CSRF token proves that the form is this page's
    decision = fields.get("decision", "")
    button = _BUTTONS.get(decision, _no_such_button)
    try:
        about = button(state, fields, request.now)
    except LookupError as error:
        text = f"{error.args[0]} It may have disappeared in the meantime."
        return _nothing_changed(browser, text, status=404, outcome="unknown")
    except (ValueError, OverflowError) as error:
        text = str(error).strip(".")
        return _nothing_changed(
            browser, f"{text[:1].upper()}{text[1:]}.", status=409, outcome="conflict"
        )
    if about:
        request.notes["about"] = about
    return browser.go("/", outcome=decision)


def static_file(state: EmulatorState, request: Request) -> Response:
    """Answer `GET /emulator/room.css` and `GET /emulator/room.js`."""
    del state
    require_local(request)
    name, media_type = _FILES[request.endpoint]
    response = text_response(_text(name), status=200, outcome="ok", media_type=media_type)
    response.headers["x-content-type-options"] = "nosniff"
    return response


def _nothing_changed(browser: Visit, text: str, *, status: int, outcome: str) -> Response:
    """Say why: in JSON to the page's script, on a page to a user without scripts."""
    if browser.request.headers.get("accept", "") == "application/json":
        return json_response({"error": text}, status=status, outcome=outcome)
    back = ("/", "Back to the dashboard")
    return browser.message("Nothing was changed", text, status=status, outcome=outcome, link=back)


@cache
def _text(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")


def _approve(state: EmulatorState, fields: dict[str, str], now: float) -> str:
    return _decide(state, fields, now, approve=True)


def _deny(state: EmulatorState, fields: dict[str, str], now: float) -> str:
    return _decide(state, fields, now, approve=False)


def _decide(state: EmulatorState, fields: dict[str, str], now: float, *, approve: bool) -> str:
    device = state.codes.by_user_code(fields.get("user_code", ""))
    if device is None:
        raise LookupError("There is no such device code.")
    username = fields.get("username", DEFAULT_USERNAME)
    state.decide(device, username=username, approve=approve, now=now)
    return device.user_code


def _advance(state: EmulatorState, fields: dict[str, str], _now: float) -> str:
    given = fields.get("seconds", "")
    try:
        seconds = float(given)
    except ValueError:
        raise ValueError(f"seconds must be a number, not {given!r}") from None
    state.clock.advance(seconds)
    return format_duration(seconds)


def _arm(state: EmulatorState, fields: dict[str, str], _now: float) -> str:
    name, settings = parse_fault_form(fields)
    return state.faults.arm(name, **settings).kind.name


def _disarm(state: EmulatorState, fields: dict[str, str], _now: float) -> str:
    number = fields.get("number", "")
    for fault in state.faults.armed():
        if str(fault.number) == number:
            state.faults.disarm(fault)
            return fault.kind.name
    raise LookupError("This fault is not armed.")


def _disarm_all(state: EmulatorState, _fields: dict[str, str], _now: float) -> str:
    state.faults.disarm()
    return ""


def _disconnect(state: EmulatorState, fields: dict[str, str], _now: float) -> str:
    account, client_id = _account(state, fields), fields.get("client_id", "")
    state.end_login(account, client_id)
    return f"{account.username}, {client_id}"


def _end(state: EmulatorState, fields: dict[str, str], _now: float) -> str:
    account = _account(state, fields)
    for grant in account.grants.get(fields.get("client_id", ""), {}).values():
        if str(grant.number) == fields.get("number"):
            state.grants.end(grant)
            return f"{account.username}, {grant.client_id}"
    raise LookupError("There is no such login.")


def _account(state: EmulatorState, fields: dict[str, str]) -> Account:
    account = state.accounts.get(fields.get("username", "").casefold())
    if account is None:
        raise LookupError("There is no such account.")
    return account


def _no_such_button(_state: EmulatorState, _fields: dict[str, str], _now: float) -> str:
    raise LookupError("There is no such button.")


def _reset(state: EmulatorState, _fields: dict[str, str], _now: float) -> str:
    state.clear()
    return ""


_BUTTONS: dict[str, Callable[[EmulatorState, dict[str, str], float], str]] = {
    "approve": _approve,
    "deny": _deny,
    "advance": _advance,
    "arm": _arm,
    "disarm": _disarm,
    "disarm_all": _disarm_all,
    "disconnect": _disconnect,
    "end": _end,
    "reset": _reset,
}
