"""The steps that a flow is made of: what it asks to be done, as values.

A step does nothing itself; the runner performs it and sends the reply back into the flow.
The helpers are used with `yield from`; they keep the untyped reply of a generator in this file.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from trakt_auth.flows.events import Event
from trakt_auth.protocol.authorization import DevicePoll
from trakt_auth.protocol.http import HttpRequest, HttpResponse
from trakt_auth.stores.interface import Forgotten
from trakt_auth.stores.record import AccountKey, Stored

__all__ = [
    "Flow",
    "Hold",
    "Load",
    "Moment",
    "Notify",
    "Now",
    "Save",
    "Send",
    "Sleep",
    "Step",
    "Uninterruptible",
    "forget",
    "hold",
    "load",
    "notify",
    "now",
    "save",
    "send",
    "single_flight",
    "sleep",
    "uninterruptible",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A reading of both clocks: `wall` is for dates, `monotonic` (seconds) for waiting."""

    wall: datetime
    monotonic: float


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; the reply is the response. Fails with TransportError or LockTimeout."""

    request: HttpRequest


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait `seconds`. Fails with Cancelled when the caller cancels the wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Now:
    """Read the clocks; the reply is a Moment."""


@dataclass(frozen=True, slots=True)
class Load:
    """Read an account's newest record; the reply is a Stored, or None.

    A newer pair may wait in a fallback store. With `newest`, the step fails when that store cannot
    be read; without, the record of the first store is the reply.
    """

    key: AccountKey
    newest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """Save a record; the reply is its new version. With None, delete it; the reply is Forgotten.

    `replacing` is the version that must still be stored; None overwrites whatever is. Fails with
    StoreConflict when it is not. `pair` says that the payload holds new tokens, which are stored
    nowhere else: when the store cannot take them, the fallback store keeps them, and the step
    fails all the same.
    """

    key: AccountKey
    payload: str | None = field(repr=False)
    expires_at: datetime | None = None
    replacing: int | None = None
    pair: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Hold the account's lock in the store until the flow ends; the reply tells if we have it.

    With `wait` 0 the reply is False when it is taken; else LockTimeout after `wait` seconds.
    """

    key: AccountKey
    wait: float


@dataclass(frozen=True, slots=True)
class Uninterruptible:
    """Run `flow` to its end whatever becomes of the caller; the reply is its result.

    A cancelled task, an interrupted call and a closing event loop leave the flow running.
    With a `key`, one such flow runs for it in this process (single flight): a second caller
    waits for the result of the first with `wait`, and gets None at once without.
    """

    flow: Generator[Step, Any, Any]
    key: AccountKey | None = None
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the subscribers an event, or the caller who waits for a person the last poll.

    `version` is that of the record which the event is about, None when there is none.
    """

    event: Event | DevicePoll
    version: int | None = None


Step: TypeAlias = Send | Sleep | Now | Load | Save | Hold | Uninterruptible | Notify
Flow: TypeAlias = Generator[Step, Any, T]


def send(request: HttpRequest) -> Flow[HttpResponse]:
    """Send a request, return the response."""
    response: HttpResponse = yield Send(request)
    return response


def sleep(seconds: float) -> Flow[None]:
    """Wait `seconds`."""
    yield Sleep(seconds)


def now() -> Flow[Moment]:
    """Read the clocks."""
    moment: Moment = yield Now()
    return moment


def load(key: AccountKey, *, newest: bool = False) -> Flow[Stored | None]:
    """Read an account's newest record."""
    stored: Stored | None = yield Load(key, newest)
    return stored


def save(
    key: AccountKey,
    payload: str,
    *,
    expires_at: datetime | None = None,
    replacing: int | None,
    pair: bool = False,
) -> Flow[int]:
    """Save a record, return its new version."""
    version: int = yield Save(
        key=key, payload=payload, expires_at=expires_at, replacing=replacing, pair=pair
    )
    return version


def forget(key: AccountKey) -> Flow[Forgotten]:
    """Delete an account's record, return what was deleted."""
    forgotten: Forgotten = yield Save(key=key, payload=None)
    return forgotten


def hold(key: AccountKey, *, wait: float) -> Flow[bool]:
    """Take the account's lock, return whether we have it."""
    held: bool = yield Hold(key, wait)
    return held


def uninterruptible(flow: Flow[T]) -> Flow[T]:
    """Run a flow to its end whatever becomes of the caller, return its result."""
    result: T = yield Uninterruptible(flow)
    return result


def single_flight(flow: Flow[T], *, key: AccountKey, wait: bool) -> Flow[T | None]:
    """Run an uninterruptible flow, one at a time for `key`; None if one runs and we do not wait."""
    result: T | None = yield Uninterruptible(flow, key, wait)
    return result


def notify(event: Event | DevicePoll, *, version: int | None = None) -> Flow[None]:
    """Tell the subscribers, or the caller."""
    yield Notify(event, version)
