"""The checks of `trakt-auth doctor` about logins: age, next refresh, how the last one ended.

Reads records and changes none. Whether a login is over is decided in `flows.policy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from trakt_auth.cli.commands.login import moment
from trakt_auth.cli.commands.status_text import span
from trakt_auth.cli.doctor import check
from trakt_auth.cli.doctor.check import Check
from trakt_auth.cli.settings import Settings, command_for
from trakt_auth.cli.terminal.output import LOGIN_REQUIRED, clean
from trakt_auth.errors import StoreError
from trakt_auth.flows.policy import LONGEST_RETRY_AFTER, why_over
from trakt_auth.protocol.token import Token, TokenState
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import AccountKey, Attempt, Outcome, login_of, pause_from

__all__ = ["check_logins", "usable_token"]

MOST = 20  # logins that are checked unless --account names one
TOLERANCE = timedelta(minutes=5)  # by which the clock that dated a token may be ahead


def check_logins(
    settings: Settings, store: TokenStore, owner: str, now: datetime
) -> Iterator[Check]:
    """Check the login that --account names, or else the first logins of the store.

    Raises: StoreError.
    """
    yield from _pause(store, owner, now)
    with settings.client() as client:
        unsaved = client.unsaved()
    names = sorted({*store.accounts(owner), *unsaved})
    if settings.account is not None:
        chosen = [settings.account]
    else:
        chosen = names[:MOST]
        if not names:
            yield check.warning("login", "No login is stored yet.", "Run: trakt-auth login")
    for name in chosen:
        if name in unsaved:  # the record in the store is older
            yield check.warning(
                _title(name),
                "The newest token could not be saved in the store yet.",
                f"Make the store writable, then run: {command_for('refresh', name)}",
            )
            continue
        try:
            yield from _login(store, AccountKey(owner, name), now)
        except StoreError as error:
            yield check.from_error(_title(name), error)
    if len(names) > len(chosen) and settings.account is None:
        said = f"{len(names) - MOST} more logins were not checked."
        yield check.warning("logins", said, "Name one with --account.")


def usable_token(store: TokenStore, key: AccountKey, now: datetime) -> str | None:
    """Return an access token that has not expired, to try it; None when there is none."""
    try:
        record = login_of(store.load(key))
        token = record.token if record else None
    except StoreError:
        return None
    if token is None or token.state(now) is TokenState.EXPIRED:
        return None
    return token.access_token


def _pause(store: TokenStore, owner: str, now: datetime) -> Iterator[Check]:
    stored = store.load(AccountKey(owner, ""))
    left = pause_from(stored) - now if stored else timedelta(0)
    if timedelta(0) < left <= LONGEST_RETRY_AFTER:
        yield check.warning(
            "pause",
            f"Trakt was asked too often; no refresh is sent for {span(left.total_seconds())}.",
            "Wait. Tokens that have not expired still work.",
        )


def _login(store: TokenStore, key: AccountKey, now: datetime) -> Iterator[Check]:
    name = _title(key.account)
    record = login_of(store.load(key))
    if record is None:
        yield _over(name, "No login is stored for this account.", key.account)
        return
    token, attempt = record.token, record.attempt
    over = why_over(record, now)
    if over is not None:
        yield _over(name, f"{_sentence(over)}.", key.account)
        return
    yield _age(token, now, key.account)
    if attempt is not None:
        yield _last_refresh(store, key, token, attempt, now)


def _over(name: str, said: str, account: str) -> Check:
    advice = f"Run: {command_for('login', account)}"
    return check.error(name, said, advice, status=LOGIN_REQUIRED)


def _age(token: Token, now: datetime, account: str) -> Check:
    name, age = _title(account), (now - token.created_at).total_seconds()
    if token.created_at - now > TOLERANCE:
        return check.warning(
            name,
            f"The token is dated in the future ({moment(token.created_at)}): a clock is wrong.",
            f"Set this computer's clock, then run: {command_for('refresh', account)}",
        )
    if token.state(now, account=account) is TokenState.EXPIRED:
        ago = span((now - token.expires_at).total_seconds())
        return check.warning(
            name,
            f"The access token is {span(age)} old and expired {ago} ago; the next use refreshes "
            "it.",
            f"Nothing needs to be done. To refresh it now, run: {command_for('token', account)}",
        )
    left = span((token.expires_at - now).total_seconds())
    said = f"The access token is {span(age)} old and valid for {left}"
    if token.refresh_token is None:
        advice = f"When it has expired, run: {command_for('login', account)}"
        return check.warning(name, f"{said}; there is no refresh token.", advice)
    due = (token.due_at(account) - now).total_seconds()
    when = f"in {span(due)}" if due > 0 else "at the next use"
    return check.passed(name, f"{said}; it is refreshed {when}.")


def _last_refresh(
    store: TokenStore, key: AccountKey, token: Token, attempt: Attempt, now: datetime
) -> Check:
    name, started = _title(key.account), moment(attempt.started_at)
    outcome = attempt.outcome
    if outcome is Outcome.BEGUN:
        if not _is_free(store, key):
            return check.passed(name, f"A refresh started at {started} and is still running.")
        outcome = Outcome.UNKNOWN
    if outcome is Outcome.UNKNOWN:
        lost = moment(attempt.lost_at or attempt.started_at)
        return check.warning(
            name,
            f"The answer to the refresh of {lost} was lost, so the refresh token may be used up.",
            f"The access token works until {moment(token.expires_at)}; then the old refresh "
            "token is tried once. To be sure before that, run: "
            f"{command_for('login', key.account)}",
        )
    retry = attempt.retry_at
    wait = (retry - now).total_seconds() if retry else 0
    when = f"in {span(wait)}" if wait > 0 else "at the next use"
    times = f", {attempt.failures} times in a row" if attempt.failures > 1 else ""
    return check.warning(
        name,
        f"The refresh of {started} failed{times}: {clean(attempt.reason)}.",
        f"It is tried again {when}; you are still signed in.",
    )


def _is_free(store: TokenStore, key: AccountKey) -> bool:
    """Tell whether no program holds the lock; a refresh that still runs would hold it."""
    lock = store.lock(key)
    free = lock.acquire()
    lock.release()
    return free


def _title(account: str) -> str:
    return f"login {clean(account)}"


def _sentence(text: str) -> str:
    text = clean(text)
    return text[:1].upper() + text[1:]
