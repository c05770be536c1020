"""`export`: formats, private files, what is never overwritten, and logins that are not exported."""

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trakt_auth.cli.commands import export as move_out
from trakt_auth.stores.file import FileStore
from trakt_auth.stores.record import AccountKey, Attempt, Outcome, Record


def exported(desk, *arguments):
    """Run `export` to stdout; its output holds secrets, as it should, and stderr holds none."""
    ran = desk("export", *arguments)
    assert not any(secret in ran.err for secret in desk.trakt.secrets)
    desk.ran.pop()
    return ran


def note(desk, token, outcome, lost=False):
    now = datetime.now(UTC)
    attempt = Attempt(outcome=outcome, started_at=now, lost_at=now if lost else None, reason="why")
    with desk.client() as client:
        client._store.save(
            AccountKey("emulator", "default"),
            Record(token=token, attempt=attempt).to_payload(),
            expires_at=token.expires_at,
            replacing=None,
        )


def test_stdout_holds_all_accounts_and_stderr_warns(desk):
    tokens = {name: desk.sign_in(name) for name in ("default", "work")}
    ran = exported(desk)
    assert ran.status == 0
    content = json.loads(ran.out)
    assert content["client_id"] == "emulator"
    assert [one["account"] for one in content["accounts"]] == list(tokens)
    assert [one["access_token"] for one in content["accounts"]] == [
        token.access_token for token in tokens.values()
    ]
    assert "holds secrets" in ran.err
    assert "when two programs refresh, the login ends" in ran.err
    assert not desk.trakt.log
    (one,) = json.loads(exported(desk, "-", "--account", "work").out)["accounts"]
    assert one["account"] == "work"


@pytest.mark.parametrize("kind", ["pytrakt", "trakt.py", "response"])
def test_formats_of_others_come_back(desk, tmp_path, kind):
    desk.monkeypatch.setenv("TRAKT_CLIENT_SECRET", "emulator-secret")
    token = desk.sign_in()
    file = tmp_path / "out.json"
    assert desk("export", str(file), "--format", kind).status == 0
    content = json.loads(file.read_text())
    assert token.access_token in content.values()
    assert ("emulator-secret" in content.values()) == (kind == "pytrakt")
    desk.file.unlink()
    assert desk("import", str(file)).status == 0
    assert desk("token").out == f"{token.access_token}\n"


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_is_private_from_birth(desk, tmp_path, replace):
    desk.sign_in()
    file, seen = tmp_path / "out.json", []
    if replace:
        file.write_text("old")
        file.chmod(0o644)
    real = os.open

    def spy(path, flags, mode=0o777, **more):
        if "out.json" in str(path):
            seen.append((flags & os.O_EXCL != 0, mode))
        return real(path, flags, mode, **more)

    desk.monkeypatch.setattr(move_out.os, "open", spy)
    before = os.umask(0)
    try:
        ran = desk("export", str(file), *(["--replace"] if replace else []))
    finally:
        os.umask(before)
    assert (ran.status, ran.out) == (0, "")
    assert seen == [(True, 0o600)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["trakt-auth-export"] == 1
    assert [one.name for one in tmp_path.glob("out*")] == ["out.json"]


def test_nothing_is_overwritten(desk, tmp_path):
    desk.sign_in()
    file = tmp_path / "out.json"
    file.write_text("precious")
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "elsewhere.json")
    ran = desk("export", str(file))
    assert (ran.status, file.read_text()) == (1, "precious")
    assert "--replace" in ran.err
    assert desk("export", str(link)).status == 1
    assert not (tmp_path / "elsewhere.json").exists()


@pytest.mark.parametrize("name", ["", "/dev/null", "nowhere/out.json", "a\0b"])
@pytest.mark.parametrize("more", [[], ["--replace"]])
def test_a_place_that_cannot_be_written(desk, tmp_path, name, more):
    desk.sign_in()
    target = name if name.startswith("/") else f"{tmp_path}/{name}"
    ran = desk("export", target, *more)
    assert (ran.status, ran.out) == (1, "")
    assert len(ran.err.splitlines()) == 2
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("replace", [False, True])
def test_a_failure_leaves_no_half(desk, tmp_path, replace):
    desk.sign_in()
    file = tmp_path / "out.json"
    if replace:
        file.write_text("precious")

    def full(_):
        raise OSError(28, "No space left on device")

    with desk.monkeypatch.context() as patch:
        patch.setattr(move_out.os, "fsync", full)
        ran = desk("export", str(file), *(["--replace"] if replace else []))
    assert ran.status == 1
    assert "No space left on device" in ran.err
    assert [one.read_text() for one in tmp_path.glob("out*")] == ["precious"] * replace


@pytest.mark.parametrize("kind", ["trakt-auth", "response"])
def test_nobody(desk, kind):
    ran = desk("export", "--format", kind)
    assert (ran.status, ran.out) == (3, "")
    assert desk("export", "--account", "nobody").status == 3


def test_a_dead_login_is_left_out(desk):
    note(desk, desk.sign_in(), Outcome.REFUSED)
    desk.sign_in("bare", ago=2, refresh=False)
    assert desk("export").status == 3
    desk.sign_in("work")
    ran = exported(desk)
    assert [one["account"] for one in json.loads(ran.out)["accounts"]] == ["work"]
    assert ran.err.count("Left out: ") == 2
    assert desk("export", "--account", "default").status == 3


@pytest.mark.parametrize(
    ("outcome", "lost"), [(Outcome.UNKNOWN, True), (Outcome.BEGUN, False), (Outcome.FAILED, False)]
)
def test_a_refresh_token_that_may_be_spent(desk, outcome, lost):
    note(desk, desk.sign_in(), outcome, lost)
    ran = exported(desk)
    assert ran.status == 0
    assert ("may be spent" in ran.err) == (outcome is not Outcome.FAILED)


def test_not_while_somebody_refreshes(desk):
    desk.sign_in()
    with desk.client() as client:
        lock = client._store.lock(AccountKey("emulator", "default"))
        assert lock.acquire()
        ran = desk("export")
        lock.release()
    assert (ran.status, ran.out) == (1, "")
    assert "being refreshed by another program" in ran.err


def test_not_while_a_newer_token_waits_to_be_saved(desk):
    desk.sign_in()
    desk.monkeypatch.setattr("trakt_auth.client.sync.Client.unsaved", lambda self: ["default"])
    ran = desk("export")
    assert (ran.status, ran.out) == (1, "")
    assert "could not be saved yet" in ran.err


def test_a_login_that_ends_meanwhile(desk):
    desk.sign_in()
    found = []

    def load(self, key):
        found.append(real(self, key))
        return found[-1] if len(found) == 1 else None

    real = FileStore.load
    desk.monkeypatch.setattr(FileStore, "load", load)
    assert desk("export", "--account", "default").status == 3
    assert found[0] is not None


def test_an_expired_login_moves_and_is_refreshed_there(desk, tmp_path):
    desk.sign_in(ago=2)
    file = str(tmp_path / "moving.json")
    assert desk("export", file).status == 0
    desk.file.unlink()
    assert desk("import", file).status == 0
    assert desk.trakt.state()["tokens"]["rotations"] == 1
    left = json.loads(desk("status", "--json").out)["accounts"][0]["expires_in"]
    assert left > timedelta(days=6).total_seconds()


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_the_store_itself_is_never_overwritten(desk, scheme, tmp_path):
    path = tmp_path / "own"
    desk.monkeypatch.setenv("TRAKT_AUTH_STORE", f"{scheme}:{path}")
    assert desk("login", "--device").status == 0
    (tmp_path / "link").symlink_to(path)
    before = path.read_bytes()
    for name in ("own", "link"):
        ran = desk("export", str(tmp_path / name), "--replace")
        assert ran.status == 2
        assert "is the store itself" in ran.err
    assert path.read_bytes() == before
    assert desk("status").status == 0


def test_logins_that_have_all_ended(desk, tmp_path):
    desk.sign_in(ago=2, refresh=False)
    ran = desk("export", str(tmp_path / "moved.json"))
    assert ran.status == 3
    assert "no login here works any more" in ran.err
