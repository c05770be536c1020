"""A token that the store could not take outlives the command, and is shown until it is saved."""

import json

import pytest

from trakt_auth import StoreUnavailable
from trakt_auth.stores.file import FileStore
from trakt_auth.stores.record import AccountKey, Record

KEY = AccountKey("emulator", "default")


@pytest.fixture
def broken(desk, monkeypatch):
    """Let the main file fail from the answer on, until it is mended."""
    desk.sign_in()
    monkeypatch.setattr("trakt_auth.flows.saving.SAVE_PAUSES", ())
    really, failing = FileStore.save, []

    def save(self, *args, **kwargs):
        if failing and self.path == str(desk.file):
            raise StoreUnavailable(f"The token file {self.path} cannot be written: no space left")
        return really(self, *args, **kwargs)

    monkeypatch.setattr(FileStore, "save", save)
    respond, first = desk.trakt.respond, [1]

    def answered(request, **options):
        try:
            return respond(request, **options)
        finally:
            if "/oauth/token" in request.url and first:
                failing.append(first.pop())

    monkeypatch.setattr(desk.trakt, "respond", answered)
    return failing


def test_a_pair_is_put_aside_shown_and_saved_by_the_next_command(desk, broken, tmp_path):
    before = desk.file.read_bytes()
    ran = desk("refresh")
    assert ran.status == 1
    assert "could not be saved" in ran.err
    assert "saved at the next use" in ran.err
    (aside,) = (tmp_path / "state").glob("*/unsaved-*.json")
    assert aside.stat().st_mode & 0o777 == 0o600

    (account,) = json.loads(desk("status", "--json").out)["accounts"]
    assert account["unsaved"] is True
    assert "put aside until the store takes it" in desk("status").out
    assert "waits to be saved" in desk("doctor", "--offline").out
    assert (
        desk("refresh").status != 0
    )  # the newest is served, and not spent while it cannot be kept

    broken.clear()
    assert desk("refresh").status == 0
    assert desk.file.read_bytes() != before
    assert Record.from_stored(FileStore(str(desk.file)).load(KEY)).attempt is None
    (account,) = json.loads(desk("status", "--json").out)["accounts"]
    assert account["unsaved"] is False
    assert desk.trakt.state()["tokens"]["most_arrivals_of_one_refresh_token"] == 1


def test_the_next_token_is_the_one_that_was_put_aside(desk, broken):
    old = desk("token").out
    assert desk("refresh").status == 1
    assert "trakt-auth refresh" in desk("doctor", "--offline").out
    ran = desk("export", "-")
    assert (ran.status, ran.out) == (1, "")
    assert "could not be saved yet" in ran.err
    assert "trakt-auth refresh" in ran.err
    broken.clear()
    new = desk("token").out
    assert new not in ("", old)
    (account,) = json.loads(desk("status", "--json").out)["accounts"]
    assert account["unsaved"] is False


def test_a_new_login_takes_the_place_of_what_was_put_aside(desk, broken, tmp_path):
    assert desk("refresh").status == 1
    broken.clear()
    assert desk("login", "--device").status == 0
    (account,) = json.loads(desk("status", "--json").out)["accounts"]
    assert account["unsaved"] is False
    assert desk("export", str(tmp_path / "moved.json")).status == 0


def test_a_first_login_that_was_put_aside_is_shown(desk, broken, tmp_path):
    assert desk("logout").status == 0
    broken.append(1)
    assert desk("login", "--device").status == 1
    (account,) = json.loads(desk("status", "--json").out)["accounts"]
    assert (account["state"], account["unsaved"]) == ("signed_in", True)
    ran = desk("export", str(tmp_path / "moved.json"))
    assert "could not be saved yet" in ran.err


def test_signing_out_forgets_what_was_put_aside(desk, broken):
    assert desk("refresh").status == 1
    broken.clear()
    assert desk("logout").status == 0
    (report,) = [json.loads(desk("status", "--json").out)]
    assert report["accounts"] == []
    assert desk("token").status == 3


def test_each_store_has_its_own(desk, broken, tmp_path):
    """What was put aside for one store never turns up in another."""
    assert desk("refresh").status == 1
    report = json.loads(desk("--store", f"file:{tmp_path}/other", "status", "--json").out)
    assert report["accounts"] == []
