"""The checks of `trakt-auth doctor` about the store: readable, writable, private, lockable.

Nothing is left behind: what has to be made to try something is taken away again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from shlex import quote

from trakt_auth.cli.doctor.configuration import Check, failed, fine, of_error, off
from trakt_auth.cli.settings import Settings, store_path
from trakt_auth.cli.terminal.output import clean
from trakt_auth.errors import StoreError, UsageError
from trakt_auth.stores.engines.file_lock import FileStoreLock
from trakt_auth.stores.interface import TokenStore
from trakt_auth.stores.record import AccountKey

__all__ = ["storage"]

PROBE = 65536  # bytes, as much as a store may need for its next step
OTHERS = stat.S_IRWXG | stat.S_IRWXO
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def storage(settings: Settings, client_id: str) -> Iterator[Check]:
    """Check the store that the settings name."""
    shown = clean(settings.store_shown())
    try:
        reason = settings.store_choice()[1]
        store = settings.open_store()
    except UsageError as error:
        yield of_error("store", error)
        return
    path = store_path(store)
    # Before it is read: that makes a database private.
    modes = list(_modes(Path(path))) if path is not None and os.name == "posix" else []
    try:
        count = len(store.accounts(client_id))
        yield fine("store", f"{shown} ({reason}) can be read, and holds {_logins(count)}.")
        if path is not None:
            yield _folder(Path(path).parent)
            yield from modes
        elif settings.in_memory:
            advice = "Name another store with --store or TRAKT_AUTH_STORE."
            yield off(
                "store kept", "A store in memory ends with the command that opened it.", advice
            )
        elif count:  # an empty database may have no tables yet, and none are made here
            yield _lock(store, client_id)
    except StoreError as error:
        yield of_error("store", error)
    finally:
        with suppress(StoreError):
            store.close()


def _logins(count: int) -> str:
    return f"{count or 'no'} login{'' if count == 1 else 's'} of this application"


def _folder(folder: Path) -> Check:
    """Write and lock a file beside the store's; the store's own locks are not touched."""
    name = "store writable"
    if not folder.exists():
        parent = next(one for one in folder.parents if one.exists())
        if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
            return fine(name, f"{clean(str(folder))} is made when somebody signs in.")
        return failed(
            name,
            f"{clean(str(folder))} cannot be made: {clean(str(parent))} is not writable.",
            "Change its owner or its mode, or name another place with --store.",
        )
    probe = folder / f".trakt-auth-doctor-{token_hex(8)}.lock"
    lock, taken, wrong = FileStoreLock(str(probe)), False, ""
    try:
        taken = lock.acquire()
        lock.release()
        with probe.open("wb") as file:  # an empty file takes no space
            file.write(bytes(PROBE))
            file.flush()
            os.fsync(file.fileno())
    except StoreError as error:
        wrong = str(error)
    except OSError as error:
        wrong = f"Files in {folder} cannot be written: {error.strerror}"
    finally:
        with suppress(OSError):
            probe.unlink()
    if wrong:
        advice = "Change the folder's owner or mode, free some space, or name another with --store."
        return failed(name, f"{clean(wrong)}.", advice)
    if not taken:
        said = f"Locks do not work in {clean(str(folder))}."
        return failed(name, said, "Name a place on a local disk with --store.")
    return fine(name, f"Files can be written and locked in {clean(str(folder))}.")


def _modes(path: Path) -> Iterator[Check]:
    """Check who else can read the file, or put another in its place."""
    name, quiet = "store private", True
    for one in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        with suppress(OSError):
            mode = one.stat().st_mode
            if mode & OTHERS:
                quiet = False
                yield failed(
                    name,
                    f"Others on this computer can open {clean(str(one))} "
                    f"(mode {stat.S_IMODE(mode):04o}).",
                    f"Run: chmod 600 {quote(clean(str(one)))}; sign in anew if others looked.",
                )
    with suppress(OSError):
        mode = path.parent.stat().st_mode
        if mode & OTHERS_WRITE and not mode & stat.S_ISVTX:
            quiet = False
            yield failed(
                name,
                f"Others on this computer can replace files in {clean(str(path.parent))} "
                f"(mode {stat.S_IMODE(mode):04o}).",
                f"Run: chmod go-w {quote(clean(str(path.parent)))}",
            )
    if quiet:
        yield fine(name, "Nobody else on this computer can read or replace it.")


def _lock(store: TokenStore, client_id: str) -> Check:
    # A name that nobody uses, so that nobody is kept waiting.
    lock = store.lock(AccountKey(client_id, f"trakt-auth doctor {token_hex(8)}"))
    taken = lock.acquire()
    lock.release()
    if not taken:
        return failed("store locks", "A lock that nobody holds cannot be taken.", "See its log.")
    return fine("store locks", "A lock can be taken and given back, so it can be written.")
