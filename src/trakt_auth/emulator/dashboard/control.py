"""The control calls under `/emulator/`, in JSON, and what the control room shares with them.

For callers on this machine only; everything that programs may do is also a method of `Emulator`.
`routes.py` and `core.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, cast

from trakt_auth.emulator.http.response import Answer, Refused, json_answer
from trakt_auth.emulator.state.state import AUTO_ACCOUNT

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import Account, Application, DeviceCode, Grant
    from trakt_auth.emulator.state.state import Site

__all__ = [
    "approve",
    "clock",
    "deny",
    "describe",
    "faults",
    "require_local",
    "reset",
    "state",
    "waiting",
]

_LISTED = 1000  # of accounts, codes, families and log entries in one answer over HTTP


def state(site: Site, request: Request) -> Answer:
    """Answer `GET /emulator/state`."""
    require_local(request)
    return json_answer(describe(site, now=request.now, limit=_LISTED))


def approve(site: Site, request: Request) -> Answer:
    """Answer `POST /emulator/device/{user_code}/approve`, with an optional `username`."""
    return _decide(site, request, approve=True)


def deny(site: Site, request: Request) -> Answer:
    """Answer `POST /emulator/device/{user_code}/deny`."""
    return _decide(site, request, approve=False)


def clock(site: Site, request: Request) -> Answer:
    """Answer `POST /emulator/clock` with `{"advance": seconds}`."""
    require_local(request)
    seconds = _object(request).get("advance")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise Refused(_bad('the body is {"advance": seconds}'))
    request.notes["about"] = f"the clock moved by {seconds} s"
    try:
        return json_answer({"now": site.clock.advance(seconds)})
    except (ValueError, OverflowError) as error:
        raise Refused(_bad(str(error))) from None


def faults(site: Site, request: Request) -> Answer:
    """Answer `POST /emulator/faults`: arm exactly the faults of the list, so `[]` disarms all."""
    require_local(request)
    content = _body(request)
    if not isinstance(content, list):
        raise Refused(_bad('the body is a list of faults: [{"fault": "slow", "seconds": 5}]'))
    try:
        site.faults.replace(cast("list[object]", content))
    except ValueError as error:
        raise Refused(_bad(str(error))) from None
    names = [fault.kind.name for fault in site.faults.armed()]
    request.notes["about"] = f"armed {', '.join(names)}" if names else "no fault is armed"
    return json_answer({"faults": site.faults.to_list()})


def reset(site: Site, request: Request) -> Answer:
    """Answer `POST /emulator/reset`."""
    require_local(request)
    site.clear()
    request.notes["about"] = "everything was forgotten but the applications and the time"
    return json_answer({"reset": True})


def describe(site: Site, *, now: float, limit: int | None = None) -> dict[str, object]:
    """Return the whole state as plain JSON values; `limit` cuts the long lists."""
    return {
        "now": now,
        "options": site.options.to_dict(),
        "applications": [_application(one) for one in site.applications.values()],
        "requests": site.journal.counts(),
        "accounts": [_account(one) for one in islice(site.accounts.values(), limit)],
        "device_codes": [_device(one, now=now) for one in islice(waiting(site, now), limit)],
        "authorization_codes": site.codes.outstanding(),
        "tokens": site.grants.counts(),
        "families": [_family(one) for one in islice(site.grants.families(), limit)],
        "faults": site.faults.to_list(),
        "log": [entry.to_dict() for entry in islice(reversed(site.journal.entries), limit)],
    }


def _decide(site: Site, request: Request, *, approve: bool) -> Answer:
    require_local(request)
    username = (_object(request) if request.body else {}).get("username", AUTO_ACCOUNT)
    device = site.codes.by_user_code(request.words["user_code"])
    if device is None:
        raise Refused(json_answer({"error": "no such user code"}, status=404, outcome="unknown"))
    if not isinstance(username, str):
        raise Refused(_bad("username is text"))
    try:
        site.decide(device, username=username, approve=approve, now=request.now)
    except ValueError as error:
        raise Refused(json_answer({"error": str(error)}, status=409, outcome="conflict")) from None
    request.notes["about"] = f"{device.user_code} is {device.status}"
    return json_answer({"user_code": device.user_code, "status": device.status})


def require_local(request: Request) -> None:
    """Refuse other machines, other names for this one, and other sites in a browser on it."""
    site = request.headers.get("sec-fetch-site", "")
    # A form of a page without a referrer policy's leave says `Origin: null`, even to its own site.
    own = {request.origin, "null"} if site == "same-origin" else {request.origin}
    foreign = request.headers.get("origin", request.origin) not in own
    if not request.local or foreign or site not in {"", "same-origin", "none"}:
        raise Refused(_not_local())


def _not_local() -> Answer:
    content = {"error": "the emulator is controlled from its own machine only"}
    return json_answer(content, status=403, outcome="not_local")


def _body(request: Request) -> object:
    """Read JSON whatever the content type says: these calls are typed by hand, with curl."""
    try:
        content: object = json.loads(request.body)
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refused(_bad("the body is not valid JSON")) from None
    return content


def _object(request: Request) -> dict[str, object]:
    content = _body(request)
    if not isinstance(content, dict):
        raise Refused(_bad("the body is not a JSON object"))
    return cast("dict[str, object]", content)


def _bad(problem: str) -> Answer:
    return json_answer({"error": problem}, status=400, outcome="bad_request")


def waiting(site: Site, now: float) -> list[DeviceCode]:
    """Return the device codes that have not run out and have not been exchanged."""
    settled = (site.settle(one, now=now) for one in site.codes.devices() if now < one.expires_at)
    return [device for device in settled if device.status in {"pending", "approved"}]


def _application(one: Application) -> dict[str, object]:
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
        "refresh_tokens": {token.key.hex()[:12]: token.arrivals for token in one.refresh},
    }
