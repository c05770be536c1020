"""What stores that keep files have in common: modes, owners, mounts, first versions, corrupt files.

No format and no lock is known here.
"""
# (pathlib would slow down every `trakt-auth token`)

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from datetime import UTC, datetime

from trakt_auth.errors import StoreUnavailable

__all__ = [
    "PRIVATE",
    "create_private",
    "first_version",
    "is_mounted",
    "make_folder",
    "mounted",
    "move_aside",
    "open_regular",
    "sync_folder",
    "unavailable",
]

PRIVATE = 0o600  # the mode of every file that holds tokens
MOUNTS = "/proc/self/mountinfo"  # where Linux lists this process's mounts
MOUNT_THE_FOLDER = "Mount the file's folder instead of the file, and name the file in it."


def first_version() -> int:
    """Return the version from which a new store counts: the milliseconds since 1970."""
    # Not 0: after a file was lost or moved aside, its old versions must not be assigned again.
    return time.time_ns() // 1_000_000


def open_regular(path: str) -> int:
    """Open a file for reading; anything else, such as a named pipe, is an error and never a wait.

    Raises: OSError.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        raise OSError(errno.EINVAL, "It is not a regular file")
    return handle


def create_private(path: str, *, like: str) -> int:
    """Create a file that only its owner can read, and open it for writing.

    Root gives it the owner of the file `like`, or of its folder where there is no such file: after
    one `sudo`, the user must still be able to read the file.

    Raises: FileExistsError, OSError.
    """
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    found = os.stat(like if os.path.exists(like) else os.path.dirname(like)) if is_root else None
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), PRIVATE)
    try:
        if found is not None:
            os.fchown(handle, found.st_uid, found.st_gid)
    except BaseException:
        os.close(handle)
        raise
    return handle


def make_folder(folder: str) -> None:
    """Make a folder for its owner only, and those above it.

    Root gives each the owner of the folder above.

    Raises: OSError.
    """
    above = os.path.dirname(folder)
    if above != folder and not os.path.isdir(above):
        make_folder(above)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if not os.path.isdir(folder):
            raise
        return
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        found = os.stat(above)
        os.chown(folder, found.st_uid, found.st_gid, follow_symlinks=False)


def is_mounted(path: str) -> bool:
    """Return whether a file is mounted by itself, as into a container: it cannot be replaced."""
    try:
        with open(MOUNTS, "rb") as file:
            places = {line.split(b" ")[4] for line in file}
    except (OSError, IndexError):  # not Linux
        return False
    escaped = os.fsencode(path).replace(b"\\", rb"\134").replace(b" ", rb"\040")
    return escaped.replace(b"\t", rb"\011").replace(b"\n", rb"\012") in places


def mounted(what: str, path: str) -> StoreUnavailable:
    """Return the error for a file that is mounted by itself."""
    return StoreUnavailable(
        f"The {what} {path} is mounted by itself, so it cannot be replaced as a whole, and other"
        " programs do not see its lock",
        hint=MOUNT_THE_FOLDER,
    )


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
    if error.errno in (errno.EBUSY, errno.EXDEV):
        return mounted(what, path)
    return StoreUnavailable(
        f"The {what} {path} cannot be {done}: {error.strerror or error}",
        hint="Check its folder, its owner and the free space, or name another with --store.",
    )
