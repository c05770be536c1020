"""The dashboard at `/`: the page, the parts of it that change, its forms and static files.

For users on this machine only. What the page shows is chosen in `view.py`; what a button does is in
`buttons.py`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from trakt_auth.emulator.dashboard.buttons import confirmation, latest_confirmation, press
from trakt_auth.emulator.dashboard.control import require_local
from trakt_auth.emulator.dashboard.fault_form import fault_forms
from trakt_auth.emulator.dashboard.selection import LOG_KINDS, Selection
from trakt_auth.emulator.dashboard.view import view
from trakt_auth.emulator.http.response import Response, json_response, text_response
from trakt_auth.emulator.pages.sessions import checked_form, visit
from trakt_auth.emulator.state.state import DEFAULT_USERNAME

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.pages.sessions import Visit
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
    """Show the dashboard or, to another machine, only what this server is: `GET /`.

    After an action the query names it, and the page confirms it.
    """
    browser = visit(state, request)
    if not request.local:
        text = "This server emulates signing in to Trakt. Its dashboard is available on its own "
        text += "machine only."
        link = ("/activate", "Enter the code of a device")
        return browser.message("Trakt emulator", text, tone="late", link=link)
    done = latest_confirmation(state, request.query.get("done", [""])[0])
    return _render(browser, "dashboard/dashboard.html", scripted=True, done=done)


def live_parts(state: EmulatorState, request: Request) -> Response:
    """Answer `GET /emulator/room` with the parts of the page that change."""
    require_local(request)
    return _render(visit(state, request), "dashboard/live.html")


def press_button(state: EmulatorState, request: Request) -> Response:
    """Carry out the action of the button that was pressed: `POST /`."""
    require_local(request)
    browser = visit(state, request)
    fields = checked_form(browser)  # its CSRF token proves that the form is this page's
    decision = fields.get("decision", "")
    try:
        about = press(state, fields, request.now)
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
    if _wants_json(request):
        return json_response({"done": confirmation(decision, about)}, outcome=decision)
    return browser.go(Selection.of(request).url_with(done=decision), outcome=decision)


def static_file(state: EmulatorState, request: Request) -> Response:
    """Answer `GET /emulator/room.css` and `GET /emulator/room.js`."""
    del state
    require_local(request)
    name, media_type = _FILES[request.endpoint]
    response = text_response(_text(name), status=200, outcome="ok", media_type=media_type)
    response.headers["x-content-type-options"] = "nosniff"
    return response


def _render(browser: Visit, template: str, *, scripted: bool = False, done: str = "") -> Response:
    """Show the page or its live parts; `done` is the confirmation of an action."""
    state, request = browser.state, browser.request
    selection = Selection.of(request)
    return browser.show(
        template,
        scripted=scripted,
        done=done,
        clock_steps=_CLOCK_STEPS,
        origin=request.origin,
        selection=selection,
        here=selection.url,
        log_kinds=LOG_KINDS,
        fault_forms=fault_forms(),
        default_username=DEFAULT_USERNAME,
        dashboard=view(state, now=request.now, log_kind=selection.log),
    )


def _nothing_changed(browser: Visit, text: str, *, status: int, outcome: str) -> Response:
    """Say why: in JSON to the page's script, on a page to a user without scripts."""
    if _wants_json(browser.request):
        return json_response({"error": text}, status=status, outcome=outcome)
    back = (Selection.of(browser.request).url, "Back to the dashboard")
    return browser.message("Nothing was changed", text, status=status, outcome=outcome, link=back)


def _wants_json(request: Request) -> bool:
    return request.headers.get("accept", "") == "application/json"


@cache
def _text(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")
