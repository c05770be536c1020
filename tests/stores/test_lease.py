"""Locks as leases, with an engine and a clock that the test controls."""

from __future__ import annotations

import math
import os
import queue
import signal
import threading
import time

import pytest

from trakt_auth.errors import StoreUnavailable
from trakt_auth.stores.engines import lease as leases
from trakt_auth.stores.engines.lease import Lease, Timer
from trakt_auth.stores.record import AccountKey

KEY = AccountKey("client", "default")
LIFE = 60.0


class Clock:
    now = 1000.0


class Engine:
    """Grants leases by the test's clock; can be unreachable, lose answers, and be slow."""

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


class Plans(Timer):
    """A timer whose renewals are started by the test."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[str, tuple[Lease, float]] = {}

    def schedule(self, owner: str, lease: Lease, pause: float) -> None:
        assert owner not in self.made
        self.made[owner] = lease, pause

    def cancel(self, owner: str) -> None:
        self.made.pop(owner, None)

    @property
    def pause(self) -> float:
        ((_, pause),) = self.made.values()
        return pause

    def step(self) -> None:
        """Run the renewal that is scheduled."""
        ((owner, (lease, _)),) = self.made.items()
        del self.made[owner]
        lease.keep(owner)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(leases, "uptime", lambda: clock.now)
    return clock


@pytest.fixture
def engine(clock: Clock) -> Engine:
    return Engine(clock)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Plans:
    plans = Plans()
    monkeypatch.setattr(leases, "_timer", plans)
    return plans


@pytest.fixture
def lease(engine: Engine, plans: Plans) -> Lease:
    return Lease(engine, KEY, LIFE)


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


def test_it_is_renewed_at_a_third_of_its_life(
    lease: Lease, engine: Engine, clock: Clock, plans: Plans
) -> None:
    assert lease.acquire()
    for _ in range(20):
        assert plans.pause == LIFE / 3
        clock.now += LIFE / 3
        plans.step()
    assert plans.pause == LIFE / 3
    assert lease.remaining() == LIFE
    assert engine.asked == ["take"] + ["renew"] * 20


def test_a_renewal_that_fails_is_tried_again_soon(
    lease: Lease, engine: Engine, clock: Clock, plans: Plans
) -> None:
    assert lease.acquire()
    clock.now += LIFE / 3
    engine.away = True
    for _ in range(3):
        plans.step()
        assert plans.pause == LIFE / 30
    assert lease.remaining() == LIFE * 2 / 3  # only time that was granted counts
    engine.away = False
    plans.step()
    assert plans.pause == LIFE / 3
    assert lease.remaining() == LIFE


def test_a_renewal_counts_from_before_the_request(
    lease: Lease, engine: Engine, plans: Plans
) -> None:
    assert lease.acquire()
    engine.takes = 4.0
    plans.step()
    assert lease.remaining() == LIFE - 4


def test_it_expires_while_the_engine_is_unreachable(
    lease: Lease, engine: Engine, clock: Clock, plans: Plans
) -> None:
    assert lease.acquire()
    engine.away = True
    clock.now += LIFE + 1
    plans.step()
    assert plans.pause == LIFE / 30
    assert lease.remaining() == -1
    engine.away = False
    plans.step()  # the engine is back, and answers that the lease has expired
    assert plans.made == {}
    assert lease.remaining() == -math.inf


def test_a_holder_that_lost_it_learns_so_at_the_next_renewal(
    lease: Lease, engine: Engine, plans: Plans
) -> None:
    assert lease.acquire()
    engine.owner = "another owner"
    plans.step()
    assert plans.made == {}
    assert lease.remaining() == -math.inf
    assert not lease.acquire()  # it has to be released first
    lease.release()
    assert engine.owner == "another owner"


def test_a_released_lease_is_not_renewed(lease: Lease, engine: Engine, plans: Plans) -> None:
    assert lease.acquire()
    lease.release()
    assert plans.made == {}
    assert engine.asked == ["take", "end"]


def test_a_lease_that_cannot_be_released_expires(
    lease: Lease, engine: Engine, clock: Clock
) -> None:
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


def test_releasing_in_the_middle_of_a_renewal(
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


def test_releasing_in_the_middle_of_a_renewal_that_fails(
    lease: Lease, engine: Engine, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lease.acquire()

    def slow(*_: object) -> bool:
        lease.release()
        raise StoreUnavailable("The answer was lost")

    monkeypatch.setattr(engine, "renew_lease", slow)
    plans.step()
    assert plans.made == {}


def test_a_late_renewal_does_not_touch_the_next_lease(lease: Lease, engine: Engine) -> None:
    assert lease.acquire()
    first = engine.owner
    lease.release()
    assert lease.acquire()
    until = lease.remaining()
    assert not lease.renew(first)
    assert lease.remaining() == until


def test_a_lost_answer_blocks_no_other_holder(lease: Lease, engine: Engine) -> None:
    engine.deaf = True
    with pytest.raises(StoreUnavailable, match="answer was lost"):
        lease.acquire()
    assert engine.owner
    assert lease.remaining() == -math.inf
    engine.deaf = False
    assert lease.acquire()


def test_of_two_threads_that_acquire_at_once_one_succeeds(
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


def test_it_can_be_acquired_after_a_try_that_failed(lease: Lease, engine: Engine) -> None:
    engine.away = True
    with pytest.raises(StoreUnavailable):
        lease.acquire()
    engine.away = False
    assert lease.acquire()


def test_an_unreachable_engine_is_an_error_and_not_a_busy_lock(
    lease: Lease, engine: Engine
) -> None:
    engine.away = True
    with pytest.raises(StoreUnavailable, match="is away"):
        lease.acquire()


def test_a_lock_that_is_acquired_after_a_fork_can_be_released(
    lease: Lease, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)  # in the child
    assert lease.acquire()
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


# -- the timer -----------------------------------------------------------------------------------


class Renewed:
    """An engine that grants everything, and puts the account of each renewal into a queue."""

    def __init__(self) -> None:
        self.told: queue.Queue[str] = queue.Queue()
        self.stuck: dict[str, threading.Event] = {}

    def take_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        return True

    def renew_lease(self, key: AccountKey, owner: str, seconds: float) -> bool:
        self.told.put(key.account)
        if key.account in self.stuck:
            self.stuck[key.account].wait(20)
        return True

    def end_lease(self, key: AccountKey, owner: str) -> None:
        pass

    def lease(self, account: str, seconds: float) -> Lease:
        return Lease(self, AccountKey("client", account), seconds)


@pytest.fixture
def timer(monkeypatch: pytest.MonkeyPatch) -> Timer:
    timer = Timer()
    monkeypatch.setattr(leases, "_timer", timer)
    return timer


def ended(timer: Timer) -> bool:
    for _ in range(2000):
        if timer._thread is None:
            return True
        threading.Event().wait(0.01)
    return False


def test_one_thread_waits_for_all_leases_and_ends_with_them(timer: Timer) -> None:
    engine = Renewed()
    held = [engine.lease(str(number), 0.3) for number in range(20)]
    assert all(lease.acquire() for lease in held)
    thread = timer._thread
    assert thread is not None
    assert thread.daemon
    assert {engine.told.get(timeout=20) for _ in range(60)} == {str(n) for n in range(20)}
    for lease in held:
        lease.release()
    assert ended(timer)
    thread.join(20)
    assert not thread.is_alive()
    again = engine.lease("again", 0.03)
    assert again.acquire()
    while engine.told.get(timeout=20) != "again":
        pass
    again.release()


def test_releasing_does_not_end_the_thread_at_once(timer: Timer) -> None:
    engine = Renewed()
    threads = set()
    for _ in range(3):
        lease = engine.lease("a", 60)
        assert lease.acquire()
        threads.add(timer._thread)
        lease.release()
    assert len(threads) == 1


def test_a_short_lease_does_not_wait_for_a_long_one(timer: Timer) -> None:
    engine = Renewed()
    long, short = engine.lease("long", 1000), engine.lease("short", 0.03)
    assert long.acquire()
    assert short.acquire()
    assert engine.told.get(timeout=20) == "short"
    short.release()
    long.release()


def test_an_engine_that_hangs_delays_no_other_lease(timer: Timer) -> None:
    engine = Renewed()
    engine.stuck["slow"] = threading.Event()
    slow, other = engine.lease("slow", 0.03), engine.lease("other", 0.06)
    assert slow.acquire()
    assert engine.told.get(timeout=20) == "slow"
    assert other.acquire()
    assert [engine.told.get(timeout=20) for _ in range(5)] == ["other"] * 5
    engine.stuck["slow"].set()
    slow.release()
    other.release()


def test_a_lease_without_references_is_not_renewed(timer: Timer) -> None:
    engine = Renewed()
    assert engine.lease("lost", 0.03).acquire()
    assert ended(timer)
    assert engine.told.empty()


def test_without_a_thread_it_expires(
    engine: Engine, clock: Clock, timer: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease(engine, KEY, LIFE)
    monkeypatch.setattr(threading.Thread, "start", none_left)
    assert lease.acquire()
    assert lease.remaining() == LIFE
    clock.now += LIFE
    assert lease.remaining() == 0
    lease.release()
    assert engine.owner == ""


def none_left(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_thread_that_cannot_be_started_is_tried_again(
    timer: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, start, refused = Renewed(), threading.Thread.start, queue.Queue[str]()

    def two_refused(thread: threading.Thread) -> None:
        if thread.name == "trakt-auth-lease" and refused.qsize() < 2:
            refused.put(thread.name)
            none_left(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", two_refused)
    lease = engine.lease("a", 0.3)
    assert lease.acquire()
    assert engine.told.get(timeout=20) == "a"
    assert refused.qsize() == 2
    lease.release()


def test_a_forked_child_has_a_timer_of_its_own(timer: Timer) -> None:
    with timer._guard:  # as if another thread of the parent were using it
        child = os.fork()
        if not child:
            signal.alarm(30)  # instead of waiting for ever
            lease = Renewed().lease("a", 0.03)
            os._exit(0 if lease.acquire() and timer._thread is not None else 1)
        assert os.waitpid(child, 0)[1] == 0
