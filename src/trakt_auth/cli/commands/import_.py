"""`trakt-auth import`: takes over logins from a file of this or of another program.

What a file means is decided in `formats`; the client stores and refreshes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from trakt_auth.cli.commands.login import moment
from trakt_auth.cli.settings import Settings, command_for
from trakt_auth.cli.terminal.output import DONE, clean, say
from trakt_auth.cli.token_files.formats import Found, Login, read_tokens
from trakt_auth.client.sync import Client
from trakt_auth.errors import LoginRequired, StoreCorrupt, StoreError, TraktAuthError, UsageError
from trakt_auth.flows.policy import NO_REFRESH_TOKEN, why_over
from trakt_auth.protocol.token import TokenState
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import AccountKey, login_of

__all__ = ["import_logins"]

LARGEST = 16 << 20  # bytes; an account takes about 300
LISTED = 5  # accounts of the file that a message names


def import_logins(settings: Settings, *, file: str, replace: bool) -> int:
    """Import a file. All of it is checked before anything is stored."""
    settings.check_persistent()
    now = datetime.now(UTC)
    shown = "the standard input" if file == "-" else clean(file)
    found = read_tokens(_read(file, shown), now=now)
    client_id = settings.application().client_id
    _check_application(found, client_id)
    logins = _select(found, settings)
    for login in logins:
        say(f"{shown} is {found.kind}: {_describe(login, found, client_id)}.")
        _check_usable(login, settings, now)
    store = settings.open_store()
    named = {_name(login, settings): login for login in logins}
    missing = {
        name: login
        for name, login in named.items()
        if _is_missing(store, AccountKey(settings.owner(), name), login, now, replace=replace)
    }
    store.close()
    if missing:
        with settings.client() as client:
            _adopt(client, missing, settings.store_shown())
        unchanged = "" if file == "-" else f" {shown} was not changed; let no program use it."
        say(
            "From now on no other program may refresh the imported tokens: a refresh token works "
            f"once, so a refresh by another program would end the login.{unchanged}"
        )
    return DONE


def _read(file: str, shown: str) -> bytes:
    try:
        if file == "-":
            content = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) else None
        raise UsageError(
            f"{shown} cannot be read: {reason or 'it is not a valid file name'}",
            hint="Name a file that exists, or - for stdin.",
        ) from None
    if len(content) > LARGEST:
        raise UsageError(f"{shown} is larger than any token file", hint="Name a token file.")
    return content


def _check_application(found: Found, client_id: str) -> None:
    if found.client_id not in (None, client_id):
        raise UsageError(
            f"These tokens were issued to the application {clean(found.client_id or '')!r}, and "
            f"TRAKT_CLIENT_ID is {client_id!r}: a refresh token works for its own application only",
            hint="Set TRAKT_CLIENT_ID to the file's application, or sign in: trakt-auth login.",
        )


def _select(found: Found, settings: Settings) -> list[Login]:
    """Return the logins to import: all, or the one that --account names."""
    names = [login.account for login in found.logins]
    if settings.account is None or None in names:
        return list(found.logins)
    if settings.account not in names:
        some = ", ".join(repr(clean(name or "")) for name in names[:LISTED])
        more = " and more" if len(names) > LISTED else ""
        raise UsageError(
            f"The file holds no account {clean(settings.account)!r}",
            hint=f"It holds {some}{more}; name one of them.",
        )
    return [login for login in found.logins if login.account == settings.account]


def _name(login: Login, settings: Settings) -> str:
    return login.account or settings.account_name


def _describe(login: Login, found: Found, client_id: str) -> str:
    what = f"account {clean(login.account)!r}" if login.account else "a token"
    whose = f"of the application {client_id!r}" if found.client_id else "of an unnamed application"
    until = (
        f"valid until {moment(login.token.expires_at)}"
        if login.dated
        else "of unknown age and therefore treated as expired"
    )
    refresh = f"with{'' if login.token.refresh_token else 'out'} a refresh token"
    return f"{what} {whose}, {until}, {refresh}"


def _check_usable(login: Login, settings: Settings, now: datetime) -> None:
    if login.token.refresh_token is None and login.token.state(now) is TokenState.EXPIRED:
        raise LoginRequired(account=_name(login, settings), reason=NO_REFRESH_TOKEN)


def _is_missing(
    store: TokenStore, key: AccountKey, login: Login, now: datetime, *, replace: bool
) -> bool:
    """Tell whether the login has to be stored; False if the store has this token already.

    Raises: TraktAuthError if it would overwrite a login that still works.
    """
    name = key.account
    try:
        record = login_of(store.load(key))
    except StoreCorrupt as error:
        if replace:
            return True
        hint = "Import with --replace, which moves the old content aside."
        raise StoreCorrupt(str(error), hint=hint) from None
    if record is None:
        return True
    if record.token.access_token == login.token.access_token:
        say(f"Account {clean(name)!r} has this token already and was not changed.")
        return False
    expired = login.token.state(now) is TokenState.EXPIRED
    if why_over(record, now) is not None or (replace and not expired):
        return True
    way = (
        f"sign out first ({command_for('logout', name)}): the token of the file has expired, and "
        "it is unknown whether it can still be refreshed."
        if expired
        else "replace that login with --replace; but an older copy of the same login would end it."
    )
    raise TraktAuthError(
        f"Account {clean(name)!r} is signed in already, with another token "
        f"(issued {moment(record.token.created_at)}, valid until "
        f"{moment(record.token.expires_at)})",
        hint=f"Import under another name with --account, or {way}",
    )


def _adopt(client: Client, logins: Mapping[str, Login], store: str) -> None:
    """Store one login after the other; a failure does not stop the rest.

    Raises: the first failure, after all were tried.
    """
    first: TraktAuthError | None = None
    for name, login in logins.items():
        try:
            token = client.adopt(login.token, account=name)
        except TraktAuthError as error:
            if first is not None:
                say(f"trakt-auth: {clean(str(error))}")
            if not isinstance(error, StoreError | LoginRequired):
                say(f"Account {clean(name)!r} is stored; the next use tries to refresh it again.")
            first = first or error
            continue
        say(
            f"Account {clean(name)!r} is stored in {clean(store)}, "
            f"valid until {moment(token.expires_at)}."
        )
    if first is not None:
        raise first
