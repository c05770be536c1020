"""A user without a home directory, as in containers that run with a user id of no account."""

import pwd

import pytest

from trakt_auth.cli.settings import Settings


@pytest.fixture
def homeless(cli, tmp_path):
    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        cli.monkeypatch.delenv(name, raising=False)
    cli.monkeypatch.setattr(pwd, "getpwuid", unknown)
    work = tmp_path / "work"
    work.mkdir()
    cli.monkeypatch.chdir(work)
    yield cli
    assert list(work.iterdir()) == []


def test_a_named_store_needs_no_home(homeless, tmp_path):
    assert homeless("login").status == 0
    for command in ("token", "refresh", "status", "logout"):
        assert homeless(command).status == 0
    assert homeless("doctor").status in (0, 3)


@pytest.mark.parametrize("command", ["login", "status", "token", "refresh", "logout", "doctor"])
def test_without_a_named_store_one_is_asked_for(homeless, command):
    homeless.monkeypatch.delenv("TRAKT_AUTH_STORE")
    ran = homeless(command)
    assert "TRAKT_AUTH_STORE" in ran.err + ran.out
    assert ran.status == (1 if command == "doctor" else 2)


@pytest.mark.parametrize(
    "url", ["file:~/tokens.json", "sqlite:~/t.db", "file:~nobody-here/t.json", "keyring:"]
)
@pytest.mark.parametrize("command", ["login", "status", "token"])
def test_a_store_in_an_unknown_home_is_wrong_usage(homeless, url, command):
    ran = homeless("--store", url, command)
    assert ran.status == 2
    assert "HOME" in ran.err


def test_the_folder_for_unsaved_tokens_need_not_be_usable(cli, tmp_path):
    state = tmp_path / "a file"
    state.write_text("")
    cli.monkeypatch.setenv("XDG_STATE_HOME", str(state / "below"))
    cli.sign_in()
    assert Settings().open_fallback() is None
    assert cli("status").status == 0
    assert cli("refresh").status == 0
