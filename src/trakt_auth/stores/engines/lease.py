"""A lock as a lease: for engines that cannot tell a dead holder from a slow one.

No SQL and no Redis command is known here: an engine says how it takes, renews and ends a lease.

The holder renews the lease three times in its life. It counts from before the request, on a clock
that goes on while the machine sleeps, so it never believes in more time than the engine grants.
Most leases end long before their first renewal. So one thread waits for all of them, and starts a
thread for each renewal that is due, because an engine that hangs must not delay the others.

A holder whose lease has expired cannot overwrite the record of the next holder: every save checks
the version that it replaces.
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
from trakt_auth.stores.engines.forks import on_fork
from trakt_auth.stores.record import AccountKey

__all__ = ["Lease", "LeaseEngine", "Timer"]

RENEWALS = 3  # in the life of a lease
RETRIES = 10  # in the time between two renewals, after one that failed


class LeaseEngine(Protocol):
    """What an engine offers. Each method is atomic."""

    def take_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        """Give the account to `owner`, unless another owner has it."""
        ...

    def renew_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        """Let the lease end in `seconds` from now, if it is still the owner's."""
        ...

    def end_lease(self, key: AccountKey, owner: str) -> None:
        """End the lease if it is still the owner's."""
        ...


class Lease:
    """One account's lock, which expires `seconds` after it was last renewed.

    It is renewed until it is released, or until the program has no reference to it any more.
    """

    def __init__(self, engine: LeaseEngine, key: AccountKey, seconds: float) -> None:
        self._engine, self._key, self._seconds = engine, key, seconds
        self.pause: float = seconds / RENEWALS
        self._guard, self._acquiring = Lock(), Lock()
        self._next_owner = secrets.token_hex(16)
        self._owner: str | None = None
        self._expires = -math.inf
        self._process = os.getpid()

    def acquire(self) -> bool:
        """Acquire the lock if it is free; return whether it was.

        Raises: StoreUnavailable.
        """
        # The engine would grant the lease to two threads of this object, which are one owner to
        # it. Not `acquire(blocking=False)`: Ctrl-C may arrive after it and before a `try`, but
        # never between `with` and a plain lock.
        if self._acquiring.locked():
            return False
        with self._acquiring:
            return self._owner is None and self._take()

    def _take(self) -> bool:
        # The same owner until it succeeds: a request whose answer was lost may have been granted.
        owner, asked = self._next_owner, uptime()
        if not self._engine.take_lease(self._key, owner, self._seconds):
            return False
        self._next_owner, self._process = secrets.token_hex(16), os.getpid()
        self._owner, self._expires = owner, asked + self._seconds
        _timer.schedule(owner, self, self.pause)
        return True

    def remaining(self) -> float:
        """Return for how many seconds the lock is certainly held; negative once it has expired."""
        return self._expires - uptime() if self._process == os.getpid() else -math.inf

    def release(self) -> None:
        """Release the lock; if the engine cannot be reached, the lease expires by itself."""
        if self._process != os.getpid():
            return  # the parent holds it; and in this copy the guard may be locked for ever
        with self._guard:
            owner, self._owner, self._expires = self._owner, None, -math.inf
        if owner is not None:
            _timer.cancel(owner)
            with suppress(StoreError):
                self._engine.end_lease(self._key, owner)

    def keep(self, owner: str) -> None:
        """Renew the lease and schedule the next renewal, unless it was lost or released."""
        pause = self.pause
        try:
            if not self.renew(owner):
                return
        except StoreError:  # neither renewed nor lost, and its time goes on: try again soon
            pause /= RETRIES
        with self._guard:
            if self._owner == owner:
                _timer.schedule(owner, self, pause)

    def renew(self, owner: str) -> bool:
        """Renew the lease; return False if it was lost or released.

        Raises: StoreUnavailable.
        """
        asked = uptime()
        renewed = self._engine.renew_lease(self._key, owner, self._seconds)
        with self._guard:
            if self._owner != owner:
                return False
            self._expires = asked + self._seconds if renewed else -math.inf
        return renewed


class Timer:
    """One thread that starts each renewal when it is due; it ends when none is scheduled."""

    def __init__(self) -> None:
        self._start_anew()
        on_fork(self, after_in_child=Timer._start_anew)

    def _start_anew(self) -> None:
        # In a forked child too: the parent's thread is not there, and may have held the guard.
        self._guard = Lock()
        self._scheduled: dict[str, tuple[float, ref[Lease]]] = {}
        self._thread: Thread | None = None
        self._wakes = math.inf  # when the thread looks again, unless it is told to look sooner
        self._sooner: SimpleQueue[None] = SimpleQueue()

    def schedule(self, owner: str, lease: Lease, pause: float) -> None:
        """Have the lease renewed after `pause` seconds."""
        when = time.monotonic() + pause
        with self._guard:
            self._scheduled[owner] = when, ref(lease)
            if self._thread is None:
                self._wakes = when
                thread = Thread(target=self._run, name="trakt-auth-leases", daemon=True)
                with suppress(RuntimeError):  # no more threads: the lease expires as announced
                    thread.start()
                    self._thread = thread
            elif when < self._wakes:
                self._sooner.put(None)

    def cancel(self, owner: str) -> None:
        """Do not renew this owner's lease any more."""
        with self._guard:
            self._scheduled.pop(owner, None)

    def _run(self) -> None:
        while True:
            with suppress(Empty):
                self._sooner.get(timeout=max(self._wakes - time.monotonic(), 0))
            with self._guard:
                now = time.monotonic()
                due = {
                    owner: lease for owner, (when, lease) in self._scheduled.items() if when <= now
                }
                for owner in due:
                    del self._scheduled[owner]
                # Not as soon as the last lease is released: the next one would need a new thread.
                if not self._scheduled and not due:
                    self._thread = None
                    return
                self._wakes = min((when for when, _ in self._scheduled.values()), default=now)
            for owner, lease in due.items():
                self._start(owner, lease())

    def _start(self, owner: str, lease: Lease | None) -> None:
        if lease is None:
            return
        try:
            Thread(target=lease.keep, args=(owner,), name="trakt-auth-lease", daemon=True).start()
        except RuntimeError:  # no more threads at this moment
            self.schedule(owner, lease, lease.pause / RETRIES)


def uptime() -> float:
    """Return seconds on a clock that is never set, and that counts while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()  # pragma: no cover - the best there is elsewhere


_timer = Timer()
