"""Reading and saving an account's record, and saving a pair that exists nowhere else.

Nothing is sent here and no token is judged. Where a pair waits that the store cannot take is the
store's affair: see `stores.wrappers.fallback`.
"""

from __future__ import annotations

from dataclasses import replace

from trakt_auth.errors import LoginRequired, StoreConflict, StoreError, TokenNotSaved
from trakt_auth.flows.events import TokenRefreshed, TokenUnsaved
from trakt_auth.flows.policy import NO_LOGIN
from trakt_auth.flows.steps import Flow, load, notify, save, sleep
from trakt_auth.protocol.token import Token
from trakt_auth.stores.record import (
    NOTHING,
    AccountKey,
    Attempt,
    Record,
    fingerprint,
    login_of,
    same_pair,
)

__all__ = [
    "SignedOutMeanwhile",
    "journal",
    "keep",
    "keep_refreshed",
    "read",
]

SAVE_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # seconds between the tries to save a new pair
SIGNED_OUT = "it was signed out while its token was being refreshed"


class SignedOutMeanwhile(LoginRequired):
    """A sign-out came while a refresh was under way; its new pair is not saved."""


def read(key: AccountKey, *, newest: bool = False) -> Flow[Record]:
    """Read an account's newest record; see `Load` for `newest`.

    Raises: LoginRequired, StoreError.
    """
    record = login_of((yield from load(key, newest=newest)))
    if record is None:
        raise LoginRequired(account=key.account, reason=NO_LOGIN)
    return record


def journal(key: AccountKey, record: Record, attempt: Attempt | None) -> Flow[Record]:
    """Save what is known of a refresh beside the token; return the record as it is now."""
    return (yield from _save(key, replace(record, attempt=attempt), replacing=record.version))


def keep(key: AccountKey, record: Record, *, replacing: int | None) -> Flow[Record]:
    """Save a pair that exists nowhere else, trying for a few seconds.

    Raises: StoreConflict; TokenNotSaved, which carries the token.
    """
    for pause in (*SAVE_PAUSES, None):
        try:
            return (yield from _save(key, record, replacing=replacing, pair=True))
        except StoreConflict:
            raise
        except StoreError as error:
            if pause is None:
                raise (yield from _not_saved(key, record.token, error, replacing)) from error
            yield from sleep(pause)
    raise AssertionError  # pragma: no cover - the last try returns or raises


def keep_refreshed(
    key: AccountKey, token: Token, noted: Record, *, rejections: int = 0, skew: float = 0.0
) -> Flow[Record]:
    """Save a refreshed pair; whatever else was written meanwhile, the newest pair stays."""
    spent = fingerprint(noted.token.refresh_token)
    record = Record(token=token, spent=spent, rejections=rejections, skew=skew)
    version = noted.version
    while True:
        try:
            record = yield from keep(key, record, replacing=version)
        except StoreConflict:
            try:
                stored = yield from load(key)
                latest = login_of(stored)
            except StoreError as error:
                raise (yield from _not_saved(key, token, error, version)) from error
            if latest is None:
                if stored is not None:
                    raise SignedOutMeanwhile(account=key.account, reason=SIGNED_OUT) from None
                version = NOTHING  # the store has lost the record, so it is written again
                continue
            if same_pair(latest.token, token):
                record = latest  # a save that seemed to fail had succeeded
                break
            if latest.token.refresh_token != noted.token.refresh_token:
                return latest
            version = latest.version  # only the journal of the pair that we spent was changed
        else:
            break
    yield from notify(TokenRefreshed(account=key.account, token=token), version=record.version)
    return record


def _not_saved(
    key: AccountKey, token: Token, error: StoreError, replacing: int | None
) -> Flow[TokenNotSaved]:
    yield from notify(TokenUnsaved(account=key.account, token=token), version=replacing)
    return TokenNotSaved(
        f"The new token of account {key.account!r} could not be saved: {error}", token=token
    )


def _save(
    key: AccountKey, record: Record, *, replacing: int | None, pair: bool = False
) -> Flow[Record]:
    version = yield from save(
        key,
        record.to_payload(),
        expires_at=record.token.expires_at,
        replacing=replacing,
        pair=pair,
    )
    return replace(record, version=version)
