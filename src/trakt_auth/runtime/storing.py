"""What a flow asks of stores, with the care that any store needs: nothing of a store's guard_store_errors raises.

No engine is known here, no token is looked into, nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

from trakt_auth.errors import (
    StoreConflict,
    StoreCorrupt,
    StoreEncrypted,
    StoreUnavailable,
    TraktAuthError,
)
from trakt_auth.flows.steps import PutAside, Save
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import NOTHING, AccountKey, Stored, encrypted_by, missing_key

__all__ = ["accounts", "guard_store_errors", "put_aside", "recall", "save"]

T = TypeVar("T")
P = ParamSpec("P")

LOOKS = 10  # at a record that others keep writing while it is to be overwritten


def guard_store_errors(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a store; what it raises against the rules becomes StoreUnavailable.

    Raises: StoreError.
    """
    try:
        return call(*args, **kwargs)
    except TraktAuthError:
        raise
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - not chained, see below; a library in Rust panics
        # It must not cost a token; its guard_store_errors words may quote the payload.
        raise StoreUnavailable(f"The store failed with {type(error).__name__}") from None


def accounts(store: TokenStore, client_id: str) -> list[str]:
    """Return the names of an application's accounts, sorted.

    Raises: StoreError.
    """
    return list(guard_store_errors(store.accounts, client_id))


def save(store: TokenStore, step: Save) -> int:
    """Perform a step: keep or forget.

    Raises: StoreError.
    """
    key, payload = step.key, step.payload
    if payload is None:
        guard_store_errors(store.delete, key)
        return 0

    def kept(replacing: int | None) -> int:
        return guard_store_errors(
            store.save, key, payload, expires_at=step.expires_at, replacing=replacing
        )

    if step.replacing is None:
        for _ in range(LOOKS):
            with suppress(StoreConflict):  # as it was looked at: nobody encrypts it meanwhile
                return kept(_to_overwrite(store, key))
    return kept(step.replacing)


def _to_overwrite(store: TokenStore, key: AccountKey) -> int | None:
    # A sign-in takes the place of whatever is there, but not of what only a key could open.
    try:
        there = guard_store_errors(store.load, key)
    except StoreCorrupt:
        return None
    if there is None:
        return NOTHING
    if encrypted_by(there) is not None:
        raise missing_key(there, f"account {key.account!r}")
    return there.version


def recall(fallback: TokenStore, key: AccountKey) -> Stored | None:
    """Read what was put aside; what is empty was let go of.

    Raises: StoreError.
    """
    stored = guard_store_errors(fallback.load, key)
    return stored if stored and stored.payload else None


def put_aside(fallback: TokenStore, step: PutAside) -> None:
    """Perform a step: put aside, or let go of it.

    Raises: StoreError.
    """
    key, payload = step.key, step.payload
    # Nothing is deleted: what somebody else has put there meanwhile must stay, and only a save
    # can be conditional.
    kept = Save(key=key, payload=payload or "", expires_at=None, replacing=step.replacing)
    try:
        with suppress(StoreConflict):
            save(fallback, kept)
    except StoreEncrypted:
        if payload is not None:
            raise
        guard_store_errors(
            fallback.delete, key
        )  # nobody here can tell what it was, and it is to be forgotten
