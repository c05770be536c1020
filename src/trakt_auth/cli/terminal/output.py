"""What leaves the program: results on stdout, messages to people on stderr, exit statuses.

Decides nothing about logins; imports no third-party library.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TextIO

__all__ = [
    "DONE",
    "FAILED",
    "LOGIN_REQUIRED",
    "UNAVAILABLE",
    "clean",
    "escaped",
    "is_terminal",
    "say",
    "uses_colour",
    "write_result",
]

DONE = 0
FAILED = 1
LOGIN_REQUIRED = 3
UNAVAILABLE = 5

# What moves the cursor, sets the title, changes colours, or changes the order of letters: the
# control characters but tab and newline, separators of lines, and those of bidirectional text.
CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)


def say(text: str) -> None:
    """Print a message to a person on stderr. A closed stderr is no failure of the command."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is where printing happens
    except OSError:
        return


def write_result(content: str | bytes, *, painted: bool = False) -> int:
    """Write a result to stdout and return the exit status; say nothing if the pipe was closed.

    On a terminal control characters are shown escaped, unless the text is `painted`: then the
    caller has passed all that comes from elsewhere through `clean`. A pipe gets what there is.
    """
    stdout: object = sys.stdout
    if stdout is None:  # the parent process closed it
        say("trakt-auth: the result cannot be written, because stdout is closed")
        return FAILED
    if is_terminal(sys.stdout) and not painted:
        content = escaped(content)
    try:
        if isinstance(content, bytes):
            sys.stdout.buffer.write(content)
        else:
            sys.stdout.write(content)
        sys.stdout.flush()
    except OSError as error:
        return _report_unwritten(error)
    return DONE


def _report_unwritten(error: OSError) -> int:
    """Say why stdout cannot be written; let the interpreter's own last flush succeed."""
    if not isinstance(error, BrokenPipeError):
        say(f"trakt-auth: the result cannot be written to stdout: {error.strerror or error}")
        say("Check where stdout is redirected to, and the free space there.")
    try:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
    except (OSError, ValueError):
        return FAILED
    return FAILED


def clean(text: str) -> str:
    """Return text as one line of printable characters: nothing in it can control the terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def escaped(content: str | bytes) -> str:
    """Return text with control characters written as JSON and Python write them."""
    if isinstance(content, bytes):
        content = content.decode(errors="backslashreplace")
    text = content.replace("\r\n", "\n")
    return CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a stream is a terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def uses_colour(stream: TextIO | None) -> bool:
    """Tell whether a stream is a terminal that takes colours (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return is_terminal(stream) and not plain
