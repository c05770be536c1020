"""The checks of `trakt-auth doctor` about the store: readable, writable, private, lockable.

A file that has to be created to try something is removed again.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from shlex import quote

from trakt_auth.cli.doctor import check
from trakt_auth.cli.doctor.check import Check
from trakt_auth.cli.settings import Settings, store_path
from trakt_auth.cli.terminal.output import clean
from trakt_auth.errors import StoreError, UsageError
from trakt_auth.stores.engines.file_lock import FileStoreLock
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import AccountKey

__all__ = ["check_store"]

PROBE = 65536  # bytes, as much as a store may need for its next write
OTHERS = stat.S_IRWXG | stat.S_IRWXO
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def check_store(settings: Settings, owner: str) -> Iterator[Check]:
    """Check the store that the settings name."""
    try:
        shown = clean(settings.store_shown())
        reason = settings.store_choice()[1]
        store = settings.open_store()
    except UsageError as error:
        yield check.from_error("store", error)
        return
    path = store_path(store)
    # Before the store is read, because reading a database makes its file private.
    modes = list(_modes(Path(path))) if path is not None and os.name == "posix" else []
    try:
        count = len(store.accounts(owner))
        said = f"{shown} can be read and holds {_logins(count)}. Why this store: {reason}."
        yield check.passed("store", said)
        if path is not None:
            yield _folder(Path(path).parent)
            yield from _unwritable(Path(path))
            yield from modes
        elif settings.in_memory:
            advice = "Name another store with --store or TRAKT_AUTH_STORE."
            yield check.warning(
                "store kept", "A store in memory is lost when the command ends.", advice
            )
        elif count:  # an empty database may have no tables yet, and a check must not create them
            yield _lock(store, owner)
    except StoreError as error:
        yield check.from_error("store", error)
    finally:
        with suppress(StoreError):
            store.close()


def _logins(count: int) -> str:
    return f"{count or 'no'} login{'' if count == 1 else 's'} of this application"


def _folder(folder: Path) -> Check:
    """Write and lock a file beside the store's own; do not touch the locks of the store."""
    name = "store writable"
    if not folder.exists():
        parent = next(one for one in folder.parents if one.exists())
        if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
            return check.passed(name, f"{clean(str(folder))} will be created by the first login.")
        return check.error(
            name,
            f"{clean(str(folder))} cannot be created: {clean(str(parent))} is not writable.",
            "Change its owner or its mode, or name another store with --store.",
        )
    probe = folder / f".trakt-auth-doctor-{token_hex(8)}.lock"
    lock, acquired, problem = FileStoreLock(str(probe)), False, ""
    try:
        acquired = lock.acquire()
        lock.release()
        with probe.open("wb") as file:  # an empty file would take no space
            file.write(bytes(PROBE))
            file.flush()
            os.fsync(file.fileno())
    except StoreError as error:
        problem = str(error)
    except OSError as error:
        problem = f"Files in {folder} cannot be written: {error.strerror}"
    finally:
        with suppress(OSError):
            probe.unlink()
    if problem:
        advice = "Change the folder's owner or mode, free some space, or use another --store."
        return check.error(name, f"{clean(problem)}.", advice)
    if not acquired:
        said = f"Locks do not work in {clean(str(folder))}."
        return check.error(name, said, "Name a store on a local disk with --store.")
    return check.passed(name, f"Files can be written and locked in {clean(str(folder))}.")


def _unwritable(path: Path) -> Iterator[Check]:
    """Open the store's own file and its lock files for writing, without changing them."""
    for one in (path, *sorted(path.parent.glob(f"{glob.escape(path.name)}*.lock"))):
        try:
            os.close(os.open(one, os.O_RDWR | getattr(os, "O_NONBLOCK", 0)))
        except FileNotFoundError:
            continue
        except OSError as error:
            yield check.error(
                "store writable",
                f"{clean(str(one))} cannot be written: {error.strerror}.",
                "Change its owner or its mode; one run with sudo may have made it another user's.",
            )


def _owners(path: Path) -> Iterator[Check]:
    """Check that the file is this user's, and that no other user can replace its folders."""
    name = "store private"
    with suppress(OSError):
        owner = path.stat().st_uid
        if owner != os.geteuid():
            yield check.error(
                name,
                f"{clean(str(path))} belongs to the user {_user(owner)}, not to the one who runs "
                f"this, {_user(os.geteuid())}.",
                f"Run as root: chown {_user(os.geteuid())} {quote(clean(str(path)))}; or run this "
                "command as its owner.",
            )
    for folder in path.parent.parents:
        with suppress(OSError):
            mode = folder.stat().st_mode
            if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
                yield check.error(
                    name,
                    f"Every user of this computer can replace folders in {clean(str(folder))} "
                    f"(mode {stat.S_IMODE(mode):04o}).",
                    f"Run: chmod o-w {quote(clean(str(folder)))}",
                )


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _modes(path: Path) -> Iterator[Check]:
    """Check whether other users can read the file, or replace it."""
    name, private = "store private", True
    for one in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        with suppress(OSError):
            mode = one.stat().st_mode
            if mode & OTHERS:
                private = False
                yield check.error(
                    name,
                    f"Other users of this computer can open {clean(str(one))} "
                    f"(mode {stat.S_IMODE(mode):04o}).",
                    f"Run: chmod 600 {quote(clean(str(one)))}; then sign in again if another user "
                    "may have read it.",
                )
    with suppress(OSError):
        mode = path.parent.stat().st_mode
        if mode & OTHERS_WRITE and not mode & stat.S_ISVTX:
            private = False
            yield check.error(
                name,
                f"Other users of this computer can replace files in {clean(str(path.parent))} "
                f"(mode {stat.S_IMODE(mode):04o}).",
                f"Run: chmod go-w {quote(clean(str(path.parent)))}",
            )
    for found in _owners(path):
        private = False
        yield found
    if private:
        yield check.passed(name, "No other user of this computer can read or replace it.")


def _lock(store: TokenStore, owner: str) -> Check:
    # A name that no login has, so that no refresh has to wait for this lock.
    lock = store.lock(AccountKey(owner, f"trakt-auth doctor {token_hex(8)}"))
    acquired = lock.acquire()
    lock.release()
    if not acquired:
        said = "A lock cannot be acquired, although no other program holds it."
        return check.error("store locks", said, "Look into the log of the database server.")
    return check.passed("store locks", "A lock can be acquired and released: it is writable.")
