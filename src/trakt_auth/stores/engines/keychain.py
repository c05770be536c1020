"""The keychain of the operating system: texts with versions, whatever interrupts their writing.

And the only file that uses the library keyring. No record and no lock is known here.
`stores/keyring.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from trakt_auth.errors import StoreCorrupt, StoreUnavailable

__all__ = ["Keychain", "Place", "available", "corrupt"]

FORMAT = "1"
PIECE = 1200  # characters; Windows keeps 2560 bytes of UTF-16, and our own words need a few
TRIES = 10  # times that a reader may be overtaken by writers
ELSEWHERE = "Keep tokens elsewhere: --store file:PATH, or TRAKT_AUTH_STORE."
UNLOCK = "Unlock your keychain and allow the access, or keep tokens elsewhere: --store file:PATH."


def available() -> tuple[bool, str]:
    """Tell whether a real keychain answers, and its name; or else, in words, why none does.

    What only files pretend to be does not count. Nothing is read, so nobody is asked to unlock.
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
    except Exception as error:  # noqa: BLE001 - the libraries of a desktop raise anything
        return False, f"the library keyring fails ({type(error).__name__})"
    if kind.endswith((".fail", ".null", ".chainer")):
        return False, _why_none(kind)
    if kind.startswith("keyrings.alt") or priority < 1:
        return False, f"{name} is not a keychain of the system"
    return True, name


def _why_none(kind: str) -> str:
    if kind.endswith(".null"):
        return "the library keyring is told to keep nothing"
    if sys.platform == "linux" and not os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return "no D-Bus session"
    return "no keychain runs"


@dataclass(frozen=True, slots=True)
class Place:
    """A place and what it holds; no text stands for a record that was deleted."""

    place: str
    version: int
    pieces: int
    text: str = field(repr=False)


class _OvertakenError(Exception):
    """A place was written to while it was read."""


class Keychain:
    """Texts of any length, each with a version, under names of ASCII letters.

    A text has two places, and the newer one counts: the library may delete an entry before it
    writes it anew (on macOS), so the place that counts is never written to. The caller is the
    only writer; readers need no lock.
    """

    def __init__(self, service: str) -> None:
        self._service = service

    def read(self, name: str) -> Place | None:
        """Return the newest, None when there is nothing.

        Raises: StoreUnavailable, StoreCorrupt.
        """
        for _ in range(TRIES):
            with suppress(_OvertakenError):
                return self._newest(name)
        raise corrupt()

    def write(self, name: str, version: int, text: str, *, after: Place | None) -> Place:
        """Write into the place that does not count, which counts from then on; return it.

        `after` is what `read` returned. Raises: StoreUnavailable.
        """
        first, second = _both(name)
        place = second if after and after.place == first else first
        pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)] or [""]
        for number, piece in enumerate(pieces[1:], 1):
            self._put(f"{place}{number}", f"{version} {piece}")
        self._put(place, f"trakt-auth/{FORMAT} {version} {len(pieces)} {pieces[0]}")
        number = len(pieces)
        while self._remove(f"{place}{number}"):
            number += 1
        return Place(place, version, len(pieces), text)

    def bury(self, name: str, version: int, *, after: Place) -> None:
        """Forget; whatever interrupts it, from the first write on there is nothing.

        Raises: StoreUnavailable.
        """
        # Each place twice: on Windows the library keeps a copy of what it overwrites.
        for _ in range(4):
            after = self.write(name, version, "", after=after)
            version += 1
        for place in _both(name):
            self._remove(place)

    def move_aside(self, name: str) -> None:
        """Rename what is not readable; a warning tells where to.

        Raises: StoreUnavailable.
        """
        for place in _both(name):
            text = self._get(place)
            if text is not None:
                self._put(f"{place}/corrupt", text)
                self._remove(place)
        import logging

        logging.getLogger("trakt_auth").warning(
            "An unreadable entry of the OS keychain was kept as %s/*/corrupt",
            self._entry(name),
        )

    def _newest(self, name: str) -> Place | None:
        first, second = _both(name)
        texts = {first: self._get(first), second: self._get(second)}
        if texts[second] is None and self._get(first) != texts[first]:
            raise _OvertakenError  # each was looked at while it was being replaced
        heads = [_head(place, text) for place, text in texts.items() if text is not None]
        if not heads:
            return None
        newest = max(heads, key=lambda head: head.version)
        text = newest.text
        for number in range(1, newest.pieces):
            piece = self._get(f"{newest.place}{number}") or ""
            version, _, more = piece.partition(" ")
            if version != str(newest.version):
                raise _OvertakenError
            text += more
        return replace(newest, text=text)

    def _entry(self, name: str) -> str:
        # A service of its own for each: on Windows names of one service push each other around.
        return f"{self._service}:{name}"

    def _get(self, name: str) -> str | None:
        import keyring

        with _failures():
            return keyring.get_password(self._entry(name), self._service)

    def _put(self, name: str, text: str) -> None:
        import keyring

        with _failures():
            keyring.set_password(self._entry(name), self._service, text)
        if self._get(name) != text:  # some backends cut, and `null` keeps nothing
            raise StoreUnavailable("The OS keychain did not keep what was written", hint=ELSEWHERE)

    def _remove(self, name: str) -> bool:
        """Forget an entry; return whether there was one."""
        import keyring

        if self._get(name) is None:
            return False
        with _failures():
            keyring.delete_password(self._entry(name), self._service)
        if self._get(name) is not None:
            raise StoreUnavailable(
                "The OS keychain did not forget what was deleted", hint=ELSEWHERE
            )
        return True


@contextmanager
def _failures() -> Generator[None, None, None]:
    """Turn what the libraries of a desktop raise into ours; their words may quote a secret."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if kinds & {"NoKeyringError", "InitError"}:
            failure = StoreUnavailable(
                f"No OS keychain answers: {available()[1]}",
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


def _both(name: str) -> tuple[str, str]:
    return f"{name}/a", f"{name}/b"


def _head(place: str, text: str) -> Place:
    found = re.fullmatch(
        r"trakt-auth/([0-9]+) (?:([0-9]{1,18}) ([0-9]{1,4}) )?(.*)", text, re.DOTALL
    )
    if found is None or (found[1] == FORMAT and found[2] is None):
        raise corrupt()
    if found[1] != FORMAT:
        raise StoreUnavailable(
            "The OS keychain was written to by a newer version of trakt-auth",
            hint="Upgrade trakt-auth, or name another store.",
        )
    return Place(place, int(found[2]), int(found[3]), found[4])


def corrupt() -> StoreCorrupt:
    """Return the error for an entry that is not what was written."""
    return StoreCorrupt("An entry of the OS keychain is not readable as a token's")
