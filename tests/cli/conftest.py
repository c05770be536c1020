"""The fixtures of the command line's tests, and what holds for the output of every command.

Nothing else lives here; the desk itself is in `cli_desk`.
pytest imports this file.
"""

import os

import pytest

from support.cli_runner import Desk, Trakt
from trakt_auth.testing import VirtualClock


@pytest.fixture
def trakt():
    return Trakt()


@pytest.fixture
def desk(trakt, tmp_path, capsys, monkeypatch):
    with trakt.serving() as url:
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
            "trakt_auth.runtime.clock.SystemClock", lambda: VirtualClock(trakt.clock)
        )
        desk = Desk(trakt, url, file, capsys, monkeypatch)
        yield desk
    for ran in desk.ran:
        said = ran.err + ("" if ran.out.strip() in trakt.secrets else ran.out)
        assert not any(secret in said for secret in trakt.secrets)
        assert "\033" not in said
        assert "Traceback" not in said
