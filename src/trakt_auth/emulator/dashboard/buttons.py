"""What the buttons of the dashboard do, and the sentence that confirms it.

Each takes the fields of its form. No HTML is made here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trakt_auth.emulator.dashboard.fault_form import parse_fault_form
from trakt_auth.emulator.dashboard.view import format_duration
from trakt_auth.emulator.state.state import DEFAULT_USERNAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from trakt_auth.emulator.state.model import Account
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["confirmation", "latest_confirmation", "press"]

_LATEST = 20  # log entries, among which that of the button is: the page itself is logged too

_CONFIRMATIONS = {
    "approve": "Approved {}.",
    "deny": "Denied {}.",
    "advance": "Advanced the clock by {}.",
    "arm": "Armed {}.",
    "disarm": "Disarmed {}.",
    "disarm_all": "Disarmed all faults.",
    "disconnect": "Disconnected {}.",
    "end": "Ended the tokens of {}.",
    "reset": "Deleted everything except the applications and the time.",
}


def press(state: EmulatorState, fields: dict[str, str], now: float) -> str:
    """Carry out the action of the button `decision`; return what it was about, or nothing.

    Raises: LookupError for an item or a button that does not exist; ValueError or OverflowError
        for an input that is not possible.
    """
    button = _BUTTONS.get(fields.get("decision", ""))
    if button is None:
        raise LookupError("There is no such button.")
    return button(state, fields, now)


def confirmation(decision: str, about: str) -> str:
    """Return the sentence that confirms an action."""
    return _CONFIRMATIONS[decision].format(about)


def latest_confirmation(state: EmulatorState, decision: str) -> str:
    """Return the sentence for the latest action, if that was `decision`; otherwise nothing."""
    for _, entry in state.request_log.newest(_LATEST):
        if entry.endpoint == "/" and entry.outcome in _CONFIRMATIONS:
            about = entry.notes.get("about", "")
            return confirmation(decision, about) if entry.outcome == decision else ""
    return ""


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
    return f"{account.username} from {client_id}"


def _end(state: EmulatorState, fields: dict[str, str], _now: float) -> str:
    account = _account(state, fields)
    for grant in account.grants.get(fields.get("client_id", ""), {}).values():
        if str(grant.number) == fields.get("number"):
            state.grants.end(grant)
            return f"login {grant.number} of {account.username} in {grant.client_id}"
    raise LookupError("There is no such login.")


def _account(state: EmulatorState, fields: dict[str, str]) -> Account:
    account = state.accounts.get(fields.get("username", "").casefold())
    if account is None:
        raise LookupError("There is no such account.")
    return account


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
