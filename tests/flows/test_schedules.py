"""Workers interleaved in any order, with crashes, cancellations, lost answers and full disks.

What has to hold whatever happens:
- no refresh token is spent twice while an access token could be lost by it;
- the store never goes back to an older pair;
- whoever is not killed ends with a token that Trakt accepts, or with a reason.
"""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.simulation import CONTEXT, KEY, ModelTrakt, World, token
from trakt_auth.errors import (
    LockTimeout,
    LoginRequired,
    StoreError,
    TokenNotSaved,
    TransportError,
    Unavailable,
)
from trakt_auth.flows import refresh as renewal
from trakt_auth.flows import saving as keeping
from trakt_auth.flows.steps import Save, Send
from trakt_auth.stores.record import Outcome, Record, login_of

pytestmark = pytest.mark.long

STALE = token(age=timedelta(days=5))
EXPIRED = token(age=timedelta(days=8))
STARTS = {"stale": STALE, "expired": EXPIRED, "fresh": token()}
REQUESTS = {
    "token": lambda: renewal.fresh_token(CONTEXT, account="default"),
    "rejected": lambda: renewal.refresh_rejected(CONTEXT, account="default", rejected="a1"),
    "told": lambda: renewal.refresh(CONTEXT, account="default"),
}
FAULTS = ("tick",) * 12 + ("lose", "unsent", "full", "crash", "cancel", "lapse", "toggle")
REASONS = (LoginRequired, TransportError, Unavailable, StoreError, SystemExit)


def play(world: World, moves, *, end=True):
    """Perform moves `(worker, what)`, then let everybody who is left finish undisturbed."""
    for index, what in moves:
        alive = world.alive
        if not alive:
            break
        worker = alive[index % len(alive)]
        match what:
            case "tick":
                world.tick(worker)
            case "lose":
                world.tick(worker, lose_answer=True)
            case "unsent":
                world.tick(worker, never_sent=True)
            case "full":
                world.tick(worker, fail_save=True)
            case _:
                getattr(world, what)(worker)
    world.down = world.down and not end
    while end and world.alive:
        for worker in world.alive:
            world.tick(worker)


def check(world: World):
    assert world.risky_spends == []
    assert world.generations == sorted(world.generations)
    for worker in world.workers:
        if worker.error is not None:
            assert isinstance(worker.error, REASONS), worker.error
        elif worker.result is not None:
            assert worker.result.token.access_token in {
                f"a{n}" for n in range(1, world.trakt.newest + 1)
            }


def perform(world: World, move):
    index, what = move
    play(world, [(world.alive.index(world.workers[index]), what)], end=False)


@pytest.mark.parametrize("family_dies", [False, True], ids=["spares", "kills the family"])
@pytest.mark.parametrize(
    ("start", "requests", "most"),
    [
        ("expired", ("token", "token"), 2),
        ("expired", ("token", "rejected"), 1),
        ("stale", ("token", "token"), 1),
        ("stale", ("token", "rejected"), 1),
        ("stale", ("rejected", "told"), 1),
    ],
)
def test_every_interleaving_of_two_workers_with_faults(start, requests, most, family_dies):
    """All of them: the same state reached twice is looked at once."""

    def replay(moves):
        world = World(Record(token=STARTS[start]), ModelTrakt(family_dies=family_dies))
        for request in requests:
            world.add(REQUESTS[request](), rejected=request == "rejected")
        for move in moves:
            perform(world, move)
        return world

    seen, ends, todo = set(), 0, [((), most, replay(()))]
    while todo:
        moves, faults, world = todo.pop()
        world = world or replay(moves)
        key = (world.state(), faults)
        if key in seen:
            continue
        seen.add(key)
        check(world)
        if not world.alive:
            ends += 1
            settled(world)
            continue
        for worker in world.alive:
            todo.append(((*moves, (worker.name, "tick")), faults, None))
            if faults:
                todo += [
                    ((*moves, (worker.name, fault)), faults - 1, None)
                    for fault in fitting(world, worker)
                ]
        moves, faults, _ = todo.pop()  # this one goes on in the world that is there already
        perform(world, moves[-1])
        todo.append((moves, faults, world))
    assert ends > 20
    assert len(seen) > 500


def fitting(world: World, worker) -> list[str]:
    """Return the faults that make a difference at this step."""
    found = ["crash"]
    if isinstance(worker.step, Send):
        found += ["lose", "unsent"]
    if isinstance(worker.step, Save):
        found.append("full")
    if worker in world.holder.values():
        found.append("lapse")
    return found


def settled(world: World):
    """Everybody is done: the next one who comes gets a token or the true reason."""
    spent = world.trakt.spent.total()
    last = world.add(REQUESTS["token"]())
    play(world, [])
    check(world)
    if isinstance(last.error, LoginRequired):
        assert "was lost" in last.error.reason or world.trakt.dead
        again = world.add(REQUESTS["token"]())
        play(world, [])
        assert isinstance(again.error, LoginRequired)
        assert world.trakt.spent.total() <= spent + 1  # a dead login costs at most one more
    else:
        assert last.error is None or isinstance(last.error, TransportError | Unavailable)


moves = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(FAULTS)), max_size=60)


@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    start=st.sampled_from(sorted(STARTS)),
    requests=st.lists(st.sampled_from(sorted(REQUESTS)), min_size=2, max_size=5),
    family_dies=st.booleans(),
    moves=moves,
)
def test_any_interleaving_with_any_fault(start, requests, family_dies, moves):
    world = World(Record(token=STARTS[start]), ModelTrakt(family_dies=family_dies))
    for request in requests:
        world.add(REQUESTS[request](), rejected=request == "rejected")
    play(world, moves)
    check(world)


@settings(max_examples=500, deadline=None)
@given(
    start=st.sampled_from(["stale", "expired"]),
    order=st.lists(st.integers(0, 9), max_size=80),
    count=st.integers(2, 6),
)
def test_without_faults_one_refresh_serves_all(start, order, count):
    world = World(Record(token=STARTS[start]), ModelTrakt(family_dies=True))
    for _ in range(count):
        world.add(REQUESTS["token"]())
    play(world, [(index, "tick") for index in order])
    assert world.trakt.spent == {"r1": 1}
    assert world.record().token.access_token == "a2"
    assert world.record().attempt is None
    served = {worker.result.token.access_token for worker in world.workers}
    assert served <= ({"a1", "a2"} if start == "stale" else {"a2"})


@settings(max_examples=300, deadline=None)
@given(order=st.lists(st.integers(0, 9), max_size=60))
def test_a_rejected_token_is_replaced_once(order):
    world = World(Record(token=token()))
    for _ in range(4):
        world.add(REQUESTS["rejected"]())
    play(world, [(index, "tick") for index in order])
    assert world.trakt.spent == {"r1": 1}
    assert {worker.result.token.access_token for worker in world.workers} == {"a2"}


@settings(max_examples=300, deadline=None)
@given(cut=st.integers(0, 30), order=st.lists(st.integers(0, 9), max_size=40))
def test_a_cancelled_caller_loses_no_pair(cut, order):
    world = World(Record(token=EXPIRED))
    first = world.add(REQUESTS["token"]())
    for _ in range(cut):
        if not first.done:
            world.tick(first)
    world.cancel(first)
    world.add(REQUESTS["token"]())
    play(world, [(index, "tick") for index in order])
    assert world.trakt.spent == {"r1": 1}
    assert world.record().token.access_token == "a2"


@pytest.mark.parametrize("steps", range(12))
def test_a_killed_holder_is_succeeded(steps):
    """Killed before the send nothing is lost; killed after it the journal tells."""
    world = World(Record(token=EXPIRED))
    first = world.add(REQUESTS["token"]())
    for _ in range(steps):
        world.tick(first)
    world.crash(first)
    second = world.add(REQUESTS["token"]())
    play(world, [])
    if second.error is not None:
        assert isinstance(second.error, LoginRequired)
        assert "was lost" in second.error.reason
        assert world.trakt.spent == {"r1": 2}
        assert world.record().attempt.outcome is Outcome.REFUSED
    else:
        assert second.result.token.access_token == "a2"
        assert world.trakt.spent == {"r1": 1}


def test_a_slow_holder_whose_lease_ended_does_not_send():
    world = World(Record(token=EXPIRED))
    slow = world.add(REQUESTS["token"]())
    while type(slow.step).__name__ != "Send":
        world.tick(slow)
    world.lapse(slow)
    other = world.add(REQUESTS["token"]())
    while not other.done:
        world.tick(other)
    while not slow.done:
        world.tick(slow)
    assert isinstance(slow.error, LockTimeout) or slow.result.token.access_token == "a2"
    assert world.trakt.spent == {"r1": 1}


def test_a_pair_that_arrives_late_still_beats_the_mark_of_death():
    """The slow one has the tokens, the hasty one was refused: the login lives."""
    world = World(Record(token=EXPIRED))
    slow = world.add(REQUESTS["token"]())
    while type(slow.step).__name__ != "Send":
        world.tick(slow)
    world.tick(slow)  # the answer is here, not yet saved
    world.lapse(slow)
    hasty = world.add(REQUESTS["token"]())
    while not hasty.done:
        world.tick(hasty)
    assert isinstance(hasty.error, LoginRequired)
    while not slow.done:
        world.tick(slow)
    assert slow.result.token.access_token == "a2"
    assert world.record().token.access_token == "a2"
    assert world.record().attempt is None


def test_a_new_login_beats_a_late_refresh():
    world = World(Record(token=EXPIRED))
    slow = world.add(REQUESTS["token"]())
    while type(slow.step).__name__ != "Send":
        world.tick(slow)
    world.tick(slow)
    fresh = Record(token=token(9))
    world.store.save(CONTEXT.key("default"), fresh.to_payload(), expires_at=None, replacing=None)
    while not slow.done:
        world.tick(slow)
    assert slow.result.token.access_token == "a9"
    assert world.record().token.access_token == "a9"


def test_a_full_disk_hands_the_pair_over():
    world = World(Record(token=EXPIRED))
    worker = world.add(REQUESTS["token"]())
    while type(worker.step).__name__ != "Send":
        world.tick(worker)
    world.tick(worker)
    while not worker.done:
        world.tick(worker, fail_save=True)
    assert isinstance(worker.error, TokenNotSaved)
    assert worker.error.token.access_token == "a2"
    assert worker.error.token.refresh_token == "r2"
    assert world.store_fails == len(keeping.SAVE_PAUSES) + 1


def test_a_store_that_cannot_be_written_stops_before_anything_is_sent():
    world = World(Record(token=EXPIRED))
    worker = world.add(REQUESTS["token"]())
    while not worker.done:
        world.tick(worker, fail_save=True)
    assert isinstance(worker.error, StoreError)
    assert not isinstance(worker.error, TokenNotSaved)
    assert world.trakt.spent == {}


def sent(worker):
    """Play a worker until its request has been answered."""
    world = worker.world
    while type(worker.step).__name__ != "Send":
        world.tick(worker)
    world.tick(worker)


def test_signed_out_while_refreshing_revokes_the_new_pair():
    """The sign-out has given up waiting for the lock, and has revoked the pair that it found."""
    world = World(Record(token=EXPIRED))
    worker = world.add(REQUESTS["token"]())
    sent(worker)
    world.add_store().forget(KEY)
    while not worker.done:
        world.tick(worker)
    assert isinstance(worker.error, LoginRequired)
    assert "signed out" in worker.error.reason
    assert login_of(world.store.load(KEY)) is None
    assert sorted(world.trakt.revoked) == ["a2", "r2"]


def test_a_record_that_the_store_has_lost_is_written_again():
    world = World(Record(token=EXPIRED))
    worker = world.add(REQUESTS["token"]())
    sent(worker)
    world.store.delete(KEY)  # as FLUSHALL does
    while not worker.done:
        world.tick(worker)
    assert worker.error is None
    assert world.record().token.refresh_token == "r2"


def test_a_sign_in_after_a_sign_out_is_not_overwritten_by_a_refresh():
    world = World(Record(token=EXPIRED))
    worker = world.add(REQUESTS["token"]())
    sent(worker)
    store = world.add_store()
    store.forget(KEY)
    new = Record(token=token(9))
    store.save_pair(KEY, new.to_payload(), expires_at=None, replacing=None)
    while not worker.done:
        world.tick(worker)
    assert world.record().token == token(9)
    assert worker.result.token == token(9)
