"""A dictionary whose entries run out, and the hashing of everything secret.

No OAuth words; nothing here knows what it keeps.
The emulator's records may import this file; it imports nothing of the project.
"""

from __future__ import annotations

import hashlib
import hmac
from heapq import heappop, heappush
from typing import Generic, TypeVar

__all__ = ["Table", "digest", "fingerprint", "same"]

K = TypeVar("K", bytes, str)
V = TypeVar("V")


def digest(secret: str) -> bytes:
    """Return the SHA-256 under which a secret is kept and looked up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def fingerprint(secret: str) -> str:
    """Return the short hash that stands for a secret in the state and in the log."""
    return digest(secret).hex()[:12]


def same(left: str, right: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(digest(left), digest(right))


class Table(Generic[K, V]):
    """A mapping that drops what has run out, at a cost that does not grow with what it holds."""

    def __init__(self) -> None:
        self._items: dict[K, V] = {}
        self._ends: list[tuple[float, K]] = []

    def put(self, key: K, value: V, *, until: float | None) -> None:
        """Keep `value` until that moment (seconds since the epoch), or for good."""
        self._items[key] = value
        if until is not None:
            heappush(self._ends, (until, key))

    def get(self, key: K) -> V | None:
        """Return the value, or None when there is none or it has been dropped."""
        return self._items.get(key)

    def drop(self, key: K) -> V | None:
        """Forget `key`; return what it held."""
        return self._items.pop(key, None)

    def expire(self, now: float) -> list[V]:
        """Drop what has run out by `now`; return what was dropped."""
        dropped: list[V] = []
        while self._ends and self._ends[0][0] <= now:
            value = self._items.pop(heappop(self._ends)[1], None)
            if value is not None:
                dropped.append(value)
        return dropped

    def values(self) -> list[V]:
        """Return everything that is held, oldest first."""
        return list(self._items.values())

    def __contains__(self, key: K) -> bool:
        return key in self._items

    def __len__(self) -> int:
        return len(self._items)
