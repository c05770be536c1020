"""The checks of `trakt-auth doctor` about logins: age, next refresh, and how the last one went.

Reads records and changes none; what a record calls for is decided in `judgement`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from trakt_auth.cli.commands.login import moment
from trakt_auth.cli.commands.status_text import span
from trakt_auth.cli.doctor.configuration import Check, failed, fine, of_error, off
from trakt_auth.cli.settings import Settings, command
from trakt_auth.cli.terminal.output import clean
from trakt_auth.errors import StoreError
from trakt_auth.flows.policy import LONGEST_RETRY_AFTER, why_over
from trakt_auth.protocol.token import Token, TokenState
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import AccountKey, Attempt, Outcome, Record, pause_from

__all__ = ["logins", "serving"]

LOGIN_REQUIRED = 3
MOST = 20  # accounts; an operator of thousands names one
AHEAD = timedelta(minutes=5)
SIGN_IN = "Run: trakt-auth login"


def logins(settings: Settings, store: TokenStore, client_id: str, now: datetime) -> Iterator[Check]:
    """Check the login that --account names, or the first of all.

    Raises: StoreError.
    """
    yield from _pause(store, client_id, now)
    with settings.client() as client:
        unsaved = client.unsaved()
    names = sorted({*store.accounts(client_id), *unsaved})
    if settings.account is not None:
        chosen = [settings.account]
    else:
        chosen = names[:MOST]
        if not names:
            yield off("login", "Nobody has signed in here yet.", SIGN_IN)
    for name in chosen:
        if name in unsaved:  # what the store has is older
            said = "A newer token was put aside, and waits to be saved."
            yield off(
                _title(name), said, f"Make the store writable, then run: {command('refresh', name)}"
            )
            continue
        try:
            yield from _login(store, AccountKey(client_id, name), now)
        except StoreError as error:
            yield of_error(_title(name), error)
    if len(names) > len(chosen) and settings.account is None:
        said = f"{len(names) - MOST} more logins were not looked at."
        yield off("logins", said, "Name one with --account.")


def serving(store: TokenStore, key: AccountKey, now: datetime) -> str | None:
    """Return an access token that should work, to try it; None when there is none."""
    try:
        stored = store.load(key)
        token = Record.from_stored(stored).token if stored else None
    except StoreError:
        return None
    alive = token is not None and token.state(now) is not TokenState.EXPIRED
    return token.access_token if token is not None and alive else None


def _pause(store: TokenStore, client_id: str, now: datetime) -> Iterator[Check]:
    stored = store.load(AccountKey(client_id, ""))
    left = pause_from(stored) - now if stored else timedelta(0)
    if timedelta(0) < left <= LONGEST_RETRY_AFTER:
        yield off(
            "pause",
            f"Trakt was asked too often; no refresh is sent for {span(left.total_seconds())}.",
            "Wait; tokens that are still valid go on serving.",
        )


def _login(store: TokenStore, key: AccountKey, now: datetime) -> Iterator[Check]:
    name = _title(key.account)
    stored = store.load(key)
    if stored is None:
        yield _dead(name, "Nobody has signed in here.", key.account)
        return
    record = Record.from_stored(stored)
    token, attempt = record.token, record.attempt
    over = why_over(record, now)
    if over is not None:
        yield _dead(name, f"{_sentence(over)}.", key.account)
        return
    expired = token.state(now, account=key.account) is TokenState.EXPIRED
    yield _age(name, token, now, key.account, expired=expired)
    if attempt is not None:
        yield _last_refresh(store, key, token, attempt, now)


def _dead(name: str, said: str, account: str) -> Check:
    return failed(name, said, f"Run: {command('login', account)}", status=LOGIN_REQUIRED)


def _age(name: str, token: Token, now: datetime, account: str, *, expired: bool) -> Check:
    age = (now - token.created_at).total_seconds()
    if token.created_at - now > AHEAD:
        return off(
            name,
            f"The token is from the future ({moment(token.created_at)}): a clock was set back.",
            "Set this computer's clock, then run: trakt-auth refresh",
        )
    if expired:
        ago = span((now - token.expires_at).total_seconds())
        return off(
            name,
            f"The access token ended {ago} ago, and is {span(age)} old; the next use refreshes it.",
            "Nothing has to be done; `trakt-auth token` tries it now.",
        )
    left = span((token.expires_at - now).total_seconds())
    said = f"The access token is {span(age)} old and valid for {left}"
    if token.refresh_token is None:
        return off(name, f"{said}; there is no refresh token.", f"When it ends: {SIGN_IN}")
    due = (token.due_at(account) - now).total_seconds()
    when = f"in {span(due)}" if due > 0 else "at the next use"
    return fine(name, f"{said}; it is refreshed {when}.")


def _last_refresh(
    store: TokenStore, key: AccountKey, token: Token, attempt: Attempt, now: datetime
) -> Check:
    name, began = _title(key.account), moment(attempt.started_at)
    outcome = attempt.outcome
    if outcome is Outcome.BEGUN:
        if not _is_free(store, key):
            return fine(name, f"A refresh began at {began} and is under way.")
        outcome = Outcome.UNKNOWN
    if outcome is Outcome.UNKNOWN:
        lost = moment(attempt.lost_at or attempt.started_at)
        return off(
            name,
            f"The answer to the refresh of {lost} was lost, so the refresh token may be spent.",
            f"The access token serves until {moment(token.expires_at)}; then the old refresh "
            "token is tried once. A new sign-in settles it whenever you like.",
        )
    retry = attempt.retry_at
    wait = (retry - now).total_seconds() if retry else 0
    when = f"in {span(wait)}" if wait > 0 else "at the next use"
    times = f", {attempt.failures} times in a row" if attempt.failures > 1 else ""
    return off(
        name,
        f"The refresh of {began} failed{times}: {clean(attempt.reason)}.",
        f"It is tried again {when}; the login is untouched.",
    )


def _is_free(store: TokenStore, key: AccountKey) -> bool:
    """Tell whether nobody is at this account; its note was written under the lock."""
    lock = store.lock(key)
    free = lock.acquire()
    lock.release()
    return free


def _title(account: str) -> str:
    return f"login {clean(account)}"


def _sentence(text: str) -> str:
    text = clean(text)
    return text[:1].upper() + text[1:]
