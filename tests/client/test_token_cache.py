"""The tokens last seen: served while fresh, and never an older one after a newer one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from support.simulation import START, token
from trakt_auth.client.token_cache import UNSAVED, TokenCache
from trakt_auth.flows.events import (
    LoginNeeded,
    TokenObtained,
    TokenRefreshed,
    TokenRevoked,
    TokenUnsaved,
)
from trakt_auth.protocol.token import Token
from trakt_auth.stores.record import PENDING, Record

ANN = "ann"


@dataclass
class Cached:
    """A cache with a clock and a list of unsaved accounts that a test sets."""

    most: int = 100
    at: datetime = START
    unsaved: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.cache = TokenCache(lambda: self.at, self.unsaved.__contains__, most=self.most)

    def read(self, number: int, version: int, account: str = ANN) -> None:
        self.cache.remember(account, Record(token=token(number), version=version))

    @property
    def served(self) -> Token | None:
        return self.cache.fresh(ANN)


@pytest.fixture
def cached() -> Cached:
    return Cached()


def refreshed(number: int) -> TokenRefreshed:
    return TokenRefreshed(account=ANN, token=token(number))


REVOKED = TokenRevoked(account=ANN)
OVER = LoginNeeded(account=ANN, reason="refused")


def test_a_fresh_token_is_served_until_it_is_due(cached: Cached) -> None:
    assert cached.served is None
    cached.read(1, version=1)
    assert cached.served == token(1)
    cached.at = token(1).due_at(ANN)
    assert cached.served is None
    assert cached.cache.last_seen(ANN) == token(1)
    cached.at = token(1).expires_at
    assert cached.cache.last_seen(ANN) is None


def test_a_clock_that_was_set_back_makes_it_read_again(cached: Cached) -> None:
    cached.read(1, version=1)
    cached.at = START - timedelta(seconds=1)
    assert cached.served is None


def test_a_rejected_token_is_forgotten_and_no_other(cached: Cached) -> None:
    cached.read(1, version=1)
    cached.cache.forget(ANN, "a2")
    assert cached.served == token(1)
    cached.cache.forget(ANN, "a1")
    cached.cache.forget("bob", "a1")
    assert cached.served is None
    assert cached.cache.last_seen(ANN) is None


def test_an_older_read_does_not_replace_what_is_known(cached: Cached) -> None:
    cached.cache.on_change(refreshed(2), 5)
    cached.read(1, version=4)
    assert cached.served == token(2)
    cached.read(3, version=6)
    assert cached.served == token(3)


@pytest.mark.parametrize("event", [REVOKED, OVER])
def test_what_was_read_before_an_end_does_not_come_back(
    cached: Cached, event: TokenRevoked
) -> None:
    cached.read(1, version=1)
    cached.cache.on_change(event, 2)
    assert cached.served is None
    cached.read(1, version=1)
    assert cached.served is None
    cached.cache.on_change(TokenObtained(account=ANN, token=token(2)), 3)
    assert cached.served == token(2)


def test_events_in_any_order_never_serve_the_older_token() -> None:
    events = [(refreshed(1), 1), (refreshed(2), 2), (refreshed(3), 3)]
    for order in itertools.permutations(events):
        cached = Cached()
        for event, version in order:
            cached.cache.on_change(event, version)
        assert cached.served == (token(3) if order[-1] == events[-1] else None)
    for order in itertools.permutations([(refreshed(1), 1), (REVOKED, 2)]):
        cached = Cached()
        for event, version in order:
            cached.cache.on_change(event, version)
        assert cached.served is None


def test_an_unsaved_token_is_served_for_a_while_and_not_overwritten(cached: Cached) -> None:
    cached.read(1, version=1)
    cached.unsaved.add(ANN)
    cached.cache.on_change(TokenUnsaved(account=ANN, token=token(2)), 1)
    assert cached.served == token(2)
    cached.read(1, version=1)  # by a thread that had read it before
    assert cached.served == token(2)
    cached.at += UNSAVED
    assert cached.served is None
    cached.read(2, version=PENDING)
    assert cached.served == token(2)
    cached.unsaved.clear()
    cached.read(1, version=1)
    assert cached.served == token(2)
    cached.cache.on_change(refreshed(2), 2)
    cached.at += UNSAVED
    assert cached.served == token(2)


def test_an_unsaved_sign_in_replaces_no_version(cached: Cached) -> None:
    cached.unsaved.add(ANN)
    cached.cache.on_change(TokenUnsaved(account=ANN, token=token(2)), None)
    assert cached.served == token(2)


def test_a_stale_token_is_remembered_and_not_served_without_a_look(cached: Cached) -> None:
    cached.at = token(1).due_at(ANN)
    cached.read(1, version=1)
    assert cached.served is None
    assert cached.cache.last_seen(ANN) == token(1)


def test_the_least_recently_used_accounts_are_forgotten() -> None:
    cached = Cached(most=3)
    for name in ("a", "b", "c"):
        cached.read(1, version=1, account=name)
    assert cached.cache.fresh("a") == token(1)
    cached.read(1, version=1, account="d")
    assert len(cached.cache) == 3
    assert cached.cache.fresh("b") is None
    assert cached.cache.fresh("a") == cached.cache.fresh("d") == token(1)
    cached.read(2, version=2, account="b")
    assert cached.cache.fresh("b") == token(2)


def test_a_forked_child_gets_a_new_lock(cached: Cached) -> None:
    cached.cache._guard.acquire()
    cached.cache.start_anew()
    cached.read(1, version=1)
    assert cached.served == token(1)
