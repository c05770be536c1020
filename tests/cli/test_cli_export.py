"""`export`: formats, private files, what is never overwritten, and logins that are not exported."""

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trakt_auth.cli.commands import export
from trakt_auth.stores.file import FileStore
from trakt_auth.stores.record import Attempt, Outcome, Record


def exported(cli, *arguments):
    """Run `export` to stdout, which holds secrets; check that stderr holds none."""
    ran = cli("export", *arguments)
    assert not any(secret in ran.err for secret in cli.emulator.secrets)
    cli.ran.pop()
    return ran


def note(cli, token, outcome, lost=False):
    now = datetime.now(UTC)
    attempt = Attempt(outcome=outcome, started_at=now, lost_at=now if lost else None, reason="why")
    with cli.client() as client:
        client._store.save(
            cli.key(),
            Record(token=token, attempt=attempt).to_payload(),
            expires_at=token.expires_at,
            replacing=None,
        )


def test_stdout_holds_all_accounts_and_stderr_warns(cli):
    tokens = {name: cli.sign_in(name) for name in ("default", "work")}
    ran = exported(cli)
    assert ran.status == 0
    content = json.loads(ran.out)
    assert content["client_id"] == "emulator"
    assert [one["account"] for one in content["accounts"]] == list(tokens)
    assert [one["access_token"] for one in content["accounts"]] == [
        token.access_token for token in tokens.values()
    ]
    assert "contains secrets" in ran.err
    assert "if two programs refresh, the login ends" in ran.err
    assert not cli.emulator.log
    (one,) = json.loads(exported(cli, "-", "--account", "work").out)["accounts"]
    assert one["account"] == "work"


@pytest.mark.parametrize("kind", ["pytrakt", "trakt.py", "response"])
def test_formats_of_others_come_back(cli, tmp_path, kind):
    cli.monkeypatch.setenv("TRAKT_CLIENT_SECRET", "emulator-secret")
    token = cli.sign_in()
    file = tmp_path / "out.json"
    assert cli("export", str(file), "--format", kind).status == 0
    content = json.loads(file.read_text())
    assert token.access_token in content.values()
    assert ("emulator-secret" in content.values()) == (kind == "pytrakt")
    cli.file.unlink()
    assert cli("import", str(file)).status == 0
    assert cli("token").out == f"{token.access_token}\n"


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_is_private_from_birth(cli, tmp_path, replace):
    cli.sign_in()
    file, seen = tmp_path / "out.json", []
    if replace:
        file.write_text("old")
        file.chmod(0o644)
    real = os.open

    def spy(path, flags, mode=0o777, **more):
        if "out.json" in str(path):
            seen.append((flags & os.O_EXCL != 0, mode))
        return real(path, flags, mode, **more)

    cli.monkeypatch.setattr(export.os, "open", spy)
    before = os.umask(0)
    try:
        ran = cli("export", str(file), *(["--replace"] if replace else []))
    finally:
        os.umask(before)
    assert (ran.status, ran.out) == (0, "")
    assert seen == [(True, 0o600)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["trakt-auth-export"] == 1
    assert [one.name for one in tmp_path.glob("out*")] == ["out.json"]


def test_nothing_is_overwritten(cli, tmp_path):
    cli.sign_in()
    file = tmp_path / "out.json"
    file.write_text("precious")
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "elsewhere.json")
    ran = cli("export", str(file))
    assert (ran.status, file.read_text()) == (1, "precious")
    assert "--replace" in ran.err
    assert cli("export", str(link)).status == 1
    assert not (tmp_path / "elsewhere.json").exists()


@pytest.mark.parametrize("name", ["", "/dev/null", "nowhere/out.json", "a\0b"])
@pytest.mark.parametrize("more", [[], ["--replace"]])
def test_a_place_that_cannot_be_written(cli, tmp_path, name, more):
    cli.sign_in()
    target = name if name.startswith("/") else f"{tmp_path}/{name}"
    ran = cli("export", target, *more)
    assert (ran.status, ran.out) == (1, "")
    assert len(ran.err.splitlines()) == 2
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("replace", [False, True])
def test_a_failure_leaves_no_partial_file(cli, tmp_path, replace):
    cli.sign_in()
    file = tmp_path / "out.json"
    if replace:
        file.write_text("precious")

    def full(_):
        raise OSError(28, "No space left on device")

    with cli.monkeypatch.context() as patch:
        patch.setattr(export.os, "fsync", full)
        ran = cli("export", str(file), *(["--replace"] if replace else []))
    assert ran.status == 1
    assert "No space left on device" in ran.err
    assert [one.read_text() for one in tmp_path.glob("out*")] == ["precious"] * replace


@pytest.mark.parametrize("kind", ["trakt-auth", "response"])
def test_no_login(cli, kind):
    ran = cli("export", "--format", kind)
    assert (ran.status, ran.out) == (3, "")
    assert cli("export", "--account", "missing").status == 3


def test_a_dead_login_is_left_out(cli):
    note(cli, cli.sign_in(), Outcome.REFUSED)
    cli.sign_in("bare", ago=2, refresh=False)
    assert cli("export").status == 3
    cli.sign_in("work")
    ran = exported(cli)
    assert [one["account"] for one in json.loads(ran.out)["accounts"]] == ["work"]
    assert ran.err.count("Not exported: ") == 2
    assert cli("export", "--account", "default").status == 3


@pytest.mark.parametrize(
    ("outcome", "lost"), [(Outcome.UNKNOWN, True), (Outcome.BEGUN, False), (Outcome.FAILED, False)]
)
def test_a_refresh_token_that_may_be_spent(cli, outcome, lost):
    note(cli, cli.sign_in(), outcome, lost)
    ran = exported(cli)
    assert ran.status == 0
    assert ("may be used up already" in ran.err) == (outcome is not Outcome.FAILED)


def test_no_export_while_another_program_refreshes(cli):
    cli.sign_in()
    with cli.client() as client:
        lock = client._store.lock(cli.key())
        assert lock.acquire()
        ran = cli("export")
        lock.release()
    assert (ran.status, ran.out) == (1, "")
    assert "being refreshed by another program" in ran.err


def test_no_export_while_the_newest_token_is_unsaved(cli):
    cli.sign_in()
    cli.monkeypatch.setattr("trakt_auth.client.sync.Client.unsaved", lambda self: ["default"])
    ran = cli("export")
    assert (ran.status, ran.out) == (1, "")
    assert "could not be saved yet" in ran.err


def test_a_login_that_ends_meanwhile(cli):
    cli.sign_in()
    found = []

    def load(self, key):
        found.append(real(self, key))
        return found[-1] if len(found) == 1 else None

    real = FileStore.load
    cli.monkeypatch.setattr(FileStore, "load", load)
    assert cli("export", "--account", "default").status == 3
    assert found[0] is not None


def test_an_expired_login_moves_and_is_refreshed_there(cli, tmp_path):
    cli.sign_in(ago=2)
    file = str(tmp_path / "moving.json")
    assert cli("export", file).status == 0
    cli.file.unlink()
    assert cli("import", file).status == 0
    assert cli.emulator.state()["tokens"]["rotations"] == 1
    left = json.loads(cli("status", "--json").out)["accounts"][0]["expires_in"]
    assert left > timedelta(days=6).total_seconds()


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_the_store_itself_is_never_overwritten(cli, scheme, tmp_path):
    path = tmp_path / "own"
    cli.monkeypatch.setenv("TRAKT_AUTH_STORE", f"{scheme}:{path}")
    assert cli("login", "--device").status == 0
    (tmp_path / "link").symlink_to(path)
    before = path.read_bytes()
    for name in ("own", "link"):
        ran = cli("export", str(tmp_path / name), "--replace")
        assert ran.status == 2
        assert "is the token store itself" in ran.err
    assert path.read_bytes() == before
    assert cli("status").status == 0


def test_logins_that_have_all_ended(cli, tmp_path):
    cli.sign_in(ago=2, refresh=False)
    ran = cli("export", str(tmp_path / "moved.json"))
    assert ran.status == 3
    assert "every login in this store has ended" in ran.err
