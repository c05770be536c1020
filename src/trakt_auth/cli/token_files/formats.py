"""The formats of token files, of this program and of others: bytes to tokens, tokens to JSON.

Pure: opens no file and reads no clock; the caller passes the time. No error quotes the content.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from trakt_auth.cli.token_files.values import optional_secret, secret, unix_time
from trakt_auth.errors import UsageError
from trakt_auth.protocol.decoding import JsonObject, MalformedJsonError, if_valid
from trakt_auth.protocol.token import Token

__all__ = ["WRITERS", "Found", "Login", "read_tokens"]

FORMAT = 1
MARK = "trakt-auth-export"
STORE_MARK = "trakt-auth"  # the first key of a file store
LONGEST_LIFE = timedelta(days=366)  # Trakt has never given more than 90 days
TOLERANCE = timedelta(minutes=5)  # by which another computer's clock may be ahead
SHORTEST_LIFE = timedelta(days=1)  # the shortest that Trakt is known to have given
EXPECTED = (
    "Give a file of `trakt-auth export`, PyTrakt's ~/.pytrakt.json, or a token response as Trakt "
    "gives it and trakt.py keeps it: JSON with an access_token."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A token in a file. `account` is None when the file names no account.

    `dated` is False when the file does not say, or not credibly, until when the access token is
    valid. It then counts as expired, so that it is refreshed before it is used.
    """

    account: str | None
    token: Token
    dated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The content of a file. `client_id` is None when the file does not name it."""

    kind: str
    client_id: str | None
    logins: tuple[Login, ...] = field(repr=False)


def read_tokens(content: bytes, *, now: datetime) -> Found:
    """Recognise a token file and read it.

    Raises: UsageError for an unknown format or a damaged file.
    """
    try:
        return _read(JsonObject.parse(content, lone_surrogates=True), now)
    except MalformedJsonError as error:
        what = f"The file's {error.field}" if error.field else "The file"
        raise _bad(f"{what} {error.problem}") from None


# -- reading -------------------------------------------------------------------------------------


def _read(fields: JsonObject, now: datetime) -> Found:
    if MARK in fields:
        return _read_own(fields)
    if "OAUTH_TOKEN" in fields:
        return _read_pytrakt(fields, now)
    if "access_token" in fields:
        return _read_response(fields, now)
    if STORE_MARK in fields:
        raise UsageError(
            "The file is a token store of trakt-auth, not an export",
            hint="Use it where it is: --store file:PATH, or TRAKT_AUTH_STORE.",
        )
    raise _bad("The file is JSON, but no token file that is known here")


def _bad(message: str) -> UsageError:
    return UsageError(message, hint=EXPECTED)


def _read_own(fields: JsonObject) -> Found:
    format_ = fields.value(MARK)
    if isinstance(format_, int) and format_ > FORMAT:
        raise UsageError(
            "The file was exported by a newer version of trakt-auth", hint="Upgrade trakt-auth."
        )
    accounts = fields.nested_list("accounts")
    if format_ != FORMAT or not accounts:
        raise _bad("The file looks like an export of trakt-auth, but holds no accounts")
    logins = tuple(_read_account(one) for one in accounts)
    if len({login.account for login in logins}) < len(logins):
        raise _bad("The file holds an account twice")
    client_id = secret(fields, "client_id")
    return Found(kind="an export of trakt-auth", client_id=client_id, logins=logins)


def _read_account(fields: JsonObject) -> Login:
    name = fields.text("account")
    if not name:
        raise fields.malformed("account", "is empty")
    token = Token(
        access_token=secret(fields, "access_token"),
        refresh_token=optional_secret(fields, "refresh_token"),
        token_type=secret(fields, "token_type"),
        scope=if_valid(fields.text, "scope"),
        created_at=fields.moment("created_at"),
        expires_at=fields.moment("expires_at"),
    )
    return Login(account=name, token=token, dated=True)


def _read_pytrakt(fields: JsonObject, now: datetime) -> Found:
    login = _login(
        secret(fields, "OAUTH_TOKEN"),
        optional_secret(fields, "OAUTH_REFRESH"),
        created_at=None,
        expires_at=unix_time(fields, "OAUTH_EXPIRES_AT"),
        now=now,
    )
    client_id = optional_secret(fields, "CLIENT_ID")
    return Found(kind="a PyTrakt file", client_id=client_id, logins=(login,))


def _read_response(fields: JsonObject, now: datetime) -> Found:
    created_at, seconds = unix_time(fields, "created_at"), fields.lenient_number("expires_in")
    life = None
    if seconds is not None and 0 <= seconds <= LONGEST_LIFE.total_seconds():
        life = timedelta(seconds=seconds)
    expires_at = None
    if seconds is None:
        expires_at = unix_time(fields, "expires_at")
    elif created_at is not None:
        expires_at = created_at + life if life is not None else None
    else:  # oauthlib, authlib and spotipy write when a token ends, and not when it was issued
        expires_at = if_valid(lambda name: unix_time(fields, name), "expires_at")
        if expires_at is not None and life is not None:
            created_at = expires_at - life
    login = _login(
        secret(fields, "access_token"),
        optional_secret(fields, "refresh_token"),
        created_at=created_at,
        expires_at=expires_at,
        now=now,
        scope=if_valid(fields.text, "scope"),
    )
    return Found(
        kind="a token response, as Trakt gives it and trakt.py keeps it",
        client_id=optional_secret(fields, "client_id"),
        logins=(login,),
    )


def _login(
    access_token: str,
    refresh_token: str | None,
    *,
    created_at: datetime | None,
    expires_at: datetime | None,
    now: datetime,
    scope: str | None = None,
) -> Login:
    credible = expires_at is not None and expires_at - now <= LONGEST_LIFE
    if created_at is not None and created_at - now > TOLERANCE:
        credible = False
    if expires_at is None or not credible:
        expires_at, created_at = now, None
    if created_at is None or created_at > expires_at:
        created_at = min(now, expires_at - SHORTEST_LIFE)
    token = Token(
        access_token=access_token,
        refresh_token=refresh_token,
        scope=scope,
        created_at=created_at,
        expires_at=expires_at,
    )
    return Login(account=None, token=token, dated=credible)


# -- writing -------------------------------------------------------------------------------------


def _own(tokens: Mapping[str, Token], client_id: str, _: str | None) -> dict[str, Any]:
    return {
        MARK: FORMAT,
        "client_id": client_id,
        "accounts": [
            {
                "account": account,
                "access_token": token.access_token,
                "refresh_token": token.refresh_token,
                "token_type": token.token_type,
                "scope": token.scope,
                "created_at": token.created_at.isoformat(),
                "expires_at": token.expires_at.isoformat(),
            }
            for account, token in tokens.items()
        ],
    }


def _pytrakt(
    tokens: Mapping[str, Token], client_id: str, client_secret: str | None
) -> dict[str, Any]:
    (token,) = tokens.values()
    return {
        "APPLICATION_ID": None,
        "CLIENT_ID": client_id,
        "CLIENT_SECRET": client_secret,
        "OAUTH_EXPIRES_AT": _seconds(token.expires_at),
        "OAUTH_REFRESH": token.refresh_token,
        "OAUTH_TOKEN": token.access_token,
    }


def _response(tokens: Mapping[str, Token], _: str, __: str | None) -> dict[str, Any]:
    (token,) = tokens.values()
    created_at = _seconds(token.created_at)
    return {
        "access_token": token.access_token,
        "token_type": token.token_type,
        "expires_in": _seconds(token.expires_at) - created_at,
        "refresh_token": token.refresh_token,
        "scope": token.scope,
        "created_at": created_at,
    }


def _seconds(moment: datetime) -> int:
    return math.floor(moment.timestamp())


Writer = Callable[[Mapping[str, Token], str, str | None], dict[str, Any]]
# For each format the function that turns tokens, client id and client secret into a JSON object.
# The first format takes any number of accounts, the others take one.
WRITERS: Mapping[str, Writer] = {
    "trakt-auth": _own,
    "pytrakt": _pytrakt,
    "trakt.py": _response,
    "response": _response,
}
