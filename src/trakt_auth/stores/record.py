"""What a store keeps for an account: the token, and what is known of the last refresh.

Pure: values, their text form, and the reading of it. No clock, no I/O.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from trakt_auth.errors import StoreConflict, StoreCorrupt, StoreEncrypted, StoreUnavailable
from trakt_auth.protocol.decoding import JsonObject, MalformedJsonError
from trakt_auth.protocol.token import Token

__all__ = [
    "ENCRYPTED",
    "LEASE",
    "NOTHING",
    "AccountKey",
    "Attempt",
    "Outcome",
    "Record",
    "Stored",
    "changed",
    "due_first",
    "encrypted_by",
    "fingerprint",
    "no_key",
    "pause_from",
    "pause_to",
]

FORMAT = 1
ENCRYPTED = "trakt-auth-encrypted:"  # how a payload begins that only the holder of a key can read
NOTHING = 0  # the version of what is not there
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

    Two are for a pair that was put aside: `spent`, the fingerprint of the refresh token that it
    cost, None after a sign-in; and `aside_at`, when that was.
    """

    token: Token
    version: int = 0
    attempt: Attempt | None = None
    spent: str | None = None
    aside_at: datetime | None = None
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
        if self.aside_at is not None:
            content["aside_at"] = _to_text(self.aside_at)
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
                aside_at=content.optional_moment("aside_at"),
                after_401=content.value("after_401") is True,
            )
        except MalformedJsonError as error:
            raise _corrupt(error) from None


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
    try:
        return _read(stored).moment("paused_until")
    except MalformedJsonError as error:
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


def _read(stored: Stored) -> JsonObject:
    if stored.payload.startswith(ENCRYPTED):
        raise no_key(stored, "this account")
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
    )


def _corrupt(error: MalformedJsonError) -> StoreCorrupt:
    return StoreCorrupt(f"The record is not readable: {error}")
