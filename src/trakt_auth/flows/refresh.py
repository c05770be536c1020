"""Staying signed in: read, lock, read again, write a note, send, save.

A refresh token works once; every rule here follows from that. Whether a refresh is due is decided
in `policy`, how a pair is saved in `saving`.

What a response means for the login:

- tokens: they are saved, and only then is the old pair gone.
- `invalid_grant`: the store is read again; if the record is unchanged, the login is over.
- refused without a look at the grant (429, 403, other OAuth errors), or never sent: the refresh
  token is unspent; it is tried again after a growing pause.
- anything else: the refresh token may be spent. The access token goes on serving. The old refresh
  token is tried once more only when the access token has ended, since a replay can end the login.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import trakt_auth.protocol as protocol
from trakt_auth.errors import (
    InvalidGrant,
    LockTimeout,
    LoginRequired,
    RateLimited,
    StoreConflict,
    StoreError,
    TokenNotSaved,
    TraktAuthError,
)
from trakt_auth.flows.context import Context
from trakt_auth.flows.events import LoginNeeded
from trakt_auth.flows.pause import obey_pause, share_pause
from trakt_auth.flows.policy import (
    Need,
    RefreshRequest,
    after_failure,
    next_rejections,
    refresh_need,
    token_state,
    why_over,
    why_refused,
)
from trakt_auth.flows.revocation import revoke_at_trakt
from trakt_auth.flows.saving import SignedOutMeanwhile, journal, keep_refreshed, read
from trakt_auth.flows.steps import (
    Flow,
    hold,
    notify,
    now,
    send,
    single_flight,
    uninterruptible,
)
from trakt_auth.protocol.token import TokenState
from trakt_auth.stores.record import (
    CONFLICTS,
    AccountKey,
    Attempt,
    Outcome,
    Record,
    answer_lost_at,
    too_busy,
)

__all__ = ["fresh_token", "refresh", "refresh_rejected"]


def fresh_token(context: Context, *, account: str) -> Flow[Record]:
    """Return the record of a token that is valid now; refreshed first if it is due (RFC 6749 §6).

    Trakt's access tokens live for as long as `expires_in` says (7 days in 2026), and each
    refresh replaces both tokens. Fresh: returned as it is. Stale, that is due but still valid:
    one caller refreshes, all others go on with what they have. Expired: all wait for the one.
    """
    return (yield from _refreshed_if_due(context, context.request(account)))


def refresh_rejected(context: Context, *, account: str, rejected: str) -> Flow[Record]:
    """Return another token than `rejected`, the access token that the API refused with a 401.

    The same one when it has itself replaced a rejected one a moment ago: a minute, and twice as
    long after each further rejection in a row, up to 12 hours.
    """
    request = context.request(account, rejected_token=rejected)
    try:
        return (yield from _refreshed_if_due(context, request))
    except LoginRequired:
        yield from uninterruptible(_end_login(context.key(account), rejected))
        raise


def _end_login(key: AccountKey, rejected: str) -> Flow[None]:
    """Note that the API has rejected a token that cannot be refreshed: no process serves it."""
    with suppress(StoreError, LoginRequired):
        record = yield from read(key)
        last, at = record.attempt, (yield from now()).wall
        over = why_over(record, at, access_rejected=True)
        known = last is not None and last.access_rejected
        if over is None or known or record.token.access_token != rejected:
            return
        ended = Attempt(outcome=Outcome.REFUSED, started_at=at, reason=over, access_rejected=True)
        ended_record = yield from journal(key, record, ended)
        yield from notify(
            LoginNeeded(account=key.account, reason=over), version=ended_record.version
        )


def refresh(context: Context, *, account: str) -> Flow[Record]:
    """Refresh whether or not it is due; two callers at the same time share one refresh."""
    record = yield from read(context.key(account))
    request = context.request(account, rejected_token=record.token.access_token, forced=True)
    return (yield from _refreshed_if_due(context, request))


def _refreshed_if_due(context: Context, request: RefreshRequest) -> Flow[Record]:
    key = context.key(request.account)
    while True:
        record = yield from read(key)
        moment = yield from now()
        need = refresh_need(record, request, moment.wall)
        if need is Need.NOTHING:
            return record
        wait = need is Need.REQUIRED
        refreshed: Record | None = None
        try:
            refreshed = yield from single_flight(
                _refresh_under_lock(context, request, wait=wait), key=key, wait=wait
            )
        except TokenNotSaved:
            raise
        except StoreError:  # nothing was sent
            if wait:
                raise
        if refreshed is not None and refreshed.token != record.token:
            return refreshed
        # Not refreshed: another worker is refreshing, it failed, or we joined a different request.
        # If we need not wait and the token has not ended meanwhile, it serves.
        if not wait:
            at = (yield from now()).wall
            if token_state(record, at, account=request.account) is not TokenState.EXPIRED:
                return record


def _refresh_under_lock(context: Context, request: RefreshRequest, *, wait: bool) -> Flow[Record]:
    """Refresh while we hold the account's lock, unless another worker does or has."""
    key = context.key(request.account)
    if not (yield from hold(key, wait=context.lock_wait if wait else 0)):
        return (yield from read(key, newest=True))
    for _ in range(CONFLICTS):
        record = yield from read(key, newest=True)
        at = (yield from now()).wall
        need = refresh_need(record, request, at, locked=True)
        if need is Need.NOTHING:
            yield from _mark_unknown(key, record)
            return record
        try:
            return (yield from _spend(context, key, record, at, request))
        except StoreConflict:
            continue
        except TokenNotSaved:
            raise
        except TraktAuthError:
            if need is Need.REQUIRED:
                raise
            return record
    raise too_busy(key)


def _spend(
    context: Context, key: AccountKey, record: Record, at: datetime, request: RefreshRequest
) -> Flow[Record]:
    """Send the refresh token, once: write a note, send, save.

    The note comes first: it proves that the store can be written, and after a crash it tells that
    the refresh token may be spent.
    """
    yield from obey_pause(context.key(""), at)
    begun = _begun(record.attempt, at)
    noted = yield from _write_note(key, record, begun)
    http_request = protocol.build_refresh_request(
        context.application, context.endpoints, refresh_token=noted.token.refresh_token or ""
    )
    try:
        response = yield from send(http_request)
        token = protocol.parse_refresh_response(response, requested_at=at, replacing=noted.token)
    except InvalidGrant as error:
        rejected = request.rejected_token == noted.token.access_token and not request.forced
        return (yield from _refused(key, noted, error, access_rejected=rejected))
    except TraktAuthError as error:
        yield from _failed(context, key, noted, begun, error)
        raise
    try:
        return (
            yield from keep_refreshed(
                key,
                token,
                noted,
                rejections=next_rejections(record, request, at),
                skew=(at - token.created_at).total_seconds(),
            )
        )
    except SignedOutMeanwhile:
        yield from revoke_at_trakt(context, token)
        raise


def _write_note(key: AccountKey, record: Record, begun: Attempt) -> Flow[Record]:
    """Note that a refresh begins; without the note nothing is sent."""
    try:
        return (yield from journal(key, record, begun))
    except StoreConflict:
        raise
    except StoreError:
        # The store may have saved the note although its answer was lost. Nothing was sent, so a
        # note that is there is taken back.
        with suppress(StoreError, LoginRequired):
            there = yield from read(key, newest=True)
            if there.attempt == begun:
                yield from journal(key, there, record.attempt)
        raise


def _begun(last: Attempt | None, at: datetime) -> Attempt:
    return Attempt(
        outcome=Outcome.BEGUN,
        started_at=at,
        failures=last.failures if last else 0,
        lost_at=answer_lost_at(last, locked=True) if last else None,
    )


def _mark_unknown(key: AccountKey, record: Record) -> Flow[None]:
    """Record that the answer to a refresh was lost, since the process that sent it has died.

    That it died is known only to the holder of the lock; `unknown` tells it to every reader.
    """
    note = record.attempt
    if note is not None and note.outcome is Outcome.BEGUN:
        lost = replace(note, outcome=Outcome.UNKNOWN, lost_at=answer_lost_at(note, locked=True))
        with suppress(StoreError):  # the holder of the lock reads `begun` as `unknown`
            yield from journal(key, record, lost)


def _failed(
    context: Context, key: AccountKey, noted: Record, begun: Attempt, error: TraktAuthError
) -> Flow[None]:
    at = (yield from now()).wall
    # If this cannot be saved, the note `begun` stays, and the next refresh is the more careful.
    with suppress(StoreError):
        yield from journal(key, noted, after_failure(begun, error, at))
    if isinstance(error, RateLimited):
        with suppress(StoreError):
            yield from share_pause(context.key(""), error)


def _refused(
    key: AccountKey, noted: Record, error: InvalidGrant, *, access_rejected: bool
) -> Flow[Record]:
    """Handle invalid_grant: the login is over, unless another process has refreshed it."""
    record = yield from read(key, newest=True)
    if record.token.refresh_token != noted.token.refresh_token:
        return record
    if record.attempt != noted.attempt:
        # Our lease has ended, and the next holder may just have spent the refresh token.
        raise LockTimeout(
            f"Another process took over account {key.account!r} while Trakt was answering"
        ) from error
    reason = why_refused(noted.attempt)
    at = (yield from now()).wall
    over = Attempt(
        outcome=Outcome.REFUSED, started_at=at, reason=reason, access_rejected=access_rejected
    )
    version = noted.version
    with suppress(StoreError):  # the next process asks Trakt once more and learns the same
        version = (yield from journal(key, record, over)).version
    yield from notify(LoginNeeded(account=key.account, reason=reason), version=version)
    raise LoginRequired(account=key.account, reason=reason) from error
