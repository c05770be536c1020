"""`trakt-auth login`: makes sure that the token can be kept, chooses the way, says how it went.

The two ways are in `device` and `browser`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime

from trakt_auth.cli.settings import Settings
from trakt_auth.cli.terminal.output import DONE, clean, say
from trakt_auth.client.sync import Client
from trakt_auth.errors import StoreCorrupt, UsageError
from trakt_auth.protocol.token import Token
from trakt_auth.runtime.loopback import CallbackReceiver
from trakt_auth.stores.record import AccountKey, Record

__all__ = ["login", "moment"]


def login(settings: Settings, *, way: str | None, opens: bool) -> int:
    """Sign a person in; return the exit status."""
    application = settings.application()
    settings.check_lasting()
    loopback = is_loopback(application.redirect_uri)
    if way is None:
        way = "browser" if loopback and browser_likely(settings.environ) else "device"
    if way == "browser" and application.redirect_uri is None:
        raise UsageError(
            "TRAKT_REDIRECT_URI is not set, and the browser needs an address to come back to",
            hint="Register one such as http://127.0.0.1:8765/callback in the application's "
            "settings on Trakt, then: export TRAKT_REDIRECT_URI=...; or use login --device.",
        )
    _check_store(settings, AccountKey(application.client_id, settings.account_name))
    with settings.client() as client:
        if way == "device":
            import trakt_auth.cli.commands.login_device as device

            token = device.sign_in(client, settings.account_name)
        else:
            import trakt_auth.cli.commands.login_browser as browser

            token = browser.sign_in(client, settings.account_name, receives=loopback and opens)
        _welcome(client, settings, token)
    return DONE


def is_loopback(redirect_uri: str | None) -> bool:
    """Tell whether the redirect can be received on this computer."""
    try:
        CallbackReceiver(redirect_uri or "", state="any")
    except UsageError:
        return False
    return True


def browser_likely(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Tell whether a browser on this computer would be in front of the person."""
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return False
    desktop = platform in ("darwin", "win32", "cygwin")
    return desktop or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _check_store(settings: Settings, key: AccountKey) -> None:
    """Find out before the person is asked for anything whether the token could be kept.

    Raises: StoreUnavailable.
    """
    store = settings.open_store()
    try:
        stored = store.load(key)
        if stored is not None:
            Record.from_stored(stored)
    except StoreCorrupt as error:
        say(f"trakt-auth: {clean(str(error))}. A new sign-in moves it aside.")
    lock = store.lock(key)
    if lock.acquire():  # which writes where the token will be written
        lock.release()
    store.close()


def _welcome(client: Client, settings: Settings, token: Token) -> None:
    from trakt_auth.cli.commands.api_call import username

    name = username(client, settings.account_name)
    say(f"Signed in as {clean(name)}." if name else "Signed in.")
    say(
        f"Account {clean(settings.account_name)!r} is kept in {clean(settings.store_shown())}.\n"
        f"The token is valid until {moment(token.expires_at)}; "
        "`trakt-auth token` renews it before that."
    )


def moment(when: datetime) -> str:
    """Write a moment for a person."""
    return f"{when:%Y-%m-%d %H:%M} UTC"
