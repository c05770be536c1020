"""What a person may paste in place of the redirect."""

import os
import pty
from urllib.parse import quote

import pytest

from trakt_auth.cli.commands import login_browser
from trakt_auth.cli.commands.pasted import Pasted
from trakt_auth.errors import Cancelled, UsageError
from trakt_auth.protocol.authorization import AuthorizationRequest
from trakt_auth.protocol.redirect import OUT_OF_BAND
from trakt_auth.runtime.loopback import CallbackReceiver

URI = "http://127.0.0.1:8765/callback"
STATE = "Zm9vYmFy-_state"
WHOLE = f"{URI}?code=abc123&state={STATE}"


def request(uri=URI):
    return AuthorizationRequest(
        url="https://trakt.tv/oauth/authorize", state=STATE, redirect_uri=uri
    )


@pytest.mark.parametrize(
    "lines",
    [
        [WHOLE],
        [f"  {WHOLE}\r\n"],
        [f"<{WHOLE}>"],
        [f"'{WHOLE}'"],
        [f"“{WHOLE}”"],
        [WHOLE.replace("&", "&amp;")],
        [WHOLE[:30] + "\u200b" + WHOLE[30:]],
        [quote(WHOLE, safe="")],
        [WHOLE.removeprefix("http://")],
        [WHOLE.partition("?")[2]],
        [WHOLE.replace("http:", "HTTP:")],
        [WHOLE[:10], WHOLE[10:45], "", WHOLE[45:]],
        ['"' + WHOLE[:45], "  " + WHOLE[45:] + '"'],
        [WHOLE[:-3], WHOLE[-3:]],
        [WHOLE[:40], WHOLE],
        [quote(WHOLE, safe="")[:41], quote(WHOLE, safe="")[41:]],
    ],
)
def test_an_address_is_understood(lines):
    pasted = Pasted(request())
    *halves, last = lines
    assert [pasted.add(line) for line in halves] == [None] * len(halves)
    assert pasted.add(last) == WHOLE


@pytest.mark.parametrize(
    "text",
    [
        "abc123",
        "code",
        "hello world",
        "https://127.0.0.1:8765/callback?code=abc123&state=" + STATE,
        "http://localhost:8765/callback?code=abc123&state=" + STATE,
        "http://127.0.0.1:8765/Callback?code=abc123&state=" + STATE,
        "http://127.0.0.1:8765/callback/more?code=abc123&state=" + STATE,
        "http://127.0.0.1:8765@evil.example/callback?code=abc123&state=" + STATE,
    ],
)
def test_what_is_no_redirect_is_refused(text):
    with pytest.raises(UsageError):
        Pasted(request()).add(text)


def test_a_forged_state_is_left_to_the_library():
    forged = WHOLE.replace(STATE, "forged")
    assert Pasted(request()).add(forged) == forged


@pytest.mark.parametrize("text", ["two words", "code=abc", "?code=abc", "%63ode", ""])
def test_only_a_code_is_a_code(text):
    with pytest.raises(UsageError):
        Pasted(request(OUT_OF_BAND)).add(text)


def test_a_code_in_quotes_is_a_code():
    assert Pasted(request(OUT_OF_BAND)).add("'ABC\u200b-123'\n") == "ABC-123"


def test_the_terminal_is_read_while_the_browser_is_awaited(monkeypatch, capsys):
    master, slave = pty.openpty()
    monkeypatch.setattr(login_browser.os, "tcgetpgrp", lambda _: os.getpgrp())
    with (
        os.fdopen(slave, encoding="utf-8") as stdin,
        CallbackReceiver("http://127.0.0.1:18765/callback", state=STATE) as receiver,
    ):
        monkeypatch.setattr("sys.stdin", stdin)
        os.write(master, f"nonsense\n{WHOLE[:45]}\n{WHOLE[45:]}\n".encode())
        assert login_browser._wait_for_answer(receiver, request()) == WHOLE
    os.close(master)
    said = capsys.readouterr().err
    assert "only half" in said
    assert "no address that begins with" in said


def test_a_command_in_the_background_does_not_read(monkeypatch):
    master, slave = pty.openpty()
    monkeypatch.setattr(login_browser.os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
    os.write(master, b"typed for the program in front\n\x04")
    with os.fdopen(slave, encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert list(login_browser.terminal_lines()) == []
    os.close(master)


def test_a_terminal_of_another_session_is_not_read(monkeypatch):
    master, slave = pty.openpty()  # not the controlling terminal of this process
    with os.fdopen(slave, encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert list(login_browser.terminal_lines()) == []
    os.close(master)


def test_a_wait_that_nobody_answered_stays_cancelled(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with CallbackReceiver("http://127.0.0.1:18766/callback", state=STATE) as receiver:
        receiver.cancel()
        with pytest.raises(Cancelled):
            login_browser._wait_for_answer(receiver, request())
