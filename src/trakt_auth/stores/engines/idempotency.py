"""Idempotency keys for saves: a save that is repeated after a lost answer recognises its record.

No engine is known here. A connection may break while the server is saving, and then the program
does not know whether the record was saved. So each save has a random key that is stored with the
record. Repeating the same save uses the same key, and a record with that key is not a conflict.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["IdempotencyKeys"]

MOST = 1000  # keys to remember; each is forgotten when its save is repeated


class IdempotencyKeys:
    """The keys of saves whose outcome is unknown."""

    def __init__(self) -> None:
        self._keys: dict[bytes, bytes] = {}

    @contextmanager
    def key_for(self, *save: object) -> Generator[tuple[bytes, bool], None, None]:
        """Yield the key of a save, and whether the save is a repetition.

        The arguments identify the save. If the block raises, its key is remembered.
        """
        digest = hashlib.sha256(repr(save).encode(errors="surrogatepass")).digest()
        known = self._keys.pop(digest, None)
        key = known or os.urandom(16)
        try:
            yield key, known is not None
        except BaseException:
            self._keys[digest] = key
            for oldest in list(self._keys)[:-MOST]:
                self._keys.pop(oldest, None)
            raise
