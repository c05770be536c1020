"""Signing out: deleting a login here, and revoking its tokens at Trakt (RFC 7009).

A refresh under way must not bring the login back: a deletion raises the record's version, so the
refresh cannot save. No store is written here; `stores.wrappers.fallback` deletes in both stores.
"""

from __future__ import annotations

from contextlib import suppress

import trakt_auth.protocol as protocol
from trakt_auth.errors import LockTimeout, TraktAuthError, TransportError
from trakt_auth.flows.context import Context
from trakt_auth.flows.events import TokenRevoked
from trakt_auth.flows.steps import Flow, forget, hold, notify, send, uninterruptible
from trakt_auth.protocol.token import Token
from trakt_auth.stores.interface import Forgotten
from trakt_auth.stores.record import AccountKey

__all__ = ["revoke", "revoke_at_trakt"]


def revoke(context: Context, *, account: str) -> Flow[None]:
    """Sign out: delete the tokens here, and revoke them at Trakt as far as it can be reached."""
    yield from uninterruptible(_revoke(context, account))


def _revoke(context: Context, account: str) -> Flow[None]:
    # The tokens are deleted before they are revoked: the person may sign in again while Trakt's
    # answer takes its time, and that new login must stay.
    forgotten = yield from uninterruptible(_forget(context, context.key(account)))
    revoked = False
    for record in forgotten.records:
        revoked |= yield from revoke_at_trakt(context, record.token)
    if forgotten.error is not None:
        if revoked:
            forgotten.error.hint = (
                "Trakt has ended the login; sign out again once the store can be written."
            )
        raise forgotten.error


def _forget(context: Context, key: AccountKey) -> Flow[Forgotten]:
    # If the lock cannot be had, a refresh is under way. It will not save: its version is gone.
    with suppress(LockTimeout):
        yield from hold(key, wait=context.lock_wait)
    forgotten = yield from forget(key)
    if forgotten.existed:
        yield from notify(TokenRevoked(account=key.account), version=forgotten.version)
    return forgotten


def revoke_at_trakt(context: Context, token: Token) -> Flow[bool]:
    """Revoke both tokens, as far as Trakt can be reached; return whether it accepted one."""
    revoked = False
    for secret in filter(None, (token.refresh_token, token.access_token)):
        request = protocol.build_revoke_request(
            context.application, context.endpoints, token=secret
        )
        try:
            protocol.parse_revoke_response((yield from send(request)))
        except TransportError:
            break  # the next request would not arrive either
        except TraktAuthError:
            continue
        revoked = True
    return revoked
