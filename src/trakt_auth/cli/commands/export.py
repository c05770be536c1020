"""`trakt-auth export`: writes logins for another computer or another program.

Sends nothing and changes nothing in the store. What the files look like is decided in `formats`.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from secrets import token_hex

from trakt_auth.cli.settings import DEFAULT_ACCOUNT, Settings, command_for, store_path
from trakt_auth.cli.terminal.output import DONE, clean, say, write_result
from trakt_auth.cli.token_files.formats import WRITERS
from trakt_auth.errors import (
    LockTimeout,
    LoginRequired,
    StoreError,
    StoreUnavailable,
    TraktAuthError,
    UsageError,
)
from trakt_auth.flows.policy import NO_LOGIN, why_over
from trakt_auth.protocol.token import Token
from trakt_auth.stores.engines.files import PRIVATE
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import AccountKey, Record, answer_lost_at, login_of

__all__ = ["export_logins"]

WARNING = """\
Protect it like a password: it gives access to the account on Trakt.
Use it in one program only. A refresh token works once:
if two programs refresh, the login ends.\
"""


def export_logins(settings: Settings, *, file: str, kind: str, replace: bool) -> int:
    """Write the tokens to a file, or to stdout for `-`; return the exit status."""
    if file != "-":
        _check_target(file, replace=replace)
    application = settings.application()
    store = settings.open_store()
    try:
        if file != "-":
            _check_not_store(file, store)
        many = kind == "trakt-auth" and settings.account is None
        names = store.accounts(settings.owner()) if many else [settings.account_name]
        _check_saved(settings, names, many=many)
        tokens = _tokens(store, settings.owner(), names, many=many)
    finally:
        store.close()
    content = WRITERS[kind](tokens, application.client_id, application.client_secret)
    text = json.dumps(content, indent=1) + "\n"
    if file == "-":
        status = write_result(text)
        say("This output contains secrets.")
    else:
        _write(file, text, replace=replace)
        status = DONE
        say(f"{clean(file)} was written. It contains secrets, and only you can read it.")
    say(WARNING)
    return status


def _tokens(store: TokenStore, owner: str, names: Sequence[str], *, many: bool) -> dict[str, Token]:
    """Return the tokens of the accounts. If there are many, leave out logins that have ended.

    Raises: LoginRequired, StoreError.
    """
    now = datetime.now(UTC)
    tokens: dict[str, Token] = {}
    for name in names:
        try:
            tokens[name] = _token(store, AccountKey(owner, name), now)
        except LoginRequired as error:
            if not many:
                raise
            say(f"Not exported: {clean(str(error))}")
        except StoreError:
            if many:
                say(f"trakt-auth: Account {clean(name)!r} cannot be exported.")
            raise
    if not tokens:
        reason = "every login in this store has ended" if names else NO_LOGIN
        raise LoginRequired(account=DEFAULT_ACCOUNT, reason=reason)
    return tokens


def _token(store: TokenStore, key: AccountKey, now: datetime) -> Token:
    record = _record(store, key)
    over = why_over(record, now)
    if over is not None:
        raise LoginRequired(account=key.account, reason=over)
    if record.attempt is not None and answer_lost_at(record.attempt, locked=True):
        say(
            f"Account {clean(key.account)!r}: the answer to its last refresh was lost, so its "
            "refresh token may be used up already."
        )
    return record.token


def _record(store: TokenStore, key: AccountKey) -> Record:
    """Read a record under its lock, so that it is not in the middle of a refresh."""
    if store.load(key) is None:
        raise LoginRequired(account=key.account, reason=NO_LOGIN)
    lock = store.lock(key)
    if not lock.acquire():
        raise LockTimeout(f"Account {key.account!r} is being refreshed by another program")
    try:
        record = login_of(store.load(key))
    finally:
        lock.release()
    if record is None:
        raise LoginRequired(account=key.account, reason=NO_LOGIN)
    return record


def _check_saved(settings: Settings, names: Sequence[str], *, many: bool) -> None:
    """Refuse to export an account whose newest token could not be saved in the store yet."""
    with settings.client() as client:
        waiting = [name for name in client.unsaved() if many or name in names]
    if waiting:
        raise StoreUnavailable(
            f"The newest token of account {waiting[0]!r} could not be saved yet",
            hint=f"Make the store writable, then run: {command_for('refresh', waiting[0])}",
        )


def _check_not_store(file: str, store: TokenStore) -> None:
    path = store_path(store)
    try:
        same = path is not None and os.path.samefile(file, path)  # noqa: PTH121 - see `_write`
    except (OSError, ValueError):  # one of them does not exist
        return
    if same:
        raise UsageError(
            f"{clean(file)} is the token store itself and would be overwritten",
            hint="Name another file, or - for stdout.",
        )


def _check_target(file: str, *, replace: bool) -> None:
    try:
        mode = os.stat(file).st_mode  # noqa: PTH116 - as `_write` names it
    except (OSError, ValueError):
        return  # `_write` reports what is wrong with it
    if not stat.S_ISREG(mode):
        raise TraktAuthError(f"{clean(file)} is not a file", hint="Name a file, or - for stdout.")
    if not replace:
        raise TraktAuthError(
            f"{clean(file)} exists already and was not changed",
            hint="Name another file, or overwrite this one with --replace.",
        )


def _write(file: str, text: str, *, replace: bool) -> None:
    """Create a file with mode 0600, or replace one in a single step: no reader finds a part."""
    try:
        target = os.path.realpath(file) if replace else file
        new = f"{target}.{token_hex(4)}.new" if replace else target
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        try:
            with open(descriptor, "w", encoding="utf-8") as opened:  # noqa: PTH123
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            if replace:
                os.replace(new, target)  # noqa: PTH105
        except BaseException:
            with suppress(OSError):
                os.unlink(new)  # noqa: PTH108
            raise
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) else None
        raise TraktAuthError(
            f"{clean(file)} cannot be written: {reason or 'it is not a valid file name'}",
            hint="Check its folder and the free space, or name another file.",
        ) from None
