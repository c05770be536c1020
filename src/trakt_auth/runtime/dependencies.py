"""What flows are run with, and how a store is read without being interrupted.

No step is chosen here and no decision about OAuth lives here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from trakt_auth.flows.events import Event, TokenObtained, TokenRefreshed
from trakt_auth.flows.steps import Save
from trakt_auth.runtime.interfaces import Clock, Transport
from trakt_auth.runtime.jobs import Job, wait_for, wait_for_async
from trakt_auth.runtime.workers import Workers
from trakt_auth.stores.interface import Forgotten
from trakt_auth.stores.record import AccountKey
from trakt_auth.stores.wrappers.fallback import FallbackStore, Found

__all__ = [
    "Dependencies",
    "perform_save",
    "read_on_worker",
    "read_on_worker_async",
    "tell",
    "tell_late",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """What flows are run with. `send_seconds` is how long a request can take at most.

    `readers` are threads for reads; a slow refresh on `workers` does not delay them. `on_change`
    is called with each event under the account's lock, with the version that the event is about;
    `notify_subscribers` is called after the lock is released.
    """

    transport: Transport
    store: FallbackStore
    clock: Clock
    workers: Workers
    readers: Workers
    on_change: Callable[[Event, int | None], object]
    notify_subscribers: Callable[[Sequence[Event]], object]
    send_seconds: float


def read_on_worker(read: Callable[[], T], dependencies: Dependencies) -> T:
    """Call a function that reads a store where Ctrl-C cannot interrupt it.

    Ctrl-C comes to the main thread only. In the middle of a read it could leave a lock or a
    connection of the store taken for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        return read()
    result: T = wait_for(_start_reading(read, dependencies), dependencies.readers, None)
    return result


async def read_on_worker_async(read: Callable[[], T], dependencies: Dependencies) -> T:
    """Call a function that reads a store without blocking the event loop."""
    result: T = await wait_for_async(_start_reading(read, dependencies), dependencies.readers)
    return result


def _start_reading(read: Callable[[], object], dependencies: Dependencies) -> Job | None:
    return dependencies.readers.start(lambda _: read(), key=None, wait=True)


def tell(event: Event, version: int | None, dependencies: Dependencies) -> None:
    """Report an event: to the client at once, and to the subscribers."""
    dependencies.on_change(event, version)
    dependencies.notify_subscribers([event])


def tell_late(key: AccountKey, found: Found, dependencies: Dependencies) -> None:
    """Report the pair that a read has saved late, if there is one."""
    record = found.saved_late
    if record is not None and found.stored is not None:
        kind = TokenObtained if record.spent is None else TokenRefreshed
        event = kind(account=key.account, token=record.token)
        tell(event, found.stored.version, dependencies)


def perform_save(step: Save, store: FallbackStore) -> int | Forgotten:
    """Save or delete a record, return the reply of the step.

    Raises: StoreError.
    """
    if step.payload is None:
        return store.forget(step.key)
    save = store.save_pair if step.pair else store.save
    return save(step.key, step.payload, expires_at=step.expires_at, replacing=step.replacing)
