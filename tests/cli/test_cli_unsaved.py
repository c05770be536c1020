"""A token that could not be saved outlives the command, and is shown until it is saved."""

import json

import pytest

from trakt_auth import StoreUnavailable
from trakt_auth.stores.file import FileStore
from trakt_auth.stores.record import Record


@pytest.fixture
def broken(cli, monkeypatch):
    """Let the token file fail once a refresh was answered, until the list is emptied."""
    cli.sign_in()
    monkeypatch.setattr("trakt_auth.flows.saving.SAVE_PAUSES", ())
    really, failing = FileStore.save, []

    def save(self, *args, **kwargs):
        if failing and self.path == str(cli.file):
            raise StoreUnavailable(f"The token file {self.path} cannot be written: no space left")
        return really(self, *args, **kwargs)

    monkeypatch.setattr(FileStore, "save", save)
    respond, first = cli.emulator.process, [1]

    def answered(request, **options):
        try:
            return respond(request, **options)
        finally:
            if ("/oauth/token" in request.url or "/device/token" in request.url) and first:
                failing.append(first.pop())

    monkeypatch.setattr(cli.emulator, "process", answered)
    return failing


def test_an_unsaved_token_is_shown_and_saved_by_the_next_command(cli, broken, tmp_path):
    before = cli.file.read_bytes()
    ran = cli("refresh")
    assert ran.status == 1
    assert "could not be saved" in ran.err
    assert "saved at the next use" in ran.err
    (unsaved,) = (tmp_path / "state").glob("*/unsaved-*.json")
    assert unsaved.stat().st_mode & 0o777 == 0o600

    (account,) = json.loads(cli("status", "--json").out)["accounts"]
    assert account["unsaved"] is True
    assert "the newest token could not be saved in this store yet" in cli("status").out
    assert "could not be saved in the store yet" in cli("doctor", "--offline").out
    assert cli("refresh").status != 0  # not refreshed again while it cannot be saved

    broken.clear()
    assert cli("refresh").status == 0
    assert cli.file.read_bytes() != before
    assert Record.from_stored(FileStore(str(cli.file)).load(cli.key())).attempt is None
    (account,) = json.loads(cli("status", "--json").out)["accounts"]
    assert account["unsaved"] is False
    assert cli.emulator.state()["tokens"]["most_arrivals_of_one_refresh_token"] == 1


def test_the_next_token_is_the_unsaved_one(cli, broken):
    old = cli("token").out
    assert cli("refresh").status == 1
    assert "trakt-auth refresh" in cli("doctor", "--offline").out
    ran = cli("export", "-")
    assert (ran.status, ran.out) == (1, "")
    assert "could not be saved yet" in ran.err
    assert "trakt-auth refresh" in ran.err
    broken.clear()
    new = cli("token").out
    assert new not in ("", old)
    (account,) = json.loads(cli("status", "--json").out)["accounts"]
    assert account["unsaved"] is False


def test_a_new_login_replaces_the_unsaved_token(cli, broken, tmp_path):
    assert cli("refresh").status == 1
    broken.clear()
    assert cli("login", "--device").status == 0
    (account,) = json.loads(cli("status", "--json").out)["accounts"]
    assert account["unsaved"] is False
    assert cli("export", str(tmp_path / "moved.json")).status == 0


def test_an_unsaved_first_login_is_shown(cli, broken, tmp_path):
    assert cli("logout").status == 0
    assert cli("login", "--device").status == 1
    assert broken
    (account,) = json.loads(cli("status", "--json").out)["accounts"]
    assert (account["state"], account["unsaved"]) == ("signed_in", True)
    ran = cli("export", str(tmp_path / "moved.json"))
    assert "could not be saved yet" in ran.err


def test_signing_out_deletes_the_unsaved_token(cli, broken):
    assert cli("refresh").status == 1
    broken.clear()
    assert cli("logout").status == 0
    (report,) = [json.loads(cli("status", "--json").out)]
    assert report["accounts"] == []
    assert cli("token").status == 3


def test_each_store_has_its_own_file_of_unsaved_tokens(cli, broken, tmp_path):
    """An unsaved token of one store is never saved in another."""
    assert cli("refresh").status == 1
    report = json.loads(cli("--store", f"file:{tmp_path}/other", "status", "--json").out)
    assert report["accounts"] == []
