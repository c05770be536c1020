"""`trakt-auth login`: checks that the token can be stored, chooses the way, reports the result.

The two ways to sign in are in `login_device` and `login_browser`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from trakt_auth.cli.settings import Settings, store_path
from trakt_auth.cli.terminal.output import DONE, clean, say
from trakt_auth.client.sync import Client
from trakt_auth.errors import StoreConflict, StoreCorrupt, UsageError
from trakt_auth.protocol.application import Application
from trakt_auth.protocol.token import Token
from trakt_auth.runtime.loopback import CallbackReceiver
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import AccountKey, login_of, pause_to

__all__ = ["login", "moment"]


def login(settings: Settings, *, device: bool, browser: bool, no_open: bool) -> int:
    """Sign a person in; return the exit status."""
    if device and (browser or no_open):
        raise UsageError("--device excludes --browser and --no-open", hint="Choose one of them.")
    application = settings.application()
    settings.check_persistent()
    loopback = is_loopback(application.redirect_uri)
    if not (device or browser or no_open):
        browser = loopback and has_browser(settings.environ)
    if browser or no_open:
        _check_redirect_uri(application)
    _check_store(settings, AccountKey(settings.owner(), settings.account_name))
    with settings.client() as client:
        if browser or no_open:
            import trakt_auth.cli.commands.login_browser as by_browser

            receives = loopback and not no_open
            token = by_browser.sign_in(client, settings.account_name, receives=receives)
        else:
            import trakt_auth.cli.commands.login_device as by_device

            token = by_device.sign_in(client, settings.account_name)
        _welcome(client, settings, token)
    return DONE


def is_loopback(redirect_uri: str | None) -> bool:
    """Tell whether this computer can receive the redirect."""
    try:
        CallbackReceiver(redirect_uri or "", state="any")
    except UsageError:
        return False
    return True


def has_browser(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Tell whether a browser that is opened here would appear in front of the person."""
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return False
    graphical = platform in ("darwin", "win32", "cygwin")
    return graphical or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _check_redirect_uri(application: Application) -> None:
    if application.redirect_uri is None:
        raise UsageError(
            "TRAKT_REDIRECT_URI is not set, but the browser needs an address to return to",
            hint="Register one such as http://127.0.0.1:8765/callback in the application's "
            "settings on Trakt, then: export TRAKT_REDIRECT_URI=...; or use login --device.",
        )


def _check_store(settings: Settings, key: AccountKey) -> None:
    """Find out whether the token can be stored, before the person is asked to sign in.

    Raises: StoreUnavailable.
    """
    store, corrupt = settings.open_store(), False
    try:
        login_of(store.load(key))
    except StoreCorrupt as error:
        corrupt = True
        say(f"trakt-auth: {clean(str(error))}. The new login will replace it.")
    lock = store.lock(key)
    if lock.acquire():  # taking the lock writes where the token will be written
        lock.release()
    # The lock of a file is beside it, which proves that a new file can be created, but not that
    # one that exists can be replaced: it may be mounted into a container by itself.
    path = store_path(store)
    is_file = settings.store_url().partition(":")[0].lower() == "file"
    if not corrupt and not (is_file and path and not Path(path).exists()):
        _try_write(store, AccountKey(key.client_id, ""))
    store.close()


def _try_write(store: TokenStore, key: AccountKey) -> None:
    """Write the application's own record again, or write and delete one if there is none."""
    stored = store.load(key)
    payload = stored.payload if stored else pause_to(datetime.now(UTC))
    try:
        store.save(key, payload, expires_at=None, replacing=stored.version if stored else None)
    except StoreConflict:  # another program has written it meanwhile, so it can be written
        return
    if stored is None:
        store.delete(key)


def _welcome(client: Client, settings: Settings, token: Token) -> None:
    from trakt_auth.cli.commands.api_call import username

    name = username(client, settings.account_name)
    say(f"Signed in as {clean(name)}." if name else "Signed in.")
    say(
        f"Account {clean(settings.account_name)!r} is stored in {clean(settings.store_shown())}.\n"
        f"The token is valid until {moment(token.expires_at)}.\n"
        "`trakt-auth token` prints it, and refreshes it before it expires."
    )


def moment(when: datetime) -> str:
    """Write a point in time for a person."""
    return f"{when:%Y-%m-%d %H:%M} UTC"
