"""The fast path: `trakt-auth token` with a fresh token, without the libraries of other commands.

Reads the store and the clock only. In every other case, errors included, `fresh_token` returns
None and the full command runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from trakt_auth.cli.settings import Settings
from trakt_auth.errors import TraktAuthError
from trakt_auth.protocol.token import TokenState
from trakt_auth.stores.record import AccountKey, login_of

__all__ = ["fresh_token"]

OPTIONS = ("--account", "--store")


def fresh_token(arguments: Sequence[str]) -> str | None:
    """Return the access token that the arguments ask for, None when the full command has to run."""
    options = _read_options(arguments)
    if options is None:
        return None
    try:
        settings = Settings(account=options.get("--account"), store=options.get("--store"))
        key = AccountKey(settings.owner(), settings.account_name)
        record = login_of(settings.open_store().load(key))
        if record is None:
            return None
    except TraktAuthError:  # the full command runs into the same error and reports it
        return None
    token = record.token
    fresh = token.state(datetime.now(UTC), account=key.account) is TokenState.FRESH
    # A refresh that began and did not finish may have left a newer token outside of the store.
    return token.access_token if fresh and record.attempt is None else None


def _read_options(arguments: Sequence[str]) -> dict[str, str] | None:
    """Read `token` and the common options; return None if there is anything else."""
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
