"""A dictionary whose entries have a deadline after which they are dropped.

A heap of deadlines finds the expired entries; nothing here knows what the entries are.
Standard library only; the caller says what time it is.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

__all__ = ["ExpiringDict"]

_AT_A_TIME = 1000
_STALE = 64  # deadlines of dropped entries that may stay in the heap before it is rebuilt

K = TypeVar("K", bytes, str)
V = TypeVar("V")


class ExpiringDict(Generic[K, V]):
    """A mapping that drops expired entries, at a cost that does not grow with its size."""

    def __init__(self) -> None:
        self._items: dict[K, V] = {}
        self._deadlines: list[tuple[float, K]] = []

    def put(self, key: K, value: V, *, until: float | None) -> None:
        """Store `value` until that time (seconds since the epoch), or for good if None."""
        self._items[key] = value
        if until is not None:
            heappush(self._deadlines, (until, key))

    def get(self, key: K) -> V | None:
        """Return the value, or None if there is none or it has been dropped."""
        return self._items.get(key)

    def drop(self, key: K) -> V | None:
        """Remove `key`; return its value, if any."""
        value = self._items.pop(key, None)
        if len(self._deadlines) > 2 * len(self._items) + _STALE:
            self._deadlines = [one for one in self._deadlines if one[1] in self._items]
            heapify(self._deadlines)
        return value

    def expire(self, now: float) -> list[V]:
        """Drop the entries whose deadline is `now` or earlier; return their values."""
        expired: list[K] = []
        while self._deadlines and self._deadlines[0][0] <= now and len(expired) < _AT_A_TIME:
            expired.append(heappop(self._deadlines)[1])
        if len(expired) == _AT_A_TIME:  # the clock has jumped: one pass over the heap is faster
            expired += [key for deadline, key in self._deadlines if deadline <= now]
            self._deadlines = [one for one in self._deadlines if one[0] > now]
            heapify(self._deadlines)
        values = [self._items.pop(key, None) for key in expired]
        return [value for value in values if value is not None]

    @property
    def deadline_count(self) -> int:
        """How many deadlines are in the heap, those of dropped entries included."""
        return len(self._deadlines)

    def items(self) -> list[tuple[K, V]]:
        """Return all keys with their values, oldest first."""
        return list(self._items.items())

    def values(self) -> list[V]:
        """Return all values, oldest first."""
        return list(self._items.values())

    def __contains__(self, key: K) -> bool:
        return key in self._items

    def __len__(self) -> int:
        return len(self._items)
