"""The fixture `cli`, and what holds for the output of every command: no secret, no traceback.

`CliRunner` itself is in `support.cli_runner`.
"""

import os

import pytest

from support.cli_runner import ApprovingEmulator, CliRunner
from trakt_auth.testing import VirtualClock


@pytest.fixture
def emulator():
    return ApprovingEmulator()


@pytest.fixture
def cli(emulator, tmp_path, capsys, monkeypatch):
    with emulator.serving() as url:
        for name in list(os.environ):
            if name.startswith(("TRAKT_", "SSH_", "DISPLAY", "WAYLAND", "BROWSER")):
                monkeypatch.delenv(name)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("TRAKT_CLIENT_ID", "emulator")
        monkeypatch.setenv("TRAKT_AUTH_URL", url)
        monkeypatch.setenv("TRAKT_API_URL", url)
        file = tmp_path / "kept" / "tokens.json"
        monkeypatch.setenv("TRAKT_AUTH_STORE", f"file:{file}")
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        # A wait between two polls passes at once; programs of their own have the real clock.
        monkeypatch.setattr(
            "trakt_auth.client.base.SystemClock", lambda: VirtualClock(emulator.clock)
        )
        cli = CliRunner(emulator, url, file, capsys, monkeypatch)
        yield cli
    for ran in cli.ran:
        said = ran.err + ("" if ran.out.strip() in emulator.secrets else ran.out)
        assert not any(secret in said for secret in emulator.secrets)
        assert "\033" not in said
        assert "Traceback" not in said
