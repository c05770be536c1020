"""Performs the steps of a flow: the only place where a flow meets the world.

No decision about OAuth, no HTTP library, no file. The client and the keeper use it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, TypeVar, assert_never

import trakt_auth.runtime.storing as storing
from trakt_auth.errors import (
    Cancelled,
    LockTimeout,
    TraktAuthError,
)
from trakt_auth.flows.events import Event
from trakt_auth.flows.steps import (
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
    Uninterruptible,
)
from trakt_auth.protocol.authorization import DevicePoll, Granted, Pending, SlowDown
from trakt_auth.protocol.http import HttpRequest, HttpResponse
from trakt_auth.runtime.interfaces import AsyncTransport, Clock, Transport
from trakt_auth.runtime.storing import guard_store_errors
from trakt_auth.runtime.workers import Job, Workers, wait_for, wait_for_async
from trakt_auth.stores.interface import Lock, TokenStore
from trakt_auth.stores.record import AccountKey, Stored

__all__ = ["Dependencies", "OnPoll", "read_apart", "read_apart_async", "run", "run_async"]

T = TypeVar("T")
OnPoll: TypeAlias = Callable[[DevicePoll], object]

SLACK = 15.0  # seconds to note, to save and to try saving again
LOCK_PAUSES = (0.01, 0.02, 0.04, 0.08)  # seconds between two tries; the last one repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """What flows are run with. `send_seconds` is how long a request can take at most.

    `fallback` keeps what `store` could not take. `readers` are threads for who cannot read himself:
    what takes long on those of `workers` does not keep him waiting. `on_change` hears of an event at
    once, while the account is still locked, and of which version it tells, since a sign-in takes no
    lock; `notify_subscribers` is for others, and hears of it when lock and job are free again.
    """

    transport: Transport
    async_transport: AsyncTransport | None = None
    store: TokenStore
    fallback: TokenStore
    clock: Clock
    workers: Workers
    readers: Workers
    on_change: Callable[[Event, int | None], object]
    notify_subscribers: Callable[[Event], object]
    send_seconds: float

    def read(self, step: Load | Recall) -> Stored | None:
        """Read from the store, or from the fallback one."""
        if isinstance(step, Load):
            return guard_store_errors(self.store.load, step.key)
        return storing.recall(self.fallback, step.key)


@dataclass(frozen=True, slots=True)
class _End:
    value: Any


def run(
    flow: Flow[T],
    dependencies: Dependencies,
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
        performer = _Performer(dependencies, stack, cancel, on_poll, unwanted, alone=alone)
        reply: Any = None
        while not isinstance(step := _advance(flow, reply), _End):
            try:
                reply = performer.perform(step)
            except TraktAuthError as error:
                reply = error
        result: T = step.value
        return result


async def run_async(
    flow: Flow[T], dependencies: Dependencies, *, on_poll: OnPoll | None = None
) -> T:
    """Run a flow without blocking the event loop; cancelling the task abandons no `Uninterruptible`."""
    try:
        reply: Any = None
        while not isinstance(step := _advance(flow, reply), _End):
            try:
                reply = await _perform_async(step, dependencies, on_poll)
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
        dependencies: Dependencies,
        stack: ExitStack,
        cancel: threading.Event | None,
        on_poll: OnPoll | None,
        unwanted: Callable[[], bool],
        *,
        alone: bool,
    ) -> None:
        self._dependencies = dependencies
        self._stack = stack
        self._cancel = cancel
        self._on_poll = on_poll
        self._unwanted = unwanted
        self._alone = alone
        self._locks: list[Lock] = []

    def perform(self, step: Step) -> Any:  # noqa: ANN401 - each step has its guard_store_errors reply
        dependencies = self._dependencies
        match step:
            case Send(request):
                return self._send(request)
            case Sleep(seconds):
                return dependencies.clock.sleep(seconds, self._cancel)
            case Now():
                return dependencies.clock.now()
            case Load() | Recall():
                return read_apart(partial(self._dependencies.read, step), self._dependencies)
            case Save():
                return storing.save(dependencies.store, step)
            case PutAside():
                return storing.put_aside(dependencies.fallback, step)
            case Hold(key, wait):
                return self._hold(key, wait)
            case Uninterruptible():
                return self._run_alone(step)
            case Notify():
                return _tell(step, dependencies, self._on_poll)
            case _ as never:
                assert_never(never)

    def _run_alone(self, step: Uninterruptible) -> Any:  # noqa: ANN401 - the flow's guard_store_errors result
        dependencies = self._dependencies
        if self._alone and step.key is None:
            # Were it to wait for another such thread, all could wait and none be left to work.
            return run(step.flow, dependencies, alone=True)
        return wait_for(_start(step, dependencies), dependencies.workers, self._cancel)

    def _send(self, request: HttpRequest) -> HttpResponse:
        # A lock that lapses while we wait for the answer would let a second spender in.
        if any(lock.remaining() < self._dependencies.send_seconds for lock in self._locks):
            raise LockTimeout("The account's lock ends too soon to send a request under it")
        return self._dependencies.transport.send(request)

    def _hold(self, key: AccountKey, wait: float) -> bool:
        clock = self._dependencies.clock
        # Longer than all that is done under it, so that only the dead lose it.
        lease = self._dependencies.send_seconds + SLACK
        lock = guard_store_errors(self._dependencies.store.lock, key, lease=lease)
        deadline = clock.now().monotonic + wait
        tries = 0
        while not guard_store_errors(lock.acquire):
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


async def _perform_async(step: Step, dependencies: Dependencies, on_poll: OnPoll | None) -> Any:  # noqa: ANN401
    match step:
        case Send(request):
            assert dependencies.async_transport is not None  # noqa: S101 - AsyncClient brings one
            return await dependencies.async_transport.send(request)
        case Sleep(seconds):
            return await dependencies.clock.sleep_async(seconds)
        case Now():
            return dependencies.clock.now()
        case Load() | Recall():
            return await read_apart_async(partial(dependencies.read, step), dependencies)
        case Uninterruptible():
            return await wait_for_async(_start(step, dependencies), dependencies.workers)
        case Notify():
            return _tell(step, dependencies, on_poll)
        case Save() | PutAside() | Hold():
            raise AssertionError("Saving and locking belong in a protected section")
        case _ as never:
            assert_never(never)


def read_apart(read: Callable[[], T], dependencies: Dependencies) -> T:
    """Call what reads a store where Ctrl-C does not come.

    In the middle of a read it could leave what a store keeps for itself (a lock, a connection)
    taken for ever; it comes to the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        return read()
    result: T = wait_for(_start_reading(read, dependencies), dependencies.readers, None)
    return result


async def read_apart_async(read: Callable[[], T], dependencies: Dependencies) -> T:
    """Call what reads a store without blocking the event loop."""
    result: T = await wait_for_async(_start_reading(read, dependencies), dependencies.readers)
    return result


def _start_reading(read: Callable[[], object], dependencies: Dependencies) -> Job | None:
    return dependencies.readers.start(lambda _: read(), key=None, join=True)


def _start(step: Uninterruptible, dependencies: Dependencies) -> Job | None:
    # Subscribers may use the client, so they are told when lock and job are free again.
    told: list[Event] = []

    def landing() -> None:
        for event in told:
            dependencies.notify_subscribers(event)

    inside = replace(dependencies, notify_subscribers=told.append)

    def work(unwanted: Callable[[], bool]) -> Any:  # noqa: ANN401 - the flow's guard_store_errors result
        return run(step.flow, inside, unwanted=unwanted, alone=True)

    return dependencies.workers.start(work, key=step.key, join=step.join, landing=landing)


def _tell(step: Notify, dependencies: Dependencies, on_poll: OnPoll | None) -> None:
    event = step.event
    if not isinstance(event, Pending | SlowDown | Granted):
        dependencies.on_change(event, step.version)
        dependencies.notify_subscribers(event)
    elif on_poll is not None:
        on_poll(event)
