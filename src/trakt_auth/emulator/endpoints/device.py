"""The two device endpoints, in Trakt's dialect (facts section 3) and not RFC 8628's.

Reads requests and writes answers; the rules of codes are in `codes.py`.
Only `routes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trakt_auth.emulator.endpoints.client_auth import authenticate
from trakt_auth.emulator.endpoints.token import issue, token_answer
from trakt_auth.emulator.expiring_dict import fingerprint
from trakt_auth.emulator.http.response import Answer, Refused, empty, json_answer, oauth_error

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import DeviceCode
    from trakt_auth.emulator.state.state import Site

__all__ = ["device_code", "device_token"]

_SLACK = (
    0.1  # seconds by which a punctual poll may seem early, clocks and networks being what they are
)


def device_code(site: Site, request: Request) -> Answer:
    """Answer `POST /oauth/device/code`."""
    application = authenticate(site, request, request.fields())
    text, device = site.codes.start_device(application.client_id, now=request.now)
    return json_answer(
        {
            "device_code": text,
            "user_code": device.user_code,
            "verification_url": f"{request.origin}/activate",
            "expires_in": site.options.device_lifetime,
            "interval": site.options.device_interval,
        },
        outcome="started",
    )


def device_token(site: Site, request: Request) -> Answer:
    """Answer `POST /oauth/device/token`; only 200 has a body, apart from malformed requests."""
    fields = request.fields()
    application = authenticate(site, request, fields)
    text = fields.get("code")
    if text is None:
        raise Refused(oauth_error("invalid_request", "missing code"))
    request.notes["code"] = fingerprint(text)
    device = site.codes.device(text)
    if device is None or device.client_id != application.client_id:
        return empty(404, "unknown")
    device.polls += 1
    site.settle(device, now=request.now)
    return _settled(device, now=request.now) or _poll(site, request, device)


def _settled(device: DeviceCode, *, now: float) -> Answer | None:
    """Return the answer for a code of which nothing more can come."""
    if device.status == "used":
        return empty(409, "used")
    if device.status == "denied":
        return empty(418, "denied")
    return empty(410, "expired") if now >= device.expires_at else None


def _poll(site: Site, request: Request, device: DeviceCode) -> Answer:
    interval = site.options.device_interval
    if device.polled_at is not None and site.options.enforce_interval:
        wait = device.polled_at + interval - request.now
        if wait > _SLACK:
            answer = empty(429, "slow_down")
            if site.options.slow_down_retry_after:
                answer.headers["retry-after"] = str(math.ceil(wait))
            return answer
    # A poll that was refused as too early does not push the next one further away.
    device.polled_at = request.now
    if device.status == "pending" or device.account is None:
        return empty(400, "pending")
    device.status = "used"
    request.notes["account"] = device.account.username
    grant = site.grants.open(device.account, device.client_id, now=request.now)
    return token_answer(request, issue(site, request, grant), outcome="granted")
