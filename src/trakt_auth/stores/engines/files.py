"""What stores that keep files have in common: modes, first versions, moving aside what is corrupt.

No format and no lock lives here.
"""
# (pathlib would slow down every `trakt-auth token`)

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime

from trakt_auth.errors import StoreUnavailable

__all__ = ["PRIVATE", "first_version", "move_aside", "sync_folder", "unavailable"]

PRIVATE = 0o600


def first_version() -> int:
    """Return where a new file starts to count."""
    # Not 0: a file that was lost or moved aside must not give out its old versions again.
    return time.time_ns() // 1_000_000


def move_aside(path: str, what: str, *, beside: tuple[str, ...] = ()) -> None:
    """Rename a corrupt file, and those that belong to it by their ending; a warning names it.

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
    """Make a renaming durable."""
    if os.name == "nt":  # pragma: no cover - there a folder cannot be opened, nor needs to be
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def unavailable(what: str, path: str, done: str, error: OSError) -> StoreUnavailable:
    """Return the error for a file that cannot be read or written."""
    return StoreUnavailable(
        f"The {what} {path} cannot be {done}: {error.strerror or error}",
        hint="Check its folder, its owner and the free space, or name another with --store.",
    )
