"""Subscribers: told in order, allowed to use the client, unable to harm what they are told of."""

import threading

import pytest

from support.both_clients import APP, token_of
from trakt_auth import Client, Endpoints, TokenRefreshed, TokenRevoked
from trakt_auth.client.subscribers import Subscribers
from trakt_auth.runtime.workers import MOST_THREADS

CROWD = MOST_THREADS + 6


def event(number):
    return TokenRevoked(account=str(number))


def test_events_come_in_order_and_a_callback_may_cause_more():
    subscribers, told = Subscribers(), []

    def callback(one):
        told.append(one.account)
        if one.account == "1":
            subscribers.tell([event(3)])  # delivered after 2, by the thread that is delivering
            assert told == ["1"]

    subscribers.add(callback)
    subscribers.tell([event(1), event(2)])
    assert told == ["1", "2", "3"]


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt()])
def test_what_a_subscriber_raises_stays_with_it(error, caplog):
    subscribers, told = Subscribers(), []

    def failing(_):
        raise error

    subscribers.add(failing)
    remove = subscribers.add(told.append)
    subscribers.tell([event(1)])
    assert told == [event(1)]
    assert "A subscriber failed" in caplog.text
    remove()
    remove()
    subscribers.tell([event(2)])
    assert told == [event(1)]


def test_a_forked_child_delivers_nothing_of_its_parent():
    subscribers, told = Subscribers(), []
    subscribers.add(told.append)
    subscribers._guard.acquire()
    subscribers._delivering = True
    subscribers._events.append(event(1))
    subscribers.start_anew()
    subscribers.tell([event(2)])
    assert told == [event(2)]


def test_more_refreshes_than_threads_whose_subscriber_uses_the_client(
    url, emulator, clock, monkeypatch
):
    """Each of them needs a thread of its own for that, while all others are told as well."""
    monkeypatch.setattr("trakt_auth.runtime.workers.MOST_THREADS", 4)
    told, raised = [], []
    with Client(APP, endpoints=Endpoints.at(url), clock=clock, timeout=5) as client:
        names = [f"account {number}" for number in range(CROWD)]
        for name in names:
            client.adopt(token_of(emulator.issue_tokens("ann"), now=clock.now().wall), account=name)

        def uses_the_client(one):
            if isinstance(one, TokenRefreshed) and not one.account.startswith("once more"):
                told.append(one.account)
                other = f"once more {one.account}"
                issued = token_of(emulator.issue_tokens("ann"), now=clock.now().wall)
                client.adopt(issued, account=other)
                client.refresh(account=other)

        client.subscribe(uses_the_client)

        def refresh(name):
            try:
                client.refresh(account=name)
            except BaseException as error:
                raised.append(error)

        threads = [threading.Thread(target=refresh, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    assert raised == []
    assert sorted(told) == sorted(names)


def test_the_caller_goes_on_after_its_own_event_was_delivered(url, issue, clock):
    told = []
    with Client(APP, endpoints=Endpoints.at(url), clock=clock) as client:
        client.subscribe(told.append)
        token = client.adopt(issue())
        assert [type(one).__name__ for one in told] == ["TokenObtained"]
        assert told[0].token == token
        client.refresh()
        client.revoke()
        assert [type(one).__name__ for one in told] == [
            "TokenObtained",
            "TokenRefreshed",
            "TokenRevoked",
        ]


def test_a_subscriber_that_exits_ends_neither_the_refresh_nor_the_program(url, issue, clock):
    def leave(_):
        raise SystemExit(1)

    with Client(APP, endpoints=Endpoints.at(url), clock=clock) as client:
        old = client.adopt(issue())
        client.subscribe(leave)
        assert client.refresh() != old
