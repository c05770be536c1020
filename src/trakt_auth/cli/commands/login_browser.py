"""`login --browser`: opens the page and receives the redirect, or takes what the person pastes.

The library receives the redirect and exchanges the code. The browser is opened by another process.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

from trakt_auth.cli.commands.pasted import Pasted
from trakt_auth.cli.terminal.output import clean, is_terminal, say
from trakt_auth.client.sync import Client
from trakt_auth.errors import CallbackError, Cancelled, InvalidGrant, TraktAuthError, UsageError
from trakt_auth.protocol.authorization import AuthorizationRequest
from trakt_auth.protocol.redirect import OUT_OF_BAND
from trakt_auth.protocol.token import Token
from trakt_auth.runtime.loopback import CallbackReceiver

__all__ = ["sign_in"]

ATTEMPTS = 3
LONGEST_LINE = 65536  # bytes
HALF = "This is only half of the address. Paste the rest, or the whole address again:"
ANSWER_TIMEOUT = 600.0  # seconds to sign in, or to sign up first
# In a process of its own: a browser may write to stdout, take the terminal over, or not return.
OPENER = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.stdin.read()))"
# Names of environment variables that a browser must not inherit.
SECRET = re.compile(
    r"^(TRAKT_|PG|POSTGRES|REDIS|DATABASE_)|PASSW|SECRET|TOKEN|CREDENTIAL|_KEY$|DSN"
)
OPENER_TIMEOUT = 10.0  # seconds; an opener that still runs has become the browser itself


def sign_in(client: Client, account: str, *, receives: bool) -> Token:
    """Send the person to Trakt and exchange the code that comes back.

    With `receives`, open the browser and listen for the redirect; otherwise the person pastes it.

    Raises: what `exchange_code` raises; TraktAuthError when no answer comes.
    """
    request = client.authorization_request()
    if receives:
        receiver = CallbackReceiver(
            request.redirect_uri, state=request.state, app_name="the terminal"
        )
        with _listening(receiver):
            say(f"Opening this page in your browser:\n\n  {request.url}\n")
            if open_browser(request.url):
                say("Waiting for you to answer there (Ctrl-C to stop) ...")
                answer = _wait_for_answer(receiver, request)
                return client.exchange_code(request, answer, account=account)
        say("No browser could be opened. Open the page yourself.")
    else:
        say(f"Open this page in a browser:\n\n  {request.url}\n")
    return _read_pasted(client, request, account)


@contextmanager
def _listening(receiver: CallbackReceiver) -> Generator[None, None, None]:
    try:
        receiver.__enter__()
    except UsageError as error:  # here it means that the port is in use, not wrong usage
        raise TraktAuthError(str(error), hint=error.hint) from None
    try:
        yield
    finally:
        receiver.close()


def open_browser(url: str) -> bool:
    """Open a page; tell whether there is a browser."""
    # In a frozen program `sys.executable` is that program itself, not an interpreter.
    if getattr(sys, "frozen", False) or not sys.executable:
        return False
    try:
        opener = subprocess.Popen(  # noqa: S603 - this interpreter and a constant program
            # Isolated, or a `webbrowser.py` in the working directory would be run.
            [sys.executable, "-I", "-c", OPENER],
            env=_without_secrets(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C ends this command, not the browser
        )
    except OSError:
        return False
    try:
        opener.communicate(url.encode(), timeout=OPENER_TIMEOUT)
    except subprocess.TimeoutExpired:
        threading.Thread(target=opener.wait, daemon=True).start()
        return True
    return opener.returncode == 0


def _without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a browser: without what belongs to this program and its store."""
    kept = {name: value for name, value in environ.items() if not SECRET.search(name.upper())}
    # Windows looks for programs in the working directory first, unless this is set.
    return {**kept, "NoDefaultCurrentDirectoryInExePath": "1"}


def _wait_for_answer(receiver: CallbackReceiver, request: AuthorizationRequest) -> str:
    """Return the redirect that arrives, or the address that the person pastes meanwhile."""
    pasted: list[str] = []
    typed = threading.Event()

    def read() -> None:
        collected = Pasted(request)
        for line in terminal_lines():
            try:
                answer = collected.add(line)
            except UsageError as error:
                say(f"{clean(str(error))}. {clean(error.hint)}")
                continue
            if answer is not None:
                pasted.append(answer)
                typed.set()
                return
            if line.strip():
                say(HALF)

    # A daemon, since nothing ends a read of the terminal.
    threading.Thread(target=read, name="trakt-auth-terminal", daemon=True).start()
    try:
        return receiver.wait(ANSWER_TIMEOUT, typed)
    except Cancelled:
        if not pasted:
            raise
        return pasted[0]


def terminal_lines() -> Iterator[str]:
    """Yield the lines that a person types, if this command is in the terminal's foreground.

    From the file descriptor, because a thread that waits in `sys.stdin` holds its lock, and the
    interpreter could not end. A command in the background would be stopped by reading.
    """
    if not is_terminal(sys.stdin):
        return
    try:
        number = sys.stdin.fileno()
        if hasattr(os, "tcgetpgrp") and os.tcgetpgrp(number) != os.getpgrp():
            return
        while content := os.read(number, LONGEST_LINE):
            yield from content.decode(errors="replace").splitlines()
    except (OSError, ValueError):
        return


def _read_pasted(client: Client, request: AuthorizationRequest, account: str) -> Token:
    wanted = "code on the page" if request.redirect_uri == OUT_OF_BAND else "address it ends on"
    say(f"Then paste the {wanted}:")
    pasted, left = Pasted(request), ATTEMPTS
    while left:
        line = sys.stdin.readline()
        if not line:
            raise TraktAuthError(
                "The input ended before an address or a code was pasted",
                hint="Start again, or sign in with a device code: trakt-auth login --device.",
            )
        try:
            answer = pasted.add(line)
            if answer is not None:
                return client.exchange_code(request, answer, account=account)
            say(HALF)
            continue
        except InvalidGrant as error:
            say(clean(str(error)))
        except (CallbackError, UsageError) as error:
            say(f"{clean(str(error))}. {clean(error.hint)}")
        left -= 1
        if left:
            say("Paste it again:")
    raise TraktAuthError(
        f"None of the {ATTEMPTS} lines was the address or the code", hint="Start again."
    )
