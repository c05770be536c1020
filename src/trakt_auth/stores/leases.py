"""A lock as a lease: for engines that cannot tell a dead holder from a slow one.

Layer 4. No SQL and no Redis command: an engine says how a lease is taken, renewed and given back.
The stores of many machines import this file; it imports lower layers only.

The holder renews at a third of the lease's life from a thread of its own, counting from before
the request on a clock that goes on while the machine sleeps; so what it believes is never more
than what the engine grants. Who has lost the lease all the same cannot overwrite its successor:
that is the job of the version, which each note and each save takes from the engine.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Protocol

from trakt_auth.errors import StoreError
from trakt_auth.records import AccountKey

__all__ = ["Lease", "LeaseEngine"]

RENEWALS = 3  # in the life of a lease


class LeaseEngine(Protocol):
    """What an engine offers, each in one step that nobody can come between."""

    def take_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        """Give the account to `owner` unless somebody else has it."""
        ...

    def renew_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        """Count `seconds` anew if the account is still the owner's."""
        ...

    def end_lease(self, key: AccountKey, owner: str) -> None:
        """Free the account if it is still the owner's."""
        ...


class Lease:
    """One account's lock. `seconds` after the last word from its holder it lapses."""

    def __init__(self, engine: LeaseEngine, key: AccountKey, seconds: float) -> None:
        self._engine, self._key, self._seconds = engine, key, seconds
        self._guard, self._asking = Lock(), Lock()
        self._name = secrets.token_hex(16)
        self._owner: str | None = None
        self._until = -math.inf
        self._over = Event()
        self._process = os.getpid()

    def acquire(self) -> bool:
        """Take it if it is free.

        Raises: StoreUnavailable.
        """
        # The engine would grant it to both of two threads, since they have one name.
        if not self._asking.acquire(blocking=False):
            return False
        try:
            return self._owner is None and self._take()
        finally:
            self._asking.release()

    def _take(self) -> bool:
        # The same until it is taken: an answer that was lost may have granted it already.
        owner, asked = self._name, uptime()
        if not self._engine.take_lease(self._key, owner, self._seconds):
            return False
        self._name, over = secrets.token_hex(16), Event()
        self._owner, self._until = owner, asked + self._seconds
        self._over, self._process = over, os.getpid()
        with suppress(RuntimeError):  # no thread to be had: it lapses sooner, and we know when
            Thread(
                target=self._keep, args=(owner, over), name="trakt-auth-lease", daemon=True
            ).start()
        return True

    def remaining(self) -> float:
        """Return for how many seconds it is surely ours; below 0 when it has lapsed."""
        return self._until - uptime() if self._process == os.getpid() else -math.inf

    def release(self) -> None:
        """Give it back; what cannot be given back lapses by itself."""
        if self._process != os.getpid():
            return  # the parent's; and in this copy a thread that is not here may hold the guard
        with self._guard:
            owner, self._owner, self._until = self._owner, None, -math.inf
            self._over.set()
        if owner is not None:
            with suppress(StoreError):
                self._engine.end_lease(self._key, owner)

    def _keep(self, owner: str, over: Event) -> None:
        pause = self._seconds / RENEWALS
        while not over.wait(pause):
            try:
                if not self.renew(owner):
                    return
                pause = self._seconds / RENEWALS
            except StoreError:  # neither ours nor theirs, and it goes on to lapse: ask again soon
                pause = self._seconds / RENEWALS / 10

    def renew(self, owner: str) -> bool:
        """Make it last anew; False when it is not ours any more, or given back.

        Raises: StoreUnavailable.
        """
        asked = uptime()
        ours = self._engine.renew_lease(self._key, owner, self._seconds)
        with self._guard:
            if self._owner != owner:
                return False
            self._until = asked + self._seconds if ours else -math.inf
        return ours


def uptime() -> float:
    """Return seconds on a clock that nobody sets, and that counts while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()  # pragma: no cover - the best there is elsewhere
