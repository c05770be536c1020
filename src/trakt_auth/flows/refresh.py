"""Staying signed in: the order read, lock, read again, note, send, save.

Pure generators, like `flows`. A refresh token works once: every rule here follows.

What an answer means for the login:

- tokens: kept; only then is the old pair forgotten.
- `invalid_grant`: the store is read again; if nobody changed it, the login is over, for good.
- refused before it was looked at (429, 403, other OAuth errors) or never sent: the refresh token
  is unspent; try again, after a growing pause.
- anything else: the refresh token may be spent. The access token goes on serving, and the old
  refresh token is tried once more only when nothing is left to lose: a replay can end it all.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

import trakt_auth.protocol.endpoints as protocol
from trakt_auth.errors import (
    InvalidGrant,
    LockTimeout,
    LoginRequired,
    RateLimited,
    StoreConflict,
    StoreCorrupt,
    StoreError,
    TokenNotSaved,
    TraktAuthError,
)
from trakt_auth.flows.events import LoginNeeded
from trakt_auth.flows.policy import (
    LONGEST_RETRY_AFTER,
    Need,
    RefreshRequest,
    after_failure,
    judge,
    lost_at,
    pause_after,
    why_refused,
)
from trakt_auth.flows.saving import CONFLICTS, journal, keep_renewed, look, read
from trakt_auth.flows.steps import Flow, hold, load, notify, now, save, send, single_flight
from trakt_auth.protocol.application import Application, Endpoints
from trakt_auth.protocol.token import Token
from trakt_auth.stores.record import (
    NOTHING,
    AccountKey,
    Attempt,
    Outcome,
    Record,
    pause_from,
    pause_to,
)

__all__ = ["Context", "fresh_token", "refresh", "refresh_rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Whom a flow works for, and how patient it is. `lock_wait` is in seconds.

    `replay_unknown` spends a refresh token again at once although the answer to the last try was
    lost; by default that waits until the access token has ended.
    """

    application: Application
    endpoints: Endpoints
    lock_wait: float = 90.0
    replay_unknown: bool = False

    def key(self, account: str) -> AccountKey:
        """Return where a store keeps an account; the empty one is the application itself."""
        return AccountKey(self.application.client_id, account)


def fresh_token(context: Context, *, account: str) -> Flow[Token]:
    """Return a token that is valid now; refreshed first if it is due (RFC 6749 §6).

    Trakt's access tokens live for as long as `expires_in` says (7 days in 2026), and each
    refresh replaces both tokens. Fresh: returned as it is. Stale, that is due but still valid:
    one caller refreshes, all others go on with what they have. Expired: all wait for the one.
    """
    return (yield from _renewed(context, _wish(context, account)))


def refresh_rejected(context: Context, *, account: str, rejected: str) -> Flow[Token]:
    """Return another token than `rejected`, the access token that the API refused with a 401.

    The same one when it has itself replaced one that was refused, less than a minute ago.
    """
    return (yield from _renewed(context, _wish(context, account, rejected=rejected)))


def refresh(context: Context, *, account: str) -> Flow[Token]:
    """Refresh because somebody says so; two who say so at once share one refresh."""
    record = yield from look(context.key(account))
    wish = _wish(context, account, rejected=record.token.access_token, told=True)
    return (yield from _renewed(context, wish))


def _wish(
    context: Context, account: str, *, rejected: str | None = None, told: bool = False
) -> RefreshRequest:
    return RefreshRequest(
        account=account, rejected=rejected, told=told, replay_unknown=context.replay_unknown
    )


def _renewed(context: Context, wish: RefreshRequest) -> Flow[Token]:
    key = context.key(wish.account)
    while True:
        record = yield from look(key)
        moment = yield from now()
        need = judge(record, wish, moment.wall)
        if need is Need.NOTHING:
            return record.token
        wait = need is Need.REQUIRED
        token: Token | None = None
        try:
            token = yield from single_flight(_renew(context, wish, wait=wait), key=key, join=wait)
        except TokenNotSaved:
            raise
        except StoreError:  # nothing was sent, and this one serves
            if wait:
                raise
        if token is not None and token != record.token:
            return token
        # It was not replaced: somebody else is at it, or it could not be, or what we joined was
        # asked for with another wish. It may have ended by now.
        if not wait and (yield from now()).wall < record.token.expires_at:
            return record.token


def _renew(context: Context, wish: RefreshRequest, *, wait: bool) -> Flow[Token]:
    """Refresh under the account's lock, unless somebody else does or has."""
    key = context.key(wish.account)
    if not (yield from hold(key, wait=context.lock_wait if wait else 0)):
        return (yield from read(key)).token
    for _ in range(CONFLICTS):
        record = yield from read(key)
        at = (yield from now()).wall
        need = judge(record, wish, at, locked=True)
        if need is Need.NOTHING:
            yield from _settle(key, record)
            return record.token
        try:
            return (yield from _spend(context, key, record, at, wish))
        except StoreConflict:
            continue
        except TokenNotSaved:
            raise
        except TraktAuthError:
            if need is Need.REQUIRED:
                raise
            return record.token
    raise StoreConflict(f"Account {wish.account!r} is being written all the time")


def _spend(
    context: Context, key: AccountKey, record: Record, at: datetime, wish: RefreshRequest
) -> Flow[Token]:
    """Send the refresh token, once: note, send, keep.

    The note is written before: it proves that the result can be kept, and it tells whoever
    comes after a crash that the token may be spent.
    """
    yield from _obey_pause(context, at)
    begun = _begun(record.attempt, at)
    noted = yield from _noted(key, record, begun)
    request = protocol.build_refresh_request(
        context.application, context.endpoints, refresh_token=noted.token.refresh_token or ""
    )
    try:
        response = yield from send(request)
        token = protocol.parse_refresh_response(response, requested_at=at, replacing=noted.token)
    except InvalidGrant as error:
        return (yield from _refused(key, noted, error))
    except TraktAuthError as error:
        yield from _failed(context, key, noted, begun, error)
        raise
    after_401 = not wish.told and wish.rejected == record.token.access_token
    return (yield from keep_renewed(key, token, noted, after_401=after_401))


def _noted(key: AccountKey, record: Record, begun: Attempt) -> Flow[Record]:
    """Note that a refresh begins; if that cannot be done for sure, it has not begun."""
    try:
        return (yield from journal(key, record, begun))
    except StoreConflict:
        raise
    except StoreError:
        # The answer may be all that was lost, and the note would tell of a refresh that never was.
        with suppress(StoreError, LoginRequired):
            there = yield from read(key)
            if there.attempt == begun:
                yield from journal(key, there, record.attempt)
        raise


def _obey_pause(context: Context, at: datetime) -> Flow[None]:
    until, _ = yield from _pause(context, at)
    if until > at:
        left = (until - at).total_seconds()
        raise RateLimited(
            f"Trakt asked for a pause, and {left:.0f} seconds of it are left", retry_after=left
        )


def _pause(context: Context, at: datetime) -> Flow[tuple[datetime, int | None]]:
    """Return until when nobody may ask, and the version of that note."""
    try:
        stored = yield from load(context.key(""))
        if stored is None:
            return at, NOTHING
        until = pause_from(stored)
    except StoreCorrupt:
        return at, None
    # More than can be asked for means that the clock was wrong when it was written down.
    return (until if until - at <= LONGEST_RETRY_AFTER else at), stored.version


def _share_pause(context: Context, error: RateLimited) -> Flow[None]:
    """Write down for everybody how long Trakt asked us to wait, unless more is written already."""
    for _ in range(CONFLICTS):
        at = (yield from now()).wall
        # How often this account has failed before is no business of the others.
        until = at + pause_after(error, 0)
        noted, version = yield from _pause(context, at)
        if noted >= until:
            return
        with suppress(StoreConflict):
            yield from save(context.key(""), pause_to(until), replacing=version)
            return


def _begun(last: Attempt | None, at: datetime) -> Attempt:
    return Attempt(
        outcome=Outcome.BEGUN,
        started_at=at,
        failures=last.failures if last else 0,
        lost_at=lost_at(last, locked=True) if last else None,
    )


def _settle(key: AccountKey, record: Record) -> Flow[None]:
    """Turn the open note of somebody who died into `unknown`, visible without the lock."""
    note = record.attempt
    if note is not None and note.outcome is Outcome.BEGUN:
        lost = replace(note, outcome=Outcome.UNKNOWN, lost_at=lost_at(note, locked=True))
        with suppress(StoreError):  # the open note says the same to whoever holds the lock
            yield from journal(key, record, lost)


def _failed(
    context: Context, key: AccountKey, noted: Record, begun: Attempt, error: TraktAuthError
) -> Flow[None]:
    at = (yield from now()).wall
    with suppress(StoreError):  # an open note errs on the safe side
        yield from journal(key, noted, after_failure(begun, error, at))
    if isinstance(error, RateLimited):
        with suppress(StoreError):
            yield from _share_pause(context, error)


def _refused(key: AccountKey, noted: Record, error: InvalidGrant) -> Flow[Token]:
    """Handle invalid_grant: the login is over, unless somebody else has renewed it."""
    record = yield from read(key)
    if record.token.refresh_token != noted.token.refresh_token:
        return record.token
    if record.attempt != noted.attempt:
        # Our lease is over, and it may be the next holder who has just spent it.
        raise LockTimeout(
            f"Account {key.account!r} was taken over by somebody else while Trakt was answering"
        ) from error
    reason = why_refused(noted.attempt)
    at = (yield from now()).wall
    over = Attempt(outcome=Outcome.REFUSED, started_at=at, reason=reason)
    with suppress(StoreError):  # then the next one asks once more, and learns the same
        yield from journal(key, record, over)
    yield from notify(LoginNeeded(account=key.account, reason=reason))
    raise LoginRequired(account=key.account, reason=reason) from error
