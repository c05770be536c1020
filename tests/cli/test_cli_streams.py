"""A command whose standard streams are closed, and one whose terminal is gone."""

import signal

from trakt_auth.cli import main
from trakt_auth.cli.app import SIGNALS
from trakt_auth.cli.terminal.output import write_result


def test_no_stdout_is_a_failure_and_no_traceback(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", None)
    assert write_result("token") == 1
    assert "stdout is closed" in capsys.readouterr().err


def test_no_stdin_is_the_end_of_input(monkeypatch, capsys):
    monkeypatch.setenv("TRAKT_CLIENT_ID", "emulator")
    monkeypatch.setattr("sys.stdin", None)
    assert main(["--store", "memory:", "api", "POST", "/x", "--data", "-"]) == 2
    assert "--data is not JSON" in capsys.readouterr().err


def test_the_signal_of_a_closed_terminal_is_handled():
    assert SIGNALS[signal.SIGHUP]
