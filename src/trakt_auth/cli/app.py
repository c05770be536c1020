"""Runs one command: signals, warnings of the library, and how each failure is reported.

Knows no command by name. Errors of click have become errors of this library in `parser`.
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

from trakt_auth.cli.settings import command_for
from trakt_auth.cli.terminal.output import FAILED, LOGIN_REQUIRED, UNAVAILABLE, clean, say
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
    (LoginRequired, LOGIN_REQUIRED),
    (AccessDenied, 4),
    (TransportError, UNAVAILABLE),
    (ServerError, UNAVAILABLE),
)
SIGNALS = {signal.SIGINT: "Interrupted.", signal.SIGTERM: "Terminated."}
if hasattr(signal, "SIGHUP"):  # the terminal was closed, or its connection was lost
    SIGNALS[signal.SIGHUP] = "Hung up."

# What the command says in place of the library's hints that speak of Python.
HINTS = {
    TraktAuthError.default_hint: "Run `trakt-auth status` to see where things stand.",
    LoginRequired.default_hint: "Sign in again: run `trakt-auth login`.",
}

TLS_HINT = (
    "Check this computer's clock. If a proxy or an antivirus program decrypts connections, add its "
    "certificate to a file of certificates and name that file in SSL_CERT_FILE."
)

ALARMS = [signal.SIGALRM] if hasattr(signal, "setitimer") else []  # Windows has none
POSTPONE = 0.001  # seconds
IMPORT_SYSTEM = "<frozen importlib"  # how the file names of Python's import system begin


class _Stopped(BaseException):
    """A signal ended the command. Not an Exception, so that no `except Exception` catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name; return the exit status."""
    stdout: object = sys.stdout
    if isinstance(stdout, TextIOWrapper):
        stdout.reconfigure(errors="backslashreplace")
    stdin: object = sys.stdin
    if stdin is None:  # the parent process closed it; reading it then finds the end of the input
        sys.stdin = TextIOWrapper(BytesIO())
    with _signals(), _warnings():
        try:
            from trakt_auth.cli.parser import dispatch

            return dispatch(arguments)
        except TraktAuthError as error:
            return _report(error)
        except _Stopped as stopped:
            say(f"\n{SIGNALS[signal.Signals(stopped.number)]}")
            return 128 + stopped.number
        except SystemExit as error:  # click exits when the reader of stdout has closed the pipe
            return error.code if isinstance(error.code, int) else FAILED


def _report(error: TraktAuthError) -> int:
    say(f"trakt-auth: {clean(str(error))}")
    say(clean(_hint(error)))
    return next((status for kind, status in STATUS if isinstance(error, kind)), FAILED)


def _hint(error: TraktAuthError) -> str:
    hint = HINTS.get(error.hint, error.hint)
    if isinstance(error, TransportError) and "certificate" in str(error).lower():
        return TLS_HINT
    if isinstance(error, LoginRequired):
        return hint.replace("trakt-auth login", command_for("login", error.account))
    return hint


@contextmanager
def _signals() -> Generator[None, None, None]:
    """Let the command clean up at the first signal; let the system end it at the second.

    A refresh that has begun runs on its own thread, and closing the client waits for it. Ending
    the process in the middle of it is safe as well, because the store holds a note that a refresh
    has begun. So a request that hangs cannot keep a person waiting.

    A signal that arrives while Python imports a module is raised a moment later: an exception in
    there can leave the import lock taken, and the refreshing thread would wait for it for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        for one in handled:
            signal.signal(one, signal.SIG_DFL)
        if ALARMS and frame is not None and frame.f_code.co_filename.startswith(IMPORT_SYSTEM):
            signal.signal(ALARMS[0], lambda _, frame: stop(number, frame))
            signal.setitimer(signal.ITIMER_REAL, POSTPONE)
            return
        raise _Stopped(number)

    before = {one: signal.getsignal(one) for one in (*SIGNALS, *ALARMS)}
    # `nohup`, and `&` in a script, ignore signals.
    handled = [one for one in SIGNALS if before[one] is not signal.SIG_IGN]
    try:
        for one in handled:
            signal.signal(one, stop)
        yield
    finally:
        if ALARMS:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for one, handler in before.items():
            signal.signal(one, handler)


class _PrintWarning(logging.Handler):
    """Prints to the current `sys.stderr`, which a live display replaces for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"trakt-auth: {clean(record.getMessage())}")


@contextmanager
def _warnings() -> Generator[None, None, None]:
    logger, handler = logging.getLogger("trakt_auth"), _PrintWarning(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
