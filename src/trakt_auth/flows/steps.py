"""The steps a flow is made of: what it asks the world to do, as values.

Pure. A step never does anything itself; a runner performs it and sends the reply back.

The helpers are used with `yield from`; they confine the untyped reply of a generator to here.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from trakt_auth.flows.events import Event
from trakt_auth.protocol.authorization import DevicePoll
from trakt_auth.protocol.http import HttpRequest, HttpResponse
from trakt_auth.stores.record import AccountKey, Stored

__all__ = [
    "Flow",
    "Hold",
    "Load",
    "Moment",
    "Notify",
    "Now",
    "PutAside",
    "Recall",
    "Save",
    "Send",
    "Sleep",
    "Step",
    "Uninterruptible",
    "hold",
    "load",
    "notify",
    "now",
    "put_aside",
    "recall",
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
    """Send a request; the reply is the answer. Fails with TransportError or LockTimeout."""

    request: HttpRequest


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait `seconds`. Fails with Cancelled when the caller calls it off."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Now:
    """Read the clocks; the reply is a Moment."""


@dataclass(frozen=True, slots=True)
class Load:
    """Read what the store keeps; the reply is a Stored, or None."""

    key: AccountKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """Keep `payload`, or forget the record when it is None; the reply is the new version.

    `replacing` is the version that must still be there; None overwrites whatever is.
    Fails with StoreConflict when it is not.
    """

    key: AccountKey
    payload: str | None = field(repr=False)
    expires_at: datetime | None
    replacing: int | None


@dataclass(frozen=True, slots=True)
class PutAside:
    """Keep a record that the store could not take in the fallback store, until it can.

    With None there is nothing to keep any more, if `replacing` is the version that is there.
    """

    key: AccountKey
    payload: str | None = field(repr=False)
    replacing: int | None = None


@dataclass(frozen=True, slots=True)
class Recall:
    """Read what was put aside; the reply is a Stored, or None."""

    key: AccountKey


@dataclass(frozen=True, slots=True)
class Hold:
    """Hold the account's lock in the store until the flow ends; the reply tells if it is ours.

    With `wait` 0 a lock that is taken is a plain no; otherwise LockTimeout after `wait` seconds.
    """

    key: AccountKey
    wait: float


@dataclass(frozen=True, slots=True)
class Uninterruptible:
    """Run `flow` to its end whatever becomes of the caller; the reply is its result.

    A cancelled task, an interrupted call and a closing event loop leave the flow running.
    With a `key`, at most one such flow runs for it in this process: a second caller shares the
    result of the first, or gets None at once if it does not `join`.
    """

    flow: Generator[Step, Any, Any]
    key: AccountKey | None = None
    join: bool = True


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the subscribers an event, or the caller who waits for a person the last poll.

    `version` is that of the record which the event tells of, None when there is none.
    """

    event: Event | DevicePoll
    version: int | None = None


Step: TypeAlias = (
    Send | Sleep | Now | Load | Save | PutAside | Recall | Hold | Uninterruptible | Notify
)
Flow: TypeAlias = Generator[Step, Any, T]


def send(request: HttpRequest) -> Flow[HttpResponse]:
    """Send a request, return the answer."""
    response: HttpResponse = yield Send(request)
    return response


def sleep(seconds: float) -> Flow[None]:
    """Wait `seconds`."""
    yield Sleep(seconds)


def now() -> Flow[Moment]:
    """Read the clocks."""
    moment: Moment = yield Now()
    return moment


def load(key: AccountKey) -> Flow[Stored | None]:
    """Read what the store keeps."""
    stored: Stored | None = yield Load(key)
    return stored


def save(
    key: AccountKey,
    payload: str | None,
    *,
    expires_at: datetime | None = None,
    replacing: int | None,
) -> Flow[int]:
    """Keep (or, with None, forget) a record, return its new version."""
    version: int = yield Save(key=key, payload=payload, expires_at=expires_at, replacing=replacing)
    return version


def put_aside(key: AccountKey, payload: str | None, *, replacing: int | None = None) -> Flow[None]:
    """Keep (or, with None, let go of) a record in the fallback store."""
    yield PutAside(key, payload, replacing)


def recall(key: AccountKey) -> Flow[Stored | None]:
    """Read what was put aside."""
    stored: Stored | None = yield Recall(key)
    return stored


def hold(key: AccountKey, *, wait: float) -> Flow[bool]:
    """Take the account's lock, return whether it is ours."""
    ours: bool = yield Hold(key, wait)
    return ours


def uninterruptible(flow: Flow[T]) -> Flow[T]:
    """Run a flow to its end whatever becomes of the caller, return its result."""
    result: T = yield Uninterruptible(flow)
    return result


def single_flight(flow: Flow[T], *, key: AccountKey, join: bool) -> Flow[T | None]:
    """Run a protected flow, one at a time for `key`; None if one runs and we do not `join`."""
    result: T | None = yield Uninterruptible(flow, key, join)
    return result


def notify(event: Event | DevicePoll, *, version: int | None = None) -> Flow[None]:
    """Tell the subscribers, or the caller."""
    yield Notify(event, version)
