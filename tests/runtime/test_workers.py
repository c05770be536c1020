"""The pool: threads that wait for more work, an error for each caller, ends of all kinds."""

import subprocess
import sys
import textwrap
import threading
import traceback
from contextlib import suppress

import pytest

from trakt_auth.errors import LoginRequired, OAuthError, StoreConflict, StoreUnavailable
from trakt_auth.runtime import workers as module
from trakt_auth.runtime.jobs import wait_for
from trakt_auth.runtime.tracebacks import without_frames
from trakt_auth.runtime.workers import Workers


@pytest.fixture
def pool():
    pool = Workers()
    yield pool
    pool.close()


def started(monkeypatch):
    """Count the threads that are started."""
    count, really = [], module.start_new_thread
    monkeypatch.setattr(
        module, "start_new_thread", lambda *args: (count.append(1), really(*args))[1]
    )
    return count


def run(pool, work=lambda _: threading.get_ident()):
    return wait_for(pool.start(work, key=None, wait=True), pool, None)


def test_a_warm_pool_starts_no_thread(pool, monkeypatch):
    monkeypatch.setattr(module, "IDLE_SECONDS", 60)
    first = run(pool)
    while not pool._idle:  # the thread is about to wait
        pass
    count = started(monkeypatch)
    for _ in range(200):
        while not pool._idle:
            pass
        assert run(pool) == first
    assert count == []


def test_an_idle_thread_ends(pool, monkeypatch):
    monkeypatch.setattr(module, "IDLE_SECONDS", 0)
    before = threading.active_count()
    run(pool)
    while threading.active_count() > before:
        pass
    assert (pool._threads, pool._idle) == (0, [])
    assert run(pool)


def test_closing_ends_idle_threads_at_once(monkeypatch):
    monkeypatch.setattr(module, "IDLE_SECONDS", 3600)
    before, pool = threading.active_count(), Workers()
    run(pool)
    pool.close()
    while threading.active_count() > before:
        pass


def test_a_thread_that_was_busy_at_the_close_ends_after_its_job():
    pool, go = Workers(), threading.Event()
    job = pool.start(lambda _: go.wait(60), key=None, wait=True)
    while job.thread is None:
        pass
    (thread,) = [one for one in threading.enumerate() if one.ident == job.thread]
    closing = threading.Thread(target=pool.close)
    closing.start()
    while not pool._closed:
        pass
    go.set()
    for one in (closing, thread):
        one.join(60)
        assert not one.is_alive()
    assert (pool._threads, pool._idle) == (0, [])


def test_a_caller_that_was_interrupted_between_claiming_and_ringing_leaves_no_job_behind(
    pool, monkeypatch
):
    """Ctrl-C can come there; the thread looks at the queue when it is tired of waiting."""
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.01)
    run(pool)
    while not pool._idle:
        run(pool)

    class Deaf:
        def put(self, _):
            raise KeyboardInterrupt

    with pool._guard:
        real, pool._idle = pool._idle, [Deaf()]
    with pytest.raises(KeyboardInterrupt):
        pool.start(lambda _: "lost", key="k", wait=True)
    del real
    assert wait_for(pool.start(lambda _: "found", key="k", wait=True), pool, None) == "lost"


def test_each_caller_gets_an_error_of_its_own(pool):
    go = threading.Event()

    def work(_):
        secret = "s3cret"
        go.wait(20)
        try:
            raise OAuthError("invalid_grant", status=400)  # noqa: TRY301
        except OAuthError as error:
            raise LoginRequired(account="a", reason=secret[:0] + "refused") from error

    job = pool.start(work, key="k", wait=True)
    assert pool.start(work, key="k", wait=True) is job
    go.set()
    caught = []
    for _ in range(3):
        with pytest.raises(LoginRequired) as error:
            wait_for(job, pool, None)
        caught.append(error.value)
    assert len({id(error) for error in caught}) == 3
    depths = {len(traceback.extract_tb(error.__traceback__)) for error in caught}
    assert len(depths) == 1
    for error in caught:
        assert (error.account, error.reason) == ("a", "refused")
        assert isinstance(error.__cause__, OAuthError)
        assert error.__cause__.status == 400
        assert error.__cause__.__traceback__ is None
        shown = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
        assert "s3cret" not in shown
        assert error.__context__ is None


def test_without_frames_copies_what_can_be_copied():
    error = StoreConflict("x", hint="y")
    error.add_note("a note")
    clean = without_frames(error)
    assert clean is not error
    assert (str(clean), clean.hint, clean.__notes__) == ("x", "y", ["Hint: y", "a note"])

    class Odd(Exception):
        def __reduce__(self):
            raise TypeError("no")

    odd = Odd()
    assert without_frames(odd) is odd


def test_the_limit_of_threads_says_so(monkeypatch):
    def no_thread(*_):
        raise RuntimeError("can't start new thread")

    pool = Workers()
    monkeypatch.setattr(module, "start_new_thread", no_thread)
    with pytest.raises(StoreUnavailable, match="No thread") as caught:
        run(pool)
    assert "ulimit -u" in caught.value.hint


def test_without_another_thread_the_running_one_comes_to_the_next_job(pool, monkeypatch):
    go = threading.Event()
    first = pool.start(lambda _: go.wait(60), key="first", wait=True)
    while first.thread is None:
        pass

    def no_thread(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(module, "start_new_thread", no_thread)
    second = pool.start(lambda _: threading.get_ident(), key="second", wait=True)
    go.set()
    assert wait_for(second, pool, None) == first.thread


def test_at_the_end_of_the_interpreter_a_job_is_done_once(monkeypatch):
    """A thread that was about to start when the end came may have taken it already."""
    pool, done = Workers(), []

    def no_thread(*_):
        with suppress(IndexError):
            pool._queue.pop()
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(module, "start_new_thread", no_thread)
    pool.start(lambda _: done.append(1), key=None, wait=True)
    assert done == []


def test_at_the_end_of_the_interpreter_the_caller_does_the_work(monkeypatch):
    """Python 3.12 starts no thread any more once atexit handlers run."""

    def no_thread(*_):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    pool, after = Workers(), []
    monkeypatch.setattr(module, "start_new_thread", no_thread)
    job = pool.start(
        lambda _: threading.current_thread(), key="k", wait=True, after=lambda: after.append(1)
    )
    assert wait_for(job, pool, None) is threading.current_thread()
    assert (after, pool._threads, pool._up) == ([1], 0, {})
    pool.close()


def test_a_program_that_ends_does_not_wait_for_idle_threads():
    program = """
        import time
        from trakt_auth.runtime import workers
        from trakt_auth.runtime.jobs import wait_for
        workers.IDLE_SECONDS = 3600
        pool = workers.Workers()
        wait_for(pool.start(lambda _: 1, key=None, wait=True), pool, None)
        while not pool._idle:
            pass
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


def test_a_thread_that_finds_the_pool_full_after_its_job_ends(pool, monkeypatch):
    monkeypatch.setattr(module, "IDLE_SECONDS", 60)
    ident = run(
        pool, lambda _: (monkeypatch.setattr(module, "MOST_THREADS", 0), threading.get_ident())[1]
    )
    ended = next((one for one in threading.enumerate() if one.ident == ident), None)
    if ended is not None:
        ended.join(10)
        assert not ended.is_alive(), "it waits for work although others fill the pool"
    monkeypatch.setattr(module, "MOST_THREADS", 1)
    assert run(pool)  # its place is free again


def test_a_job_that_comes_while_a_thread_goes_to_wait_is_done_by_it(pool):
    pool._threads = 1  # this thread counts as a busy one of the pool
    pool._queue.append(object())
    bell = None  # it does not wait for the bell
    assert pool._wait_for_more(bell)
    assert (pool._threads, pool._idle) == (0, [])
    pool._queue.clear()
