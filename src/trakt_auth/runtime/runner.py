"""Performs the steps of a flow, on this thread (`run`) or from an event loop (`run_async`).

No decision about OAuth, no HTTP library and no store engine lives here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, TypeVar, assert_never

from trakt_auth.errors import Cancelled, LockTimeout, TraktAuthError
from trakt_auth.flows.events import Event
from trakt_auth.flows.steps import (
    Flow,
    Hold,
    Load,
    Notify,
    Now,
    Save,
    Send,
    Sleep,
    Step,
    Uninterruptible,
)
from trakt_auth.protocol.authorization import DevicePoll, Granted, Pending, SlowDown
from trakt_auth.protocol.http import HttpRequest, HttpResponse
from trakt_auth.runtime.dependencies import (
    Dependencies,
    perform_save,
    read_on_worker,
    read_on_worker_async,
    tell,
    tell_late,
)
from trakt_auth.runtime.jobs import Job, wait_for, wait_for_async
from trakt_auth.runtime.tracebacks import without_frames
from trakt_auth.stores.guard import guard_store_errors
from trakt_auth.stores.interface import Lock
from trakt_auth.stores.record import AccountKey, Stored
from trakt_auth.stores.wrappers.fallback import Found

__all__ = ["LEASE_PER_SEND", "OnPoll", "run", "run_async"]

T = TypeVar("T")
OnPoll: TypeAlias = Callable[[DevicePoll], object]

SLACK = 15.0  # seconds to write a note, to save and to try saving again
LEASE_PER_SEND = 1.5
LOCK_PAUSES = (0.01, 0.02, 0.04, 0.08)  # seconds between two tries; the last one repeats


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
    on_worker: bool = False,
) -> T:
    """Run a flow to its end on this thread; the locks that it took are released in any case.

    While it waits for a lock, `unwanted` tells whether all callers have given up. `on_worker` says
    that this thread is a worker's, which nothing interrupts.
    """
    failure: TraktAuthError
    try:
        return _run(flow, dependencies, cancel, on_poll, unwanted, on_worker=on_worker)
    except TraktAuthError as error:
        failure = without_frames(error)
    raise failure


def _run(
    flow: Flow[T],
    dependencies: Dependencies,
    cancel: threading.Event | None,
    on_poll: OnPoll | None,
    unwanted: Callable[[], bool],
    *,
    on_worker: bool,
) -> T:
    with ExitStack() as stack:
        stack.callback(flow.close)
        performer = _Performer(dependencies, stack, cancel, on_poll, unwanted, on_worker=on_worker)
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
    """Run a flow without blocking the event loop.

    Cancelling the task ends the waiting; an uninterruptible section goes on.
    """
    failure: TraktAuthError
    try:
        reply: Any = None
        while not isinstance(step := _advance(flow, reply), _End):
            try:
                reply = await _perform_async(step, dependencies, on_poll)
            except TraktAuthError as error:
                reply = error
    except TraktAuthError as error:
        failure = without_frames(error)
    else:
        result: T = step.value
        return result
    finally:
        flow.close()
    raise failure


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
        on_worker: bool,
    ) -> None:
        self._dependencies = dependencies
        self._stack = stack
        self._cancel = cancel
        self._on_poll = on_poll
        self._unwanted = unwanted
        self._on_worker = on_worker
        self._locks: list[Lock] = []

    def perform(self, step: Step) -> Any:  # noqa: ANN401 - each step has its own reply
        dependencies = self._dependencies
        match step:
            case Send(request):
                return self._send(request)
            case Sleep(seconds):
                return dependencies.clock.sleep(seconds, self._cancel)
            case Now():
                return dependencies.clock.now()
            case Load():
                found = read_on_worker(partial(_read, step, dependencies), dependencies)
                return _reply(step, found, dependencies)
            case Save():
                return perform_save(step, dependencies.store)
            case Hold(key, wait):
                return self._hold(key, wait)
            case Uninterruptible():
                return self._run_uninterruptible(step)
            case Notify():
                return _notify(step, dependencies, self._on_poll)
            case _ as never:
                assert_never(never)

    def _run_uninterruptible(self, step: Uninterruptible) -> Any:  # noqa: ANN401 - the flow's result
        dependencies = self._dependencies
        if self._on_worker and step.key is None:
            # Run inline: waiting for a thread of the pool from inside the pool could deadlock.
            return run(step.flow, dependencies, on_worker=True)
        return wait_for(_start(step, dependencies), dependencies.workers, self._cancel)

    def _send(self, request: HttpRequest) -> HttpResponse:
        self._check_locks()
        # And once more when the connection stands: this process may have been stopped meanwhile.
        return self._dependencies.transport.send(request, self._check_locks)

    def _check_locks(self) -> None:
        # If the lock ended while we wait for the response, another process could send as well.
        if any(lock.remaining() < self._dependencies.send_seconds for lock in self._locks):
            raise LockTimeout("The account's lock ends too soon to send a request under it")

    def _hold(self, key: AccountKey, wait: float) -> bool:
        clock = self._dependencies.clock
        # So long that enough is left to send with even just before it is renewed, which is after a
        # third of it: only a dead process loses the lock.
        lease = LEASE_PER_SEND * self._dependencies.send_seconds + SLACK
        lock = self._dependencies.store.lock(key, lease=lease)
        deadline = clock.now().monotonic + wait
        tries = 0
        while not guard_store_errors(lock.acquire):
            if wait == 0:
                return False
            if clock.now().monotonic >= deadline:
                raise LockTimeout(
                    f"Another worker has held the lock of account {key.account!r} "
                    f"for more than {wait:.0f} seconds"
                )
            if self._unwanted():
                raise Cancelled("All callers have stopped waiting")
            clock.sleep(LOCK_PAUSES[min(tries, len(LOCK_PAUSES) - 1)], self._cancel)
            tries += 1
        self._stack.callback(_release, lock)
        self._locks.append(lock)
        return True


def _release(lock: Lock) -> None:
    try:
        lock.release()
    except Exception:  # the work is finished; waiters time out
        logging.getLogger("trakt_auth").warning("A lock could not be released", exc_info=True)


async def _perform_async(step: Step, dependencies: Dependencies, on_poll: OnPoll | None) -> Any:  # noqa: ANN401
    match step:
        case Sleep(seconds):
            return await dependencies.clock.sleep_async(seconds)
        case Now():
            return dependencies.clock.now()
        case Load():
            found = await read_on_worker_async(partial(_read, step, dependencies), dependencies)
            return _reply(step, found, dependencies)
        case Uninterruptible():
            return await wait_for_async(_start(step, dependencies), dependencies.workers)
        case Notify():
            return _notify(step, dependencies, on_poll)
        case Send() | Save() | Hold():
            raise AssertionError("Sending, saving and locking belong in an uninterruptible section")
        case _ as never:
            assert_never(never)


# -- what both ways of running share --------------------------------------------------------------


def _read(step: Load, dependencies: Dependencies) -> Found:
    return dependencies.store.read(step.key, newest=step.newest)


def _reply(step: Load, found: Found, dependencies: Dependencies) -> Stored | None:
    tell_late(step.key, found, dependencies)
    return found.stored


def _start(step: Uninterruptible, dependencies: Dependencies) -> Job | None:
    # Subscribers may use the client, so they are notified when the lock is released.
    events: list[Event] = []

    inside = replace(dependencies, notify_subscribers=events.extend)

    def work(unwanted: Callable[[], bool]) -> Any:  # noqa: ANN401 - the flow's own result
        return run(step.flow, inside, unwanted=unwanted, on_worker=True)

    return dependencies.workers.start(
        work,
        key=step.key,
        wait=step.wait,
        after=lambda: dependencies.notify_subscribers(events),
    )


def _notify(step: Notify, dependencies: Dependencies, on_poll: OnPoll | None) -> None:
    event = step.event
    if not isinstance(event, Pending | SlowDown | Granted):
        tell(event, step.version, dependencies)
    elif on_poll is not None:
        on_poll(event)
