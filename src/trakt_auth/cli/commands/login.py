"""`trakt-auth login`: checks that the token can be stored, chooses the way, reports the result.

The two ways to sign in are in `login_device` and `login_browser`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime

from trakt_auth.cli.settings import Settings
from trakt_auth.cli.terminal.output import DONE, clean, say
from trakt_auth.client.sync import Client
from trakt_auth.errors import StoreCorrupt, UsageError
from trakt_auth.protocol.application import Application
from trakt_auth.protocol.token import Token
from trakt_auth.runtime.loopback import CallbackReceiver
from trakt_auth.stores.record import AccountKey, login_of

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
    store = settings.open_store()
    try:
        login_of(store.load(key))
    except StoreCorrupt as error:
        say(f"trakt-auth: {clean(str(error))}. The new login will replace it.")
    lock = store.lock(key)
    if lock.acquire():  # taking the lock writes where the token will be written
        lock.release()
    store.close()


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
