"""The short cut: `trakt-auth token` with a fresh token, without the libraries of the full command.

Reads the store and the clock; anything but a fresh token is left to the full command.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from trakt_auth.cli.settings import Settings
from trakt_auth.errors import TraktAuthError
from trakt_auth.protocol.token import TokenState
from trakt_auth.stores.record import AccountKey, Record

__all__ = ["fresh_token"]

OPTIONS = ("--account", "--store")


def fresh_token(arguments: Sequence[str]) -> str | None:
    """Return the access token that is asked for, None when the full command has to see to it."""
    options = _options(arguments)
    if options is None:
        return None
    try:
        settings = Settings(account=options.get("--account"), store=options.get("--store"))
        settings.endpoints()
        application = settings.application("trakt-auth")
        key = AccountKey(application.client_id, settings.account_name)
        stored = settings.open_store().load(key)
        if stored is None:
            return None
        record = Record.from_stored(stored)
    except TraktAuthError:  # the full command meets it again and tells of it
        return None
    token = record.token
    fresh = token.state(datetime.now(UTC), account=key.account) is TokenState.FRESH
    # With an open note the store may not have the newest token.
    return token.access_token if fresh and record.attempt is None else None


def _options(arguments: Sequence[str]) -> dict[str, str] | None:
    """Read `token` and the common options; None when there is anything else."""
    options: dict[str, str] = {}
    commands: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name in OPTIONS:
            value = value if equals else next(rest, "")
            if not value or value.startswith("-"):
                return None
            options[name] = value
        else:
            commands.append(argument)
    return options if commands == ["token"] else None
