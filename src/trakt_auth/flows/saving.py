"""Keeping a pair that exists nowhere else: save it, put it aside if that fails, bring it back.

Pure generators, like `flows`. Nothing is sent and no token is judged here.

A refresh token works once, so the pair that it brought must outlive a store that fails: it is
offered to the store again for a few seconds, then put into the fallback store. Whoever reads the
account next finds it there first, and offers it to the store before anything else.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from trakt_auth.errors import (
    LoginRequired,
    StoreConflict,
    StoreCorrupt,
    StoreError,
    TokenNotSaved,
)
from trakt_auth.flows.events import TokenObtained, TokenRefreshed, TokenUnsaved
from trakt_auth.flows.policy import lost_at
from trakt_auth.flows.steps import (
    Flow,
    load,
    notify,
    now,
    put_aside,
    recall,
    save,
    sleep,
    uninterruptible,
)
from trakt_auth.protocol.token import Token
from trakt_auth.stores.record import NOTHING, AccountKey, Attempt, Outcome, Record, fingerprint

__all__ = ["CONFLICTS", "journal", "keep", "keep_renewed", "look", "offer", "read"]

SAVE_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # seconds between the tries to keep a new pair
CONFLICTS = 10  # times that somebody else may write between our reading and our writing
NOWHERE = -1  # the version of a record that no store has


def look(key: AccountKey) -> Flow[Record]:
    """Read an account's newest record, from outside of a protected section.

    Raises: LoginRequired, StoreError.
    """
    with suppress(StoreError):  # who is about to spend something looks again, by `read`
        if (yield from recall(key)) is not None:
            return (yield from uninterruptible(read(key)))
    return (yield from _stored(key))


def _without_fallback(key: AccountKey, error: StoreError) -> Flow[Record]:
    """Go on without what was put aside, unless that may be what this record's pair was spent for.

    What is damaged never comes back; what cannot be read now may.
    """
    if isinstance(error, StoreCorrupt):
        return (yield from _stored(key))
    with suppress(LoginRequired):
        record = yield from _stored(key)
        if record.attempt is None or lost_at(record.attempt, locked=True) is None:
            return record
    raise error


def read(key: AccountKey) -> Flow[Record]:
    """Read an account's newest record; a pair that was put aside is offered to the store first.

    Raises: LoginRequired, StoreError.
    """
    try:
        aside = yield from recall(key)
        waiting = Record.from_stored(aside) if aside else None
    except StoreError as error:
        return (yield from _without_fallback(key, error))
    if aside is None or waiting is None:
        return (yield from _stored(key))
    try:
        record = yield from _bring_back(key, waiting)
    except StoreConflict:
        raise
    except StoreError:  # not yet; but what serves is in our hands
        return replace(waiting, version=NOWHERE)
    with suppress(StoreError):  # if it stays, it will be found superseded
        yield from put_aside(key, None, replacing=aside.version)
    if record is None:
        raise _nobody(key)
    return record


def offer(key: AccountKey) -> Flow[bool]:
    """Offer what was put aside to the store; return whether nothing is aside any more."""
    with suppress(LoginRequired, StoreError):
        yield from read(key)
    try:
        return (yield from recall(key)) is None
    except StoreError:
        return False


def _stored(key: AccountKey) -> Flow[Record]:
    stored = yield from load(key)
    if stored is None:
        raise _nobody(key)
    return Record.from_stored(stored)


def _nobody(key: AccountKey) -> LoginRequired:
    return LoginRequired(account=key.account, reason="nobody has signed in here")


def _bring_back(key: AccountKey, waiting: Record) -> Flow[Record | None]:
    """Save a pair that was put aside, unless the store has something newer; return what counts."""
    for _ in range(CONFLICTS):
        there = yield from load(key)
        replacing: int | None = there.version if there else NOTHING
        try:
            latest = Record.from_stored(there) if there else None
        except StoreCorrupt:  # then ours is all there is
            replacing = None
        else:
            if not _newer(waiting, latest):
                return latest
        record = Record(token=waiting.token)
        with suppress(StoreConflict):
            version = yield from _save(key, record, replacing=replacing)
            yield from notify(_event(key, waiting), version=version)
            return replace(record, version=version)
    raise StoreConflict(f"Account {key.account!r} is being written all the time")


def _newer(waiting: Record, latest: Record | None) -> bool:
    if latest is None:  # signed out since, unless this is the sign-in that was never saved
        return waiting.spent is None
    if waiting.spent is not None:
        return waiting.spent == fingerprint(latest.token.refresh_token)
    if latest.attempt is not None and latest.attempt.outcome is Outcome.REFUSED:
        return True
    # Since when, and not how old the token is: it may have been moved in from elsewhere.
    return (waiting.aside_at or waiting.token.created_at) >= latest.token.created_at


def _event(key: AccountKey, waiting: Record) -> TokenObtained | TokenRefreshed:
    kind = TokenObtained if waiting.spent is None else TokenRefreshed
    return kind(account=key.account, token=waiting.token)


def journal(key: AccountKey, record: Record, attempt: Attempt | None) -> Flow[Record]:
    """Write down what is known of the last refresh; return the record as it is kept now."""
    written = replace(record, attempt=attempt)
    version = yield from _save(key, written, replacing=record.version)
    return replace(written, version=version)


def keep(
    key: AccountKey,
    token: Token,
    *,
    replacing: int | None,
    spent: str | None = None,
    after_401: bool = False,
) -> Flow[int]:
    """Save a token that exists nowhere else: try for a while, then put it aside.

    Raises: StoreConflict; TokenNotSaved, which carries the token.
    """
    record = Record(token=token, after_401=after_401)
    for pause in (*SAVE_PAUSES, None):
        try:
            return (yield from _save(key, record, replacing=replacing))
        except StoreConflict:
            raise
        except StoreError as error:
            if pause is None:
                raise (yield from _not_saved(key, token, spent, error, replacing)) from error
            yield from sleep(pause)
    raise AssertionError  # pragma: no cover - the last try returns or raises


def keep_renewed(
    key: AccountKey, token: Token, noted: Record, *, after_401: bool = False
) -> Flow[Token]:
    """Save a refreshed pair; whatever else was written meanwhile, the newest pair stays."""
    version, spent = noted.version, fingerprint(noted.token.refresh_token)
    while True:
        try:
            version = yield from keep(
                key, token, replacing=version, spent=spent, after_401=after_401
            )
        except StoreConflict:
            try:
                latest = yield from _stored(key)
            except StoreError as error:
                raise (yield from _not_saved(key, token, spent, error, version)) from error
            version = latest.version
            if _same(latest.token, token):
                break  # a save that seemed to fail had not
            if latest.token.refresh_token != noted.token.refresh_token:
                return latest.token
            # Only the journal of the pair that we spent was touched.
        else:
            break
    yield from notify(TokenRefreshed(account=key.account, token=token), version=version)
    return token


def _same(one: Token, other: Token) -> bool:
    return (one.access_token, one.refresh_token) == (other.access_token, other.refresh_token)


def _not_saved(
    key: AccountKey, token: Token, spent: str | None, error: StoreError, replacing: int | None
) -> Flow[TokenNotSaved]:
    aside = Record(token=token, spent=spent, aside_at=(yield from now()).wall)
    if not (yield from _overtaken(key, aside)):
        with suppress(StoreError):  # then the error is all that carries it
            yield from put_aside(key, aside.to_payload())
        yield from notify(TokenUnsaved(account=key.account, token=token), version=replacing)
    return TokenNotSaved(
        f"The new token of account {key.account!r} could not be saved: {error}", token=token
    )


def _overtaken(key: AccountKey, aside: Record) -> Flow[bool]:
    """Tell whether a sign-in waits already that was made while this pair was being fetched."""
    if aside.spent is None:
        return False
    try:
        there = yield from recall(key)
        return there is not None and _newer(Record.from_stored(there), aside)
    except StoreError:
        return False


def _save(key: AccountKey, record: Record, *, replacing: int | None) -> Flow[int]:
    return (
        yield from save(
            key,
            record.to_payload(),
            expires_at=record.token.expires_at,
            replacing=replacing,
        )
    )
