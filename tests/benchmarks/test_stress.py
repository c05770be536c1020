"""Storms, kills, signals, cancellations, failed saves and outages, on every store; real servers.

The counts are small here; `benchmarks/reliability.py` repeats them a thousand times.
"""

from __future__ import annotations

import os
import random
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from support import stress
from support.both_clients import key_of, token_of
from support.keychains import Shared, installed
from support.stress import (
    APP,
    EXPIRED,
    STALE,
    Place,
    accepted,
    kills,
    rotations,
    sign_in,
    signals,
    storms,
)
from trakt_auth import AsyncClient, Client, Endpoints, TokenNotSaved, open_store
from trakt_auth.emulator import Emulator
from trakt_auth.errors import StoreError, StoreUnavailable
from trakt_auth.stores.record import AccountKey, Record
from trakt_auth.stores.wrappers.encrypted import generate_key
from trakt_auth.testing.in_process import in_process

KEY = AccountKey(APP.client_id, "default")
KEY_HERE = key_of("https://trakt.test")
LEASE = 0.6  # seconds
ONE_MACHINE, MANY_MACHINES = ["file", "sqlite", "encrypted", "keyring"], ["postgresql", "redis"]


@pytest.fixture
def emulator():
    """One whose clock goes, as the clocks of other processes do."""
    return Emulator(log_size=10)


@pytest.fixture(autouse=True)
def _as_it_was():
    before = stress.base.REQUEST_PHASES, stress.runner.SLACK
    yield
    stress.base.REQUEST_PHASES, stress.runner.SLACK = before


@pytest.fixture
def place(request, tmp_path, url):
    """Return where the workers keep their tokens, on an empty store of the kind."""

    @contextmanager
    def made(kind, **settings):
        match kind:
            case "postgresql":
                with request.getfixturevalue("postgres").schema() as store:
                    yield Place(store=store, url=url, **settings)
            case "redis":
                yield Place(store=request.getfixturevalue("redis_url"), url=url, **settings)
            case "encrypted":
                keys = (generate_key(),)
                yield Place(store=f"sqlite:{tmp_path}/encrypted", url=url, keys=keys, **settings)
            case "keyring":
                # In the other processes the environment names the stand-in for a keychain.
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv("TEST_KEYCHAIN", str(tmp_path / "keychain.json"))
                    patch.setenv("XDG_DATA_HOME", str(tmp_path))
                    patch.setenv("PYTHON_KEYRING_BACKEND", "support.keychains.Shared")
                    patch.setenv("PYTHONPATH", os.pathsep.join(["tests", "src"]))
                    with installed(Shared()):
                        yield Place(store="keyring:", url=url, **settings)
            case _:
                yield Place(store=f"{kind}:{tmp_path}/tokens", url=url, **settings)

    return made


# -- storms --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "count"), [("threads", 50), ("coroutines", 250)])
@pytest.mark.parametrize("store", ONE_MACHINE + MANY_MACHINES)
def test_a_storm_sends_one_refresh(place, emulator, store, kind, count):
    with place(store) as here:
        storm = storms(emulator, [here] * 4, kind=kind, count=count, rounds=2)
    assert storm.calls == 2 * 4 * count
    assert storm.failed == {}
    assert storm.refreshes == 2
    assert storm.arrivals == 1
    assert all(accepted(emulator, token) for token in storm.tokens)


@pytest.mark.parametrize("skew", [0, 3600])
@pytest.mark.parametrize("store", MANY_MACHINES)
def test_an_answer_that_takes_longer_than_the_lease(place, emulator, store, skew):
    """The holder is alive and renews its lease, so nobody else sends; whatever the clocks say."""
    with place(store, skew=skew, lease=LEASE) as here:
        there = replace(here, skew=-skew)
        storm = storms(
            emulator, [here, there] * 2, kind="threads", count=20, rounds=1, hold=LEASE * 2.5
        )
    assert storm.failed == {}
    assert (storm.refreshes, storm.arrivals) == (1, 1)


def test_a_stale_token_keeps_nobody_waiting(place, emulator):
    """While the answer is held back, everybody else has the old token already."""
    with place("sqlite") as here:
        sign_in(emulator, here, "ann", age=STALE)
        others = Place(store=here.store, url=here.url)
        with (
            here.client() as client,
            stress.crowds(others, others) as ask,
        ):
            old = Record.from_stored(client._store.load(key_of(here.url, "ann"))).token
            send, seen = client._transport.send, []

            def held(request):
                seen.extend(ask("ann", "threads", 50))  # they ask, and are answered, meanwhile
                return send(request)

            client._transport.send = held
            new = client.token(account="ann")
    assert seen == [("", old.access_token)] * 100
    assert new.access_token != old.access_token
    assert rotations(emulator) == 1


# -- kills and signals -----------------------------------------------------------------------------


@pytest.mark.parametrize("store", ONE_MACHINE + MANY_MACHINES)
def test_kill_9_at_random_moments(place, emulator, store):
    with place(store, lease=LEASE) as here:
        tally = kills(emulator, here, times=24, seed=7)
    assert tally.blows == 24
    assert tally.kept + tally.lost == 24
    assert (tally.unexplained, tally.corrupt, tally.stuck, tally.spent_twice) == (0, 0, 0, 0)
    assert tally.finished < 24


@pytest.mark.parametrize("store", ["file", "postgresql"])
def test_signals_lose_no_pair(place, emulator, store):
    with place(store, lease=10 * LEASE) as here:
        tally = signals(emulator, here, times=16, seed=3)
    assert (tally.blows, tally.kept, tally.half) == (16, 16, 0)
    assert tally.finished < 16


# -- cancellation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_five_hundred_cancellations(backend):
    emulator, chance = Emulator(log_size=10), random.Random(11)
    cancelled = []

    async def once(store):
        settings = {
            "store": store,
            "endpoints": Endpoints.at("https://trakt.test"),
            "transport": in_process(emulator.handle),
        }
        async with AsyncClient(APP, **settings) as client:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:

                    async def ask():
                        await client.token()
                        group.cancel_scope.cancel()

                    group.start_soon(ask)
                    for _ in range(chance.randrange(12)):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
            cancelled.append(scope.cancelled_caught)
        async with AsyncClient(APP, **settings) as client:  # what was under way has landed
            return await client.token()

    async def main():
        for _ in range(500):
            store, past = open_store("memory:"), datetime.now(UTC) - EXPIRED
            token = token_of(emulator.issue_tokens("ann"), now=past)
            store.save(KEY, Record(token=token).to_payload(), expires_at=None, replacing=None)
            before = rotations(emulator)
            new = await once(store)
            assert rotations(emulator) == before + 1
            assert new == Record.from_stored(store.load(KEY)).token

    anyio.run(main, backend=backend)
    assert emulator.state()["tokens"]["most_arrivals_of_one_refresh_token"] == 1
    assert sum(cancelled) > 100


# -- a store that fails ----------------------------------------------------------------------------


class Failing:
    """A store that fails when `failing` says so, whatever is asked of it."""

    def __init__(self, inner):
        self.inner, self.failing = inner, lambda _: False

    def __getattr__(self, name):
        if name in ("load", "save", "delete") and self.failing(name):
            raise StoreUnavailable("the disk is full")
        return getattr(self.inner, name)


def test_a_thousand_failed_saves(monkeypatch):
    """The store fails from the answer on, for a random number of calls; then it is back."""
    emulator, chance = Emulator(log_size=10), random.Random(5)
    monkeypatch.setattr("trakt_auth.flows.saving.SAVE_PAUSES", (0, 0, 0))
    unsaved = 0
    for number in range(1000):
        store, past = Failing(open_store("memory:")), datetime.now(UTC) - EXPIRED
        token = token_of(emulator.issue_tokens("ann"), now=past)
        store.save(
            KEY_HERE,
            Record(token=token).to_payload(),
            expires_at=None,
            replacing=None,
        )
        calls, only = [chance.randrange(1, 14)], chance.choice([{"save"}, {"save", "load"}])

        def failing(name, calls=calls, only=only):
            calls[0] -= name in only
            return name in only and calls[0] >= 0

        def handle(request, store=store, failing=failing):
            answer = emulator.handle(request)
            store.failing = failing
            return answer

        with Client(
            APP,
            store=store,
            endpoints=Endpoints.at("https://trakt.test"),
            transport=in_process(handle),
        ) as client:
            client._retries._work = lambda: None  # its thread's work is done by hand below
            new = None
            try:
                new = client.token()
            except TokenNotSaved as error:
                new = error.token
                assert client.unsaved() == ["default"]
                unsaved += 1
                assert client.token() == new
                while client._retries._all_offered():
                    pass
            assert client.unsaved() == []
            assert Record.from_stored(store.inner.load(KEY_HERE)).token == new
            assert Record.from_stored(store.inner.load(KEY_HERE)).attempt is None
        if number % 100 == 0:
            assert accepted(emulator, new.access_token)
    assert unsaved > 300
    assert emulator.state()["tokens"]["most_arrivals_of_one_refresh_token"] == 1


@pytest.mark.parametrize("kind", MANY_MACHINES)
def test_a_server_that_is_killed_between_the_answer_and_the_save(
    kind, request, emulator, url, monkeypatch, caplog
):
    monkeypatch.setattr("trakt_auth.flows.saving.SAVE_PAUSES", (0,))
    if kind == "postgresql":
        server = request.getfixturevalue("postgres")
        where = server.schema()
    else:
        server = request.getfixturevalue("redis_server")
        request.getfixturevalue("redis_url")
        where = contextmanager(lambda: iter([server.url]))()
    with where as store:
        here = Place(store=store, url=url)
        sign_in(emulator, here, "ann", age=EXPIRED)
        with here.client() as client:
            client._retries._work = lambda: None
            send = client._transport.send

            def killing(request):
                answer = send(request)
                server.kill()
                return answer

            client._transport.send = killing
            with pytest.raises(TokenNotSaved) as caught:
                client.token(account="ann")
            assert client.unsaved() == ["ann"]
            assert client.token(account="ann") == caught.value.token
            with pytest.raises(StoreError):
                client.accounts()
            server.start()
            assert not client._retries._all_offered()
            assert client.unsaved() == []
            assert client.accounts() == ["ann"]
        with here.client() as client:
            assert client.token(account="ann") == caught.value.token
    assert rotations(emulator) == 1


# -- no I/O ----------------------------------------------------------------------------------------


def test_a_fresh_token_asks_no_store(emulator):
    store, now = Failing(open_store("memory:")), datetime.now(UTC)
    token = token_of(emulator.issue_tokens("ann"), now=now - timedelta(hours=1))
    store.save(KEY, Record(token=token).to_payload(), expires_at=None, replacing=None)
    with Client(APP, store=store) as client:
        assert client.token() == token
        store.failing = lambda name: pytest.fail(f"{name} for a fresh token")
        for _ in range(1000):
            assert client.token() == token
