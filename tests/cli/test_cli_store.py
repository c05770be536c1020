"""The default store: a keychain, a file, or the one that was used before."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from keyring.backends.fail import Keyring as Fail
from keyring.errors import KeyringLocked

from support.cli_runner import SOURCE
from support.keychains import Keychain, installed
from trakt_auth.cli.settings import Settings


@pytest.fixture
def home(cli, tmp_path):
    """Name no store, and use a private data folder."""
    cli.monkeypatch.delenv("TRAKT_AUTH_STORE")
    cli.monkeypatch.setattr("platformdirs.user_data_dir", lambda *_, **__: str(tmp_path / "data"))
    cli.monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    cli.monkeypatch.setattr(sys, "platform", "linux")
    return tmp_path / "data"


@pytest.fixture
def chain():
    with installed(Keychain()) as chain:
        yield chain


def status(cli):
    return json.loads(cli("status", "--json").out)


def test_the_keychain_where_one_answers(cli, home, chain):
    report = status(cli)
    assert report["store"] == "keyring:"
    assert report["store_reason"] == "an OS keychain answers: Test Keychain"
    assert not home.exists()  # `status` creates nothing
    ran = cli("login", "--device")
    assert ran.status == 0
    assert "is stored in keyring:" in ran.err
    assert not (home / "tokens.json").exists()
    assert any("access_token" in text for text in chain.entries.values())
    assert cli("token").status == 0
    assert status(cli)["store_reason"] == "tokens were kept in the OS keychain before"
    assert status(cli)["accounts"][0]["state"] == "signed_in"
    assert cli("refresh").status == 0
    assert cli("logout").status == 0
    assert not any("access_token" in text for text in chain.entries.values())


def test_a_file_where_none_answers(cli, home):
    with installed(Fail()):
        report = status(cli)
        assert report["store"] == f"file:{home}/tokens.json"
        assert report["store_reason"] == "no OS keychain answers: no D-Bus session"
        text = cli("status").out
        assert f"store     file:{home}/tokens.json" in text
        assert "no OS keychain answers: no D-Bus session" in text
        assert cli("login", "--device").status == 0
        assert (home / "tokens.json").stat().st_mode & 0o777 == 0o600


def test_an_upgrade_keeps_the_login(cli, home, chain):
    with installed(Fail()):
        assert cli("login", "--device").status == 0
        token = cli("token").out
    report = status(cli)  # now a keychain answers
    assert report["store"] == f"file:{home}/tokens.json"
    assert report["store_reason"] == "there is a token file already"
    assert cli("token").out == token
    assert chain.entries == {}


def test_a_login_without_a_desktop_does_not_look_elsewhere(cli, home, chain):
    assert cli("login", "--device").status == 0
    with installed(Fail()):
        ran = cli("token")
        assert (ran.status, ran.out) == (1, "")
        assert "No OS keychain answers: no D-Bus session" in ran.err
        assert "--store file:PATH" in ran.err
        assert cli("login", "--device").status == 1
    assert not (home / "tokens.json").exists()
    assert cli("token").status == 0


def test_a_locked_keychain_is_reported_before_the_person_is_asked(cli, home, chain):
    def locked(*_):
        raise KeyringLocked

    cli.monkeypatch.setattr(chain, "get_password", locked)
    ran = cli("login", "--device")
    assert ran.status == 1
    assert "locked" in ran.err
    assert "Unlock" in ran.err
    assert "/oauth/device/code" not in cli.emulator.state()["requests"]


def test_a_store_that_is_named_is_used(cli, home, chain, tmp_path):
    for how in ("option", "variable"):
        url = f"file:{tmp_path}/{how}"
        if how == "variable":
            cli.monkeypatch.setenv("TRAKT_AUTH_STORE", url)
        report = json.loads(cli("status", "--json", *(["--store", url] * (how == "option"))).out)
        assert report["store"] == url
        named = "--store" if how == "option" else "TRAKT_AUTH_STORE"
        assert report["store_reason"] == f"named by {named}"


def test_without_the_library_it_is_a_file(cli, home):
    cli.monkeypatch.setitem(sys.modules, "keyring", None)
    url, why = Settings().store_choice()
    assert url == f"file:{home}/tokens.json"
    assert why == "no OS keychain answers: the library keyring is not installed"


def run(program, environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=False,
        env={"PYTHONPATH": SOURCE, "TRAKT_CLIENT_ID": "emulator", "PATH": os.environ["PATH"],
             **environment},
    )  # fmt: skip


FAST_PATH = (
    "import sys; from trakt_auth.cli import main; main(['token']);"
    "print(*sorted(sys.modules), file=sys.stderr)"
)


def test_a_fresh_token_in_the_default_file_loads_neither_keychain_nor_cipher(cli, tmp_path):
    token = cli.sign_in()
    folder = tmp_path / "share" / "trakt-auth"
    folder.mkdir(parents=True)
    (folder / "tokens.json").write_bytes(cli.file.read_bytes())
    done = run(
        FAST_PATH,
        {
            "XDG_DATA_HOME": str(tmp_path / "share"),
            "HOME": str(tmp_path),
            "TRAKT_AUTH_URL": cli.url,
        },
    )
    assert done.stdout == f"{token.access_token}\n"
    loaded = set(done.stderr.split())
    assert not loaded & {"keyring", "cryptography", "click", "rich", "httpx2", "filelock"}
    assert "trakt_auth.stores.keyring" not in loaded


def test_a_machine_without_a_desktop(tmp_path):
    program = (
        "from trakt_auth.cli.settings import Settings;"
        "url, why = Settings().store_choice(); print(url); print(why)"
    )
    done = run(program, {"XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)})
    url, why = done.stdout.splitlines()
    if sys.platform == "linux":
        assert url == f"file:{tmp_path}/trakt-auth/tokens.json"
        assert why == "no OS keychain answers: no D-Bus session"


def test_only_a_key_loads_the_cryptography_library(cli, tmp_path):
    token = cli.sign_in()
    key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    done = run(
        FAST_PATH, {"TRAKT_AUTH_STORE": cli.store, "TRAKT_AUTH_KEY": key, "TRAKT_AUTH_URL": cli.url}
    )
    assert done.stdout == f"{token.access_token}\n"
    loaded = set(done.stderr.split())
    assert "cryptography" in loaded
    assert not loaded & {"keyring", "click", "rich", "httpx2"}
    assert Path(cli.file).exists()


@pytest.mark.parametrize("command", [["login", "--device"], ["import", "moved.json"]])
def test_no_login_in_a_store_in_memory(cli, command):
    ran = cli("--store", "memory:", *command)
    assert (ran.status, ran.out) == (2, "")
    assert "loses the login when this command ends" in ran.err
    assert not cli.emulator.state()["requests"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TRAKT_CLIENT_ID", "two\nlines", "TRAKT_CLIENT_ID is empty or holds"),
        ("TRAKT_CLIENT_SECRET", "two\nlines", "TRAKT_CLIENT_SECRET is empty or holds"),
        ("TRAKT_USER_AGENT", "Mozilla/5.0", "TRAKT_USER_AGENT imitates a browser"),
        ("TRAKT_AUTH_URL", "nonsense", "TRAKT_AUTH_URL is not the URL of a server"),
        ("TRAKT_API_URL", "http://api.trakt.tv", "TRAKT_API_URL is http:// to another computer"),
    ],
)
def test_errors_name_the_variable(cli, name, value, words):
    cli.monkeypatch.setenv(name, value)
    ran = cli("refresh")
    assert ran.status == 2
    assert words in ran.err
    for word in ("client_id", "client_secret", "user_agent", "argument"):
        assert word not in ran.err


def test_a_key_file_without_a_key(cli, tmp_path):
    cli.monkeypatch.setenv("TRAKT_AUTH_KEY_FILE", os.devnull)
    ran = cli("status")
    assert ran.status == 2
    assert f"TRAKT_AUTH_KEY_FILE {os.devnull} is not a file" in ran.err
    empty = tmp_path / "key"
    empty.touch(0o600)
    cli.monkeypatch.setenv("TRAKT_AUTH_KEY_FILE", str(empty))
    assert "TRAKT_AUTH_KEY_FILE is set but holds no key" in cli("status").err
