"""Signing in by code and by device, and adopting a token.

The order of steps, once for sync and async. No JSON key, no URL, no thread and no `await` lives
here. Staying signed in is in `refresh`, signing out in `revocation`.
"""

from __future__ import annotations

import trakt_auth.protocol as protocol
from trakt_auth.errors import (
    Blocked,
    DeviceCodeExpired,
    ServerError,
    TransportError,
    UnexpectedResponse,
)
from trakt_auth.flows.context import Context
from trakt_auth.flows.events import TokenObtained
from trakt_auth.flows.refresh import fresh_token
from trakt_auth.flows.saving import keep
from trakt_auth.flows.steps import (
    Flow,
    notify,
    now,
    send,
    sleep,
    uninterruptible,
)
from trakt_auth.protocol.authorization import (
    AuthorizationRequest,
    DeviceAuthorization,
    DevicePoll,
    Granted,
    SlowDown,
)
from trakt_auth.protocol.redirect import code_from
from trakt_auth.protocol.token import Token, TokenState
from trakt_auth.stores.record import Record

__all__ = [
    "adopt",
    "exchange_code",
    "poll_device",
    "start_device",
    "wait_for_device",
]

SLOW_DOWN = 5.0  # seconds added for good at each 429, RFC 8628 §3.5
LONGEST_PAUSE = 60.0  # seconds between two polls while the network is down

BAD_REQUEST = 400
# Request Timeout, Misdirected Request (RFC 9110), Too Early (RFC 8470): the next may fare better.
PASSING = (408, 421, 425)


def exchange_code(
    context: Context, request: AuthorizationRequest, callback: str, *, account: str
) -> Flow[Token]:
    """Finish the authorization code grant: check the redirect, trade its code, keep the tokens.

    Everything that can be wrong with the redirect is found before anything is sent.
    """
    code = code_from(request, callback, context.endpoints)
    exchange = protocol.build_exchange_request(
        context.application,
        context.endpoints,
        code=code,
        redirect_uri=request.redirect_uri,
        code_verifier=request.code_verifier,
    )

    def collect() -> Flow[Token]:
        asked = yield from now()
        response = yield from send(exchange)
        token = protocol.parse_token_response(response, requested_at=asked.wall)
        return (yield from _keep_login(context, token, account))

    return (yield from uninterruptible(collect()))


def start_device(context: Context) -> Flow[DeviceAuthorization]:
    """Start the device flow: ask for the codes to show."""

    def ask() -> Flow[DeviceAuthorization]:
        asked = yield from now()
        response = yield from send(
            protocol.build_device_code_request(context.application, context.endpoints)
        )
        return protocol.parse_device_code_response(response, requested_at=asked.wall)

    return (yield from uninterruptible(ask()))


def poll_device(context: Context, device: DeviceAuthorization, *, account: str) -> Flow[DevicePoll]:
    """Ask once whether the person has answered; a token is kept before it is returned."""
    request = protocol.build_device_token_request(
        context.application, context.endpoints, device_code=device.device_code
    )

    def collect() -> Flow[DevicePoll]:
        asked = yield from now()
        response = yield from send(request)
        poll = protocol.parse_device_token_response(response, requested_at=asked.wall)
        if isinstance(poll, Granted):
            yield from _keep_login(context, poll.token, account)
        return poll

    return (yield from uninterruptible(collect()))


def wait_for_device(context: Context, device: DeviceAuthorization, *, account: str) -> Flow[Token]:
    """Poll until the person has answered or the code has expired.

    Waits first, then polls. A 429 lengthens the interval for good. A lost connection, a 5xx and
    every other answer that says nothing about the code only delay the next poll.
    """
    start = yield from now()
    deadline = start.monotonic + (device.expires_at - start.wall).total_seconds()
    interval = pause = device.interval
    while True:
        left = deadline - (yield from now()).monotonic
        if left <= 0:
            raise DeviceCodeExpired(
                "expired_token", message="The code expired before anybody approved it"
            )
        yield from sleep(min(pause, left))
        if left <= pause:
            continue
        try:
            poll = yield from poll_device(context, device, account=account)
        except (TransportError, ServerError) as error:
            if not _may_pass(error):
                raise
            pause = min(pause * 2, max(LONGEST_PAUSE, interval))
            continue
        yield from notify(poll)
        if isinstance(poll, Granted):
            return poll.token
        if isinstance(poll, SlowDown):
            interval = max(interval + SLOW_DOWN, poll.retry_after or 0)
        pause = interval


def _may_pass(error: TransportError | ServerError) -> bool:
    """Tell whether an answer says nothing about the code, and may be another one next time."""
    if isinstance(error, Blocked):
        return error.cause == "edge"
    if not isinstance(error, UnexpectedResponse):
        return True
    status = error.status or 0
    # A captive portal redirects, or answers with a page of its own under any status.
    return status < BAD_REQUEST or status in PASSING or error.body.startswith("<")


def adopt(context: Context, token: Token, *, account: str) -> Flow[Token]:
    """Take over a token that was obtained elsewhere: keep it, and refresh it if it has expired."""
    yield from uninterruptible(_keep_login(context, token, account))
    moment = yield from now()
    if token.state(moment.wall, account=account) is not TokenState.EXPIRED:
        return token
    return (yield from fresh_token(context, account=account)).token


def _keep_login(context: Context, token: Token, account: str) -> Flow[Token]:
    record = yield from keep(context.key(account), Record(token=token), replacing=None)
    yield from notify(TokenObtained(account=account, token=token), version=record.version)
    return token
