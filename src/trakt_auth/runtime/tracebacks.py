"""Errors without the frames of where they came from.

A frame keeps its local variables alive, tokens among them, and tools that draw tracebacks with
locals would print them. An error that several callers get would also collect the frames of all.
"""

from __future__ import annotations

import copy
from typing import TypeVar

E = TypeVar("E", bound=BaseException)

__all__ = ["without_frames"]


def without_frames(error: E) -> E:
    """Return a copy of an error, its causes included, that holds no frame."""
    try:
        clean = copy.copy(error)
    except Exception:  # noqa: BLE001 - an error of another library that cannot be copied
        clean = error
    clean.__traceback__ = None
    clean.__suppress_context__ = error.__suppress_context__
    if error.__cause__ is not None:
        clean.__cause__ = without_frames(error.__cause__)
    clean.__context__ = None
    return clean
