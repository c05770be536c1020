"""Storms, kills and signals: many processes against one store and one emulator.

What is counted is what the emulator saw. The tests run this with small counts, and
`benchmarks/reliability.py` with large ones.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import os
import random
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from trakt_auth import AsyncClient, Client, Endpoints, Token, TokenNotSaved
from trakt_auth.client import base
from trakt_auth.emulator import Emulator
from trakt_auth.errors import LockTimeout, LoginRequired, StoreCorrupt
from trakt_auth.flows.steps import Moment
from trakt_auth.protocol.application import Application
from trakt_auth.protocol.http import HttpRequest, HttpResponse
from trakt_auth.runtime import runner
from trakt_auth.runtime.clock import SystemClock
from trakt_auth.stores import open_store
from trakt_auth.stores.record import AccountKey, Attempt, Outcome, Record

APP = Application("emulator", user_agent="proofs/1")
WEEK = timedelta(days=7)
PATIENCE = 60  # seconds for a worker to answer
CLONE_NEWNET = 0x40000000  # of Linux' sched.h; os.setns came with Python 3.12


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a worker keeps and sends: `lease` and `skew` are in seconds.

    `network` is the namespace (ip-netns) of its processes, "" for the one of this machine.
    """

    store: str
    url: str
    keys: tuple[str, ...] = ()
    lease: float | None = None
    skew: float = 0
    network: str = ""

    def move_in(self) -> None:
        """Move this process, which has no threads yet, into the place's network."""
        if self.network:
            with Path(f"/run/netns/{self.network}").open() as there:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(there.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")

    def opened(self):
        return open_store(self.store, keys=self.keys)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Open a client, and close its store too."""
        settings = self.settings()
        with closing(settings["store"]), Client(APP, **settings) as client:
            yield client

    def settings(self) -> dict[str, Any]:
        if self.lease is not None:  # a timeout and some slack, or else what is asked for
            base.SEND_TIMEOUTS = self.lease * 0.5 / TIMEOUT
            runner.SLACK = self.lease * 0.25
        clock = Skewed(self.skew) if self.skew else None
        return {
            "store": self.opened(),
            "endpoints": Endpoints.at(self.url),
            "timeout": TIMEOUT,
            "clock": clock,
        }


TIMEOUT = 20.0


class Skewed(SystemClock):
    """A machine whose clock is wrong."""

    def __init__(self, seconds: float) -> None:
        self._wrong = timedelta(seconds=seconds)

    def now(self) -> Moment:
        right = super().now()
        return Moment(wall=right.wall + self._wrong, monotonic=right.monotonic)


def sign_in(emulator: Emulator, place: Place, account: str, *, age: timedelta) -> None:
    """Keep a token for a new person that was obtained `age` ago."""
    issued = emulator.issue_tokens(account)
    created = datetime.now(UTC) - age
    token = Token(
        access_token=issued["access_token"],
        refresh_token=issued["refresh_token"],
        created_at=created,
        expires_at=created + WEEK,
    )
    store = place.opened()
    store.save(
        AccountKey(Endpoints.at(place.url).owner(APP.client_id), account),
        Record(token=token).to_payload(),
        expires_at=token.expires_at,
        replacing=None,
    )
    store.close()


def rotations(emulator: Emulator) -> int:
    return emulator.state()["tokens"]["rotations"]


def replays(emulator: Emulator) -> int:
    return emulator.state()["tokens"]["replays"]


def accepted(emulator: Emulator, access_token: str) -> bool:
    """Tell whether the API answers to this token."""
    headers = {
        "authorization": f"Bearer {access_token}",
        "trakt-api-key": APP.client_id,
        "trakt-api-version": "2",
        "user-agent": APP.user_agent,
    }
    request = HttpRequest(method="GET", url="https://trakt.test/users/me", headers=headers)
    return emulator.handle(request).status == 200


STALE, EXPIRED = timedelta(days=5), timedelta(days=8)


# -- storms --------------------------------------------------------------------------------------


@dataclass
class Storm:
    """What came of it."""

    calls: int = 0
    failed: Counter = field(default_factory=Counter)
    refreshes: int = 0
    arrivals: int = 0
    tokens: set[str] = field(default_factory=set)


def _crowd(place: Place, pipe: Connection) -> None:
    """Ask at once, with threads or coroutines, as often as it is told to."""
    place.move_in()
    settings = place.settings()
    with Client(APP, **settings) as client:
        pipe.send("ready")
        while (order := pipe.recv()) is not None:
            account, kind, count = order
            if kind == "threads":
                pipe.send(_threads(client, account, count))
            else:
                pipe.send(asyncio.run(_coroutines(settings, account, count)))


def _threads(client: Client, account: str, count: int) -> list[tuple[str, str]]:
    start, said = threading.Barrier(count), []

    def ask() -> None:
        start.wait(PATIENCE)
        try:
            said.append(("", client.token(account=account).access_token))
        except Exception as error:
            said.append((type(error).__name__, str(error)))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


async def _coroutines(settings: dict[str, Any], account: str, count: int) -> list[tuple[str, str]]:
    async with AsyncClient(APP, **settings) as client:

        async def ask() -> tuple[str, str]:
            try:
                return "", (await client.token(account=account)).access_token
            except Exception as error:
                return type(error).__name__, str(error)

        return await asyncio.gather(*[ask() for _ in range(count)])


@contextmanager
def crowds(*places: Place) -> Iterator[Callable[..., list[tuple[str, str]]]]:
    """Start a process for each place; yield a function that lets all of them ask at once."""
    context = get_context("spawn")
    pipes, processes = [], []
    for place in places:
        ours, theirs = context.Pipe()
        process = context.Process(target=_crowd, args=(place, theirs), daemon=True)
        process.start()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        assert pipe.recv() == "ready"

    def ask(account: str, kind: str, count: int) -> list[tuple[str, str]]:
        for pipe in pipes:
            pipe.send((account, kind, count))
        answers = []
        for pipe in pipes:
            assert pipe.poll(PATIENCE), "a process of the storm does not answer"
            answers += pipe.recv()
        return answers

    try:
        yield ask
    finally:
        for pipe in pipes:
            with suppress(OSError):
                pipe.send(None)
        for process in processes:
            process.join(PATIENCE)


def storms(
    emulator: Emulator,
    places: list[Place],
    *,
    kind: str,
    count: int,
    rounds: int,
    hold: float = 0,
) -> Storm:
    """Let `count` callers in each process ask for an expired token, in each round a new one.

    `hold` is for how many seconds the emulator keeps its answers back.
    """
    storm = Storm()
    with holding(emulator, hold), crowds(*places) as ask:
        for number in range(rounds):
            account = f"{kind} {number}"
            sign_in(emulator, places[0], account, age=EXPIRED)
            before = rotations(emulator)
            said = ask(account, kind, count)
            storm.calls += len(said)
            storm.failed.update(name for name, _ in said if name)
            refreshed = rotations(emulator) - before
            storm.refreshes += refreshed
            storm.tokens |= {token for name, token in said if not name}
            assert len({token for name, token in said if not name}) <= refreshed
    storm.arrivals = emulator.state()["tokens"]["most_arrivals_of_one_refresh_token"]
    return storm


@contextmanager
def holding(emulator: Emulator, seconds: float) -> Iterator[None]:
    """Keep the answers to refreshes back: the token is rotated, and nobody knows it yet."""
    respond = emulator.process

    def slow(request, **options):
        reply = respond(request, **options)
        if seconds and "/oauth/token" in request.url:
            time.sleep(seconds)
        return reply

    emulator.process = slow
    try:
        yield
    finally:
        emulator.process = respond


# -- a link that is cut ----------------------------------------------------------------------------


@contextmanager
def refreshing(place: Place, account: str) -> Iterator[Connection]:
    """Start a refresh in a process of its own; it says "answered", and waits to be told to go on.

    Then it says which access token it could not save, and "saved" once it could.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_refresh, args=(place, account, theirs), daemon=True)
    process.start()
    theirs.close()
    yield ours
    process.join()


def _refresh(place: Place, account: str, pipe: Connection) -> None:
    place.move_in()
    with place.client() as client:
        send = client._transport.send

        def answered(request: HttpRequest, *check: Any) -> HttpResponse:
            answer = send(request, *check)
            pipe.send("answered")
            pipe.recv()
            return answer

        client._transport.send = answered
        try:
            client.token(account=account)
        except TokenNotSaved as error:
            pipe.send(error.token.access_token)
        while client.unsaved():
            time.sleep(0.1)
        pipe.send("saved")


# -- kills and signals -----------------------------------------------------------------------------


@dataclass
class Tally:
    """What was found after the blows."""

    blows: int = 0
    finished: int = 0  # before the blow fell
    kept: int = 0  # the next one has a token that works
    lost: int = 0  # between the server's commit and our save
    unexplained: int = 0  # lost in any other way
    corrupt: int = 0
    stuck: int = 0
    spent_twice: int = 0  # while the access token lived
    half: int = 0  # a pair that was answered and not saved although nobody killed it


class Blow:
    """Kills this process at one step of the work; each step has a before and an after."""

    def __init__(self, step: int) -> None:
        self.left = step

    def strike(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def around(self, owner: object, name: str) -> None:
        really = getattr(owner, name)

        def struck(*args, **kwargs):
            self.strike()
            result = really(*args, **kwargs)
            if name == "lock":
                for step in ("acquire", "release"):
                    self.around(result, step)
            self.strike()
            return result

        with suppress(AttributeError):  # a class with slots is left alone
            setattr(owner, name, struck)


BLOWS = (signal.SIGINT, signal.SIGTERM)


def _nursery(place: Place, pipe: Connection) -> None:
    """Fork children that ask for a token, and kill them; no thread runs here when it forks.

    What a child had to import is imported here for those after it: they would spend their time on
    it, and Python can hang for ever when Ctrl-C falls within its own importing.
    """
    settings = place.settings()
    settings["store"].load(AccountKey("nobody", "nobody"))
    settings["store"].close()
    pipe.send("ready")
    while (order := pipe.recv()) is not None:
        account, how, when = order
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOWS)  # until the child can be struck
        heard, told = os.pipe()
        child = os.fork()
        if child == 0:
            _child(place, account, when if how == "step" else None, told)
        os.close(told)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOWS)
        if how != "step":
            time.sleep(when)
            with suppress(ProcessLookupError):
                os.kill(child, how)
        with os.fdopen(heard) as modules:
            for name in modules.read().split():
                with suppress(Exception):
                    importlib.import_module(name)
        _, status = os.waitpid(child, 0)
        pipe.send(os.waitstatus_to_exitcode(status))


def _child(place: Place, account: str, step: int | None, told: int) -> None:
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command does
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOWS)
        client = Client(APP, **place.settings())
        try:
            if step is not None:
                blow = Blow(step)
                for name in ("load", "lock", "save"):
                    blow.around(client._store, name)
                blow.around(client._transport, "send")
            client.token(account=account)
            code = 0
            os.write(told, "\n".join(sys.modules).encode())
        except KeyboardInterrupt:
            code = 2
        finally:
            client.close()
    except KeyboardInterrupt:
        code = 2  # before or after the work
    finally:
        os._exit(code)


@contextmanager
def nursery(place: Place) -> Iterator[Callable[[str, object, float], int]]:
    """Yield a function that runs one child and strikes it; returns its exit status."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_nursery, args=(place, theirs), daemon=True)
    process.start()
    assert ours.recv() == "ready"

    def strike(account: str, how: object, when: float) -> int:
        ours.send((account, how, when))
        assert ours.poll(PATIENCE), "a child does not end"
        return ours.recv()

    try:
        yield strike
    finally:
        with suppress(OSError):
            ours.send(None)
        process.join(PATIENCE)


STEPS = 24  # a refresh has about so many befores and afters
NEVER = 1_000_000


def _usual(emulator: Emulator, place: Place, strike: Callable[..., int]) -> float:
    """Return how many seconds a child takes that nobody strikes; its blows fall within."""
    took = []
    for number in range(5):
        account = f"spared {number}"
        sign_in(emulator, place, account, age=EXPIRED)
        start = time.perf_counter()
        assert strike(account, "step", NEVER) == 0
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1.1


def kills(emulator: Emulator, place: Place, *, times: int, seed: int) -> Tally:
    """Kill a refresh at random moments; after each the next one asks."""
    chance, tally = random.Random(seed), Tally()
    with nursery(place) as strike, place.client() as survivor:
        longest = _usual(emulator, place, strike)
        sent = _counted(survivor)
        for number in range(times):
            account, stale = f"killed {number}", number % 2 == 0
            sign_in(emulator, place, account, age=STALE if stale else EXPIRED)
            before = rotations(emulator)
            if number % 4 < 2:
                code = strike(account, "step", chance.randrange(STEPS))
            else:
                code = strike(account, signal.SIGKILL, chance.uniform(0, longest))
            tally.blows += 1
            tally.finished += code == 0
            sent.clear()
            try:
                note = _ask(emulator, survivor, account, tally)
            except LoginRequired as error:
                # The server may have got to it only after the child was dead.
                if rotations(emulator) > before and "was lost" in error.reason:
                    tally.lost += 1
                else:
                    tally.unexplained += 1
            else:
                # The answer may be lost: the old token goes on, and nothing may be sent again.
                tally.spent_twice += bool(stale and note and sent)
    return tally


def _counted(client: Client) -> list[HttpRequest]:
    """Let a client note what it sends."""
    sent: list[HttpRequest] = []
    send = client._transport.send

    def noting(request: HttpRequest, *check: Any) -> HttpResponse:
        sent.append(request)
        return send(request, *check)

    client._transport.send = noting
    return sent


def _ask(emulator, survivor, account, tally) -> Attempt | None:
    try:
        saved = Record.from_stored(survivor._store.load(survivor._context.key(account)))
        token = survivor.token(account=account)
        assert accepted(emulator, token.access_token)
    except StoreCorrupt:
        tally.corrupt += 1
    except LockTimeout:
        tally.stuck += 1
    else:
        tally.kept += 1
        if (note := saved.attempt) is not None:
            assert note.outcome in (Outcome.BEGUN, Outcome.UNKNOWN)
            return note
    return None


def signals(emulator: Emulator, place: Place, *, times: int, seed: int) -> Tally:
    """Interrupt or terminate a refresh at random moments: the pair is always kept."""
    chance, tally = random.Random(seed), Tally()
    with nursery(place) as strike, place.client() as survivor:
        longest = _usual(emulator, place, strike)
        for number in range(times):
            account = f"interrupted {number}"
            sign_in(emulator, place, account, age=EXPIRED)
            how = signal.SIGINT if number % 2 else signal.SIGTERM
            code = strike(account, how, chance.uniform(0, longest))
            tally.blows += 1
            tally.finished += code == 0
            stored = survivor._store.load(survivor._context.key(account))
            attempt = Record.from_stored(stored).attempt
            tally.half += attempt is not None
            tally.kept += accepted(emulator, survivor.token(account=account).access_token)
    return tally
