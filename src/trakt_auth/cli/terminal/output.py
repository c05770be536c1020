"""What leaves the program: results on stdout, words for people on stderr, exit statuses.

No decision about logins, no third-party library.
The files of `cli` import this one.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

__all__ = ["DONE", "FAILED", "clean", "coloured", "delivered", "is_terminal", "say"]

DONE = 0
FAILED = 1


def say(text: str) -> None:
    """Tell a person something; that nobody listens is no reason to fail."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is where printing happens
    except OSError:
        return


def delivered(content: str | bytes) -> int:
    """Write a result to stdout, return the exit status; a reader who left is told nothing."""
    stdout: object = sys.stdout
    if stdout is None:  # closed by whoever started the command
        say("trakt-auth: there is no stdout to write to")
        return FAILED
    try:
        if isinstance(content, bytes):
            sys.stdout.buffer.write(content)
        else:
            sys.stdout.write(content)
        sys.stdout.flush()
    except OSError as error:
        return _undeliverable(error)
    return DONE


def _undeliverable(error: OSError) -> int:
    """Make the interpreter's own last flush harmless; return the exit status."""
    if not isinstance(error, BrokenPipeError):
        say(f"trakt-auth: the output cannot be written: {error.strerror or error}")
        say("Check where stdout leads, and the free space there.")
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return FAILED
    return FAILED


def clean(text: str) -> str:
    """Return text from outside on one line, without anything that would move a cursor."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person reads or writes this stream."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def coloured(stream: TextIO | None) -> bool:
    """Tell whether this stream may carry colours (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return is_terminal(stream) and not plain
