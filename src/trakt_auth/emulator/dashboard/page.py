"""The control room: the page at `/`, what keeps it up to date, and its buttons.

For people on this machine; whatever a button does is done by the same calls as in `control.py`.
`routes.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from trakt_auth.emulator.dashboard.control import require_local
from trakt_auth.emulator.dashboard.fault_form import rack, read_fault
from trakt_auth.emulator.dashboard.view import span, view
from trakt_auth.emulator.http.response import Answer, json_answer, text_answer
from trakt_auth.emulator.pages.sessions import checked_form, visit
from trakt_auth.emulator.state.state import AUTO_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.pages.sessions import Visit
    from trakt_auth.emulator.state.model import Account
    from trakt_auth.emulator.state.state import Site

__all__ = ["asset", "live", "press", "room"]

_STATIC = Path(__file__).parents[1] / "static"
_JUMPS = (
    (5, "5 s"),
    (60, "1 min"),
    (600, "10 min"),
    (3600, "1 h"),
    (86_400, "1 day"),
    (604_800, "7 days"),
)


def room(site: Site, request: Request) -> Answer:
    """Show the control room; to other machines, only what this is: `GET /`."""
    browser = visit(site, request)
    if not request.local:
        text = "This server behaves as Trakt does as far as signing in goes. Its control room is "
        text += "shown on the emulator's own machine only."
        return browser.message("Trakt emulator", text, tone="late")
    return browser.show(
        "room.html",
        scripted=True,
        origin=request.origin,
        jumps=_JUMPS,
        rack=rack(),
        default_account=AUTO_ACCOUNT,
        room=view(site, now=request.now),
    )


def live(site: Site, request: Request) -> Answer:
    """Answer `GET /emulator/room` with the parts of the page that change."""
    require_local(request)
    return visit(site, request).show(
        "room/live.html",
        origin=request.origin,
        default_account=AUTO_ACCOUNT,
        room=view(site, now=request.now),
    )


def press(site: Site, request: Request) -> Answer:
    """Carry out a button of the page: `POST /`."""
    require_local(request)
    browser = visit(site, request)
    fields = checked_form(browser)  # which also tells this page from another site's
    decision = fields.get("decision", "")
    button = _BUTTONS.get(decision, _no_such_button)
    try:
        about = button(site, fields, request.now)
    except LookupError as error:
        text = f"{error.args[0]} It may have gone in the meantime."
        return _nothing_done(browser, text, status=404, outcome="unknown")
    except (ValueError, OverflowError) as error:
        text = str(error).strip(".")
        return _nothing_done(
            browser, f"{text[:1].upper()}{text[1:]}.", status=409, outcome="conflict"
        )
    if about:
        request.notes["about"] = about
    return browser.go("/", outcome=decision)


def asset(site: Site, request: Request) -> Answer:
    """Answer `GET /emulator/room.css` and `GET /emulator/room.js`."""
    del site
    require_local(request)
    name = request.endpoint.rpartition("/")[2]
    media_type = "text/css" if name.endswith(".css") else "text/javascript"
    answer = text_answer(_text(name), status=200, outcome="ok", media_type=media_type)
    answer.headers["x-content-type-options"] = "nosniff"
    return answer


def _nothing_done(browser: Visit, text: str, *, status: int, outcome: str) -> Answer:
    """Say why, to the page's script or to a person."""
    if browser.request.headers.get("accept", "") == "application/json":
        return json_answer({"error": text}, status=status, outcome=outcome)
    back = ("/", "Back to the control room")
    return browser.message("Nothing was done", text, status=status, outcome=outcome, onward=back)


@cache
def _text(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")


def _approve(site: Site, fields: dict[str, str], now: float) -> str:
    return _decide(site, fields, now, approve=True)


def _deny(site: Site, fields: dict[str, str], now: float) -> str:
    return _decide(site, fields, now, approve=False)


def _decide(site: Site, fields: dict[str, str], now: float, *, approve: bool) -> str:
    device = site.codes.by_user_code(fields.get("user_code", ""))
    if device is None:
        raise LookupError("There is no such device code.")
    username = fields.get("username", AUTO_ACCOUNT)
    site.decide(device, username=username, approve=approve, now=now)
    return device.user_code


def _advance(site: Site, fields: dict[str, str], _now: float) -> str:
    given = fields.get("seconds", "")
    try:
        seconds = float(given)
    except ValueError:
        raise ValueError(f"the clock moves by a number of seconds, not by {given!r}") from None
    site.clock.advance(seconds)
    return span(seconds)


def _arm(site: Site, fields: dict[str, str], _now: float) -> str:
    name, settings = read_fault(fields)
    return site.faults.arm(name, **settings).kind.name


def _disarm(site: Site, fields: dict[str, str], _now: float) -> str:
    number = fields.get("number", "")
    for fault in site.faults.armed():
        if str(fault.number) == number:
            site.faults.disarm(fault)
            return fault.kind.name
    raise LookupError("This fault is not armed.")


def _disarm_all(site: Site, _fields: dict[str, str], _now: float) -> str:
    site.faults.disarm()
    return ""


def _disconnect(site: Site, fields: dict[str, str], _now: float) -> str:
    account, client_id = _account(site, fields), fields.get("client_id", "")
    site.end_login(account, client_id)
    return f"{account.username}, {client_id}"


def _end(site: Site, fields: dict[str, str], _now: float) -> str:
    account = _account(site, fields)
    for grant in account.grants.get(fields.get("client_id", ""), {}).values():
        if str(grant.number) == fields.get("number"):
            site.grants.end(grant)
            return f"{account.username}, {grant.client_id}"
    raise LookupError("There is no such login.")


def _account(site: Site, fields: dict[str, str]) -> Account:
    account = site.accounts.get(fields.get("username", "").casefold())
    if account is None:
        raise LookupError("There is no such account.")
    return account


def _no_such_button(_site: Site, _fields: dict[str, str], _now: float) -> str:
    raise LookupError("There is no such button.")


def _reset(site: Site, _fields: dict[str, str], _now: float) -> str:
    site.clear()
    return ""


_BUTTONS: dict[str, Callable[[Site, dict[str, str], float], str]] = {
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
