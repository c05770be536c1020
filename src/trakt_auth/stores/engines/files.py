"""What stores that keep files have in common: modes, first versions, moving corrupt files aside.

No format and no lock is known here.
"""
# (pathlib would slow down every `trakt-auth token`)

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime

from trakt_auth.errors import StoreUnavailable

__all__ = ["PRIVATE", "first_version", "move_aside", "sync_folder", "unavailable"]

PRIVATE = 0o600  # the mode of every file that holds tokens


def first_version() -> int:
    """Return the version from which a new store counts: the milliseconds since 1970."""
    # Not 0: after a file was lost or moved aside, its old versions must not be assigned again.
    return time.time_ns() // 1_000_000


def move_aside(path: str, what: str, *, beside: tuple[str, ...] = ()) -> None:
    """Rename a corrupt file, and the files whose names are its name with one of the endings.

    A logged warning says how it is called now; `what` names it there.

    Raises: StoreUnavailable.
    """
    aside = f"{path}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    try:
        os.rename(path, aside)
        for ending in beside:
            with suppress(FileNotFoundError):
                os.rename(path + ending, aside + ending)
    except OSError as error:
        raise unavailable(what, path, "written", error) from None
    import logging

    logging.getLogger("trakt_auth").warning(
        "The unreadable %s %s was kept as %s", what, path, aside
    )


def sync_folder(folder: str) -> None:
    """Make the renaming of a file in this folder durable."""
    if os.name == "nt":  # pragma: no cover - a folder cannot be opened there, nor need it be
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unavailable(what: str, path: str, done: str, error: OSError) -> StoreUnavailable:
    """Return the error for a file that cannot be `done` ("read", "written", "used")."""
    return StoreUnavailable(
        f"The {what} {path} cannot be {done}: {error.strerror or error}",
        hint="Check its folder, its owner and the free space, or name another with --store.",
    )
