"""When unsaved pairs are offered again: first soon, then more and more rarely, and at the end."""

import logging
import threading

from trakt_auth.client.retries import LONGEST_PAUSE, Retries


class Waiting(threading.Event):
    """Time that passes at once, up to `most` pauses; then it is the end."""

    def __init__(self, most):
        super().__init__()
        self.pauses, self.most = [], most

    def wait(self, timeout=None):
        self.pauses.append(timeout)
        if len(self.pauses) >= self.most:
            self.set()
        return self.is_set()


def retries(offer, most=1000):
    made = Retries(offer)
    made._stop = Waiting(most)
    return made


def finish(made):
    thread = made._thread
    if thread is not None:
        thread.join(20)
        assert not thread.is_alive()


def test_pauses_double_up_to_a_minute_until_it_is_saved():
    left = [False] * 9 + [True]
    offered = []
    made = retries(lambda account: offered.append(account) or left.pop(0))
    made.add("ann")
    finish(made)
    assert offered == ["ann"] * 10
    assert made._stop.pauses == [1, 2, 4, 8, 16, 32, 60, 60, LONGEST_PAUSE]
    assert made._thread is None
    made.close()


def test_the_next_failure_starts_a_thread_again():
    offered = []
    made = retries(lambda account: offered.append(account) or True)
    made.add("ann")
    finish(made)
    made.add("bob")
    finish(made)
    assert offered == ["ann", "bob"]


def test_two_accounts_share_a_thread():
    go, offered, saved = threading.Event(), [], set()

    def offer(account):
        assert go.wait(20)
        offered.append(account)
        return account in saved

    made = retries(offer, most=3)
    made.add("ann")
    thread = made._thread
    made.add("bob")
    assert made._thread is thread
    saved.add("bob")
    go.set()
    thread.join(20)
    assert offered.count("bob") == 1
    assert offered.count("ann") == 4  # after each pause, and at the end


def test_no_thread_to_be_had(monkeypatch):
    """The next failure tries again to start one; closing offers it without."""

    def none(_):
        raise RuntimeError("can't start new thread")

    offered = []
    made = Retries(lambda account: offered.append(account) or account == "ann")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        made.add("ann")
    assert "ann" in made
    assert offered == []
    made.close()
    assert offered == ["ann"]
    assert "ann" not in made
    made.close()
    assert offered == ["ann"]


def test_closing_on_its_own_thread():
    """A subscriber that is told of the saved pair may close its client."""
    made = Retries(lambda _: made.close() or True)
    made.add("ann")
    finish(made)
    assert "ann" not in made


def test_closing_tries_once_more_and_says_what_is_left(caplog):
    store_is_back = threading.Event()
    made = Retries(lambda account: account == "bob" and store_is_back.is_set())
    made.add("ann")
    made.add("bob")
    store_is_back.set()
    with caplog.at_level(logging.ERROR, "trakt_auth"):
        made.close()
    assert [record.getMessage() for record in caplog.records] == [
        "The new token of account 'ann' could not be saved before the client was closed"
    ]


def test_closing_is_quiet_when_another_process_will_find_it(caplog):
    made = Retries(lambda _: False, durable=True)
    made.add("ann")
    made.close()
    assert caplog.records == []


def test_closing_with_nothing_to_do(caplog):
    Retries(lambda _: True).close()
    assert caplog.records == []


def test_closing_stops_asking_a_store_that_is_away():
    offered = []
    made = Retries(offered.append)
    made._work = lambda: None  # no thread: closing does it
    for number in range(100):
        made.add(f"account {number:03}")
    made._thread = None
    made.close()
    assert offered == [f"account {number:03}" for number in range(3)]


def test_closing_has_a_deadline(monkeypatch):
    offered, ticks = [], iter(range(0, 1000, 6))
    monkeypatch.setattr("trakt_auth.client.retries.time.monotonic", lambda: next(ticks))
    made = Retries(lambda account: bool(offered.append(account) or True))
    made._work = lambda: None
    for number in range(100):
        made.add(f"account {number:03}")
    made._thread = None
    made.close()
    assert len(offered) < 5
