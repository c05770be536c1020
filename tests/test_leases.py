"""Locks as leases, over an engine and a clock that are in the test's hand."""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from collections.abc import Iterator

import pytest

from trakt_auth.errors import StoreUnavailable
from trakt_auth.records import AccountKey
from trakt_auth.stores import leases
from trakt_auth.stores.leases import Lease

KEY = AccountKey("client", "default")
LIFE = 60.0


class Clock:
    now = 1000.0


class Engine:
    """Grants leases by the test's clock; can be away, lose answers, and be slow."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.owner, self.until = "", -math.inf
        self.away = self.deaf = False
        self.takes = 0.0  # seconds that a request takes
        self.asked: list[str] = []

    def take_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        return self._ask("take", key, owner, seconds, free=self.until <= self._clock.now)

    def renew_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        return self._ask("renew", key, owner, seconds, free=False)

    def end_lease(self, key: AccountKey, owner: str) -> None:
        self._answer("end", key)
        if owner == self.owner:
            self.owner, self.until = "", -math.inf

    def _ask(self, what: str, key: AccountKey, owner: str, seconds: float, *, free: bool) -> bool:
        self._answer(what, key)
        ours = free or (owner == self.owner and self.until > self._clock.now)
        if ours:
            self.owner, self.until = owner, self._clock.now + seconds
        self._clock.now += self.takes / 2
        if self.deaf:
            raise StoreUnavailable("The answer was lost")
        return ours

    def _answer(self, what: str, key: AccountKey) -> None:
        assert key == KEY
        self.asked.append(what)
        self._clock.now += self.takes / 2
        if self.away:
            raise StoreUnavailable("The engine is away")


class Pauses(threading.Event):
    """An event whose waiting ends when the test says so: a turn of `step` for each pause."""

    all: list[Pauses]

    def __init__(self) -> None:
        super().__init__()
        self.asked: queue.Queue[float] = queue.Queue()
        self._go: queue.Queue[bool] = queue.Queue()

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.asked.put(timeout)
        return self._go.get(timeout=20)

    def set(self) -> None:
        super().set()
        self._go.put(True)

    def step(self) -> None:
        self._go.put(False)

    def pause(self) -> float:
        """Return how long the thread wants to wait, once it waits."""
        return self.asked.get(timeout=20)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(leases, "uptime", lambda: clock.now)
    return clock


@pytest.fixture
def engine(clock: Clock) -> Engine:
    return Engine(clock)


@pytest.fixture
def lease(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lease]:
    # Only the lease's own event; a thread's is another matter.
    monkeypatch.setattr(leases, "Event", Pauses)
    lease = Lease(engine, KEY, LIFE)
    yield lease
    engine.away = engine.deaf = False
    lease.release()
    ended(lease)


def pauses(lease: Lease) -> Pauses:
    assert isinstance(lease._over, Pauses)
    return lease._over


def test_it_counts_from_before_the_request(lease: Lease, engine: Engine, clock: Clock) -> None:
    assert lease.remaining() == -math.inf
    engine.takes = 10.0
    assert lease.acquire()
    assert lease.remaining() == LIFE - 10  # the engine counts from 5 seconds later
    assert clock.now + lease.remaining() < engine.until
    clock.now += LIFE
    assert lease.remaining() == -10


def test_it_has_one_holder(lease: Lease, engine: Engine, clock: Clock) -> None:
    other = Lease(engine, KEY, LIFE)
    assert lease.acquire()
    assert not other.acquire()
    assert other.remaining() == -math.inf
    other.release()
    assert not lease.acquire()
    assert engine.asked == ["take", "take"]
    first = engine.owner
    lease.release()
    assert lease.remaining() == -math.inf
    assert lease.acquire()
    assert engine.owner != first
    lease.release()
    lease.release()
    assert engine.asked.count("end") == 2


def test_it_is_renewed_at_a_third_of_its_life(lease: Lease, engine: Engine, clock: Clock) -> None:
    assert lease.acquire()
    waits = pauses(lease)
    for _ in range(20):
        assert waits.pause() == LIFE / 3
        clock.now += LIFE / 3
        waits.step()
    assert waits.pause() == LIFE / 3
    assert lease.remaining() == LIFE
    assert engine.asked == ["take"] + ["renew"] * 20


def test_a_renewal_that_fails_is_tried_again_soon(
    lease: Lease, engine: Engine, clock: Clock
) -> None:
    assert lease.acquire()
    waits = pauses(lease)
    assert waits.pause() == LIFE / 3
    clock.now += LIFE / 3
    engine.away = True
    for _ in range(3):
        waits.step()
        assert waits.pause() == LIFE / 30
    assert lease.remaining() == LIFE * 2 / 3  # nothing is believed that was not granted
    engine.away = False
    waits.step()
    assert waits.pause() == LIFE / 3
    assert lease.remaining() == LIFE


def test_a_renewal_counts_from_before_the_request(
    lease: Lease, engine: Engine, clock: Clock
) -> None:
    assert lease.acquire()
    waits = pauses(lease)
    waits.pause()
    engine.takes = 4.0
    waits.step()
    waits.pause()
    assert lease.remaining() == LIFE - 4


def test_it_lapses_while_the_engine_is_away(lease: Lease, engine: Engine, clock: Clock) -> None:
    assert lease.acquire()
    waits = pauses(lease)
    waits.pause()
    engine.away = True
    clock.now += LIFE + 1
    waits.step()
    assert waits.pause() == LIFE / 30
    assert lease.remaining() == -1
    engine.away = False
    waits.step()  # the engine is back, and says that it is over
    ended(lease)
    assert lease.remaining() == -math.inf


def ended(lease: Lease) -> None:
    for thread in threads_of(lease):
        thread.join(20)
        assert not thread.is_alive()


def threads_of(lease: Lease) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if is_of(thread, lease)]


def is_of(thread: threading.Thread, lease: Lease) -> bool:
    return getattr(getattr(thread, "_target", None), "__self__", None) is lease


def test_who_lost_it_knows_at_the_next_renewal(lease: Lease, engine: Engine, clock: Clock) -> None:
    assert lease.acquire()
    waits = pauses(lease)
    waits.pause()
    engine.owner = "somebody else"
    waits.step()
    ended(lease)
    assert lease.remaining() == -math.inf
    assert not lease.acquire()  # it has to be given back first
    lease.release()
    assert engine.owner == "somebody else"


def test_giving_back_ends_the_thread(lease: Lease, engine: Engine) -> None:
    assert lease.acquire()
    lease.release()
    ended(lease)
    assert engine.asked == ["take", "end"]


def test_what_cannot_be_given_back_lapses(lease: Lease, engine: Engine, clock: Clock) -> None:
    assert lease.acquire()
    engine.away = True
    lease.release()
    assert lease.remaining() == -math.inf
    engine.away = False
    other = Lease(engine, KEY, LIFE)
    assert not other.acquire()
    clock.now += LIFE
    assert other.acquire()
    other.release()


def test_giving_back_in_the_middle_of_a_renewal(
    lease: Lease, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lease.acquire()
    owner, renew = engine.owner, engine.renew_lease

    def slow(key: AccountKey, owner: str, seconds: float) -> bool:
        granted = renew(key, owner, seconds)
        lease.release()
        return granted

    monkeypatch.setattr(engine, "renew_lease", slow)
    assert not lease.renew(owner)
    assert lease.remaining() == -math.inf
    assert engine.owner == ""
    monkeypatch.undo()


def test_a_late_renewal_does_not_touch_the_next_term(lease: Lease, engine: Engine) -> None:
    assert lease.acquire()
    first = engine.owner
    lease.release()
    assert lease.acquire()
    until = lease.remaining()
    assert not lease.renew(first)
    assert lease.remaining() == until


def test_an_answer_that_was_lost_blocks_nobody(lease: Lease, engine: Engine) -> None:
    engine.deaf = True
    with pytest.raises(StoreUnavailable, match="answer was lost"):
        lease.acquire()
    assert engine.owner
    assert lease.remaining() == -math.inf
    engine.deaf = False
    assert lease.acquire()


def test_of_two_threads_that_ask_at_once_one_has_it(
    lease: Lease, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, second = engine.take_lease, []

    def meanwhile(key: AccountKey, owner: str, seconds: float) -> bool:
        second.append(lease.acquire())
        return take(key, owner, seconds)

    monkeypatch.setattr(engine, "take_lease", meanwhile)
    assert lease.acquire()
    assert second == [False]
    monkeypatch.undo()


def test_a_try_that_failed_is_not_the_last(lease: Lease, engine: Engine) -> None:
    engine.away = True
    with pytest.raises(StoreUnavailable):
        lease.acquire()
    engine.away = False
    assert lease.acquire()


def test_an_engine_that_is_away_is_neither_busy_nor_free(lease: Lease, engine: Engine) -> None:
    engine.away = True
    with pytest.raises(StoreUnavailable, match="is away"):
        lease.acquire()


def test_without_a_thread_it_lapses(
    lease: Lease, engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    assert lease.acquire()
    assert lease.remaining() == LIFE
    clock.now += LIFE
    assert lease.remaining() == 0
    lease.release()
    assert engine.owner == ""


def test_a_forked_child_holds_nothing(
    lease: Lease, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lease.acquire()
    parent = os.getpid()
    with lease._guard, monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: parent + 1)
        assert lease.remaining() == -math.inf
        assert not lease.acquire()
        lease.release()
        fresh = Lease(engine, KEY, LIFE)
        assert not fresh.acquire()
        fresh.release()
    assert lease.remaining() == LIFE
    assert engine.asked == ["take", "take"]


def test_the_clock_counts_while_the_machine_sleeps() -> None:
    assert leases.uptime() <= leases.uptime()
    boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert 0 <= leases.uptime() - boot < 60
