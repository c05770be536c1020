"""Policy: is a refresh due, may it be tried, and what does a failed one say about the login?

Pure functions over a record and a moment. No steps, no clock and no I/O live here.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import trakt_auth.protocol.oauth_errors as oauth_errors
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
from trakt_auth.stores.record import Attempt, Outcome, Record, answer_lost_at

__all__ = [
    "LONGEST_RETRY_AFTER",
    "NO_LOGIN",
    "Need",
    "RefreshRequest",
    "after_failure",
    "next_rejections",
    "pause_after",
    "refresh_need",
    "token_state",
    "why_over",
    "why_refused",
]

FIRST_PAUSE = timedelta(seconds=2)  # after the first failed refresh, doubled after each further
# A token that replaced a rejected one is not replaced after another 401 while it is this young;
# twice as long after each further rejection in a row.
YOUNG = timedelta(minutes=1)
LONGEST_YOUNG = timedelta(hours=12)
LONGEST_PAUSE = timedelta(minutes=30)  # while the access token still serves
LONGEST_PAUSE_WITHOUT = timedelta(minutes=1)  # while there is nothing to serve
LONGEST_RETRY_AFTER = timedelta(seconds=oauth_errors.LONGEST_RETRY_AFTER)

NO_LOGIN = "no login is stored for it"
NO_REFRESH_TOKEN = "the access token has ended, and there is no refresh token"  # noqa: S105
REJECTED_WITHOUT_REFRESH = "Trakt rejected the access token, and there is no refresh token"
STILL_SERVES = "there is no refresh token; the access token serves until it ends"
REFUSED = (
    "Trakt refused the refresh token: it was used elsewhere, revoked, or the app was disconnected "
    "(free accounts can connect only a few apps)"
)
LOST = "the answer to the refresh at {when} was lost, and Trakt has refused the old refresh token"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRequest:
    """What a caller asks for: a token that works and is not `rejected_token`.

    `forced` says that the rejected token still works and is to be replaced all the same.
    """

    account: str
    rejected_token: str | None = field(default=None, repr=False)
    forced: bool = False
    replay_unknown: bool = False


class Need(enum.Enum):
    """Whether a record needs a refresh."""

    NOTHING = 0  # the token serves
    OPTIONAL = 1  # the token serves and is due: refresh it unless another worker is refreshing
    REQUIRED = 2  # there is no token to serve


def refresh_need(
    record: Record, request: RefreshRequest, at: datetime, *, locked: bool = False
) -> Need:
    """Tell whether a record needs a refresh at a moment; `locked` when we hold its lock.

    Raises: LoginRequired, Unavailable, TransportError when there is no token to serve and a
        refresh is hopeless, too early, or could end the login.
    """
    token = record.token
    is_rejected = token.access_token == request.rejected_token and not _too_young(
        record, request, at
    )
    state = token_state(record, at, account=request.account)
    alive = state is not TokenState.EXPIRED and (request.forced or not is_rejected)
    serves = alive and not is_rejected and not _is_over(record)
    if serves and state is TokenState.FRESH:
        return Need.NOTHING
    obstacle = _obstacle(record, request, at, alive=alive, serves=serves, locked=locked)
    if obstacle is None:
        return Need.OPTIONAL if serves else Need.REQUIRED
    if serves:
        return Need.NOTHING
    raise obstacle


def token_state(record: Record, at: datetime, *, account: str) -> TokenState:
    """Tell whether a token is fresh, stale or expired.

    `record.skew` says how wrong the clock was of the host that refreshed it. The token is compared
    with that clock too: two hosts whose clocks differ by days would else replace each other's
    tokens all the time, since each finds the other's expired.
    """
    state = record.token.state(at, account=account)
    if not record.skew or state is TokenState.FRESH:
        return state
    corrected = record.token.state(at - timedelta(seconds=record.skew), account=account)
    return state if state is TokenState.STALE and corrected is TokenState.EXPIRED else corrected


def next_rejections(record: Record, request: RefreshRequest, at: datetime) -> int:
    """Return how many tokens in a row the API has rejected, once this one is replaced."""
    if request.forced or request.rejected_token != record.token.access_token:
        return 0
    helped = at - record.token.created_at >= 2 * _young(record.rejections)
    return 1 if helped else record.rejections + 1


def _too_young(record: Record, request: RefreshRequest, at: datetime) -> bool:
    # The API rejected the token before this one too, soon after it was issued. Another refresh
    # would hardly help, so the pause between two of them grows.
    if request.forced or not record.rejections or record.attempt is not None:
        return False
    return timedelta(0) <= at - record.token.created_at < _young(record.rejections)


def _young(rejections: int) -> timedelta:
    return min(YOUNG * (1 << min(max(rejections - 1, 0), 16)), LONGEST_YOUNG)


def _is_over(record: Record) -> bool:
    attempt = record.attempt
    return attempt is not None and attempt.access_rejected and attempt.outcome is Outcome.REFUSED


def _obstacle(
    record: Record,
    request: RefreshRequest,
    at: datetime,
    *,
    alive: bool,
    serves: bool,
    locked: bool,
) -> TraktAuthError | None:
    token, attempt = record.token, record.attempt
    if attempt is not None and attempt.outcome is Outcome.REFUSED:
        return LoginRequired(account=request.account, reason=attempt.reason)
    if token.refresh_token is None:
        reason = STILL_SERVES if alive else NO_REFRESH_TOKEN
        return LoginRequired(account=request.account, reason=reason)
    if attempt is None:
        return None
    lost = answer_lost_at(attempt, locked=locked)
    if lost and alive and not token.in_last_minutes(at) and not request.replay_unknown:
        return _too_risky(lost, token)
    # A note from the future was written by a wrong clock and says nothing about how long to wait.
    if attempt.retry_at is None or request.forced or attempt.started_at > at:
        return None
    return _too_early(attempt, attempt.retry_at, at, serves=serves)


def _too_risky(lost: datetime, token: Token) -> TransportError:
    return TransportError(
        f"The answer to the refresh at {show_time(lost)} was lost, so the refresh token may be "
        f"spent; the access token serves until {show_time(token.expires_at)}",
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


def why_over(record: Record, at: datetime, *, access_rejected: bool = False) -> str | None:
    """Return why a login is over at a moment and a person has to sign in, None while it is not.

    `access_rejected` says that the API has just rejected the access token.
    """
    if record.attempt is not None and record.attempt.outcome is Outcome.REFUSED:
        return record.attempt.reason
    if record.token.refresh_token is not None:
        return None
    if access_rejected:
        return REJECTED_WITHOUT_REFRESH
    return NO_REFRESH_TOKEN if record.token.state(at) is TokenState.EXPIRED else None


def after_failure(begun: Attempt, error: TraktAuthError, at: datetime) -> Attempt:
    """Return the note of a refresh that brought no tokens and was not refused for good."""
    unknown = _may_have_been_processed(error)
    return Attempt(
        outcome=Outcome.UNKNOWN if unknown else Outcome.FAILED,
        started_at=begun.started_at,
        failures=begun.failures + 1,
        # A lease that ended too soon says nothing about Trakt: the next holder may try at once.
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
        return LOST.format(when=show_time(attempt.lost_at))
    return REFUSED


def show_time(moment: datetime) -> str:
    """Write a moment for a person."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
