"""What a store keeps for an account: the token, and what is known about its last refresh.

Values, the text that stores keep of them, and the reading of that text. No clock, no I/O.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from trakt_auth.errors import StoreConflict, StoreCorrupt, StoreEncrypted, StoreUnavailable
from trakt_auth.protocol.decoding import JsonObject, MalformedJsonError, if_valid
from trakt_auth.protocol.token import Token

__all__ = [
    "CONFLICTS",
    "ENCRYPTED",
    "LEASE",
    "NOTHING",
    "PENDING",
    "TOMBSTONE",
    "AccountKey",
    "Attempt",
    "Outcome",
    "Record",
    "Stored",
    "answer_lost_at",
    "encrypted_by",
    "fingerprint",
    "is_tombstone",
    "login_of",
    "missing_key",
    "pause_from",
    "pause_to",
    "same_pair",
    "too_busy",
]

FORMAT = 1
ENCRYPTED = "trakt-auth-encrypted:"  # how every encrypted payload begins
TOMBSTONE = "trakt-auth-signed-out:"  # how the payload begins that a sign-out leaves: no account
NOTHING = 0  # the version of a record that does not exist
PENDING = -1  # the version of a record that only a fallback store has
CONFLICTS = 10  # times that another program may write between our reading and our writing
LEASE = 60.0  # seconds until the lock of a dead holder expires, unless the caller says otherwise


@dataclass(frozen=True, slots=True)
class AccountKey:
    """The key of a record: two applications may have accounts of the same name.

    The empty account is the application itself. Its record holds what concerns all accounts.
    """

    client_id: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A record as a store sees it: opaque text, a version that grows, and the token's expiry."""

    payload: str = field(repr=False)
    version: int
    expires_at: datetime | None = None


class Outcome(enum.Enum):
    """What is known about the last refresh of a token."""

    BEGUN = "begun"  # written before the request is sent; once the lock is free: outcome unknown
    FAILED = "failed"  # not processed: the refresh token still works
    UNKNOWN = "unknown"  # sent, but no answer arrived: the refresh token may be spent
    REFUSED = "refused"  # invalid_grant: the user has to sign in again


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The journal of the last refresh: written before the request, completed after the answer.

    `failures` counts failures in a row. `retry_at` is the earliest moment for the next try.
    `lost_at` is when an answer for this refresh token was lost, after which it may be spent.
    `access_rejected` says that the API has rejected the access token as well: the login is over.
    """

    outcome: Outcome
    started_at: datetime
    failures: int = 0
    retry_at: datetime | None = None
    lost_at: datetime | None = None
    reason: str = ""
    access_rejected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A token, its journal, and the version under which a store keeps both.

    `rejections` counts the tokens in a row that replaced one which the API had rejected. `skew` is
    by how many seconds the clock was wrong by which this token was asked for, if that was days.

    `spent` is the fingerprint of the refresh token that the pair cost, None after a sign-in.
    `pending_since` is set while the pair waits in a fallback store: when it was put there.
    """

    token: Token
    version: int = 0
    attempt: Attempt | None = None
    spent: str | None = None
    pending_since: datetime | None = None
    rejections: int = 0
    skew: float = 0.0

    def to_payload(self) -> str:
        """Return the text of everything but the version, which the store assigns."""
        token, attempt = self.token, self.attempt
        content: dict[str, Any] = {
            "format": FORMAT,
            "token": {
                "access_token": token.access_token,
                "refresh_token": token.refresh_token,
                "token_type": token.token_type,
                "scope": token.scope,
                "created_at": _to_text(token.created_at),
                "expires_at": _to_text(token.expires_at),
            },
        }
        if self.rejections:
            content["rejections"] = self.rejections
        if self.skew:
            content["skew"] = self.skew
        if self.spent is not None:
            content["spent"] = self.spent
        if self.pending_since is not None:
            content["pending_since"] = _to_text(self.pending_since)
        if attempt is not None:
            content["attempt"] = {
                "outcome": attempt.outcome.value,
                "started_at": _to_text(attempt.started_at),
                "failures": attempt.failures,
                "retry_at": _to_text(attempt.retry_at),
                "lost_at": _to_text(attempt.lost_at),
                "reason": attempt.reason,
            }
            if attempt.access_rejected:
                content["attempt"]["access_rejected"] = True
        return json.dumps(content)

    @classmethod
    def from_stored(cls, stored: Stored) -> Record:
        """Read a record that `to_payload` wrote.

        Raises: StoreCorrupt; StoreEncrypted; StoreUnavailable when a newer version of this
        library wrote it.
        """
        try:
            content = _read(stored)
            token, attempt = content.nested("token"), content.optional_nested("attempt")
            return cls(
                token=Token(
                    access_token=token.text("access_token"),
                    refresh_token=token.optional_text("refresh_token"),
                    token_type=token.text("token_type"),
                    scope=token.optional_text("scope"),
                    created_at=token.moment("created_at"),
                    expires_at=token.moment("expires_at"),
                ),
                version=stored.version,
                attempt=None if attempt is None else _read_attempt(attempt),
                spent=content.optional_text("spent"),
                pending_since=content.optional_moment("pending_since"),
                rejections=if_valid(content.count, "rejections") or 0,
                skew=if_valid(content.number, "skew") or 0.0,
            )
        except MalformedJsonError as error:
            raise _corrupt(error) from None


def answer_lost_at(attempt: Attempt, *, locked: bool) -> datetime | None:
    """Return when an answer was lost, None when the refresh token is surely unspent.

    A note that is still open although we hold the lock was left by a process that died.
    """
    if locked and attempt.outcome is Outcome.BEGUN:
        return attempt.lost_at or attempt.started_at
    return attempt.lost_at


def is_tombstone(stored: Stored) -> bool:
    """Tell whether a sign-out left this record."""
    return stored.payload.startswith(TOMBSTONE)


def login_of(stored: Stored | None) -> Record | None:
    """Read a stored record; None when there is none, or when a sign-out left it.

    Raises: what `Record.from_stored` raises.
    """
    return None if stored is None or is_tombstone(stored) else Record.from_stored(stored)


def same_pair(one: Token, other: Token) -> bool:
    """Tell whether two tokens are the same pair, however they are dated."""
    return (one.access_token, one.refresh_token) == (other.access_token, other.refresh_token)


def fingerprint(secret: str | None) -> str:
    """Return a hash that identifies a secret, and from which it cannot be recovered."""
    from hashlib import sha256

    return sha256((secret or "").encode(errors="surrogatepass")).hexdigest()


def pause_to(until: datetime) -> str:
    """Return the text that forbids token requests until a moment (the Retry-After of a 429)."""
    return json.dumps({"format": FORMAT, "paused_until": _to_text(until)})


def pause_from(stored: Stored) -> datetime:
    """Read the moment that `pause_to` wrote.

    Raises: StoreCorrupt; StoreUnavailable when a newer version of this library wrote it.
    """
    try:
        return _read(stored).moment("paused_until")
    except MalformedJsonError as error:
        raise _corrupt(error) from None


def encrypted_by(stored: Stored) -> str | None:
    """Return the id of the key that encrypted a payload, None if it is not encrypted."""
    if not stored.payload.startswith(ENCRYPTED):
        return None
    words = stored.payload.split(":", 3)
    return words[2] if len(words) > 2 and words[2].isalnum() else ""  # noqa: PLR2004


def missing_key(stored: Stored, what: str) -> StoreEncrypted:
    """Return the error for an encrypted record whose key is not configured; `what` names it."""
    key = encrypted_by(stored)
    return StoreEncrypted(
        f"The record of {what} is encrypted, and its key{f' ({key})' if key else ''} "
        "is not configured",
        hint="Add the key to TRAKT_AUTH_KEY, or to `keys` of open_store. Nothing was overwritten.",
    )


def _to_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _read(stored: Stored) -> JsonObject:
    if stored.payload.startswith(ENCRYPTED):
        raise missing_key(stored, "this account")
    # A token that a program passed to `adopt` is read back as it is, lone surrogates included.
    content = JsonObject.parse(stored.payload, lone_surrogates=True)
    format_ = content.count("format")
    if format_ > FORMAT:
        raise StoreUnavailable(
            f"The record was written by a newer version of trakt-auth (format {format_})",
            hint="Upgrade trakt-auth, or name another store.",
        )
    return content


def _read_attempt(fields: JsonObject) -> Attempt:
    outcome = fields.text("outcome")
    if outcome not in {known.value for known in Outcome}:
        raise fields.malformed("outcome", "is not known")
    return Attempt(
        outcome=Outcome(outcome),
        started_at=fields.moment("started_at"),
        failures=fields.count("failures"),
        retry_at=fields.optional_moment("retry_at"),
        lost_at=fields.optional_moment("lost_at"),
        reason=fields.text("reason"),
        access_rejected=fields.value("access_rejected") is True,
    )


def _corrupt(error: MalformedJsonError) -> StoreCorrupt:
    return StoreCorrupt(f"The record is not readable: {error}")


def too_busy(key: AccountKey) -> StoreConflict:
    """Return the error after `CONFLICTS` times that another program has written in between."""
    return StoreConflict(f"Account {key.account!r} is being written all the time")
