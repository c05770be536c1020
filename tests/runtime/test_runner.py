"""The runner: what each step does, what a foreign failure becomes, and who waits for whom."""

import threading
import time
import traceback
from datetime import timedelta

import anyio
import pytest

from support.simulation import APP, KEY, START, answer, token
from trakt_auth.client.sync import Client
from trakt_auth.errors import (
    Cancelled,
    LockTimeout,
    StoreConflict,
    StoreCorrupt,
    StoreUnavailable,
    UsageError,
)
from trakt_auth.flows.events import TokenObtained, TokenRefreshed
from trakt_auth.flows.steps import (
    Moment,
    Save,
    forget,
    hold,
    load,
    notify,
    now,
    save,
    send,
    single_flight,
    sleep,
    uninterruptible,
)
from trakt_auth.protocol.http import HttpRequest
from trakt_auth.runtime.clock import SystemClock
from trakt_auth.runtime.dependencies import Dependencies
from trakt_auth.runtime.jobs import wait_for
from trakt_auth.runtime.runner import run, run_async
from trakt_auth.runtime.workers import Workers
from trakt_auth.stores.guard import guard_store_errors
from trakt_auth.stores.memory import MemoryStore
from trakt_auth.stores.record import ENCRYPTED, Record, Stored, fingerprint
from trakt_auth.stores.wrappers.fallback import FallbackStore


class Clock:
    def __init__(self):
        self.seconds = 0.0
        self.slept = []

    def now(self):
        return Moment(wall=START + timedelta(seconds=self.seconds), monotonic=self.seconds)

    def sleep(self, seconds, cancel=None):
        if cancel is not None and cancel.is_set():
            raise Cancelled("called off")
        self.slept.append(seconds)
        self.seconds += seconds

    async def sleep_async(self, seconds):
        self.sleep(seconds)


class Transport:
    def send(self, request, check=lambda: None):
        check()
        return answer(200, {"url": request.url})


class Lease:
    def __init__(self, remaining, tries=0):
        self.left, self.tries, self.released = remaining, tries, 0

    def acquire(self):
        self.tries -= 1
        return self.tries < 0

    def remaining(self):
        return self.left

    def release(self):
        self.released += 1


def dependencies(*, store=None, **changes):
    clock = changes.setdefault("clock", Clock())
    return Dependencies(
        **{
            "transport": Transport(),
            "store": FallbackStore(
                store or MemoryStore(), MemoryStore(), now=lambda: clock.now().wall
            ),
            "workers": Workers(),
            "readers": Workers(),
            "on_change": lambda event, version: None,
            "notify_subscribers": lambda events: None,
            "send_seconds": 80,
        }
        | changes
    )


REQUEST = HttpRequest(method="POST", url="http://trakt.test/x", body=b"secret")


def test_a_lock_that_ends_too_soon_sends_nothing():
    class Store(MemoryStore):
        lease = Lease(remaining=79)

        def lock(self, key, *, lease):
            return self.lease

    def flow():
        yield from hold(KEY, wait=10)
        yield from send(REQUEST)

    store = Store()
    with pytest.raises(LockTimeout):
        run(flow(), dependencies(store=store))
    assert store.lease.released == 1
    store.lease = Lease(remaining=81)
    run(flow(), dependencies(store=store))


def test_waiting_for_a_lock_backs_off_and_ends():
    class Store(MemoryStore):
        def lock(self, key, *, lease):
            return Lease(remaining=1e9, tries=10**6)

    clock = Clock()
    with pytest.raises(LockTimeout, match="more than 10 seconds"):
        run(hold(KEY, wait=10), dependencies(store=Store(), clock=clock))
    assert clock.slept[:5] == [0.01, 0.02, 0.04, 0.08, 0.08]
    assert 10 <= clock.seconds < 10.1
    assert run(hold(KEY, wait=0), dependencies(store=Store())) is False


def test_a_lock_is_given_back_whatever_happens():
    shared = dependencies()

    def flow(error):
        yield from hold(KEY, wait=1)
        raise error

    for error in (StoreConflict("x"), ValueError("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            run(flow(error), shared)
    assert run(hold(KEY, wait=0), shared) is True


def test_a_store_that_breaks_the_rules_is_translated_without_its_words():
    class Store(MemoryStore):
        def load(self, key):
            raise ValueError("payload a1")

        def save(self, *args, **kwargs):
            raise OSError("payload a1")

    for flow in (load(KEY), save(KEY, "payload", replacing=None)):
        with pytest.raises(StoreUnavailable) as caught:
            run(flow, dependencies(store=Store()))
        assert "a1" not in str(caught.value)


def test_forgetting():
    shared = dependencies()
    run(save(KEY, "x", replacing=None), shared)
    assert run(load(KEY), shared).payload == "x"
    assert run(forget(KEY), shared).existed is True
    assert run(load(KEY), shared) is None
    assert run(forget(KEY), shared).existed is False


def test_an_error_can_be_handled_by_the_flow():
    def flow():
        try:
            yield from save(KEY, "x", replacing=7)
        except StoreConflict:
            return "handled"

    assert run(flow(), dependencies()) == "handled"

    async def asynchronous():
        async def failing():
            return await run_async(uninterruptible(save(KEY, "x", replacing=7)), dependencies())

        with pytest.raises(StoreConflict):
            await failing()

    anyio.run(asynchronous)


def test_polls_go_to_the_caller_and_events_to_subscribers():
    from trakt_auth.flows.events import TokenRevoked
    from trakt_auth.protocol.authorization import Pending

    published, polls = [], []
    shared = dependencies(notify_subscribers=published.extend)

    def flow():
        yield from notify(TokenRevoked(account="a"))
        yield from notify(Pending())

    run(flow(), shared, on_poll=polls.append)
    run(flow(), shared)
    assert published == [TokenRevoked(account="a")] * 2
    assert polls == [Pending()]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_each_step_in_async(backend):
    shared = dependencies()

    def flow():
        yield from sleep(3)
        moment = yield from now()
        response = yield from uninterruptible(send(REQUEST))
        version = yield from uninterruptible(save(KEY, "x", replacing=None))
        stored = yield from load(KEY)
        return moment.monotonic, response.status, version == stored.version

    async def main():
        assert await run_async(flow(), shared) == (3, 200, True)
        for unprotected in (save(KEY, "x", replacing=None), send(REQUEST), hold(KEY, wait=0)):
            with pytest.raises(AssertionError, match="uninterruptible"):
                await run_async(unprotected, shared)

    anyio.run(main, backend=backend)


def test_one_flight_for_a_key_and_its_failure_is_shared():
    workers = Workers()
    go, up = threading.Event(), threading.Event()

    def work(_):
        up.set()
        assert go.wait(20)
        raise StoreConflict("once")

    first = workers.start(work, key=KEY, wait=True)
    assert up.wait(20)
    assert workers.start(work, key=KEY, wait=True) is first
    assert workers.start(work, key=KEY, wait=False) is None
    other = workers.start(lambda _: "other", key=None, wait=True)
    assert other.result() == "other"
    go.set()
    with pytest.raises(StoreConflict):
        wait_for(first, workers, None)
    assert workers.start(lambda _: "next", key=KEY, wait=False).result() == "next"
    workers.close()
    workers.close()


def test_cancelling_stops_the_waiting_and_not_the_work():
    workers = Workers()
    cancel, go, done = threading.Event(), threading.Event(), threading.Event()

    def work(_):
        cancel.set()
        assert go.wait(20)
        done.set()

    future = workers.start(work, key=None, wait=True)
    with pytest.raises(Cancelled):
        wait_for(future, workers, cancel)
    assert not done.is_set()
    go.set()
    assert done.wait(20)
    assert (
        wait_for(workers.start(lambda _: 1, key=None, wait=True), workers, threading.Event()) == 1
    )


def test_waiting_looks_at_the_cancel_event_again_and_again(monkeypatch):
    monkeypatch.setattr("trakt_auth.runtime.jobs.CANCEL_CHECK", 0)
    workers, go = Workers(), threading.Event()

    class NotYet(threading.Event):
        def is_set(self):
            go.set()
            return False

    assert wait_for(workers.start(lambda _: go.wait(20), key=None, wait=True), workers, NotYet())


def test_a_stale_caller_waits_for_no_thread(monkeypatch):
    monkeypatch.setattr("trakt_auth.runtime.workers.MOST_THREADS", 1)
    workers, go, up = Workers(), threading.Event(), threading.Event()
    busy = workers.start(lambda _: (up.set(), go.wait(20)), key="one", wait=True)
    assert up.wait(20)
    assert workers.start(lambda _: "two", key="two", wait=False) is None
    go.set()
    busy.result()


def test_a_fork_starts_with_nothing_under_way():
    workers, go = Workers(), threading.Event()
    workers.start(lambda _: go.wait(20), key=KEY, wait=True)
    workers.start_anew()  # as in the child, where no thread does what the parent's do
    assert workers.start(lambda _: "ours", key=KEY, wait=False).result() == "ours"
    workers.close()
    go.set()
    workers.start_anew()
    with pytest.raises(UsageError, match="closed"):
        workers.start(lambda _: 1, key=KEY, wait=True)


def test_two_who_close_from_within_wait_for_neither():
    """Two accounts have ended at once, and each time the program is told, it closes its client."""
    workers, both = Workers(), threading.Barrier(2)

    def ended(_):
        both.wait(20)
        workers.close()
        return "closed"

    up = [workers.start(ended, key=None, wait=True) for _ in range(2)]
    assert [wait_for(job, workers, None) for job in up] == ["closed"] * 2


def test_a_busy_account_is_none_at_once():
    shared = dependencies()
    go, up = threading.Event(), threading.Event()

    def slow():
        up.set()
        assert go.wait(20)
        yield from now()
        return "slow"

    def ask(*, wait):
        return run(single_flight(slow(), key=KEY, wait=wait), shared)

    thread = threading.Thread(target=lambda: ask(wait=True))
    thread.start()
    assert up.wait(20)
    assert ask(wait=False) is None

    async def asynchronous():
        return await run_async(single_flight(slow(), key=KEY, wait=False), shared)

    assert anyio.run(asynchronous) is None
    go.set()
    thread.join()


class Told:
    """What Workers does, as one thread sees it; `work` runs when the test says so."""

    def __init__(self):
        self.workers = Workers()
        self.go, self.answers = threading.Event(), []

    def work(self, unwanted):
        assert self.go.wait(20)
        self.answers.append(unwanted())
        return "done"


def test_a_section_is_unwanted_when_all_have_left():
    told = Told()
    first = told.workers.start(told.work, key=KEY, wait=True)
    assert told.workers.start(told.work, key=KEY, wait=True) is first
    assert told.workers.start(told.work, key=KEY, wait=False) is None
    told.workers.leave(first)
    assert not told.workers._unwanted(first)
    told.workers.leave(first)
    assert told.workers._unwanted(first)
    second = told.workers.start(told.work, key=KEY, wait=True)  # nobody joins the unwanted one
    assert second is not first
    told.go.set()
    assert wait_for(second, told.workers, None) == first.result() == "done"
    assert sorted(told.answers) == [False, True]
    assert told.workers._up == {}


@pytest.mark.parametrize("backend", ["sync", "asyncio", "trio"])
def test_who_waits_for_a_lock_in_vain_gives_up_and_sends_nothing(backend):
    """Ctrl-C while another program holds the account: nothing is sent later behind one's back."""
    cancel, waiting, gone = threading.Event(), threading.Event(), threading.Event()

    class Slow(Clock):
        def sleep(self, seconds, cancel=None):
            waiting.set()
            super().sleep(seconds)

    class Store(MemoryStore):
        def lock(self, key, *, lease):
            return Lease(remaining=1e9, tries=10**9)

    sent = []

    def flow():
        try:
            yield from hold(KEY, wait=1e9)
            sent.append("too late")
        finally:
            gone.set()

    shared = dependencies(store=Store(), clock=Slow())
    if backend == "sync":
        waiting.wait = lambda *_: None
        waiting.set = cancel.set
        with pytest.raises(Cancelled):
            run(uninterruptible(flow()), shared, cancel=cancel)
    else:

        async def main():
            async with anyio.create_task_group() as group:
                group.start_soon(run_async, uninterruptible(flow()), shared)
                await anyio.to_thread.run_sync(waiting.wait)
                group.cancel_scope.cancel()

        anyio.run(main, backend=backend)
    assert gone.wait(20)
    shared.workers.close()
    assert sent == []


def test_closing_waits_for_what_has_begun():
    workers, go, up, done = Workers(), threading.Event(), threading.Event(), []

    def work(_):
        up.set()
        assert go.wait(20)
        done.append("wait_for")

    workers.start(work, key=None, wait=True)
    assert up.wait(20)
    closing = threading.Thread(target=workers.close)
    closing.start()
    assert not done
    go.set()
    closing.join(20)
    assert done == ["wait_for"]


def test_what_has_not_begun_before_closing_is_not_begun(monkeypatch):
    """Ctrl-C in the moment in which a thread is started, and the program ends."""
    started = []
    monkeypatch.setattr(
        "trakt_auth.runtime.workers.start_new_thread", lambda run, _: started.append(run)
    )
    workers, began = Workers(), []
    job = workers.start(lambda _: began.append("too late"), key=KEY, wait=True)
    workers.close()
    started[0]()
    with pytest.raises(UsageError, match="closed"):
        wait_for(job, workers, None)
    with pytest.raises(UsageError, match="closed"):
        workers.start(lambda _: began.append("too late"), key=KEY, wait=True)
    assert began == []


def test_who_was_interrupted_before_a_thread_was_started_keeps_nobody_waiting(monkeypatch):
    class Interrupted(BaseException):
        pass

    def interrupted(*_):
        raise Interrupted

    workers = Workers()
    with monkeypatch.context() as patch:
        patch.setattr("trakt_auth.runtime.workers.start_new_thread", interrupted)
        with pytest.raises(Interrupted):
            workers.start(lambda _: "theirs", key=KEY, wait=True)
    job = workers.start(lambda _: "ours", key=KEY, wait=True)
    assert wait_for(job, workers, None) == "theirs"


def test_no_thread_to_be_had(monkeypatch):
    workers, go, up = Workers(), threading.Event(), threading.Event()

    def none(*_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("trakt_auth.runtime.workers.start_new_thread", none)
        alone = workers.start(lambda _: 1, key=KEY, wait=True)
        with pytest.raises(StoreUnavailable, match="No thread") as caught:
            wait_for(alone, workers, None)
        assert "ulimit -u" in caught.value.hint
    busy = workers.start(lambda _: (up.set(), go.wait(20)), key=None, wait=True)
    assert up.wait(20)
    with monkeypatch.context() as patch:
        patch.setattr("trakt_auth.runtime.workers.start_new_thread", none)
        behind = workers.start(lambda _: "behind", key=KEY, wait=True)
    go.set()
    assert wait_for(behind, workers, None) == "behind"
    assert wait_for(busy, workers, None)


def test_room_for_one_thread_only(monkeypatch):
    """The one that starts another finds no room for it; nobody waits for ever."""
    workers, start = Workers(), threading.Thread.start

    def none(thread):
        if thread.name != "trakt-auth":
            return start(thread)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    job = workers.start(lambda _: 1, key=KEY, wait=True)
    with pytest.raises(StoreUnavailable, match="No thread"):
        wait_for(job, workers, None)


def test_a_section_within_a_section_needs_no_thread_of_its_own(monkeypatch):
    """If it did, all threads could wait for one that is not there."""
    monkeypatch.setattr("trakt_auth.runtime.workers.MOST_THREADS", 2)
    these, together = dependencies(), threading.Barrier(2)

    def inner():
        yield from hold(KEY, wait=0)
        return threading.current_thread()

    def outer():
        together.wait(20)
        here = threading.current_thread()
        first = yield from uninterruptible(inner())
        return (here, first, (yield from uninterruptible(inner())))

    seen = []
    threads = [
        threading.Thread(target=lambda: seen.append(run(uninterruptible(outer()), these)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [len({id(thread) for thread in found}) for found in seen] == [1, 1]


def test_no_more_threads_than_are_allowed(monkeypatch):
    monkeypatch.setattr("trakt_auth.runtime.workers.MOST_THREADS", 2)
    workers, guard, working, most = Workers(), threading.Lock(), [], []

    def work(number):
        with guard:
            working.append(number)
            most.append(len(working))
        time.sleep(0)
        with guard:
            working.remove(number)
        return number

    many = [
        workers.start(lambda _, n=number: work(n), key=number, wait=True) for number in range(50)
    ]
    assert [wait_for(job, workers, None) for job in many] == list(range(50))
    assert max(most) <= 2
    late = threading.Thread(target=workers._work)  # one that was started while all were busy
    monkeypatch.setattr("trakt_auth.runtime.workers.MOST_THREADS", 0)
    late.start()
    late.join(20)
    assert not late.is_alive()


def test_whoever_comes_after_the_end_is_told_at_once():
    workers, told = Workers(), []
    job = workers.start(lambda _: 1, key=None, wait=True)
    job.wait()
    job.when_over(lambda: told.append("over"))
    assert told == ["over"]


def test_the_main_thread_reads_on_another():
    class Store(MemoryStore):
        def load(self, key):
            threads.append(threading.current_thread())
            return super().load(key)

    threads = []
    shared = dependencies(store=Store())

    def flow():
        yield from load(KEY)
        return (yield from load(KEY))

    assert run(flow(), shared) is None
    assert threads[0] is not threading.main_thread()
    other = threading.Thread(target=lambda: run(flow(), shared))
    other.start()
    other.join(20)
    assert threads[2] is threads[3] is other


@pytest.mark.parametrize("how", ["sync", "asyncio", "trio"])
def test_who_reads_waits_for_no_busy_thread(monkeypatch, how):
    monkeypatch.setattr("trakt_auth.runtime.workers.MOST_THREADS", 2)
    these, busy, go = dependencies(), threading.Barrier(3), threading.Event()

    def slow(_):
        busy.wait(20)
        assert go.wait(20)

    workers = [these.workers.start(slow, key=None, wait=True) for _ in range(2)]
    busy.wait(20)
    if how == "sync":
        assert run(load(KEY), these) is None
    else:
        assert anyio.run(run_async, load(KEY), these, backend=how) is None
    go.set()
    for job in workers:
        job.wait()


def test_a_crowd_that_reads_has_few_threads(monkeypatch):
    monkeypatch.setattr("trakt_auth.runtime.workers.MOST_THREADS", 4)
    inside, most, guard, all_in = set(), [], threading.Lock(), threading.Event()

    class Store(MemoryStore):
        def load(self, key):
            with guard:
                inside.add(threading.current_thread())
                most.append(len(inside))
                if len(inside) == 4:
                    all_in.set()
            assert all_in.wait(20)
            with guard:
                inside.discard(threading.current_thread())
            return super().load(key)

    shared = dependencies(store=Store())

    async def main():
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(run_async, load(KEY), shared)

    anyio.run(main)
    assert len(most) == 50
    assert max(most) == 4


class Panic(BaseException):
    """As a library in Rust ends: no Exception, and no wish to stop the program."""


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (Panic("s3cret"), StoreUnavailable),
        (ValueError("s3cret"), StoreUnavailable),
        (StoreCorrupt("x"), StoreCorrupt),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (SystemExit(3), SystemExit),
    ],
)
def test_what_a_store_raises_against_the_rules(raised, seen):
    def broken():
        raise raised

    with pytest.raises(seen) as caught:
        guard_store_errors(broken)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


LATE = Record(token=token(2), spent=fingerprint("r1"))
LATE_SIGN_IN = Record(token=token(2), pending_since=START + timedelta(1))


@pytest.mark.parametrize("how", ["sync", "asyncio"])
@pytest.mark.parametrize(
    ("waiting", "kind"), [(LATE, TokenRefreshed), (LATE_SIGN_IN, TokenObtained)]
)
def test_a_pair_that_a_read_saves_late_is_told(how, waiting, kind):
    told = []
    shared = dependencies(
        on_change=lambda *event: told.append(event), notify_subscribers=told.extend
    )
    old = Record(token=token(1)).to_payload()
    shared.store.store.save(KEY, old, expires_at=None, replacing=None)
    shared.store.fallback.save(KEY, waiting.to_payload(), expires_at=None, replacing=None)
    stored = run(load(KEY), shared) if how == "sync" else anyio.run(run_async, load(KEY), shared)
    event = kind(account="default", token=token(2))
    assert told == [(event, stored.version), event]
    run(load(KEY), shared)
    assert len(told) == 2


def test_a_new_pair_is_kept_by_the_fallback_store_and_a_note_is_not():
    shared = dependencies(store=Broken())
    pair = Record(token=token(2), spent=fingerprint("r1")).to_payload()
    for is_pair in (False, True):
        with pytest.raises(StoreUnavailable):
            run(save(KEY, pair, replacing=1, pair=is_pair), shared)
        assert shared.store.pending(KEY) is is_pair


def test_the_system_clock():
    clock = SystemClock()
    before = clock.now()
    clock.sleep(0)
    clock.sleep(-1, threading.Event())
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        clock.sleep(100, cancel)
    anyio.run(clock.sleep_async, -1)
    after = clock.now()
    assert after.wall.tzinfo is not None
    assert after.monotonic >= before.monotonic


def test_a_step_shows_no_secret():
    step = Save(key=KEY, payload="topsecret", expires_at=None, replacing=None)
    assert "topsecret" not in repr(step)
    assert "secret" not in repr(REQUEST)
    assert APP.client_id in repr(KEY)


class Broken:
    """A store against the rules."""

    def __getattr__(self, name):
        def broken(*_, **__):
            raise RuntimeError("payload: topsecret")

        return broken


def test_a_store_that_breaks_the_rules_breaks_nothing_else(caplog):
    class Sticky(Lease):
        def release(self):
            raise RuntimeError("no")

    class Store(MemoryStore):
        def lock(self, key, *, lease):
            return Sticky(remaining=1e9)

    for flow in (load(KEY), hold(KEY, wait=0)):
        with pytest.raises(StoreUnavailable, match="RuntimeError") as caught:
            run(flow, dependencies(store=Broken()))
        assert "topsecret" not in "".join(traceback.format_exception(caught.value))
    assert run(hold(KEY, wait=0), dependencies(store=Store())) is True
    assert "could not be released" in caplog.text
    with Client(APP, store=Broken()) as client, pytest.raises(StoreUnavailable):
        client.accounts()


def test_a_sign_in_takes_the_place_of_what_was_looked_at():
    """Somebody encrypts the record in between: what only a key could open is not overwritten."""
    encrypted = Stored(payload=f"{ENCRYPTED}1:abc:x", version=7)

    class Store(MemoryStore):
        def save(self, key, payload, *, expires_at, replacing):
            tried.append(replacing)
            if len(tried) == 1:
                super().save(key, encrypted.payload, expires_at=None, replacing=None)
                raise StoreConflict("somebody was faster")
            return super().save(key, payload, expires_at=expires_at, replacing=replacing)

    tried = []
    store = Store()
    with pytest.raises(StoreUnavailable, match="key"):
        run(save(KEY, "mine", replacing=None), dependencies(store=store))
    assert tried == [0]
    assert store.load(KEY).payload == encrypted.payload


def test_a_store_that_does_not_know_version_0_can_still_be_signed_in_to():
    class Store(MemoryStore):
        def save(self, key, payload, *, expires_at, replacing):
            if replacing == 0:
                raise StoreConflict("there is no version 0")
            return super().save(key, payload, expires_at=expires_at, replacing=replacing)

    store = Store()
    run(save(KEY, "mine", replacing=None), dependencies(store=store))
    assert store.load(KEY).payload == "mine"
