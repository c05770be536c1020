"""The order of steps: signing in by code and by device, adopting a token, signing out.

Pure generators: they ask for steps and decide what comes next, once for sync and async.
No JSON key, no URL, no thread, no `await`.

Staying signed in (`fresh_token`, `refresh`, `refresh_rejected`) is in `renewal`.
"""

from __future__ import annotations

from contextlib import suppress
from hmac import compare_digest
from typing import TypeAlias

import trakt_auth.protocol.endpoints as protocol
import trakt_auth.protocol.oauth_errors as refusals
from trakt_auth.errors import (
    DeviceCodeExpired,
    LockTimeout,
    StateMismatch,
    StoreCorrupt,
    StoreEncrypted,
    StoreError,
    TraktAuthError,
    TransportError,
    Unavailable,
    UnexpectedResponse,
    UsageError,
)
from trakt_auth.flows.events import TokenObtained, TokenRevoked
from trakt_auth.flows.refresh import Context, fresh_token
from trakt_auth.flows.saving import keep
from trakt_auth.flows.steps import (
    Flow,
    hold,
    load,
    notify,
    now,
    put_aside,
    recall,
    save,
    send,
    sleep,
    uninterruptible,
)
from trakt_auth.protocol.authorization import (
    AuthorizationRequest,
    AuthorizationResponse,
    DeviceAuthorization,
    DevicePoll,
    Granted,
    SlowDown,
)
from trakt_auth.protocol.token import Token, TokenState
from trakt_auth.stores.record import AccountKey, Record

__all__ = [
    "adopt",
    "exchange_code",
    "poll_device",
    "revoke",
    "start_device",
    "wait_for_device",
]

SLOW_DOWN = 5.0  # seconds added for good at each 429, RFC 8628 §3.5
LONGEST_PAUSE = 60.0  # seconds between two polls while the network is down

Passing: TypeAlias = TransportError | Unavailable | UnexpectedResponse


def exchange_code(
    context: Context, request: AuthorizationRequest, callback: str, *, account: str
) -> Flow[Token]:
    """Finish the authorization code grant: check the redirect, trade its code, keep the tokens.

    Everything that can be wrong with the redirect is found before anything is sent.
    """
    code = _code_from(request, callback)
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


def _code_from(request: AuthorizationRequest, callback: str) -> str:
    callback = callback.strip()
    if "=" not in callback:  # a bare code, as the out-of-band page shows it
        if not callback or not callback.isprintable() or " " in callback:
            raise UsageError(
                "There is no code in what was handed over",
                hint="Copy the code, or the whole address that the browser ended on.",
            )
        return callback
    response = AuthorizationResponse.from_url(callback)
    if not compare_digest((response.state or "").encode(), request.state.encode()):
        raise StateMismatch("The redirect's state is not the one of this sign-in")
    if response.error is not None:
        raise refusals.error_for(response.error, response.error_description)
    return response.code or ""


def start_device(context: Context) -> Flow[DeviceAuthorization]:
    """Start the device flow: ask for the codes to show."""
    asked = yield from now()
    response = yield from send(
        protocol.build_device_code_request(context.application, context.endpoints)
    )
    return protocol.parse_device_code_response(response, requested_at=asked.wall)


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

    Waits first, then polls. A 429 lengthens the interval for good; a lost connection or a 5xx
    only delays the next poll.
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
        except (TransportError, Unavailable, UnexpectedResponse) as error:
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


def _may_pass(error: Passing) -> bool:
    # A captive portal or an interstitial page answers 200 with HTML for a while.
    return not isinstance(error, UnexpectedResponse) or error.status == protocol.OK


def adopt(context: Context, token: Token, *, account: str) -> Flow[Token]:
    """Take over a token that was obtained elsewhere: keep it, and refresh it if it has expired."""
    yield from uninterruptible(_keep_login(context, token, account))
    moment = yield from now()
    if token.state(moment.wall, account=account) is not TokenState.EXPIRED:
        return token
    return (yield from fresh_token(context, account=account))


def revoke(context: Context, *, account: str) -> Flow[None]:
    """Sign out: forget the tokens here, and tell Trakt as far as it can be reached."""
    yield from uninterruptible(_revoke(context, account))


def _revoke(context: Context, account: str) -> Flow[None]:
    # Forgotten first: while Trakt takes its time to answer, somebody may sign in again.
    tokens: list[Token] = []
    failure = None
    try:
        yield from uninterruptible(_forget(context, context.key(account), tokens))
    except StoreError as error:
        failure = error
    told = False
    for token in tokens:
        told |= yield from _tell_trakt(context, token)
    if failure is not None:
        if told:
            failure.hint = (
                "Trakt has ended the login; sign out again once the store can be written."
            )
        raise failure


def _forget(context: Context, key: AccountKey, tokens: list[Token]) -> Flow[None]:
    """Forget what is kept and what was put aside.

    `tokens` gets what could be read, whether or not it could be forgotten.
    """
    # Whoever refreshes meanwhile cannot bring the record back: its version will be gone.
    with suppress(LockTimeout):
        yield from hold(key, wait=context.lock_wait)
    failure: StoreError | None = None
    aside = False
    try:
        aside = yield from _forget_aside(key, tokens)
    except StoreError as error:  # it must not keep the rest
        failure = error
    kept = yield from _forget_kept(key, tokens)
    if aside or kept:
        yield from notify(TokenRevoked(account=key.account))
    if failure is not None:
        raise failure


def _forget_kept(key: AccountKey, tokens: list[Token]) -> Flow[bool]:
    with suppress(StoreCorrupt, StoreEncrypted):  # what cannot be read can be forgotten
        stored = yield from load(key)
        if stored is None:
            return False
        tokens.append(Record.from_stored(stored).token)
    yield from save(key, None, replacing=None)
    return True


def _forget_aside(key: AccountKey, tokens: list[Token]) -> Flow[bool]:
    version = None
    with suppress(StoreCorrupt, StoreEncrypted):
        aside = yield from recall(key)
        if aside is None:
            return False
        version = aside.version
        tokens.append(Record.from_stored(aside).token)
    yield from put_aside(key, None, replacing=version)
    return True


def _tell_trakt(context: Context, token: Token) -> Flow[bool]:
    """Revoke both tokens, as far as Trakt can be reached; return whether it took one."""
    told = False
    for secret in filter(None, (token.refresh_token, token.access_token)):
        request = protocol.build_revoke_request(
            context.application, context.endpoints, token=secret
        )
        try:
            protocol.parse_revoke_response((yield from send(request)))
        except TransportError:
            break  # the next one would not arrive either
        except TraktAuthError:
            continue
        told = True
    return told


def _keep_login(context: Context, token: Token, account: str) -> Flow[Token]:
    key, aside = context.key(account), None
    with suppress(StoreError):  # who reads the account next meets it, and passes it by
        aside = yield from recall(key)
    version = yield from keep(key, token, replacing=None)
    if aside is not None:  # what was put aside before is older than this login
        with suppress(StoreError):
            yield from put_aside(key, None, replacing=aside.version)
    yield from notify(TokenObtained(account=account, token=token), version=version)
    return token
