"""Offers an unsaved pair to the store again, from a thread of its own, until the store takes it.

Only when lives here; how it is saved is in `stores.wrappers.fallback`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Retries"]

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between two tries, doubled after each
CLOSE_SECONDS, MOST_FAILED = 10.0, 3  # at the end: so long, and so many failures in a row


class Retries:
    """The accounts whose newest pair is unsaved; `offer` tells whether the store has taken it.

    With `durable`, a pair that is unsaved at the end is kept where another process finds it.
    """

    def __init__(self, offer: Callable[[str], bool], *, durable: bool = False) -> None:
        self._offer, self._durable = offer, durable
        self._closed = False
        self.start_anew()

    def start_anew(self) -> None:
        """Forget everything, as in a forked child: the parent saves what is unsaved."""
        self._guard = threading.Lock()
        self._waiting: set[str] = set()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def add(self, account: str) -> None:
        """Try for this account from now on."""
        with self._guard:
            self._waiting.add(account)
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._work, name="trakt-auth-save", daemon=True)
                with suppress(RuntimeError):  # no thread: the next use offers it, and `close`
                    thread.start()
                    self._thread = thread

    def __contains__(self, account: str) -> bool:
        """Tell whether this account's newest pair is known to be unsaved."""
        return account in self._waiting

    def close(self) -> None:
        """Offer a last time; a pair that is lost is logged."""
        with self._guard:
            thread, closed, self._closed = self._thread, self._closed, True
        if closed:
            return
        self._stop.set()
        if thread is None:
            self._all_offered()
        elif thread is not threading.current_thread():  # a subscriber may close its client
            thread.join()
        if self._durable:
            return
        import logging

        for account in self._all():
            logging.getLogger("trakt_auth").error(
                "The new token of account %r could not be saved before the client was closed",
                account,
            )

    def _work(self) -> None:
        pause = FIRST_PAUSE
        while self._all_offered():
            if self._stop.wait(pause):
                self._all_offered()
                return
            pause = min(pause * 2, LONGEST_PAUSE)

    def _all_offered(self) -> bool:
        """Offer all; return whether any is still unsaved.

        While closing, stop at a store that is away: each of many accounts would wait for its
        timeout.
        """
        end, failed = time.monotonic() + CLOSE_SECONDS, 0
        for account in self._all():
            if self._stop.is_set() and (failed >= MOST_FAILED or time.monotonic() > end):
                break
            if self._offer(account):
                failed = 0
                with self._guard:
                    self._waiting.discard(account)
            else:
                failed += 1
        with self._guard:
            if not self._waiting:
                self._thread = None
            return bool(self._waiting)

    def _all(self) -> list[str]:
        with self._guard:
            return sorted(self._waiting)
