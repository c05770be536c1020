"""A lock as a lease: for engines that cannot tell a dead holder from a slow one.

No SQL and no Redis command: an engine says how a lease is taken, renewed and given back.

The holder renews at a third of the lease's life, counting from before the request on a clock that
goes on while the machine sleeps; so what it believes is never more than what the engine grants.
Most leases are given back long before that: one thread for all of them waits for those that are
not, and starts a thread for each renewal, so that an engine that hangs delays no other.

Who has lost the lease all the same cannot overwrite its successor: that is the job of the version,
which each note and each save takes from the engine.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Protocol
from weakref import ref

from trakt_auth.errors import StoreError
from trakt_auth.stores.record import AccountKey

__all__ = ["Lease", "LeaseEngine", "Timer"]

RENEWALS = 3  # in the life of a lease
RETRIES = 10  # in the time between two renewals, after one that failed


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
    """One account's lock. `seconds` after the last word from its holder it lapses.

    A lease that nobody refers to any more is not renewed: nobody could give it back.
    """

    def __init__(self, engine: LeaseEngine, key: AccountKey, seconds: float) -> None:
        self._engine, self._key, self._seconds = engine, key, seconds
        self.pause = seconds / RENEWALS
        self._guard, self._asking = Lock(), Lock()
        self._name = secrets.token_hex(16)
        self._owner: str | None = None
        self._until = -math.inf
        self._process = os.getpid()

    def acquire(self) -> bool:
        """Take it if it is free.

        Raises: StoreUnavailable.
        """
        # The engine would grant it to both of two threads, since they have one name. Ctrl-C can
        # come between any two calls, but never between `with` and a plain lock.
        if self._asking.locked():
            return False
        with self._asking:
            return self._owner is None and self._take()

    def _take(self) -> bool:
        # The same until it is taken: an answer that was lost may have granted it already.
        owner, asked = self._name, uptime()
        if not self._engine.take_lease(self._key, owner, self._seconds):
            return False
        self._name, self._process = secrets.token_hex(16), os.getpid()
        self._owner, self._until = owner, asked + self._seconds
        _timer.plan(owner, self, self.pause)
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
        if owner is not None:
            _timer.forget(owner)
            with suppress(StoreError):
                self._engine.end_lease(self._key, owner)

    def keep(self, owner: str) -> None:
        """Renew it, and plan the next renewal, unless it is not ours any more."""
        pause = self.pause
        try:
            if not self.renew(owner):
                return
        except StoreError:  # neither ours nor theirs, and it goes on to lapse: ask again soon
            pause /= RETRIES
        with self._guard:
            if self._owner == owner:
                _timer.plan(owner, self, pause)

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


class Timer:
    """One thread that starts each renewal when it is due; it ends when none is planned."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._planned: dict[str, tuple[float, ref[Lease]]] = {}
        self._thread: Thread | None = None
        self._until = math.inf  # when the thread looks again by itself
        self._sooner: SimpleQueue[None] = SimpleQueue()

    def plan(self, owner: str, lease: Lease, pause: float) -> None:
        """Have the lease renewed after `pause` seconds."""
        when = time.monotonic() + pause
        with self._guard:
            self._planned[owner] = when, ref(lease)
            if self._thread is None:
                self._until = when
                thread = Thread(target=self._run, name="trakt-auth-leases", daemon=True)
                with suppress(RuntimeError):  # none to be had: it lapses, and its holder knows when
                    thread.start()
                    self._thread = thread
            elif when < self._until:
                self._sooner.put(None)

    def forget(self, owner: str) -> None:
        """Renew it no more."""
        with self._guard:
            self._planned.pop(owner, None)

    def _run(self) -> None:
        while True:
            with suppress(Empty):
                self._sooner.get(timeout=max(self._until - time.monotonic(), 0))
            with self._guard:
                now = time.monotonic()
                due = {name: lease for name, (when, lease) in self._planned.items() if when <= now}
                for owner in due:
                    del self._planned[owner]
                # Not when the last lease is given back: the next one would need a new thread.
                if not self._planned and not due:
                    self._thread = None
                    return
                self._until = min((when for when, _ in self._planned.values()), default=now)
            for owner, lease in due.items():
                self._start(owner, lease())

    def _start(self, owner: str, lease: Lease | None) -> None:
        if lease is None:
            return
        try:
            Thread(target=lease.keep, args=(owner,), name="trakt-auth-lease", daemon=True).start()
        except RuntimeError:  # no thread to be had just now
            self.plan(owner, lease, lease.pause / RETRIES)


def uptime() -> float:
    """Return seconds on a clock that nobody sets, and that counts while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()  # pragma: no cover - the best there is elsewhere


# -- forks ---------------------------------------------------------------------------------------
_timer = Timer()


def _after_fork_in_child() -> None:
    global _timer  # noqa: PLW0603 - the thread of the old one is not here, and may hold its guard
    _timer = Timer()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
