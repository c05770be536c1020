"""What the environment and the common options say: application, servers, store.

Reads the environment; sends nothing, prints nothing. Imports little, because every
`trakt-auth token` imports this file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trakt_auth.errors import UsageError
from trakt_auth.protocol.application import Application, Endpoints

if TYPE_CHECKING:
    from trakt_auth.client.sync import Client
    from trakt_auth.stores.interface import TokenStore

__all__ = ["DEFAULT_ACCOUNT", "Settings", "command_for", "store_path", "version"]

DEFAULT_ACCOUNT = "default"
TRAKT_AUTH = "https://auth.trakt.tv"
TRAKT_API = "https://api.trakt.tv"
VARIABLES = {
    "client_id": "TRAKT_CLIENT_ID",
    "client_secret": "TRAKT_CLIENT_SECRET",
    "redirect_uri": "TRAKT_REDIRECT_URI",
    "user_agent": "TRAKT_USER_AGENT",
    "auth": "TRAKT_AUTH_URL",
    "api": "TRAKT_API_URL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The common options, and the environment. An empty variable counts as unset.

    `account` and `store` are None when the command line does not name them.
    """

    account: str | None = None
    store: str | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def __post_init__(self) -> None:
        if self.account == "" or self.store == "":
            raise UsageError(
                "--account and --store need a value", hint="Give one, or leave the option out."
            )
        if self.account is not None and not self.account.isascii():
            from unicodedata import normalize

            # Keyboards and file names spell the same letter in different ways.
            object.__setattr__(self, "account", normalize("NFC", self.account))

    def variable(self, name: str) -> str | None:
        """Return an environment variable, None when it is unset or empty.

        Raises: UsageError when the value is in quotes.
        """
        value = self.environ.get(name) or None
        if value is not None and len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            raise UsageError(
                f"{name} has quotes around its value",
                hint="Remove them. In a file for docker's --env-file, quotes are part of a value.",
            )
        return value

    @property
    def account_name(self) -> str:
        """The account that a command is about."""
        return self.account or DEFAULT_ACCOUNT

    def application(self, user_agent: str | None = None) -> Application:
        """Return the application that the environment describes.

        Commands that send no request pass any `user_agent`, because reading the version of this
        library takes long.

        Raises: UsageError.
        """
        client_id = self.variable("TRAKT_CLIENT_ID")
        if client_id is None:
            raise UsageError(
                "TRAKT_CLIENT_ID is not set",
                hint="Register an application at https://app.trakt.tv/settings/apps/api, "
                "then: export TRAKT_CLIENT_ID=...",
            )
        with _errors_name_the_variable():
            return Application(
                client_id,
                user_agent=self.variable("TRAKT_USER_AGENT")
                or user_agent
                or f"trakt-auth/{version()}",
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
        with _errors_name_the_variable():
            return Endpoints(auth=auth or TRAKT_AUTH, api=api or TRAKT_API)

    def owner(self) -> str:
        """Return under which name a store keeps the logins of the application.

        Raises: UsageError.
        """
        client_id, endpoints = self.application("trakt-auth").client_id, self.endpoints()
        return client_id if endpoints is None else endpoints.owner(client_id)

    def store_choice(self) -> tuple[str, str]:
        """Return the URL of the store, and the reason why it is that one.

        The default that was used once stays the default. Otherwise a login would be missing after
        an upgrade, or in a session without a desktop, because the command looks elsewhere.

        Raises: UsageError when no store is named and there is no home directory.
        """
        if self.store is not None:
            return self.store, "named by --store"
        named = self.variable("TRAKT_AUTH_STORE")
        if named is not None:
            return named, "named by TRAKT_AUTH_STORE"
        from platformdirs import user_data_dir

        folder = _in_home(lambda: user_data_dir("trakt-auth", appauthor=False))
        if folder is None:
            raise UsageError(
                "No store is named, and this user has no home directory to keep tokens in",
                hint="Name a store with --store or TRAKT_AUTH_STORE, or set HOME.",
            )
        path = os.path.join(folder, "tokens.json")  # noqa: PTH118
        if os.path.exists(path):  # noqa: PTH110 - pathlib would slow down every `token`
            return f"file:{path}", "there is a token file already"
        from trakt_auth.stores.engines.keychain import available
        from trakt_auth.stores.keyring import marker

        if os.path.exists(marker()):  # noqa: PTH110
            return "keyring:", "tokens were kept in the OS keychain before"
        usable, detail = available()
        if usable:
            return "keyring:", f"an OS keychain answers: {detail}"
        return f"file:{path}", f"no OS keychain answers: {detail}"

    def store_url(self) -> str:
        """Return the URL of the store."""
        return self.store_choice()[0]

    def store_shown(self) -> str:
        """Return the URL of the store without a password, to be printed."""
        from trakt_auth.stores import shown

        return shown(self.store_url())

    def check_persistent(self) -> None:
        """Refuse the store `memory:`, which is empty again when the command ends.

        Raises: UsageError.
        """
        if self.in_memory:
            raise UsageError(
                "The store memory: loses the login when this command ends",
                hint="Name another store with --store or TRAKT_AUTH_STORE.",
            )

    @property
    def in_memory(self) -> bool:
        """Tell whether the store is empty again when the command ends."""
        return self.store_url().lower() == "memory:"

    def keys(self) -> list[str]:
        """Return the keys of the encryption; the first one encrypts, all of them decrypt.

        Raises: UsageError.
        """
        text, path = self.variable("TRAKT_AUTH_KEY"), self.variable("TRAKT_AUTH_KEY_FILE")
        if text is None and path is None:
            return []
        from trakt_auth.cli.key_variables import read_keys

        return read_keys(text, path)

    def open_store(self) -> TokenStore:
        """Open the store; nothing is read yet.

        Raises: UsageError.
        """
        from trakt_auth.stores import open_store

        url = self.store_url()
        _check_home(url)
        return open_store(url, keys=self.keys())

    def open_fallback(self) -> TokenStore | None:
        """Open the file for tokens that the store could not take; nothing is read yet.

        The result is None where this user can have no such file: a store of one's own is enough.

        Raises: UsageError.
        """
        from hashlib import sha256

        from platformdirs import user_state_dir

        from trakt_auth.stores import identity, open_store

        folder = _in_home(lambda: user_state_dir("trakt-auth", appauthor=False))
        if folder is None or not _is_usable(folder):
            return None

        # Each store has a file of its own, so that its tokens are never saved in another store.
        name = sha256(identity(self.store_url()).encode(errors="surrogatepass")).hexdigest()[:16]
        return open_store(f"file:{folder}/unsaved-{name}.json", keys=self.keys())

    @contextmanager
    def client(self) -> Generator[Client, None, None]:
        """Open a client for these settings; close it and its store at the end.

        Raises: UsageError.
        """
        from trakt_auth.client.sync import Client

        store = self.open_store()
        try:
            with Client(
                self.application(),
                store=store,
                fallback=self.open_fallback(),
                endpoints=self.endpoints(),
            ) as client:
                yield client
        finally:
            store.close()


def _check_home(url: str) -> None:
    """Raise UsageError when a store needs a home directory and this user has none.

    Otherwise a folder whose name is `~` would be made in the working directory.
    """
    scheme, _, rest = url.partition(":")
    path: str | None = rest.removeprefix("//")
    if scheme.lower() == "keyring":
        from trakt_auth.stores.keyring import marker

        path = _in_home(marker)
    elif scheme.lower() in ("file", "sqlite") and rest:
        path = _in_home(lambda: os.path.expanduser(rest.removeprefix("//")))  # noqa: PTH111
    if path is None:
        raise UsageError(
            f"The store {url} needs a home directory, which is not known here",
            hint="Write the whole path of a file instead of ~, or set HOME.",
        )


def _in_home(find: Callable[[], str]) -> str | None:
    """Return the path that `find` returns, None if it needs a home directory and there is none."""
    try:
        path = find()
    except RuntimeError:
        return None
    return None if path.startswith("~") else path


def _is_usable(folder: str) -> bool:
    """Tell whether a folder can be read, or created if it does not exist."""
    wanted = os.R_OK | os.X_OK
    while not os.path.exists(folder):  # noqa: PTH110 - False without permission to look
        folder, wanted = os.path.dirname(folder), os.W_OK | os.X_OK  # noqa: PTH120
    return os.path.isdir(folder) and os.access(folder, wanted)  # noqa: PTH112


def store_path(store: TokenStore) -> str | None:
    """Return the path of a store's own file; None for a store without one."""
    path: object = getattr(
        getattr(store, "inner", store), "path", None
    )  # inner: of an encrypted store
    return path if isinstance(path, str) else None


@contextmanager
def _errors_name_the_variable() -> Generator[None, None, None]:
    """Replace, in errors, the library's name of an argument by the name of the variable."""
    try:
        yield
    except UsageError as error:
        hint = error.hint.replace(UsageError.default_hint, "Correct it and try again.")
        message, hint = (
            " ".join(VARIABLES.get(word, word) for word in text.split(" "))
            for text in (str(error), hint)
        )
        raise UsageError(message, hint=hint) from None


def command_for(name: str, account: str) -> str:
    """Return what a person has to type to run a command for an account."""
    if account == DEFAULT_ACCOUNT:
        return f"trakt-auth {name}"
    from shlex import quote

    return f"trakt-auth {name} --account {quote(account)}"


def version() -> str:
    """Return the version of this library."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("trakt-auth")
    except PackageNotFoundError:  # run from a source tree
        return "0"
