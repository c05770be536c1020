"""`import`: what is imported, what is refused, and that no login is lost or overwritten."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cli_formats import BAD, NEARLY

from trakt_auth.cli.commands import import_
from trakt_auth.stores.record import Attempt, Outcome, Record


@pytest.fixture
def issued(cli):
    content = cli.emulator.issue_tokens("ann")
    cli.emulator.secrets += [content["access_token"], content["refresh_token"]]
    return content


@pytest.fixture
def write(tmp_path):
    def write(content, name="tokens of mine.json"):
        file = tmp_path / name
        file.write_text(json.dumps(content))
        file.chmod(0o440)
        return str(file)

    return write


def pytrakt(issued, **more):
    return {
        "CLIENT_ID": "emulator",
        "CLIENT_SECRET": "hush",
        "OAUTH_TOKEN": issued["access_token"],
        "OAUTH_REFRESH": issued["refresh_token"],
        "OAUTH_EXPIRES_AT": issued["created_at"] + issued["expires_in"],
    } | more


def kept(cli, account="default"):
    with cli.client() as client:
        stored = client._store.load(cli.key(account))
    return Record.from_stored(stored) if stored else None


def test_a_pytrakt_file(cli, issued, write):
    file = write(pytrakt(issued))
    before = Path(file).stat()
    ran = cli("import", file)
    assert (ran.status, ran.out) == (0, "")
    described, stored, warned = ran.err.splitlines()
    assert described.startswith(f"{file} is a PyTrakt file: a token of the application 'emulator'")
    assert "valid until" in described
    assert described.endswith("with a refresh token.")
    assert stored.startswith(f"Account 'default' is stored in {cli.store}, valid until")
    assert "no other program may refresh" in warned
    assert Path(file).stat().st_mtime_ns == before.st_mtime_ns
    assert cli("token").out == f"{issued['access_token']}\n"
    assert kept(cli).token.refresh_token == issued["refresh_token"]
    assert not cli.emulator.log


def test_a_token_response_on_stdin(cli, issued, write):
    text = json.dumps(issued).encode()
    cli.monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    ran = cli("import", "--account", "work", "-")
    assert ran.status == 0
    assert "the standard input is a token response" in ran.err
    assert "of an unnamed application" in ran.err
    assert cli("token", "--account", "work").out == f"{issued['access_token']}\n"


def test_a_response_of_unknown_age_is_refreshed_at_once(cli, issued, write):
    bare = {name: issued[name] for name in issued if name != "created_at"}
    ran = cli("import", write(bare))
    assert ran.status == 0
    assert "of unknown age and therefore treated as expired" in ran.err
    assert kept(cli).token.access_token not in (None, issued["access_token"])
    assert cli.emulator.state()["tokens"]["rotations"] == 1


@pytest.mark.parametrize("end", [None, 5])
def test_without_refresh_token_and_without_life(cli, issued, write, end):
    gone = pytrakt(issued, OAUTH_REFRESH=None, OAUTH_EXPIRES_AT=end)
    ran = cli("import", write(gone))
    assert ran.status == 3
    assert "there is no refresh token" in ran.err
    assert kept(cli) is None


def test_another_applications_file(cli, issued, write):
    ran = cli("import", write(pytrakt(issued, CLIENT_ID="another")))
    assert (ran.status, kept(cli)) == (2, None)
    assert "issued to the application 'another', and TRAKT_CLIENT_ID is 'emulator'" in ran.err


@pytest.mark.parametrize("content", BAD)
def test_what_cannot_be_read(cli, tmp_path, content):
    file = tmp_path / "bad.json"
    file.write_bytes(content)
    ran = cli("import", str(file))
    assert (ran.status, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 2
    assert not cli.file.parent.exists()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary() | NEARLY)
def test_any_content_ends_in_a_message(cli, tmp_path, content):
    file = tmp_path / "any.json"
    file.write_bytes(content)
    ran = cli("import", str(file), "--replace")
    assert "Traceback" not in ran.err
    assert ran.status in (0, 1, 2, 3)
    assert (kept(cli) is None and not cli("status").out.startswith("account")) or ran.status != 2
    cli.ran.clear()  # content that Hypothesis invents may contain anything
    cli.file.unlink(missing_ok=True)


@pytest.mark.parametrize("name", ["nowhere.json", ".", "a\0b"])
def test_a_path_that_is_no_readable_file(cli, tmp_path, name):
    ran = cli("import", f"{tmp_path}/{name}")
    assert ran.status == 2
    assert "cannot be read: " in ran.err


def test_a_file_that_is_too_large(cli):
    cli.monkeypatch.setattr(import_, "LARGEST", 1000)
    assert "larger than any token file" in cli("import", "/dev/zero").err


def test_a_login_is_not_overwritten(cli, issued, write):
    mine = cli.sign_in()
    file = write(pytrakt(issued))
    ran = cli("import", file)
    assert ran.status == 1
    assert "signed in already, with another token" in ran.err
    assert "--replace" in ran.err
    assert kept(cli).token.access_token == mine.access_token
    assert cli("import", file, "--replace").status == 0
    assert kept(cli).token.access_token == issued["access_token"]


def test_an_expired_file_never_overwrites_a_login(cli, issued, write):
    mine = cli.sign_in(ago=2)  # expired as well, but it can be refreshed
    file = write(pytrakt(issued, OAUTH_EXPIRES_AT=5))
    for more in ([], ["--replace"]):
        ran = cli("import", file, *more)
        assert ran.status == 1
        assert "sign out first (trakt-auth logout)" in ran.err
    assert kept(cli).token.access_token == mine.access_token
    assert not cli.emulator.log


@pytest.mark.parametrize("dead", ["refused", "bare"])
def test_a_dead_login_may_be_overwritten(cli, issued, write, dead):
    token = cli.sign_in(ago=2, refresh=dead == "refused")
    if dead == "refused":
        attempt = Attempt(outcome=Outcome.REFUSED, started_at=token.created_at, reason="no")
        with cli.client() as client:
            payload = Record(token=token, attempt=attempt).to_payload()
            client._store.save(cli.key(), payload, expires_at=None, replacing=None)
    assert cli("import", write(pytrakt(issued))).status == 0
    assert kept(cli).token.access_token == issued["access_token"]


def test_the_same_token_again_changes_nothing(cli, issued, write):
    file = write(issued)
    cli("import", file)
    before = cli.file.read_text()
    for more in ([], ["--replace"]):
        ran = cli("import", file, *more)
        assert ran.status == 0
        assert "has this token already" in ran.err
    assert cli.file.read_text() == before


def test_a_broken_store_is_moved_aside_with_replace(cli, issued, write):
    cli.file.parent.mkdir()
    cli.file.write_text("not json")
    file = write(issued)
    ran = cli("import", file)
    assert ran.status == 1
    assert "Import with --replace" in ran.err
    assert cli.file.read_text() == "not json"
    assert cli("import", file, "--replace").status == 0
    assert cli("token").out == f"{issued['access_token']}\n"
    assert [one.read_text() for one in cli.file.parent.glob("*.corrupt-*")] == ["not json"]


def test_a_failed_refresh_keeps_the_imported_token(cli, issued, write):
    cli.emulator.arm("status", endpoint="oauth", status=503)
    ran = cli("import", write(pytrakt(issued, OAUTH_EXPIRES_AT=5)))
    assert ran.status == 5
    assert "is stored; the next use tries to refresh it again" in ran.err
    assert kept(cli).token.refresh_token == issued["refresh_token"]


def test_a_spent_refresh_token(cli, issued, write):
    cli.emulator.end_login("ann")
    ran = cli("import", write(pytrakt(issued, OAUTH_EXPIRES_AT=5)))
    assert ran.status == 3
    assert "Trakt refused the refresh token" in ran.err


def moved(cli, tmp_path, *accounts):
    """Sign accounts in, export them, and empty the store."""
    tokens = {name: cli.sign_in(name) for name in accounts}
    file = str(tmp_path / "moving.json")
    assert cli("export", file).status == 0
    cli.file.unlink()
    return tokens, file


def test_all_accounts_of_an_export(cli, tmp_path):
    tokens, file = moved(cli, tmp_path, "default", "work")
    assert cli("import", file).status == 0
    assert {name: kept(cli, name).token for name in tokens} == tokens


def test_one_account_of_an_export(cli, tmp_path):
    tokens, file = moved(cli, tmp_path, "default", "work")
    ran = cli("import", file, "--account", "missing")
    assert ran.status == 2
    assert "It holds 'default', 'work'" in ran.err
    assert cli("import", file, "--account", "work").status == 0
    assert kept(cli) is None
    assert kept(cli, "work").token == tokens["work"]


def test_nothing_is_stored_when_one_of_many_is_refused(cli, tmp_path):
    _, file = moved(cli, tmp_path, "ann", "bob")
    other = cli.sign_in("bob")
    assert cli("import", file).status == 1
    assert kept(cli, "ann") is None
    assert kept(cli, "bob").token == other


def test_one_failure_keeps_none_of_the_others_back(cli, tmp_path):
    for name, ago in (("ann", 2), ("bob", 2), ("cid", 0)):
        cli.sign_in(name, ago=ago)
    file = str(tmp_path / "moving.json")
    cli("export", file)
    cli.file.unlink()
    cli.emulator.arm("refuse", times=2)
    ran = cli("import", file)
    assert ran.status == 3
    assert ran.err.count("Trakt refused the refresh token") == 2
    assert cli("token", "--account", "cid").status == 0
