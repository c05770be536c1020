"""What a store keeps for an account: the token, and what is known of the last refresh.

Pure: values, their text form, and the reading of it. No clock, no I/O.
"""

from __future__ import annotations

import enum
import json  # our own text, read at every start: the validating decoder loads too slowly for that
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from trakt_auth.errors import (
    StoreConflict,
    StoreCorrupt,
    StoreEncrypted,
    StoreError,
    StoreUnavailable,
)
from trakt_auth.protocol.token import Token

__all__ = [
    "ENCRYPTED",
    "LEASE",
    "NOTHING",
    "PENDING",
    "AccountKey",
    "Attempt",
    "Forgotten",
    "Outcome",
    "Record",
    "Stored",
    "answer_lost_at",
    "changed",
    "due_first",
    "encrypted_by",
    "fingerprint",
    "no_key",
    "pause_from",
    "pause_to",
    "same_pair",
]

FORMAT = 1
ENCRYPTED = "trakt-auth-encrypted:"  # how a payload begins that only the holder of a key can read
NOTHING = 0  # the version of what is not there
PENDING = -1  # the version of a record that only a fallback store has
LEASE = 60.0  # seconds that a lock of a dead holder lives where nobody says otherwise


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Where a store keeps a record: accounts of two applications never meet.

    The empty account is the application itself: what concerns all its accounts is kept there.
    """

    client_id: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A record as a store sees it: opaque text, a version that grows, and the token's end."""

    payload: str = field(repr=False)
    version: int
    expires_at: datetime | None = None


def changed(key: AccountKey) -> StoreConflict:
    """Return the error for a save that was to replace another version than there is."""
    return StoreConflict(f"Account {key.account!r} was changed by somebody else")


def due_first(
    records: Mapping[AccountKey, Stored], client_id: str, *, before: datetime, limit: int
) -> list[str]:
    """Return at most `limit` accounts that end before a moment, for stores without an index."""
    ends = sorted(
        (stored.expires_at, key.account)
        for key, stored in records.items()
        if key.client_id == client_id and key.account
        if stored.expires_at is not None and stored.expires_at < before
    )
    return [account for _, account in ends[:limit]]


class Outcome(enum.Enum):
    """What is known of the last refresh of a token."""

    BEGUN = "begun"  # noted before sending; unknown when nobody holds the account any more
    FAILED = "failed"  # not processed: the refresh token is unspent
    UNKNOWN = "unknown"  # sent, no answer: the refresh token may be spent
    REFUSED = "refused"  # invalid_grant: a person has to sign in


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The journal of the last refresh: written before it is sent, settled after.

    `failures` counts in a row; `retry_at` is the earliest moment for the next try; `lost_at` is
    when an answer for this refresh token was lost, so that it may be spent.
    """

    outcome: Outcome
    started_at: datetime
    failures: int = 0
    retry_at: datetime | None = None
    lost_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A token, its journal, and the version under which a store keeps both.

    `after_401` says that it replaced one which the API had refused before its time.

    `spent` is the fingerprint of the refresh token that the pair cost, None after a sign-in.
    `pending_since` is set while the pair waits in a fallback store: when it was put there.
    """

    token: Token
    version: int = 0
    attempt: Attempt | None = None
    spent: str | None = None
    pending_since: datetime | None = None
    after_401: bool = False

    def to_payload(self) -> str:
        """Write everything but the version, which is the store's."""
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
        if self.after_401:
            content["after_401"] = True
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
        return json.dumps(content)

    @classmethod
    def from_stored(cls, stored: Stored) -> Record:
        """Read what `to_payload` wrote.

        Raises: StoreCorrupt; StoreEncrypted; StoreUnavailable when a newer version of this
        library wrote it.
        """
        content = _read(stored)
        try:
            token = _Fields(content.get("token"))
            attempt = content.get("attempt")
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
                attempt=None if attempt is None else _read_attempt(_Fields(attempt)),
                spent=_Fields(content).optional_text("spent"),
                pending_since=_Fields(content).optional_moment("pending_since"),
                after_401=content.get("after_401") is True,
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _corrupt(error) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What a deletion found, and what kept it from deleting all of it.

    `version` is later than that of every record which was deleted.
    """

    records: tuple[Record, ...] = ()
    version: int = 0
    existed: bool = False
    error: StoreError | None = None


def answer_lost_at(attempt: Attempt, *, locked: bool) -> datetime | None:
    """Return when an answer was lost, None when the refresh token is surely unspent.

    A note that is still open although we hold the lock was left by a process that died.
    """
    if locked and attempt.outcome is Outcome.BEGUN:
        return attempt.lost_at or attempt.started_at
    return attempt.lost_at


def same_pair(one: Token, other: Token) -> bool:
    """Tell whether two tokens are the same pair, however they are dated."""
    return (one.access_token, one.refresh_token) == (other.access_token, other.refresh_token)


def fingerprint(secret: str | None) -> str:
    """Return what tells a secret from others, and cannot be turned back into it."""
    from hashlib import sha256

    return sha256((secret or "").encode(errors="surrogatepass")).hexdigest()


def pause_to(until: datetime) -> str:
    """Write down until when nobody may ask for tokens (a 429's Retry-After)."""
    return json.dumps({"format": FORMAT, "paused_until": _to_text(until)})


def pause_from(stored: Stored) -> datetime:
    """Read what `pause_to` wrote.

    Raises: StoreCorrupt; StoreUnavailable when a newer version of this library wrote it.
    """
    content = _read(stored)
    try:
        return _Fields(content).moment("paused_until")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _corrupt(error) from None


def encrypted_by(stored: Stored) -> str | None:
    """Return the id of the key that encrypted a payload, None for one that is not encrypted."""
    if not stored.payload.startswith(ENCRYPTED):
        return None
    words = stored.payload.split(":", 3)
    return words[2] if len(words) > 2 and words[2].isalnum() else ""  # noqa: PLR2004


def no_key(stored: Stored, what: str) -> StoreEncrypted:
    """Return the error for an encrypted payload whose key is not configured; `what` names it."""
    key = encrypted_by(stored)
    return StoreEncrypted(
        f"The record of {what} is encrypted, and its key{f' ({key})' if key else ''} "
        "is not configured",
        hint="Add that key to TRAKT_AUTH_KEY, or to `keys` of open_store; nothing was overwritten.",
    )


def _to_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _read(stored: Stored) -> dict[str, Any]:
    if stored.payload.startswith(ENCRYPTED):
        raise no_key(stored, "this account")
    try:
        content = json.loads(stored.payload)
        format_ = content["format"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _corrupt(error) from None
    if isinstance(format_, int) and format_ > FORMAT:
        raise StoreUnavailable(
            f"The record was written by a newer version of trakt-auth (format {format_})",
            hint="Upgrade trakt-auth, or name another store.",
        )
    return dict(content)


def _read_attempt(fields: _Fields) -> Attempt:
    return Attempt(
        outcome=Outcome(fields.text("outcome")),
        started_at=fields.moment("started_at"),
        failures=fields.count("failures"),
        retry_at=fields.optional_moment("retry_at"),
        lost_at=fields.optional_moment("lost_at"),
        reason=fields.text("reason"),
    )


def _corrupt(error: Exception) -> StoreCorrupt:
    # The error's own text may quote the payload, so only its kind and the field's name are told.
    named = f" ({error})" if isinstance(error, KeyError) else ""
    return StoreCorrupt(f"The record is not readable: {type(error).__name__}{named}")


class _Fields:
    """A JSON object whose fields are checked as they are read; KeyError names the field."""

    def __init__(self, content: object) -> None:
        if not isinstance(content, dict):
            raise TypeError
        self._content: dict[str, object] = content

    def text(self, name: str) -> str:
        value = self._content[name]
        if not isinstance(value, str):
            raise KeyError(name)
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self._content.get(name) is None else self.text(name)

    def count(self, name: str) -> int:
        value = self._content[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise KeyError(name)
        return value

    def moment(self, name: str) -> datetime:
        moment = datetime.fromisoformat(self.text(name))
        if moment.tzinfo is None:
            raise KeyError(name)
        return moment.astimezone(UTC)

    def optional_moment(self, name: str) -> datetime | None:
        return None if self._content.get(name) is None else self.moment(name)
