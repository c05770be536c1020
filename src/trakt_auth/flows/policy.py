"""What a record calls for at a moment, and what a failed refresh says about the login.

Pure functions: decisions without steps, clocks or I/O.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from trakt_auth.errors import (
    LockTimeout,
    LoginRequired,
    ServerError,
    TraktAuthError,
    TransportError,
    Unavailable,
    UnexpectedResponse,
)
from trakt_auth.protocol.token import Token, TokenState
from trakt_auth.stores.record import Attempt, Outcome, Record

__all__ = [
    "Need",
    "RefreshRequest",
    "after_failure",
    "clock",
    "judge",
    "lost_at",
    "pause_after",
    "why_over",
    "why_refused",
]

FIRST_PAUSE = timedelta(seconds=2)  # after the first failed refresh, doubled after each further
YOUNG = timedelta(minutes=1)  # a token this young that came after a 401 outlasts the next one
LONGEST_PAUSE = timedelta(minutes=30)  # while the access token still serves
LONGEST_PAUSE_WITHOUT = timedelta(minutes=1)  # while there is nothing to serve
LONGEST_RETRY_AFTER = timedelta(hours=1)  # more is not believed

NO_REFRESH_TOKEN = "the access token has ended, and there is no refresh token"  # noqa: S105
STILL_SERVES = "there is no refresh token; the access token serves until it ends"
REFUSED = (
    "Trakt refused the refresh token: it was used elsewhere, revoked, or the app was disconnected "
    "(free accounts can connect only a few apps)"
)
LOST = "the answer to the refresh at {when} was lost, and Trakt has refused the old refresh token"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRequest:
    """What a caller asks for: a token that serves and is not `rejected`.

    `told` says that the rejected one still works and is to be replaced all the same.
    """

    account: str
    rejected: str | None = None
    told: bool = False
    replay_unknown: bool = False


class Need(enum.Enum):
    """What a record calls for."""

    NOTHING = 0  # the token serves
    OPTIONAL = 1  # the token serves and is due: refresh it unless somebody else is at it
    REQUIRED = 2  # there is nothing to serve


def judge(record: Record, wish: RefreshRequest, at: datetime, *, locked: bool = False) -> Need:
    """Tell what a record calls for at a moment; `locked` when nobody else can be refreshing it.

    Raises: LoginRequired, Unavailable, TransportError when there is nothing to serve and a
        refresh is hopeless, too early, or could end the login.
    """
    token = record.token
    wanted = token.access_token == wish.rejected and not _too_young(record, wish, at)
    state = token.state(at, account=wish.account)
    alive = state is not TokenState.EXPIRED and (wish.told or not wanted)
    serves = alive and not wanted
    if serves and state is TokenState.FRESH:
        return Need.NOTHING
    obstacle = _obstacle(record, wish, at, alive=alive, serves=serves, locked=locked)
    if obstacle is None:
        return Need.OPTIONAL if serves else Need.REQUIRED
    if serves:
        return Need.NOTHING
    raise obstacle


def _too_young(record: Record, wish: RefreshRequest, at: datetime) -> bool:
    # The API refuses one after the other: a third would not help, and each request would spend one.
    if wish.told or not record.after_401 or record.attempt is not None:
        return False
    return timedelta(0) <= at - record.token.created_at < YOUNG


def _obstacle(
    record: Record, wish: RefreshRequest, at: datetime, *, alive: bool, serves: bool, locked: bool
) -> TraktAuthError | None:
    token, attempt = record.token, record.attempt
    if attempt is not None and attempt.outcome is Outcome.REFUSED:
        return LoginRequired(account=wish.account, reason=attempt.reason)
    if token.refresh_token is None:
        reason = STILL_SERVES if alive else NO_REFRESH_TOKEN
        return LoginRequired(account=wish.account, reason=reason)
    if attempt is None:
        return None
    lost = lost_at(attempt, locked=locked)
    if lost and alive and not token.in_last_minutes(at) and not wish.replay_unknown:
        return _too_risky(lost, token)
    # A note from the future was made by a clock that was wrong, and tells nothing about waiting.
    if attempt.retry_at is None or wish.told or attempt.started_at > at:
        return None
    return _too_early(attempt, attempt.retry_at, at, serves=serves)


def _too_risky(lost: datetime, token: Token) -> TransportError:
    return TransportError(
        f"The answer to the refresh at {clock(lost)} was lost, so the refresh token may be spent; "
        f"the access token serves until {clock(token.expires_at)}",
        outcome_unknown=True,
        hint="Go on with the access token; a new sign-in settles it whenever you like.",
    )


def _too_early(
    attempt: Attempt, retry_at: datetime, at: datetime, *, serves: bool
) -> Unavailable | None:
    if not serves:
        retry_at = min(retry_at, attempt.started_at + LONGEST_PAUSE_WITHOUT)
    wait = (retry_at - at).total_seconds()
    if wait <= 0:
        return None
    return Unavailable(
        f"The last refresh failed ({attempt.reason}); the next try is in {wait:.0f} seconds",
        retry_after=wait,
    )


def why_over(record: Record, at: datetime) -> str | None:
    """Return why a login is over for good at a moment, None while it is not."""
    if record.attempt is not None and record.attempt.outcome is Outcome.REFUSED:
        return record.attempt.reason
    if record.token.refresh_token is None and record.token.state(at) is TokenState.EXPIRED:
        return NO_REFRESH_TOKEN
    return None


def lost_at(attempt: Attempt, *, locked: bool) -> datetime | None:
    """Return when an answer was lost, None when the refresh token is surely unspent.

    A note that is still open although we hold the lock was left by somebody who died.
    """
    if locked and attempt.outcome is Outcome.BEGUN:
        return attempt.lost_at or attempt.started_at
    return attempt.lost_at


def after_failure(begun: Attempt, error: TraktAuthError, at: datetime) -> Attempt:
    """Settle the note of a refresh that brought no tokens and was not refused for good."""
    unknown = _may_have_been_processed(error)
    return Attempt(
        outcome=Outcome.UNKNOWN if unknown else Outcome.FAILED,
        started_at=begun.started_at,
        failures=begun.failures + 1,
        # A lease that ended too soon says nothing about Trakt: the next one may try at once.
        retry_at=None
        if isinstance(error, LockTimeout)
        else at + pause_after(error, begun.failures),
        lost_at=begun.lost_at or (begun.started_at if unknown else None),
        reason=str(error),
    )


def pause_after(error: TraktAuthError, failures: int) -> timedelta:
    """Return how long to leave Trakt alone after this error and `failures` before it."""
    pause = min(FIRST_PAUSE * (1 << min(failures, 16)), LONGEST_PAUSE)
    asked = error.retry_after if isinstance(error, ServerError) else None
    return max(pause, min(timedelta(seconds=asked or 0), LONGEST_RETRY_AFTER))


def _may_have_been_processed(error: TraktAuthError) -> bool:
    if isinstance(error, TransportError):
        return error.outcome_unknown
    if isinstance(error, UnexpectedResponse):  # any other 4xx says that nothing was done
        return error.status is None or not 400 <= error.status < 500  # noqa: PLR2004
    return isinstance(error, Unavailable)


def why_refused(attempt: Attempt | None) -> str:
    """Return the reason to remember when the refresh token was refused for good."""
    if attempt is not None and attempt.lost_at is not None:
        return LOST.format(when=clock(attempt.lost_at))
    return REFUSED


def clock(moment: datetime) -> str:
    """Write a moment for a person."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
