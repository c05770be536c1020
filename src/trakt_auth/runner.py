"""Performs the steps of a flow: the only place where a flow meets the world.

Layer 3. No decision about OAuth, no HTTP library, no file. The client and the keeper use it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, TypeVar, assert_never

import trakt_auth.storing as storing
from trakt_auth.authorization import DevicePoll, Granted, Pending, SlowDown
from trakt_auth.errors import (
    Cancelled,
    LockTimeout,
    TraktAuthError,
)
from trakt_auth.events import Event
from trakt_auth.flights import Flight, Flights, landed, landed_async
from trakt_auth.ports import AsyncTransport, Clock, Lock, TokenStore, Transport
from trakt_auth.records import AccountKey, Stored
from trakt_auth.steps import (
    Alone,
    Flow,
    Hold,
    Load,
    Notify,
    Now,
    PutAside,
    Recall,
    Save,
    Send,
    Sleep,
    Step,
)
from trakt_auth.storing import own
from trakt_auth.wire import HttpRequest, HttpResponse

__all__ = ["Hands", "OnPoll", "read_apart", "read_apart_async", "run", "run_async"]

T = TypeVar("T")
OnPoll: TypeAlias = Callable[[DevicePoll], object]

SLACK = 15.0  # seconds to note, to save and to try saving again
LOCK_PAUSES = (0.01, 0.02, 0.04, 0.08)  # seconds between two tries; the last one repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What flows are run with. `send_seconds` is how long a request can take at most.

    `spare` keeps what `store` could not take. `readers` are threads for who cannot read himself:
    what takes long on those of `flights` does not keep him waiting. `heed` hears of an event at
    once, while the account is still locked, and of which version it tells, since a sign-in takes no
    lock; `publish` is for others, and hears of it when lock and flight are free again.
    """

    transport: Transport
    async_transport: AsyncTransport | None = None
    store: TokenStore
    spare: TokenStore
    clock: Clock
    flights: Flights
    readers: Flights
    heed: Callable[[Event, int | None], object]
    publish: Callable[[Event], object]
    send_seconds: float

    def read(self, step: Load | Recall) -> Stored | None:
        """Read from the store, or from the spare one."""
        if isinstance(step, Load):
            return own(self.store.load, step.key)
        return storing.recall(self.spare, step.key)


@dataclass(frozen=True, slots=True)
class _End:
    value: Any


def run(
    flow: Flow[T],
    hands: Hands,
    *,
    cancel: threading.Event | None = None,
    on_poll: OnPoll | None = None,
    unwanted: Callable[[], bool] = lambda: False,
    alone: bool = False,
) -> T:
    """Run a flow to its end on this thread; locks it took are given back whatever happens.

    `unwanted` tells while it waits for a lock whether anybody still wants the result. `alone` says
    that nothing abandons this thread.
    """
    with ExitStack() as stack:
        stack.callback(flow.close)
        performer = _Performer(hands, stack, cancel, on_poll, unwanted, alone=alone)
        reply: Any = None
        while not isinstance(step := _advance(flow, reply), _End):
            try:
                reply = performer.perform(step)
            except TraktAuthError as error:
                reply = error
        result: T = step.value
        return result


async def run_async(flow: Flow[T], hands: Hands, *, on_poll: OnPoll | None = None) -> T:
    """Run a flow without blocking the event loop; cancelling the task abandons no `Alone`."""
    try:
        reply: Any = None
        while not isinstance(step := _advance(flow, reply), _End):
            try:
                reply = await _perform_async(step, hands, on_poll)
            except TraktAuthError as error:
                reply = error
        result: T = step.value
        return result
    finally:
        flow.close()


def _advance(flow: Flow[T], reply: Any) -> Step | _End:  # noqa: ANN401 - steps have many replies
    try:
        return flow.throw(reply) if isinstance(reply, TraktAuthError) else flow.send(reply)
    except StopIteration as end:
        return _End(end.value)


class _Performer:
    """Performs steps on this thread."""

    def __init__(
        self,
        hands: Hands,
        stack: ExitStack,
        cancel: threading.Event | None,
        on_poll: OnPoll | None,
        unwanted: Callable[[], bool],
        *,
        alone: bool,
    ) -> None:
        self._hands = hands
        self._stack = stack
        self._cancel = cancel
        self._on_poll = on_poll
        self._unwanted = unwanted
        self._alone = alone
        self._locks: list[Lock] = []

    def perform(self, step: Step) -> Any:  # noqa: ANN401 - each step has its own reply
        hands = self._hands
        match step:
            case Send(request):
                return self._send(request)
            case Sleep(seconds):
                return hands.clock.sleep(seconds, self._cancel)
            case Now():
                return hands.clock.now()
            case Load() | Recall():
                return read_apart(partial(self._hands.read, step), self._hands)
            case Save():
                return storing.save(hands.store, step)
            case PutAside():
                return storing.put_aside(hands.spare, step)
            case Hold(key, wait):
                return self._hold(key, wait)
            case Alone():
                return self._run_alone(step)
            case Notify():
                return _tell(step, hands, self._on_poll)
            case _ as never:
                assert_never(never)

    def _run_alone(self, step: Alone) -> Any:  # noqa: ANN401 - the flow's own result
        hands = self._hands
        if self._alone and step.key is None:
            # Were it to wait for another such thread, all could wait and none be left to work.
            return run(step.flow, hands, alone=True)
        return landed(_start(step, hands), hands.flights, self._cancel)

    def _send(self, request: HttpRequest) -> HttpResponse:
        # A lock that lapses while we wait for the answer would let a second spender in.
        if any(lock.remaining() < self._hands.send_seconds for lock in self._locks):
            raise LockTimeout("The account's lock ends too soon to send a request under it")
        return self._hands.transport.send(request)

    def _hold(self, key: AccountKey, wait: float) -> bool:
        clock = self._hands.clock
        # Longer than all that is done under it, so that only the dead lose it.
        lease = self._hands.send_seconds + SLACK
        lock = own(self._hands.store.lock, key, lease=lease)
        deadline = clock.now().monotonic + wait
        tries = 0
        while not own(lock.acquire):
            if wait == 0:
                return False
            if clock.now().monotonic >= deadline:
                raise LockTimeout(
                    f"Account {key.account!r} has been locked by somebody else "
                    f"for more than {wait:.0f} seconds"
                )
            if self._unwanted():
                raise Cancelled("Nobody waits for this any more")
            clock.sleep(LOCK_PAUSES[min(tries, len(LOCK_PAUSES) - 1)], self._cancel)
            tries += 1
        self._stack.callback(_release, lock)
        self._locks.append(lock)
        return True


def _release(lock: Lock) -> None:
    try:
        lock.release()
    except Exception:  # what was done under it is done; who waits for it has a patience
        logging.getLogger("trakt_auth").warning("A lock could not be given back", exc_info=True)


async def _perform_async(step: Step, hands: Hands, on_poll: OnPoll | None) -> Any:  # noqa: ANN401
    match step:
        case Send(request):
            assert hands.async_transport is not None  # noqa: S101 - AsyncClient brings one
            return await hands.async_transport.send(request)
        case Sleep(seconds):
            return await hands.clock.sleep_async(seconds)
        case Now():
            return hands.clock.now()
        case Load() | Recall():
            return await read_apart_async(partial(hands.read, step), hands)
        case Alone():
            return await landed_async(_start(step, hands), hands.flights)
        case Notify():
            return _tell(step, hands, on_poll)
        case Save() | PutAside() | Hold():
            raise AssertionError("Saving and locking belong in a protected section")
        case _ as never:
            assert_never(never)


def read_apart(read: Callable[[], T], hands: Hands) -> T:
    """Call what reads a store where Ctrl-C does not come.

    In the middle of a read it could leave what a store keeps for itself (a lock, a connection)
    taken for ever; it comes to the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        return read()
    result: T = landed(_start_reading(read, hands), hands.readers, None)
    return result


async def read_apart_async(read: Callable[[], T], hands: Hands) -> T:
    """Call what reads a store without blocking the event loop."""
    result: T = await landed_async(_start_reading(read, hands), hands.readers)
    return result


def _start_reading(read: Callable[[], object], hands: Hands) -> Flight | None:
    return hands.readers.start(lambda _: read(), key=None, join=True)


def _start(step: Alone, hands: Hands) -> Flight | None:
    # Subscribers may use the client, so they are told when lock and flight are free again.
    told: list[Event] = []

    def landing() -> None:
        for event in told:
            hands.publish(event)

    inside = replace(hands, publish=told.append)

    def work(unwanted: Callable[[], bool]) -> Any:  # noqa: ANN401 - the flow's own result
        return run(step.flow, inside, unwanted=unwanted, alone=True)

    return hands.flights.start(work, key=step.key, join=step.join, landing=landing)


def _tell(step: Notify, hands: Hands, on_poll: OnPoll | None) -> None:
    event = step.event
    if not isinstance(event, Pending | SlowDown | Granted):
        hands.heed(event, step.version)
        hands.publish(event)
    elif on_poll is not None:
        on_poll(event)
