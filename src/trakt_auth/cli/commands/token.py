"""`token`, `refresh` and `logout`: each is one call of the client, and a message.

The fast path of `token` with a fresh token is in `cli.fast_path`.
"""

from __future__ import annotations

from trakt_auth.cli.commands.login import moment
from trakt_auth.cli.settings import Settings
from trakt_auth.cli.terminal.output import DONE, clean, say, write_result
from trakt_auth.errors import StoreCorrupt, StoreEncrypted
from trakt_auth.stores.record import AccountKey, encrypted_by, is_tombstone

__all__ = ["logout", "refresh", "token"]


def token(settings: Settings) -> int:
    """Print a valid access token and nothing else."""
    with settings.client() as client:
        access_token = client.token(account=settings.account_name).access_token
    return write_result(f"{access_token}\n")


def refresh(settings: Settings) -> int:
    """Refresh now, and say until when the new token is valid."""
    with settings.client() as client:
        refreshed = client.refresh(account=settings.account_name)
    say(f"Refreshed. The token is valid until {moment(refreshed.expires_at)}.")
    return DONE


def logout(settings: Settings) -> int:
    """Revoke the token at Trakt if it can be reached, and delete it here in any case."""
    account = settings.account_name
    with settings.client() as client:
        exists, readable = _look_up(settings, AccountKey(settings.owner(), account))
        if not exists and account not in client.unsaved():
            say(f"Account {clean(account)!r} is not signed in; there is nothing to do.")
            return DONE
        client.revoke(account=account)
    say(f"Account {clean(account)!r} is signed out, and its token is deleted.")
    if not readable:
        say(
            "The token was encrypted and its key is not configured, so it could not be revoked at "
            "Trakt: remove the application in your account on Trakt as well."
        )
    return DONE


def _look_up(settings: Settings, key: AccountKey) -> tuple[bool, bool]:
    """Tell whether there is a record, and whether it can be decrypted."""
    store = settings.open_store()
    try:
        stored = store.load(key)
    except StoreEncrypted:
        return True, False
    except StoreCorrupt:
        return True, True
    finally:
        store.close()
    exists = stored is not None and not is_tombstone(stored)
    return exists, stored is None or encrypted_by(stored) is None
