"""The control calls under `/emulator/`, in JSON, and the check that a caller is on this machine.

Everything that they do is also a method of `Emulator`. No HTML is made here.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, cast

from trakt_auth.emulator.http.response import ErrorResponse, Response, json_response
from trakt_auth.emulator.state.state import DEFAULT_USERNAME

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import Account, Application, DeviceCode, Grant
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = [
    "advance_clock",
    "approve",
    "deny",
    "describe",
    "describe_application",
    "json_body",
    "open_device_codes",
    "replace_faults",
    "require_local",
    "reset",
    "show_state",
]

_LIST_LIMIT = 1000  # accounts, codes, families or log entries in one response


def show_state(state: EmulatorState, request: Request) -> Response:
    """Answer `GET /emulator/state`."""
    require_local(request)
    return json_response(describe(state, now=request.now, limit=_LIST_LIMIT))


def approve(state: EmulatorState, request: Request) -> Response:
    """Answer `POST /emulator/device/{user_code}/approve`, with an optional `username`."""
    return _decide(state, request, approve=True)


def deny(state: EmulatorState, request: Request) -> Response:
    """Answer `POST /emulator/device/{user_code}/deny`."""
    return _decide(state, request, approve=False)


def advance_clock(state: EmulatorState, request: Request) -> Response:
    """Answer `POST /emulator/clock` with `{"advance": seconds}`."""
    require_local(request)
    seconds = _object(request).get("advance")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ErrorResponse(_bad('the body must be {"advance": seconds}'))
    request.notes["about"] = f"advanced the clock by {seconds} s"
    try:
        return json_response({"now": state.clock.advance(seconds)})
    except (ValueError, OverflowError) as error:
        raise ErrorResponse(_bad(str(error))) from None


def replace_faults(state: EmulatorState, request: Request) -> Response:
    """Answer `POST /emulator/faults`: disarm all faults, and arm those in the list."""
    require_local(request)
    content = json_body(request)
    if not isinstance(content, list):
        raise ErrorResponse(
            _bad('the body must be a list of faults: [{"fault": "slow", "seconds": 5}]')
        )
    try:
        state.faults.replace(cast("list[object]", content))
    except ValueError as error:
        raise ErrorResponse(_bad(str(error))) from None
    names = [fault.kind.name for fault in state.faults.armed()]
    request.notes["about"] = f"armed {', '.join(names)}" if names else "disarmed all faults"
    return json_response({"faults": state.faults.to_list()})


def reset(state: EmulatorState, request: Request) -> Response:
    """Answer `POST /emulator/reset`."""
    require_local(request)
    state.clear()
    request.notes["about"] = "deleted everything except the applications and the time"
    return json_response({"reset": True})


def describe(state: EmulatorState, *, now: float, limit: int | None = None) -> dict[str, object]:
    """Return the state as plain JSON values; `limit` is the most items of each long list."""
    return {
        "now": now,
        "options": state.options.to_dict(),
        "applications": [describe_application(one) for one in state.applications.values()],
        "requests": state.request_log.counts(),
        "accounts": [_account(one) for one in islice(state.accounts.values(), limit)],
        "device_codes": [
            _device(one, now=now) for one in islice(open_device_codes(state, now), limit)
        ],
        "authorization_codes": state.codes.outstanding(),
        "tokens": state.grants.counts(),
        "families": [_family(one) for one in islice(state.grants.families(), limit)],
        "faults": state.faults.to_list(),
        "responses": state.responses.to_list(),
        "log": [entry.to_dict() for entry in islice(reversed(state.request_log.entries), limit)],
    }


def _decide(state: EmulatorState, request: Request, *, approve: bool) -> Response:
    require_local(request)
    username = (_object(request) if request.body else {}).get("username", DEFAULT_USERNAME)
    device = state.codes.by_user_code(request.path_parameters["user_code"])
    if device is None:
        raise ErrorResponse(
            json_response({"error": "no such user code"}, status=404, outcome="unknown")
        )
    if not isinstance(username, str):
        raise ErrorResponse(_bad("username must be text"))
    try:
        state.decide(device, username=username, approve=approve, now=request.now)
    except ValueError as error:
        raise ErrorResponse(
            json_response({"error": str(error)}, status=409, outcome="conflict")
        ) from None
    request.notes["about"] = f"{device.user_code} is {device.status}"
    return json_response({"user_code": device.user_code, "status": device.status})


def require_local(request: Request) -> None:
    """Accept only requests from this machine, to a loopback name, and not from another website.

    Raises: ErrorResponse with 403 for any other.
    """
    fetch_site = request.headers.get("sec-fetch-site", "")
    # The dashboard's referrer policy makes its own forms send `Origin: null`.
    own = {request.origin, "null"} if fetch_site == "same-origin" else {request.origin}
    foreign = request.headers.get("origin", request.origin) not in own
    if not request.local or foreign or fetch_site not in {"", "same-origin", "none"}:
        raise ErrorResponse(_not_local())


def _not_local() -> Response:
    content = {"error": "the emulator can be controlled from its own machine only"}
    return json_response(content, status=403, outcome="not_local")


def json_body(request: Request) -> object:
    """Read JSON, whatever the content type says: curl sends that of a form by default."""
    try:
        content: object = json.loads(request.body)
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ErrorResponse(_bad("the body is not valid JSON")) from None
    return content


def _object(request: Request) -> dict[str, object]:
    content = json_body(request)
    if not isinstance(content, dict):
        raise ErrorResponse(_bad("the body is not a JSON object"))
    return cast("dict[str, object]", content)


def _bad(problem: str) -> Response:
    return json_response({"error": problem}, status=400, outcome="bad_request")


def open_device_codes(state: EmulatorState, now: float) -> list[DeviceCode]:
    """Return the device codes that are pending or approved and have not expired, oldest first."""
    codes = [one for one in state.codes.devices() if now < one.expires_at]
    for one in codes:
        state.apply_auto_approval(one, now=now)
    return [one for one in codes if one.status in {"pending", "approved"}]


def describe_application(one: Application) -> dict[str, object]:
    """Return what pages and the control interface show of an application."""
    return {
        "client_id": one.client_id,
        "name": one.title,
        "redirect_uris": list(one.redirect_uris),
        "has_secret": one.secret_hash is not None,
    }


def _account(one: Account) -> dict[str, object]:
    return {
        "username": one.username,
        "created_at": one.created_at,
        "applications": sorted(one.approved),
    }


def _device(one: DeviceCode, *, now: float) -> dict[str, object]:
    return {
        "user_code": one.user_code,
        "client_id": one.client_id,
        "status": one.status,
        "account": None if one.account is None else one.account.username,
        "expires_in": one.expires_at - now,
        "polls": one.polls,
    }


def _family(one: Grant) -> dict[str, object]:
    return {
        "number": one.number,
        "client_id": one.client_id,
        "account": one.account.username,
        "alive": one.alive,
        "refresh_tokens": {token.key.hex()[:12]: token.arrivals for token in one.refresh_tokens},
    }
