"""Saves whose answer was lost: the same save, tried again, has to know its own record.

No engine is known here.

A connection that breaks while a save is being done leaves everybody in doubt. So each save has a
name that is kept with the record; trying the same save again uses the same name, and a record
that bears it is not somebody else's change.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["Doubts"]

MOST = 1000  # lost answers to remember; each is forgotten as soon as its save is tried again


class Doubts:
    """The names of saves that may have been done."""

    def __init__(self) -> None:
        self._names: dict[bytes, bytes] = {}

    @contextmanager
    def name(self, *save: object) -> Generator[tuple[bytes, bool], None, None]:
        """Name a save, told by its arguments; and tell whether it is in doubt.

        It is from now on, if the block raises.
        """
        this = hashlib.sha256(repr(save).encode(errors="surrogatepass")).digest()
        doubtful = self._names.pop(this, None)
        name = doubtful or os.urandom(16)
        try:
            yield name, doubtful is not None
        except BaseException:
            self._names[this] = name
            for oldest in list(self._names)[:-MOST]:
                self._names.pop(oldest, None)
            raise
