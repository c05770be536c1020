"""`status`: states, words and JSON, and stores that are broken."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from trakt_auth.cli.commands.status_text import span
from trakt_auth.stores.record import Attempt, Outcome, Record, pause_to


def note(cli, attempt, token, account="default"):
    with cli.client() as client:
        client._store.save(
            cli.key(account),
            Record(token=token, attempt=attempt).to_payload(),
            expires_at=token.expires_at,
            replacing=None,
        )


def state_of(cli, account="default"):
    return json.loads(cli("status", "--json", "--account", account).out)["accounts"][0]


def test_no_login(cli):
    ran = cli("status")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("Not signed in.")
    assert f"store     {cli.store}" in ran.out


def test_an_account_without_a_login(cli):
    ran = cli("status", "--account", "missing")
    assert ran.status == 3
    assert "login required" in ran.out


def test_all_accounts(cli):
    cli.sign_in()
    cli.sign_in("work", ago=0.8)
    cli.sign_in("old", ago=2)
    cli.sign_in("bare", ago=2, refresh=False)
    ran = cli("status")
    assert ran.status == 0
    words = [line.split(maxsplit=1)[1] for line in ran.out.splitlines() if line[:5] == "state"]
    assert words == [
        "login required",
        "signed in",
        "expired; the next use refreshes it",
        "signed in, refresh is due",
    ]
    assert "expires   7 days ago" in ran.out
    assert "refresh   due now" in ran.out
    assert "there is no refresh token" in ran.out
    assert "\033" not in ran.out


def test_json(cli):
    token = cli.sign_in()
    ran = cli.run("status", "--json")
    assert (ran.status, ran.err) == (0, "")
    report = json.loads(ran.out)
    assert list(report) == [
        "client_id",
        "issuer",
        "store",
        "store_reason",
        "key",
        "paused_until",
        "accounts",
    ]
    (account,) = report["accounts"]
    assert list(account) == [
        "account",
        "state",
        "reason",
        "refreshable",
        "created_at",
        "expires_at",
        "expires_in",
        "refresh_due_at",
        "last_refresh",
        "unsaved",
    ]
    assert account["state"] == "signed_in"
    assert account["refreshable"] is True
    assert account["expires_at"].endswith("Z")
    told = datetime.fromisoformat(account["expires_at"])
    assert abs(told - token.expires_at) < timedelta(seconds=1)
    assert 0 <= token.lifetime.total_seconds() - account["expires_in"] < 60


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_last_refresh(cli, outcome):
    now = datetime.now(UTC)
    attempt = Attempt(
        outcome=outcome,
        started_at=now - timedelta(minutes=1),
        failures=2,
        retry_at=now + timedelta(minutes=5) if outcome is Outcome.FAILED else None,
        reason="Trakt is unavailable (503)",
    )
    note(cli, attempt, cli.sign_in(ago=0.8))
    said = state_of(cli)
    assert said["last_refresh"]["outcome"] == outcome.value
    assert said["last_refresh"]["failures"] == 2
    assert said["state"] == ("login_required" if outcome is Outcome.REFUSED else "due")
    text = cli("status").out
    assert "last try" in text
    assert ("next try" in text) == (outcome is Outcome.FAILED)
    assert "Trakt is unavailable (503)" in text


def test_a_pause_that_trakt_asked_for(cli):
    cli.sign_in()
    with cli.client() as client:
        until = datetime.now(UTC) + timedelta(minutes=5)
        client._store.save(cli.key(""), pause_to(until), expires_at=None, replacing=None)
    assert "Trakt asked to wait until" in cli("status").out
    assert json.loads(cli("status", "--json").out)["paused_until"].endswith("Z")


def test_a_password_in_the_store_is_not_shown(cli):
    from trakt_auth.cli.settings import Settings

    shown = Settings(store="postgresql://me:secret@host/db").store_shown()
    assert shown == "postgresql://...@host/db"
    assert Settings(store="file:/home/me@work/x").store_shown() == "file:/home/me@work/x"


def test_trakt_is_the_default_server():
    from trakt_auth.cli.settings import Settings

    assert Settings(environ={}).endpoints() is None
    one = Settings(environ={"TRAKT_API_URL": "http://127.0.0.1:1"}).endpoints()
    assert (one.auth, one.api) == ("https://auth.trakt.tv", "http://127.0.0.1:1")


def test_the_default_store_without_a_keychain(cli):
    cli.monkeypatch.delenv("TRAKT_AUTH_STORE")
    cli.monkeypatch.setenv("XDG_DATA_HOME", "/data")
    cli.monkeypatch.setattr("sys.platform", "linux")
    from keyring.backends.fail import Keyring as Fail

    from support.keychains import installed
    from trakt_auth.cli.settings import Settings

    with installed(Fail()):
        assert Settings().store_url().startswith("file:")
        assert Settings().store_url().endswith("tokens.json")


BROKEN = {
    "corrupt": ("not json", 1),
    "newer": (json.dumps({"trakt-auth": 99}), 1),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("command", ["status", "token", "refresh", "logout"])
def test_a_file_that_cannot_be_read(cli, kind, command):
    text, status = BROKEN[kind]
    cli.file.parent.mkdir()
    cli.file.write_text(text)
    ran = cli(command)
    assert ran.status == status
    assert ran.out == ""
    assert len(ran.err.splitlines()) == 2
    assert cli.file.read_text() == text


def test_a_store_that_does_not_exist(cli):
    ran = cli("status", "--store", "nonsense:x")
    assert ran.status == 2
    assert "nonsense" in ran.err


def test_the_terminal_gets_colours_unless_it_asks_for_none(cli):
    from trakt_auth.cli.commands import status_text

    class Terminal:
        def isatty(self):
            return True

    cli.monkeypatch.setattr(status_text.sys, "stdout", Terminal())
    cli.monkeypatch.setenv("TERM", "xterm")
    cli.monkeypatch.delenv("NO_COLOR", raising=False)
    assert status_text._painted("x", "31") == "\033[31mx\033[0m"
    cli.monkeypatch.setenv("NO_COLOR", "1")
    assert status_text._painted("x", "31") == "x"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (1, "1 second"), (3661, "1 hour 1 minute"), (604800, "7 days")],
)
def test_spans(seconds, words):
    assert span(seconds) == words
