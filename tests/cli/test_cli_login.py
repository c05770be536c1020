"""`login` by device, by browser and by pasting, and what is checked before a person is asked."""

import io
import json
import re
import signal
import subprocess
import sys
import threading

import pytest

from support.cli_runner import OOB
from trakt_auth.cli.commands import login_browser, login_device
from trakt_auth.cli.commands.login import has_browser, is_loopback
from trakt_auth.cli.demo.stage import _free_port
from trakt_auth.cli.terminal import drawing
from trakt_auth.cli.terminal.qr import qr_lines


@pytest.fixture
def loopback(cli):
    uri = f"http://127.0.0.1:{_free_port()}/callback"
    cli.emulator.register_application("emulator", None, [uri, OOB])
    cli.monkeypatch.setenv("TRAKT_REDIRECT_URI", uri)
    return uri


def paste(cli, *lines):
    """Type lines; a line that is a function is called with the address that was printed."""

    said = io.StringIO()

    class Typed(io.StringIO):
        def __init__(self):
            super().__init__()
            self.left = list(lines)

        def readline(self):
            if not self.left:
                return ""
            line = self.left.pop(0)
            url = re.search(r"http\S+/oauth/authorize\S+", said.getvalue())[0]
            return f"{line(url) if callable(line) else line}\n"

    cli.monkeypatch.setattr("sys.stdin", Typed())
    cli.monkeypatch.setattr("sys.stderr", said)
    return said


def test_by_device(cli):
    ran = cli("login", "--device", "--account", "work")
    assert (ran.status, ran.out) == (0, "")
    first, *rest = ran.err.splitlines()
    assert re.fullmatch(rf"Enter the code \S+ at {cli.url}/activate", first)
    assert rest[0] == "Signed in as emulator-user."
    assert cli.store in rest[1]
    assert "valid until 20" in rest[2]
    assert cli("token", "--account", "work").status == 0


def test_without_a_browser_a_code_is_shown(cli):
    assert cli("login").err.startswith("Enter the code")


def test_a_failing_api_does_not_fail_the_login(cli):
    cli.emulator.arm("cloudflare_403", endpoint="/users/settings", every_agent=True)
    ran = cli("login")
    assert ran.status == 0
    assert "Signed in.\n" in ran.err


def test_a_denial(cli):
    cli.emulator.decision = "deny"
    ran = cli("login")
    assert (ran.status, ran.out) == (4, "")
    assert len(ran.err.splitlines()) == 3


def test_a_wrong_client_id(cli):
    cli.monkeypatch.setenv("TRAKT_CLIENT_ID", "unknown")
    assert cli("login").status == 1


def test_an_unreachable_server(cli):
    cli.monkeypatch.setenv("TRAKT_AUTH_URL", "http://127.0.0.1:9")
    assert cli("login").status == 5


def test_html_from_a_proxy(cli):
    cli.emulator.arm("html_200", endpoint="/oauth/device/code")
    assert cli("login").status == 5


def test_ways_exclude_each_other(cli):
    assert cli("login", "--device", "--browser").status == 2
    assert cli("login", "--device", "--no-open").status == 2


@pytest.mark.parametrize("how", ["folder", "lock", "newer"])
def test_login_checks_the_store_before_asking_the_person(cli, how):
    if how == "folder":
        cli.file.parent.write_text("a file where the folder should be")
    elif how == "lock":
        from trakt_auth.stores.file import FileStore

        cli.file.parent.mkdir()
        lock = FileStore(str(cli.file)).lock(cli.key())
        from pathlib import Path

        Path(lock._path).mkdir()
    else:
        cli.file.parent.mkdir()
        cli.file.write_text(json.dumps({"trakt-auth": 99}))
    ran = cli("login")
    assert ran.status == 1
    assert len(ran.err.splitlines()) == 2
    assert "/oauth/device/code" not in cli.emulator.state()["requests"]


def test_a_corrupt_file_is_moved_aside(cli):
    cli.file.parent.mkdir()
    cli.file.write_text("not json")
    ran = cli("login")
    assert ran.status == 0
    assert "The new login will replace it." in ran.err
    (aside,) = cli.file.parent.glob("*.corrupt-*")
    assert f"was kept as {aside}" in ran.err
    assert aside.read_text() == "not json"
    assert cli("token").status == 0


def test_a_second_login_replaces_the_first(cli):
    cli.sign_in()
    assert cli("login").status == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_waiting(cli, number, status):
    cli.emulator.decision = None
    with cli.spawn("login", "--device") as process:
        line = process.stderr.readline()
        assert line.startswith("Enter the code")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert out == ""
    assert err.split() in (["Interrupted."], ["Terminated."])
    assert not cli.file.exists()


def test_an_ignored_signal_stays_ignored(cli):
    from trakt_auth.cli import app

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with app._signals():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def opener(cli, tmp_path, decision):
    """Set BROWSER to a program that answers as a person would."""
    script = tmp_path / "browser.py"
    script.write_text(
        "import sys, urllib.request\n"
        "from trakt_auth.cli.demo.person import Person\n"
        "person = Person('carol')\n"
        "person.visit(sys.argv[1])\n"
        "person.fill_in('username', 'carol')\n"
        f"person.press({decision!r})\n"
        "print('a browser that talks')\n"
    )
    from support.cli_runner import SOURCE

    cli.monkeypatch.setenv("PYTHONPATH", SOURCE)
    cli.monkeypatch.setenv("BROWSER", f"{sys.executable} {script} %s")


@pytest.mark.parametrize("chosen", [True, False])
def test_by_browser(cli, loopback, tmp_path, chosen):
    opener(cli, tmp_path, "allow")
    cli.monkeypatch.setenv("DISPLAY", ":0")
    ran = cli("login", *(["--browser"] if chosen else []))
    assert (ran.status, ran.out) == (0, "")
    assert "Opening this page" in ran.err
    assert "Signed in as carol." in ran.err


def test_a_denial_in_the_browser(cli, loopback, tmp_path):
    opener(cli, tmp_path, "deny")
    assert cli("login", "--browser").status == 4


def test_no_browser(cli, loopback):
    cli.monkeypatch.setattr(login_browser, "open_browser", lambda _: False)
    said = paste(cli, cli.emulator.approve_authorization)
    assert cli("login", "--browser").status == 0
    assert "Signed in as emulator-user." in said.getvalue()


def test_a_bare_code_after_rubbish(cli):
    cli.monkeypatch.setenv("TRAKT_REDIRECT_URI", OOB)

    def code(url):
        return cli.emulator.approve_authorization(url).rpartition("=")[2]

    said = paste(cli, "http://127.0.0.1/?code=x&state=forged", "two words", code)
    assert cli("login", "--browser").status == 0
    assert said.getvalue().count("Paste it again:") == 2


def test_an_address_in_two_lines(cli, loopback):
    halves = []

    def first(url):
        whole = cli.emulator.approve_authorization(url)
        halves[:] = whole[:45], whole[45:]
        return halves[0]

    said = paste(cli, first, lambda _: halves[1])
    assert cli("login", "--no-open").status == 0
    assert said.getvalue().count("only half") == 1


def test_nothing_is_pasted(cli, loopback):
    said = paste(cli)
    assert cli("login", "--no-open").status == 1
    assert "The input ended before" in said.getvalue()


def test_rubbish_three_times(cli):
    cli.monkeypatch.setenv("TRAKT_REDIRECT_URI", OOB)
    said = paste(cli, "two words", "wrongcode", "http://127.0.0.1/?nothing=here", "never read")
    assert cli("login", "--browser").status == 1
    assert said.getvalue().count("Paste it again:") == 2
    assert sys.stdin.left == ["never read"]


def test_the_input_ends(cli, loopback):
    ran = cli.run("login", "--no-open", stdin=subprocess.DEVNULL)
    assert ran.status == 1
    assert ran.err.splitlines()[-2].startswith("trakt-auth: The input ended")


def test_the_port_is_taken(cli, loopback):
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", int(loopback.split(":")[2].split("/")[0])))
        other.listen()
        ran = cli("login", "--browser")
    assert ran.status == 1
    assert "Cannot listen" in ran.err


def test_no_redirect_uri(cli):
    ran = cli("login", "--browser")
    assert ran.status == 2
    assert "TRAKT_REDIRECT_URI" in ran.err


def test_no_interpreter_to_open_a_browser_with(monkeypatch):
    monkeypatch.setattr(login_browser.sys, "executable", "/nowhere/python")
    assert login_browser.open_browser("http://127.0.0.1/") is False


def test_a_frozen_program_starts_no_interpreter(monkeypatch):
    monkeypatch.setattr(login_browser.subprocess, "Popen", None)
    monkeypatch.setattr(login_browser.sys, "frozen", True, raising=False)
    assert login_browser.open_browser("http://127.0.0.1/") is False
    monkeypatch.setattr(login_browser.sys, "frozen", False)
    monkeypatch.setattr(login_browser.sys, "executable", None)
    assert login_browser.open_browser("http://127.0.0.1/") is False


def test_the_browser_runs_no_code_from_here_and_gets_no_secret(tmp_path, monkeypatch):
    (tmp_path / "webbrowser.py").write_text("open('planted', 'w')\ndef open(url): return True\n")
    script = tmp_path / "browser.py"
    script.write_text("import os\nopen('inherited', 'w').write('\\n'.join(os.environ))\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("BROWSER", f"{sys.executable} -I {script} %s")
    hidden = {
        "TRAKT_CLIENT_SECRET", "TRAKT_AUTH_KEY", "TRAKT_AUTH_STORE", "PGPASSWORD", "PGPASSFILE",
        "REDIS_URL", "REDISCLI_AUTH", "DATABASE_URL", "MY_PASSWORD", "GITHUB_TOKEN",
    }  # fmt: skip
    for name in hidden:
        monkeypatch.setenv(name, "secret")
    assert login_browser.open_browser("http://127.0.0.1/") is True
    assert not (tmp_path / "planted").exists()
    inherited = set((tmp_path / "inherited").read_text().split())
    assert inherited & hidden == set()
    assert {"PATH", "PYTHONPATH"} <= inherited


def test_a_browser_that_stays_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(login_browser, "OPENER", "import sys; sys.stdin.read(); sys.stdin.read(); "
                        "import time; time.sleep(0.3)")  # fmt: skip
    monkeypatch.setattr(login_browser, "OPENER_TIMEOUT", 0.01)
    assert login_browser.open_browser("http://127.0.0.1/") is True
    for thread in threading.enumerate():
        if thread.daemon and "wait" in thread.name:
            thread.join()


@pytest.mark.parametrize(
    ("environ", "platform", "likely"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "w"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
        ({"SSH_TTY": "/dev/pts/1", "DISPLAY": ":10"}, "linux", False),
        ({"SSH_CONNECTION": "x"}, "darwin", False),
    ],
)
def test_where_there_is_a_browser(environ, platform, likely):
    assert has_browser(environ, platform) is likely


@pytest.mark.parametrize(
    ("uri", "loopback"),
    [("http://127.0.0.1:1/x", True), ("https://example.org/x", False), (OOB, False), (None, False)],
)
def test_what_is_a_loopback_address(uri, loopback):
    assert is_loopback(uri) is loopback


def test_the_terminal_shows_code_qr_and_countdown(cli):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen_text = Terminal()
    for name, value in {"COLUMNS": "100", "LINES": "40", "TERM": "xterm"}.items():
        cli.monkeypatch.setenv(name, value)
    cli.monkeypatch.setenv("NO_COLOR", "1")
    cli.monkeypatch.setattr("sys.stderr", screen_text)
    assert cli("login", "--device").status == 0
    cli.monkeypatch.undo()
    text = screen_text.getvalue()
    assert "1. Open" in text
    assert qr_lines(f"{cli.url}/activate")[3] in text
    assert "left (Ctrl-C to stop)" in text


def test_a_small_terminal_gets_no_qr_code(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    drawing.show_device("ABCD", "https://trakt.tv/activate")
    assert "█" not in capsys.readouterr().err


def test_a_qr_code_holds_the_text_or_is_left_out():
    lines = qr_lines("https://trakt.tv/activate")
    assert len({len(line) for line in lines}) == 1
    assert qr_lines("x" * 5000) == []


def test_control_characters_from_a_server_move_no_cursor():
    from trakt_auth.cli.terminal.output import clean

    assert clean("a\033[2J\r\nb\u202e") == "a [2J b"
    assert login_device.clean is clean
