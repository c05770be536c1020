"""What the environment and the common options say, in one place for the short and the full way.

Reads the environment; no click, no drawing, no request. Imports little: see `quick`.
The files of `cli` import this one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trakt_auth.errors import UsageError
from trakt_auth.protocol.application import Application, Endpoints

if TYPE_CHECKING:
    from trakt_auth.client.sync import Client
    from trakt_auth.stores.interface import TokenStore

__all__ = ["DEFAULT_ACCOUNT", "Settings", "command", "store_path", "version"]

DEFAULT_ACCOUNT = "default"
TRAKT_AUTH = "https://auth.trakt.tv"
TRAKT_API = "https://api.trakt.tv"
LONGEST_KEY_FILE = 100_000  # bytes
KEY_FILE = "Name a file that holds a key of `trakt-auth rekey --generate`."
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
        with _in_words_of_the_environment():
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
        with _in_words_of_the_environment():
            return Endpoints(auth=auth or TRAKT_AUTH, api=api or TRAKT_API)

    def store_choice(self) -> tuple[str, str]:
        """Return the URL of where tokens are kept, and why it is that one.

        A default that was used stays the default: an upgrade, or a login without a desktop, must
        not look elsewhere and find nobody signed in.
        """
        if self.store is not None:
            return self.store, "named by --store"
        named = self.variable("TRAKT_AUTH_STORE")
        if named is not None:
            return named, "named by TRAKT_AUTH_STORE"
        from platformdirs import user_data_dir

        path = os.path.join(user_data_dir("trakt-auth", appauthor=False), "tokens.json")  # noqa: PTH118
        if os.path.exists(path):  # noqa: PTH110 - pathlib would slow down every `token`
            return f"file:{path}", "there is a token file already"
        from trakt_auth.stores.engines.keychain import available
        from trakt_auth.stores.keyring import marker

        if os.path.exists(marker()):  # noqa: PTH110
            return "keyring:", "tokens were kept in the OS keychain before"
        usable, said = available()
        if usable:
            return "keyring:", f"an OS keychain answers: {said}"
        return f"file:{path}", f"no OS keychain answers: {said}"

    def store_url(self) -> str:
        """Return the URL of where tokens are kept."""
        return self.store_choice()[0]

    def store_shown(self) -> str:
        """Return the store's URL without the password that it may hold."""
        from trakt_auth.stores import shown

        return shown(self.store_url())

    def check_lasting(self) -> None:
        """Refuse a store that forgets what a command has put into it.

        Raises: UsageError.
        """
        if self.in_memory:
            raise UsageError(
                "The store memory: ends with this command, and the login with it",
                hint="Name another store with --store or TRAKT_AUTH_STORE.",
            )

    @property
    def in_memory(self) -> bool:
        """Tell whether the store ends with the command."""
        return self.store_url().lower() == "memory:"

    def keys(self) -> list[str]:
        """Return the keys that encrypt the tokens, the first of them for what is saved from now on.

        Raises: UsageError.
        """
        text, path = self.variable("TRAKT_AUTH_KEY"), self.variable("TRAKT_AUTH_KEY_FILE")
        name = "TRAKT_AUTH_KEY" if path is None else "TRAKT_AUTH_KEY_FILE"
        if text is not None and path is not None:
            raise UsageError(
                "TRAKT_AUTH_KEY and TRAKT_AUTH_KEY_FILE are both set", hint="Unset one of them."
            )
        if path is not None:
            text = _private_text(path)
        if text is None:
            return []
        keys = text.replace(",", " ").split()
        if not keys:
            raise UsageError(
                f"{name} is set and holds no key",
                hint="Make one with `trakt-auth rekey --generate`, or unset the variable.",
            )
        return keys

    def open_store(self) -> TokenStore:
        """Open the store; nothing is read yet.

        Raises: UsageError.
        """
        from trakt_auth.stores import open_store

        return open_store(self.store_url(), keys=self.keys())

    def open_fallback(self) -> TokenStore:
        """Open the file for tokens that the store could not take; nothing is read yet.

        Raises: UsageError.
        """
        from hashlib import sha256

        from platformdirs import user_state_dir

        from trakt_auth.stores import identity, open_store

        # One for each store: what was put aside for one must not turn up in another.
        name = sha256(identity(self.store_url()).encode(errors="surrogatepass")).hexdigest()[:16]
        folder = user_state_dir("trakt-auth", appauthor=False)
        return open_store(f"file:{folder}/unsaved-{name}.json", keys=self.keys())

    @contextmanager
    def client(self) -> Generator[Client, None, None]:
        """Lend a client for these settings, and close it and its store.

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


def store_path(store: TokenStore) -> str | None:
    """Return the file that a store is, or that stands for it; None for one without."""
    path: object = getattr(getattr(store, "inner", store), "path", None)  # inner: what is encrypted
    return path if isinstance(path, str) else None


@contextmanager
def _in_words_of_the_environment() -> Generator[None, None, None]:
    """Name in errors the variable to correct, where the library names an argument."""
    try:
        yield
    except UsageError as error:
        hint = error.hint.replace(UsageError.default_hint, "Correct it and try again.")
        said, hint = (
            " ".join(VARIABLES.get(word, word) for word in text.split(" "))
            for text in (str(error), hint)
        )
        raise UsageError(said, hint=hint) from None


def _private_text(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise UsageError(f"TRAKT_AUTH_KEY_FILE {path} is not a file", hint=KEY_FILE)
            if os.name != "nt" and mode & 0o077:
                raise UsageError(
                    f"TRAKT_AUTH_KEY_FILE {path} can be read by others",
                    hint=f"Make it private: chmod 600 {path}",
                )
            return file.read(LONGEST_KEY_FILE).decode(errors="replace")
    except OSError as error:
        raise UsageError(
            f"TRAKT_AUTH_KEY_FILE {path} cannot be read: {error.strerror or error}",
            hint=KEY_FILE,
        ) from None


def command(name: str, account: str) -> str:
    """Return what a person types to have a command see to an account."""
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
