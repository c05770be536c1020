"""Runs one command: signals, the library's warnings, and what each failure looks like.

Knows no command by name; click's own errors are turned into ours in `commands`.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from types import FrameType

from trakt_auth.cli.settings import command
from trakt_auth.cli.terminal.output import FAILED, clean, say
from trakt_auth.errors import (
    AccessDenied,
    LoginRequired,
    ServerError,
    TraktAuthError,
    TransportError,
    UsageError,
)

__all__ = ["run"]

STATUS: tuple[tuple[type[TraktAuthError], int], ...] = (
    (UsageError, 2),
    (LoginRequired, 3),
    (AccessDenied, 4),
    (TransportError, 5),
    (ServerError, 5),
)
SIGNALS = {signal.SIGINT: "Interrupted.", signal.SIGTERM: "Terminated."}
if hasattr(signal, "SIGHUP"):  # the terminal was closed, or the connection to it dropped
    SIGNALS[signal.SIGHUP] = "Hung up."

# What the command says in place of the library's hints that speak of Python.
HINTS = {
    TraktAuthError.default_hint: "Run `trakt-auth status` to see where things stand.",
    LoginRequired.default_hint: "Sign in again: run `trakt-auth login`.",
}

LATER = [signal.SIGALRM] if hasattr(signal, "setitimer") else []  # Windows has none
A_MOMENT = 0.001  # seconds
IMPORTING = "<frozen importlib"  # the name of the files of Python's own importing


class _Stopped(BaseException):
    """A signal ended the command; not an Exception, so that nothing takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name; return the exit status."""
    stdout: object = sys.stdout
    if isinstance(stdout, TextIOWrapper):
        stdout.reconfigure(errors="backslashreplace")
    stdin: object = sys.stdin
    if stdin is None:  # closed by whoever started the command: the end of input, not a failure
        sys.stdin = TextIOWrapper(BytesIO())
    with _signals(), _warnings():
        try:
            from trakt_auth.cli.parser import dispatch

            return dispatch(arguments)
        except TraktAuthError as error:
            return _failed(error)
        except _Stopped as stopped:
            say(f"\n{SIGNALS[signal.Signals(stopped.number)]}")
            return 128 + stopped.number
        except SystemExit as error:  # click's way to end when the reader of stdout has left
            return error.code if isinstance(error.code, int) else FAILED


def _failed(error: TraktAuthError) -> int:
    say(f"trakt-auth: {clean(str(error))}")
    say(clean(_hint(error)))
    return next((status for kind, status in STATUS if isinstance(error, kind)), FAILED)


def _hint(error: TraktAuthError) -> str:
    hint = HINTS.get(error.hint, error.hint)
    if isinstance(error, LoginRequired):
        return hint.replace("trakt-auth login", command("login", error.account))
    return hint


@contextmanager
def _signals() -> Generator[None, None, None]:
    """End the command at the first signal; while it tidies up, further ones have no effect.

    A refresh under way runs on its own thread and is waited for when the client is closed. Within
    Python's own importing the signal waits a moment: an exception there can leave the lock of all
    imports taken, and that thread would wait for it for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        for one in SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        if LATER and frame is not None and frame.f_code.co_filename.startswith(IMPORTING):
            signal.signal(LATER[0], lambda _, frame: stop(number, frame))
            signal.setitimer(signal.ITIMER_REAL, A_MOMENT)
            return
        raise _Stopped(number)

    before = {one: signal.getsignal(one) for one in (*SIGNALS, *LATER)}
    try:
        for one in SIGNALS:
            if before[one] is not signal.SIG_IGN:  # as `nohup` and `&` in scripts want it
                signal.signal(one, stop)
        yield
    finally:
        if LATER:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for one, handler in before.items():
            signal.signal(one, handler)


class _ToPeople(logging.Handler):
    """Writes to whatever stderr is at the moment: a live display puts itself in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"trakt-auth: {clean(record.getMessage())}")


@contextmanager
def _warnings() -> Generator[None, None, None]:
    logger, handler = logging.getLogger("trakt_auth"), _ToPeople(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
