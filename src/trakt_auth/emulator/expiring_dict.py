"""A dictionary whose entries run out, and the hashing of everything secret.

No OAuth words; nothing here knows what it keeps.
"""

from __future__ import annotations

import hashlib
import hmac
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

__all__ = ["Table", "digest", "encrypt", "fingerprint", "same", "same_hash"]

_AT_A_TIME = 1000
_STALE = 64  # dropped entries whose moment may stay listed before the list is cleared of them

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
    return same_hash(left, digest(right))


def same_hash(secret: str, kept: bytes) -> bool:
    """Compare a secret with the hash that was kept of one, in constant time."""
    return hmac.compare_digest(digest(secret), kept)


def encrypt(data: bytes, secret: str) -> bytes:
    """Make `data` readable to nobody without `secret`, or readable again.

    The secret is long, random and used for one piece of data: its stream of bytes is never reused.
    """
    stream = hashlib.shake_256(b"encrypt" + secret.encode("utf-8", "surrogatepass")).digest(
        len(data)
    )
    return bytes(one ^ other for one, other in zip(data, stream, strict=True))


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
        value = self._items.pop(key, None)
        if len(self._ends) > 2 * len(self._items) + _STALE:
            self._ends = [end for end in self._ends if end[1] in self._items]
            heapify(self._ends)
        return value

    def expire(self, now: float) -> list[V]:
        """Drop what has run out by `now`; return what was dropped."""
        ended: list[K] = []
        while self._ends and self._ends[0][0] <= now and len(ended) < _AT_A_TIME:
            ended.append(heappop(self._ends)[1])
        if len(ended) == _AT_A_TIME:  # the clock has jumped: one pass is faster
            ended += [key for end, key in self._ends if end <= now]
            self._ends = [one for one in self._ends if one[0] > now]
            heapify(self._ends)
        values = [self._items.pop(key, None) for key in ended]
        return [value for value in values if value is not None]

    @property
    def listed(self) -> int:
        """How many moments are listed at which something runs out, stale ones too."""
        return len(self._ends)

    def values(self) -> list[V]:
        """Return everything that is held, oldest first."""
        return list(self._items.values())

    def __contains__(self, key: K) -> bool:
        return key in self._items

    def __len__(self) -> int:
        return len(self._items)
