"""`token`, `refresh` and `logout`: each a call of the client, and a sentence.

The short cut for a fresh token is in `quick`.
"""

from __future__ import annotations

from trakt_auth.cli.commands.login import moment
from trakt_auth.cli.settings import Settings
from trakt_auth.cli.terminal.output import DONE, clean, delivered, say
from trakt_auth.errors import StoreCorrupt, StoreEncrypted
from trakt_auth.stores.record import AccountKey, encrypted_by

__all__ = ["logout", "refresh", "token"]


def token(settings: Settings) -> int:
    """Print a valid access token and nothing else."""
    with settings.client() as client:
        access_token = client.token(account=settings.account_name).access_token
    return delivered(f"{access_token}\n")


def refresh(settings: Settings) -> int:
    """Refresh now, and say until when the new token is valid."""
    with settings.client() as client:
        renewed = client.refresh(account=settings.account_name)
    say(f"Refreshed. The token is valid until {moment(renewed.expires_at)}.")
    return DONE


def logout(settings: Settings) -> int:
    """Sign out at Trakt as far as it can be reached, and here in any case."""
    account = settings.account_name
    with settings.client() as client:
        there, readable = _looked_at(settings, AccountKey(client.application.client_id, account))
        if not there and account not in client.unsaved():
            say(f"Account {clean(account)!r} is not signed in; there is nothing to do.")
            return DONE
        client.revoke(account=account)
    say(f"Account {clean(account)!r} is signed out, and its token is forgotten.")
    if not readable:
        say(
            "It was encrypted, and its key is not configured, so Trakt could not be told: remove "
            "the application in your account on Trakt as well."
        )
    return DONE


def _looked_at(settings: Settings, key: AccountKey) -> tuple[bool, bool]:
    """Tell whether there is a record, and whether it can be opened."""
    store = settings.open_store()
    try:
        stored = store.load(key)
    except StoreEncrypted:
        return True, False
    except StoreCorrupt:
        return True, True
    finally:
        store.close()
    return stored is not None, stored is None or encrypted_by(stored) is None
