"""`trakt-auth import`: takes over logins from a file of this or of another program.

What a file means is decided in `formats`; keeping and refreshing is the client's.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from trakt_auth.cli.commands.login import moment
from trakt_auth.cli.settings import Settings
from trakt_auth.cli.terminal.output import DONE, clean, say
from trakt_auth.cli.token_files.formats import Found, Login, read_tokens
from trakt_auth.client.sync import Client
from trakt_auth.errors import LoginRequired, StoreCorrupt, StoreError, TraktAuthError, UsageError
from trakt_auth.flows.policy import NO_REFRESH_TOKEN, why_over
from trakt_auth.protocol.token import TokenState
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import AccountKey, Record

__all__ = ["move_in"]

LARGEST = 16 << 20  # bytes; an account takes about 300


def move_in(settings: Settings, *, file: str, replace: bool) -> int:
    """Import a file; nothing is stored before all of it has been checked."""
    settings.check_lasting()
    now = datetime.now(UTC)
    shown = "the standard input" if file == "-" else clean(file)
    found = read_tokens(_content(file), now=now)
    client_id = settings.application().client_id
    _check_application(found, client_id)
    logins = _chosen(found, settings)
    for login in logins:
        say(f"{shown} is {found.kind}: {_described(login, found, client_id)}.")
        _check_usable(login, settings, now)
    store = settings.open_store()
    named = {_name(login, settings): login for login in logins}
    wanted = {
        name: login
        for name, login in named.items()
        if _wanted(store, AccountKey(client_id, name), login, now, replace=replace)
    }
    store.close()
    if wanted:
        with settings.client() as client:
            _adopt(client, wanted, settings.store_shown())
        spent = "" if file == "-" else f" {shown} is as it was; let nothing use it any more."
        say(
            "From now on nobody else may refresh what was imported: a refresh token works once, "
            f"and a refresh by another program would end the login.{spent}"
        )
    return DONE


def _content(file: str) -> bytes:
    try:
        if file == "-":
            content = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        words = error.strerror if isinstance(error, OSError) else None
        raise UsageError(
            f"FILE cannot be read: {words or 'it has no such name'}",
            hint="Name a file that exists.",
        ) from None
    if len(content) > LARGEST:
        raise UsageError("FILE is larger than any token file", hint="Name a token file.")
    return content


def _check_application(found: Found, client_id: str) -> None:
    if found.client_id not in (None, client_id):
        raise UsageError(
            f"These tokens were issued to the application {clean(found.client_id or '')!r}, and "
            f"TRAKT_CLIENT_ID is {client_id!r}: a refresh token works for its own application only",
            hint="Set TRAKT_CLIENT_ID to the file's application, or sign in: trakt-auth login.",
        )


def _chosen(found: Found, settings: Settings) -> list[Login]:
    """Return the logins to import: all, or those that --account names."""
    names = [login.account for login in found.logins]
    if settings.account is None or None in names:
        return list(found.logins)
    if settings.account not in names:
        some = ", ".join(repr(clean(name or "")) for name in names[:5])
        raise UsageError(
            f"The file holds no account {clean(settings.account)!r}",
            hint=f"It holds {some}{' and more' if len(names) > 5 else ''}; name one of them.",  # noqa: PLR2004
        )
    return [login for login in found.logins if login.account == settings.account]


def _name(login: Login, settings: Settings) -> str:
    return login.account or settings.account_name


def _described(login: Login, found: Found, client_id: str) -> str:
    who = f"account {clean(login.account)!r} " if login.account else "a token "
    whose = f"of the application {client_id!r}" if found.client_id else "of an unnamed application"
    until = (
        f"valid until {moment(login.token.expires_at)}"
        if login.dated
        else "of unknown age, so that it counts as expired"
    )
    return (
        f"{who}{whose}, {until}, with{'' if login.token.refresh_token else 'out'} a refresh token"
    )


def _check_usable(login: Login, settings: Settings, now: datetime) -> None:
    if login.token.refresh_token is None and login.token.state(now) is TokenState.EXPIRED:
        raise LoginRequired(account=_name(login, settings), reason=NO_REFRESH_TOKEN)


def _wanted(
    store: TokenStore, key: AccountKey, login: Login, now: datetime, *, replace: bool
) -> bool:
    """Tell whether there is anything to store: this very token may be there already.

    Raises: TraktAuthError when another login would be overwritten that nobody has given up.
    """
    name = key.account
    try:
        stored = store.load(key)
        record = Record.from_stored(stored) if stored else None
    except StoreCorrupt as error:
        if replace:
            return True
        hint = "Import with --replace, which moves the old content aside."
        raise StoreCorrupt(str(error), hint=hint) from None
    if record is None:
        return True
    if record.token.access_token == login.token.access_token:
        say(f"Account {clean(name)!r} holds this very token already; it stays as it is.")
        return False
    ended = login.token.state(now) is TokenState.EXPIRED
    if why_over(record, now) is not None or (replace and not ended):
        return True
    way = (
        "sign out here first (`trakt-auth logout`): the file's token has to be refreshed before "
        "it serves, and nobody knows yet whether that works."
        if ended
        else "overwrite that login with --replace; an older copy of the same login would end it."
    )
    raise TraktAuthError(
        f"Account {clean(name)!r} is signed in here already, with another token "
        f"(of {moment(record.token.created_at)}, valid until {moment(record.token.expires_at)})",
        hint=f"Import under another name with --account, or {way}",
    )


def _adopt(client: Client, logins: Mapping[str, Login], store: str) -> None:
    """Adopt one after the other; a failure keeps none of the others back.

    Raises: the first failure, once all were tried.
    """
    first: TraktAuthError | None = None
    for name, login in logins.items():
        try:
            token = client.adopt(login.token, account=name)
        except TraktAuthError as error:
            if first is not None:
                say(f"trakt-auth: {clean(str(error))}")
            if not isinstance(error, StoreError | LoginRequired):
                say(f"Account {clean(name)!r} is kept; the next use tries to refresh it again.")
            first = first or error
            continue
        say(
            f"Account {clean(name)!r} is kept in {clean(store)}, "
            f"valid until {moment(token.expires_at)}."
        )
    if first is not None:
        raise first
