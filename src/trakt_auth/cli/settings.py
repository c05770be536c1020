"""What the environment and the common options say, in one place for the short and the full way.

Layer 6. Reads the environment; no click, no drawing, no request. Imports little: see `quick`.
The files of `cli` import this one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trakt_auth.errors import UsageError
from trakt_auth.models import Application, Endpoints

if TYPE_CHECKING:
    from trakt_auth.client import Client
    from trakt_auth.ports import TokenStore

__all__ = ["DEFAULT_ACCOUNT", "Settings", "version"]

DEFAULT_ACCOUNT = "default"
TRAKT_AUTH = "https://auth.trakt.tv"
TRAKT_API = "https://api.trakt.tv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The common options, and the environment behind them. An empty variable counts as unset.

    `account` and `store` are None when the command line names none.
    """

    account: str | None = None
    store: str | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def __post_init__(self) -> None:
        if self.account == "" or self.store == "":
            raise UsageError("--account and --store need a value")

    def variable(self, name: str) -> str | None:
        """Return an environment variable, None when it is unset or empty."""
        return self.environ.get(name) or None

    @property
    def account_name(self) -> str:
        """The account that a command is about."""
        return self.account or DEFAULT_ACCOUNT

    def application(self, user_agent: str | None = None) -> Application:
        """Return the application that the environment names.

        `user_agent` is for whoever sends nothing: finding out our own version takes long.

        Raises: UsageError.
        """
        client_id = self.variable("TRAKT_CLIENT_ID")
        if client_id is None:
            raise UsageError(
                "TRAKT_CLIENT_ID is not set",
                hint="Register an application at https://app.trakt.tv/settings/apps/api, "
                "then: export TRAKT_CLIENT_ID=...",
            )
        return Application(
            client_id,
            user_agent=self.variable("TRAKT_USER_AGENT") or user_agent or f"trakt-auth/{version()}",
            client_secret=self.variable("TRAKT_CLIENT_SECRET"),
            redirect_uri=self.variable("TRAKT_REDIRECT_URI"),
        )

    def endpoints(self) -> Endpoints | None:
        """Return the servers that the environment names, None when it names none.

        Raises: UsageError.
        """
        auth, api = self.variable("TRAKT_AUTH_URL"), self.variable("TRAKT_API_URL")
        if auth is None and api is None:
            return None
        return Endpoints(auth=auth or TRAKT_AUTH, api=api or TRAKT_API)

    def store_url(self) -> str:
        """Return where tokens are kept: the option, the environment, or a file of the user's."""
        named = self.store or self.variable("TRAKT_AUTH_STORE")
        if named is not None:
            return named
        from platformdirs import user_data_dir

        return f"file:{os.path.join(user_data_dir('trakt-auth', appauthor=False), 'tokens.json')}"  # noqa: PTH118

    def store_shown(self) -> str:
        """Return the store's URL without the password that it may hold."""
        head, at, tail = self.store_url().rpartition("@")
        return f"{head.partition('//')[0]}//...@{tail}" if at and "//" in head else self.store_url()

    def open_store(self) -> TokenStore:
        """Open the store; nothing is read yet.

        Raises: UsageError.
        """
        from trakt_auth.stores import open_store

        return open_store(self.store_url())

    def client(self) -> Client:
        """Return a client for these settings.

        Raises: UsageError.
        """
        from trakt_auth.client import Client

        return Client(self.application(), store=self.store_url(), endpoints=self.endpoints())


def version() -> str:
    """Return the version of this library."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("trakt-auth")
    except PackageNotFoundError:  # run from a source tree
        return "0"
