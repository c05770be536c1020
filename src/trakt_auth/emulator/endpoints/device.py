"""The two device endpoints, as Trakt has them: they differ from RFC 8628.

Parses requests and builds responses; the rules of device codes are in `state/`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trakt_auth.emulator.endpoints.client_auth import authenticate
from trakt_auth.emulator.endpoints.token import issue, token_response
from trakt_auth.emulator.hashing import fingerprint
from trakt_auth.emulator.http.response import (
    ErrorResponse,
    Response,
    empty_response,
    json_response,
    oauth_error,
)

if TYPE_CHECKING:
    from trakt_auth.emulator.http.request import Request
    from trakt_auth.emulator.state.model import DeviceCode
    from trakt_auth.emulator.state.state import EmulatorState

__all__ = ["device_code", "device_token"]

_TOLERANCE = 0.1  # seconds; a poll that is sent on time may arrive this much early


def device_code(state: EmulatorState, request: Request) -> Response:
    """Answer `POST /oauth/device/code`."""
    application = authenticate(state, request, request.fields())
    text, device = state.codes.start_device(application.client_id, now=request.now)
    return json_response(
        {
            "device_code": text,
            "user_code": device.user_code,
            "verification_url": f"{request.origin}/activate",
            "expires_in": state.options.device_lifetime,
            "interval": state.options.device_interval,
        },
        outcome="started",
    )


def device_token(state: EmulatorState, request: Request) -> Response:
    """Answer `POST /oauth/device/token`.

    Only 200 and malformed requests get a body, as at Trakt.
    """
    fields = request.fields()
    application = authenticate(state, request, fields)
    text = fields.get("code")
    if text is None:
        raise ErrorResponse(oauth_error("invalid_request", "missing code"))
    request.notes["code"] = fingerprint(text)
    device = state.codes.device(text)
    if device is None or device.client_id != application.client_id:
        return empty_response(404, "unknown")
    device.polls += 1
    state.apply_auto_approval(device, now=request.now)
    return _final(device, now=request.now) or _poll(state, request, device)


def _final(device: DeviceCode, *, now: float) -> Response | None:
    """Return the response for a code that can never give a token any more, or None."""
    if device.status == "used":
        return empty_response(409, "used")
    if device.status == "denied":
        return empty_response(418, "denied")
    return empty_response(410, "expired") if now >= device.expires_at else None


def _poll(state: EmulatorState, request: Request, device: DeviceCode) -> Response:
    interval = state.options.device_interval
    if device.polled_at is not None and state.options.enforce_interval:
        wait = device.polled_at + interval - request.now
        if wait > _TOLERANCE:
            response = empty_response(429, "slow_down")
            if state.options.slow_down_retry_after:
                response.headers["retry-after"] = str(math.ceil(wait))
            return response
    # A poll that came too early got 429 above: it does not delay the next one.
    device.polled_at = request.now
    if device.status == "pending" or device.account is None:
        return empty_response(400, "pending")
    device.status = "used"
    request.notes["account"] = device.account.username
    grant = state.grants.open(device.account, device.client_id, now=request.now)
    return token_response(request, grant, issue(state, request, grant), outcome="granted")
