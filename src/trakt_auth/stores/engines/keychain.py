"""The keychain of the operating system: texts with versions, written so that no crash loses one.

The only file that uses the library keyring. What the texts contain, and who may write them, is not
known here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import Timer
from typing import Any

from trakt_auth.errors import StoreCorrupt, StoreUnavailable

__all__ = ["Keychain", "Slot", "available", "corrupt"]

FORMAT = "1"
PIECE = 1200  # characters; Windows stores 2560 bytes of UTF-16, and the header needs some of them
PATIENCE = 3.0  # seconds without an answer until that is said
TRIES = 10  # reads that may fail because another process was writing
ELSEWHERE = "Keep tokens elsewhere: --store file:PATH, or TRAKT_AUTH_STORE."
UNLOCK = "Unlock your keychain and allow the access, or keep tokens elsewhere: --store file:PATH."


def available() -> tuple[bool, str]:
    """Return whether a real keychain is available, and its name; if not, the reason why not.

    A file that only imitates a keychain does not count, nor does a keychain that would have to ask
    the user where there is no desktop. No entry is read, so the system asks nothing now.
    """
    try:
        from keyring import get_keyring
    except ImportError:
        return False, "the library keyring is not installed"
    try:
        backend: Any = get_keyring()
        chained = getattr(backend, "backends", None)
        backend = chained[0] if chained else backend
        kind, name, priority = type(backend).__module__, str(backend.name), float(backend.priority)
    except Exception as error:  # noqa: BLE001 - desktop libraries raise exceptions of any kind
        return False, f"the library keyring fails ({type(error).__name__})"
    if kind.endswith((".fail", ".null", ".chainer")):
        return False, _why_none(kind)
    if kind.startswith("keyrings.alt") or priority < 1:
        return False, f"{name} is not a keychain of the system"
    problem = _prompt_needed() if kind == "keyring.backends.SecretService" else ""
    return not problem, problem or name


def _prompt_needed() -> str:
    """Return why the Secret Service would have to ask where no window can be shown, or nothing."""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return ""
    try:
        import secretstorage
        from secretstorage.exceptions import ItemNotFoundException

        with closing(secretstorage.dbus_init()) as connection:
            try:
                locked = secretstorage.Collection(connection).is_locked()
            except ItemNotFoundException:
                return "there is no keychain yet, and no desktop to create one on"
    except Exception as error:  # noqa: BLE001 - desktop libraries raise exceptions of any kind
        return f"the Secret Service fails ({type(error).__name__})"
    return "the keychain is locked, and there is no desktop to unlock it on" if locked else ""


def _why_none(kind: str) -> str:
    if kind.endswith(".null"):
        return "the library keyring is told to keep nothing"
    if sys.platform == "linux" and not os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return "no D-Bus session"
    return "no keychain runs"


@dataclass(frozen=True, slots=True)
class Slot:
    """One of the two entries of a text, and its content; an empty text is a deleted one."""

    entry: str
    version: int
    pieces: int
    text: str = field(repr=False)


class _OvertakenError(Exception):
    """An entry was written while it was read."""


class Keychain:
    """Texts of any length, each with a version, under names of ASCII letters.

    A text has two slots, and the one with the higher version is valid. Only the other one is
    written to, because the library may delete an entry before it writes it again (on macOS). The
    caller makes sure that there is one writer; readers need no lock.
    """

    def __init__(self, service: str) -> None:
        self._service = service

    def read(self, name: str) -> Slot | None:
        """Return the valid slot, None when there is none.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        for _ in range(TRIES):
            with suppress(_OvertakenError):
                return self._newest(name)
        raise corrupt()

    def write(self, name: str, version: int, text: str, *, after: Slot | None) -> Slot:
        """Write to the slot that is not valid, which makes it the valid one; return it.

        `after` is what `read` returned.

        Raises: StoreUnavailable.
        """
        first, second = _entries(name)
        entry = second if after and after.entry == first else first
        pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)] or [""]
        for number, piece in enumerate(pieces[1:], 1):
            self._put(f"{entry}{number}", f"{version} {piece}")
        self._put(entry, f"trakt-auth/{FORMAT} {version} {len(pieces)} {pieces[0]}")
        number = len(pieces)
        while self._remove(f"{entry}{number}"):
            number += 1
        return Slot(entry, version, len(pieces), text)

    def delete(self, name: str, version: int, *, after: Slot) -> None:
        """Delete a text; from the first write on it is gone, even if this is interrupted.

        Raises: StoreUnavailable.
        """
        # Each slot is overwritten twice: on Windows the library copies what it overwrites.
        for _ in range(4):
            after = self.write(name, version, "", after=after)
            version += 1
        for entry in _entries(name):
            self._remove(entry)

    def move_aside(self, name: str) -> None:
        """Rename unreadable entries, and log a warning with their new names.

        Raises: StoreUnavailable.
        """
        for entry in _entries(name):
            text = self._get(entry)
            if text is not None:
                self._put(f"{entry}/corrupt", text)
                self._remove(entry)
        import logging

        logging.getLogger("trakt_auth").warning(
            "An unreadable entry of the OS keychain was kept as %s/*/corrupt",
            self._service_of(name),
        )

    def _newest(self, name: str) -> Slot | None:
        first, second = _entries(name)
        texts = {first: self._get(first), second: self._get(second)}
        if texts[second] is None and self._get(first) != texts[first]:
            raise _OvertakenError  # each was read in the moment in which it was being replaced
        slots = [_parse(entry, text) for entry, text in texts.items() if text is not None]
        if not slots:
            return None
        newest = max(slots, key=lambda slot: slot.version)
        text = newest.text
        for number in range(1, newest.pieces):
            piece = self._get(f"{newest.entry}{number}") or ""
            version, _, more = piece.partition(" ")
            if version != str(newest.version):
                raise _OvertakenError
            text += more
        return replace(newest, text=text)

    def _service_of(self, entry: str) -> str:
        # Each entry has a service of its own: on Windows two names of one service displace each
        # other.
        return f"{self._service}:{entry}"

    def _get(self, entry: str) -> str | None:
        import keyring

        with _failures():
            return keyring.get_password(self._service_of(entry), self._service)

    def _put(self, entry: str, text: str) -> None:
        import keyring

        with _failures():
            keyring.set_password(self._service_of(entry), self._service, text)
        if self._get(entry) != text:  # some backends shorten texts, and `null` keeps none
            raise StoreUnavailable("The OS keychain did not keep what was written", hint=ELSEWHERE)

    def _remove(self, entry: str) -> bool:
        """Delete an entry; return whether there was one."""
        import keyring

        if self._get(entry) is None:
            return False
        with _failures():
            keyring.delete_password(self._service_of(entry), self._service)
        if self._get(entry) is not None:
            raise StoreUnavailable("The OS keychain did not delete an entry", hint=ELSEWHERE)
        return True


@contextmanager
def _failures() -> Generator[None, None, None]:
    """Turn exceptions of desktop libraries into ours, without their text: it may quote a secret.

    If the keychain does not answer for a while, a logged warning says what is waited for.
    """
    notice = Timer(PATIENCE, _say_what_is_waited_for)
    notice.daemon = True
    try:
        with suppress(RuntimeError):  # no more threads: it waits without saying so
            notice.start()
        yield
    except Exception as error:  # noqa: BLE001 - desktop libraries raise exceptions of any kind
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if kinds & {"NoKeyringError", "InitError"}:
            usable, why = available()
            failure = StoreUnavailable(
                f"No OS keychain answers: {f'{why} cannot be opened' if usable else why}",
                hint="Start the desktop session that has it, or keep tokens elsewhere: "
                "--store file:PATH, or TRAKT_AUTH_STORE.",
            )
        elif "KeyringLocked" in kinds:
            failure = StoreUnavailable("The OS keychain is locked", hint=UNLOCK)
        else:
            failure = StoreUnavailable(
                f"The OS keychain failed ({type(error).__name__})", hint=UNLOCK
            )
        raise failure from None
    finally:
        notice.cancel()


def _say_what_is_waited_for() -> None:
    import logging

    logging.getLogger("trakt_auth").warning(
        "The OS keychain has not answered for %.0f seconds. It may be asking for a password or a "
        "permission in a window. %s",
        PATIENCE,
        ELSEWHERE,
    )


def _entries(name: str) -> tuple[str, str]:
    return f"{name}/a", f"{name}/b"


def _parse(entry: str, text: str) -> Slot:
    """Return a slot with the first piece of its text."""
    found = re.fullmatch(
        r"trakt-auth/([0-9]+) (?:([0-9]{1,18}) ([0-9]{1,4}) )?(.*)", text, re.DOTALL
    )
    if found is None or (found[1] == FORMAT and found[2] is None):
        raise corrupt()
    if found[1] != FORMAT:
        raise StoreUnavailable(
            "The entries in the OS keychain were written by a newer version of trakt-auth",
            hint="Upgrade trakt-auth, or name another store.",
        )
    return Slot(entry, int(found[2]), int(found[3]), found[4])


def corrupt() -> StoreCorrupt:
    """Return the error for an entry that cannot be read, or that another program has changed."""
    return StoreCorrupt("An entry of the OS keychain is not a readable record of trakt-auth")
