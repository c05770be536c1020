"""The tokens last seen, so that a fresh one costs no I/O.

No flow runs here and no store is read. An entry says between which moments its token is served
without another look; the record's version says which of two entries is newer, since events and
reads of several threads can arrive in the wrong order.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from trakt_auth.flows.events import Event, LoginNeeded, TokenRevoked, TokenUnsaved
from trakt_auth.protocol.token import Token, TokenState
from trakt_auth.stores.record import PENDING, Record

__all__ = ["TokenCache"]

MOST = 10_000  # accounts; the least recently used is forgotten, and read again when it is needed
UNSAVED = timedelta(seconds=30)  # an unsaved token is served so long without asking the store


@dataclass(frozen=True, slots=True)
class _Entry:
    """`token` is served from `since` to `until`; older versions than `version` are ignored."""

    version: int
    token: Token | None = None
    since: datetime | None = None
    until: datetime | None = None


class TokenCache:
    """The newest token of each account. `now` tells the time, `is_unsaved` what waits to be saved.

    Safe to use from many threads.
    """

    def __init__(
        self, now: Callable[[], datetime], is_unsaved: Callable[[str], bool], *, most: int = MOST
    ) -> None:
        self._now, self._is_unsaved, self._most = now, is_unsaved, most
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self.start_anew()

    def start_anew(self) -> None:
        """Make a new lock, as in a forked child: a thread of the parent may hold the old one."""
        self._guard = threading.Lock()

    def __len__(self) -> int:
        """Return how many accounts are remembered."""
        return len(self._entries)

    def fresh(self, account: str) -> Token | None:
        """Return a token that can be served without asking the store."""
        with self._guard:
            entry = self._entries.get(account)
            if entry is None or entry.since is None or entry.until is None:
                return None
            # A clock that was set back makes what was dated with it unreliable.
            if not entry.since <= self._now() < entry.until:
                return None
            self._entries.move_to_end(account)
            return entry.token

    def last_seen(self, account: str) -> Token | None:
        """Return a token that has not ended, for as long as the store cannot be read."""
        entry = self._entries.get(account)
        if entry is None or entry.token is None or self._now() >= entry.token.expires_at:
            return None
        return entry.token

    def remember(self, account: str, record: Record) -> None:
        """Note what a read has found, unless something newer is known."""
        with self._guard:
            if record.version != PENDING and self._is_unsaved(account):
                return
            known = self._entries.get(account)
            version = record.version if known is None else max(record.version, known.version)
            if record.version in (version, PENDING):
                self._put(account, version, record.token)

    def forget(self, account: str, rejected: str) -> None:
        """Drop an access token that the API has rejected."""
        with self._guard:
            entry = self._entries.get(account)
            if entry is not None and entry.token and entry.token.access_token == rejected:
                self._entries[account] = _Entry(entry.version)

    def on_change(self, event: Event, version: int | None) -> None:
        """Note an event, and of which version it tells."""
        with self._guard:
            known = self._entries.get(event.account)
            last = known.version if known is not None else 0
            token = None if isinstance(event, TokenRevoked | LoginNeeded) else event.token
            if isinstance(event, TokenUnsaved):  # the version that it was to replace is older
                version = None if version is None else version + 1
            if version is not None and version < last:
                token = None  # events out of order: drop the token, and the next use reads it
            self._put(event.account, max(version or 0, last), token)

    def _put(self, account: str, version: int, token: Token | None) -> None:
        if token is None:
            self._entries[account] = _Entry(version)
        else:
            at = self._now()
            is_fresh = token.state(at, account=account) is TokenState.FRESH
            until = token.due_at(account) if is_fresh else at
            if self._is_unsaved(account):
                until = min(until, at + UNSAVED)
            self._entries[account] = _Entry(version, token, at, until)
        self._entries.move_to_end(account)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)
