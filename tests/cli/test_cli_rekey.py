"""`rekey` and the variables of the keys: what is encrypted, what is refused, what is not shown."""

import json
import threading

import pytest

from trakt_auth.cli.commands import rekey
from trakt_auth.stores import open_store
from trakt_auth.stores.record import ENCRYPTED, is_tombstone, pause_to
from trakt_auth.stores.wrappers.encrypted import EncryptedStore, generate_key, key_id


@pytest.fixture
def keys(cli):
    made = [generate_key() for _ in range(3)]
    cli.emulator.secrets += made
    return made


def set_keys(cli, *keys):
    cli.monkeypatch.setenv("TRAKT_AUTH_KEY", ",".join(keys))


def kept(cli, account="default"):
    stored = open_store(cli.store).load(cli.key(account))
    return None if stored is None or is_tombstone(stored) else stored


def encrypt(cli, key, account="default"):
    EncryptedStore(open_store(cli.store), [key]).reencrypt(cli.key(account))


def test_a_key_is_printed_and_nothing_else(cli):
    cli.monkeypatch.delenv("TRAKT_CLIENT_ID")
    keys = set()
    for _ in range(2):
        ran = cli.run("rekey", "--generate")
        assert (ran.status, ran.err) == (0, "")
        keys.add(ran.out)
        cli.emulator.secrets.append(ran.out.strip())
        assert len(key_id(ran.out.strip())) == 16
    assert len(keys) == 2


def test_from_plain_to_encrypted_to_another_key_to_plain(cli, keys):
    token = cli.sign_in()
    cli.sign_in("work")
    assert "access_token" in cli.file.read_text()
    set_keys(cli, keys[0])
    assert cli("token").out.strip() == token.access_token  # an unencrypted record can be read
    ran = cli("rekey")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err.splitlines()[0] == "2 of 2 records were re-encrypted."
    assert f"no longer need any key but {key_id(keys[0])}." in ran.err
    assert "TRAKT_CLIENT_ID" in ran.err
    assert "access_token" not in cli.file.read_text()
    assert cli("token").out.strip() == token.access_token
    assert cli("rekey").err.startswith("0 of 2 records")

    set_keys(cli, keys[1], keys[0])
    assert cli("rekey").err.startswith("2 of 2 records were re-encrypted.")
    set_keys(cli, keys[1])
    assert cli("token").out.strip() == token.access_token

    ran = cli("rekey", "--decrypt")
    assert ran.status == 0
    assert ran.err.startswith("2 of 2 records were decrypted.")
    assert "unset TRAKT_AUTH_KEY" in ran.err
    cli.monkeypatch.delenv("TRAKT_AUTH_KEY")
    assert cli("token").out.strip() == token.access_token
    assert "access_token" in cli.file.read_text()


def test_after_rekey_a_planted_record_is_refused(cli, keys):
    cli.sign_in()
    plain = kept(cli).payload
    set_keys(cli, keys[0])
    assert cli("rekey").status == 0
    planted = cli.key()
    open_store(cli.store).save(planted, plain, expires_at=None, replacing=None)
    for command in (["token"], ["refresh"], ["rekey"]):
        ran = cli(*command)
        assert ran.status == 1
        assert "is not encrypted" in ran.err
    assert cli("rekey", "--decrypt").status == 0
    assert cli("token").status == 0


def test_rekey_of_one_account_requires_nothing_of_the_others(cli, keys):
    cli.sign_in()
    cli.sign_in("work")
    set_keys(cli, keys[0])
    assert cli("rekey", "--account", "work").status == 0
    assert cli("token").status == 0


def test_one_account(cli, keys):
    cli.sign_in()
    cli.sign_in("work")
    set_keys(cli, keys[0])
    assert cli("rekey", "--account", "work").status == 0
    assert kept(cli, "work").payload.startswith(ENCRYPTED)
    assert not kept(cli).payload.startswith(ENCRYPTED)


def test_a_refresh_encrypts(cli, keys):
    cli.sign_in(ago=2)
    set_keys(cli, keys[0])
    ran = cli("token")
    assert ran.status == 0
    assert kept(cli).payload.startswith(f"{ENCRYPTED}1:{key_id(keys[0])}:")
    assert ran.out.strip() not in cli.file.read_text()
    assert cli("refresh").status == 0
    assert cli("logout").status == 0
    assert kept(cli) is None


def test_a_pause_that_trakt_asked_for_is_seen_by_all(cli, keys):
    from datetime import UTC, datetime, timedelta

    until = pause_to(datetime.now(UTC) + timedelta(minutes=5))
    set_keys(cli, keys[0])
    store = open_store(cli.store, keys=keys[:1])
    store.save(cli.key(""), until, expires_at=None, replacing=None)
    assert "Trakt asked to wait" in cli("status").out
    cli.monkeypatch.delenv("TRAKT_AUTH_KEY")
    assert "Trakt asked to wait" in cli("status").out


COMMANDS = [["token"], ["export", "-"], ["refresh"], ["login", "--device"]]
WITHOUT = [(command, given) for command in COMMANDS for given in ("none", "another")]


@pytest.mark.parametrize(("command", "given"), WITHOUT)
def test_without_the_right_key_nothing_is_overwritten(cli, keys, command, given):
    cli.sign_in()
    encrypt(cli, keys[0])
    if given == "another":
        set_keys(cli, *keys[1:])
    before = cli.file.read_bytes()
    ran = cli(*command)
    assert (ran.status, ran.out) == (1, "")
    assert key_id(keys[0]) in ran.err
    assert "TRAKT_AUTH_KEY" in ran.err
    assert cli.file.read_bytes() == before
    assert "/oauth/token" not in cli.emulator.state()["requests"]
    assert "/oauth/device/code" not in cli.emulator.state()["requests"]


@pytest.mark.parametrize("given", ["none", "another"])
def test_an_account_that_cannot_be_opened_hides_no_other(cli, keys, given, tmp_path):
    cli.sign_in("ann")
    cli.sign_in("bob")
    encrypt(cli, keys[0], "bob")
    if given == "another":
        set_keys(cli, *keys[1:])
    ran = cli("status", "--json")
    assert ran.status == 1
    ann, bob = json.loads(ran.out)["accounts"]
    assert (ann["state"], ann["reason"]) == ("signed_in", None)
    assert (bob["account"], bob["state"]) == ("bob", "unreadable")
    assert key_id(keys[0]) in bob["reason"]
    assert cli("status", "--account", "ann").status == 0
    assert "cannot be read" in cli("status").out
    ran = cli("export", "-")
    assert (ran.status, ran.out) == (1, "")
    assert "'bob' cannot be exported" in ran.err
    assert cli("export", str(tmp_path / "ann.json"), "--account", "ann").status == 0


@pytest.mark.parametrize("given", ["none", "another"])
def test_signing_out_is_the_way_out_when_the_key_is_lost(cli, keys, given):
    cli.sign_in()
    cli.sign_in("other")
    encrypt(cli, keys[0])
    if given == "another":
        set_keys(cli, *keys[1:])
    ran = cli("logout")
    assert (ran.status, ran.out) == (0, "")
    assert "remove the application in your account on Trakt" in ran.err
    assert kept(cli) is None
    assert kept(cli, "other") is not None
    assert "there is nothing to do" in cli("logout").err
    ran = cli("logout", "--account", "other")
    assert "on Trakt as well" not in ran.err
    assert kept(cli, "other") is None


def test_rekey_reports_what_it_cannot_decrypt_and_encrypts_the_rest(cli, keys):
    for account in ("a", "b", "c"):
        cli.sign_in(account)
    encrypt(cli, keys[2], "b")
    set_keys(cli, keys[0], keys[1])
    ran = cli("rekey")
    assert ran.status == 1
    said = ran.err.splitlines()
    assert "'b'" in said[0]
    assert key_id(keys[2]) in said[0]
    assert said[1] == "2 of 3 records were re-encrypted."
    assert said[2].startswith("1 could not be decrypted")
    assert "no longer need" not in ran.err
    assert all(kept(cli, name).payload.split(":")[2] == key_id(keys[0]) for name in "ac")


def test_rekey_stops_after_many_failures(cli, keys):
    for number in range(20):
        cli.sign_in(f"user-{number:02}")
        encrypt(cli, keys[2], f"user-{number:02}")
    set_keys(cli, keys[0])
    ran = cli("rekey")
    assert ran.status == 1
    assert len(ran.err.splitlines()) == rekey.MOST_FAILURES - 1 + 2


def test_another_program_that_still_encrypts_with_the_old_key(cli, keys, monkeypatch):
    cli.sign_in()
    set_keys(cli, keys[1], keys[0])
    reencrypt = EncryptedStore.reencrypt

    def meanwhile(store, key, **more):
        reencrypt(EncryptedStore(store.inner, keys[:2]), key)
        return reencrypt(store, key, **more)

    monkeypatch.setattr(EncryptedStore, "reencrypt", meanwhile)
    ran = cli("rekey")
    assert ran.status == 1
    assert "Another program still encrypts with another key" in ran.err
    assert ran.err.startswith("1 of 1 records")
    assert "no longer need" not in ran.err


def test_progress(cli, keys, monkeypatch):
    monkeypatch.setattr(rekey, "PROGRESS_STEP", 2)
    for account in ("a", "b", "c", "d", "e"):
        cli.sign_in(account)
    set_keys(cli, keys[0])
    assert cli("rekey").err.splitlines()[:3] == [
        "2 of 5 ...",
        "4 of 5 ...",
        "5 of 5 records were re-encrypted.",
    ]


def test_rekey_while_others_refresh(cli, keys):
    """Programs with both keys refresh meanwhile; no login ends, every record is re-encrypted."""
    names = ["default", "b", "c", "d"]
    for name in names:
        cli.sign_in(name, ago=2)
        encrypt(cli, keys[0], name)
    set_keys(cli, keys[1], keys[0])
    statuses = []

    def refresh(name):
        statuses.append(cli.run("token", "--account", name).status)

    threads = [threading.Thread(target=refresh, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    rounds = [cli.run("rekey").status for _ in range(3)]
    for thread in threads:
        thread.join()
    assert statuses == [0] * 4
    assert rounds == [0] * 3
    assert cli("rekey").status == 0
    set_keys(cli, keys[1])
    for name in names:
        assert cli("token", "--account", name).status == 0
    assert cli.emulator.state()["requests"]["/oauth/token"] == {"refreshed": 4}


# -- the environment -----------------------------------------------------------------------------


def test_no_key(cli):
    cli.sign_in()
    ran = cli("rekey")
    assert (ran.status, ran.out) == (2, "")
    assert "rekey --generate" in ran.err


def test_generate_excludes_decrypt(cli):
    assert cli("rekey", "--generate", "--decrypt").status == 2


@pytest.mark.parametrize("text", [" , ", "geheim", "geheim geheim"])
@pytest.mark.parametrize("command", ["token", "status", "rekey"])
def test_invalid_keys(cli, text, command):
    cli.sign_in()
    cli.monkeypatch.setenv("TRAKT_AUTH_KEY", text)
    ran = cli(command)
    assert (ran.status, ran.out) == (2, "")
    assert "geheim" not in ran.err
    assert "--generate" in ran.err


def test_an_empty_variable_counts_as_unset(cli):
    token = cli.sign_in()
    cli.monkeypatch.setenv("TRAKT_AUTH_KEY", "")
    assert cli("token").out.strip() == token.access_token


@pytest.mark.parametrize("between", [" ", ",", "\n", ", \n"])
def test_keys_in_a_private_file(cli, keys, tmp_path, between):
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(between.join(keys[:2]) + "\n")
    cli.monkeypatch.setenv("TRAKT_AUTH_KEY_FILE", str(path))
    token = cli.sign_in()
    encrypt(cli, keys[1])
    assert cli("token").out.strip() == token.access_token
    assert cli("rekey").status == 0
    assert kept(cli).payload.split(":")[2] == key_id(keys[0])
    path.chmod(0o400)
    assert cli("token").status == 0


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o601])
def test_a_file_that_others_may_read(cli, keys, tmp_path, mode):
    cli.sign_in()
    path = tmp_path / "keys"
    path.write_text(keys[0])
    path.chmod(mode)
    cli.monkeypatch.setenv("TRAKT_AUTH_KEY_FILE", str(path))
    ran = cli("token")
    assert (ran.status, ran.out) == (2, "")
    assert f"chmod 600 {path}" in ran.err


def test_a_file_that_is_not_there_or_no_text(cli, keys, tmp_path):
    cli.sign_in()
    path = tmp_path / "keys"
    cli.monkeypatch.setenv("TRAKT_AUTH_KEY_FILE", str(path))
    ran = cli("token")
    assert (ran.status, ran.out) == (2, "")
    assert "cannot be read" in ran.err
    path.touch(mode=0o600)
    path.write_bytes(b"\xff\xfe\0")
    assert cli("token").status == 2
    cli.monkeypatch.setenv("TRAKT_AUTH_KEY", keys[0])
    ran = cli("token")
    assert ran.status == 2
    assert "both set" in ran.err


def test_status_names_the_key(cli, keys):
    import json

    cli.sign_in()
    assert json.loads(cli("status", "--json").out)["key"] is None
    set_keys(cli, *keys[:2])
    assert json.loads(cli("status", "--json").out)["key"] == key_id(keys[0])
    assert f"encrypted with the key {key_id(keys[0])}" in cli("status").out


def test_one_account_alone_says_nothing_of_the_others(cli, keys):
    cli.sign_in()
    cli.sign_in("work")
    set_keys(cli, keys[0])
    assert cli("rekey").status == 0
    set_keys(cli, keys[1], keys[0])
    ran = cli("rekey", "--account", "work")
    assert ran.status == 0
    assert f"Account 'work' no longer needs any key but {key_id(keys[1])}." in ran.err
    assert "run this again without --account" in ran.err
    assert "this application" not in ran.err


def test_unsaved_tokens_are_reencrypted_too(cli, keys, tmp_path):
    """A user who reads that a key is no longer needed may destroy it."""
    from trakt_auth.cli.settings import Settings

    cli.sign_in()
    set_keys(cli, keys[0])
    fallback = Settings(store=cli.store).open_fallback()
    fallback.save(cli.key(), '{"unsaved": 1}', expires_at=None, replacing=None)
    fallback.save(cli.key("done"), "", expires_at=None, replacing=None)
    (path,) = (tmp_path / "state").glob("*/unsaved-*.json")
    assert '"unsaved"' not in path.read_text()
    set_keys(cli, keys[1], keys[0])
    assert cli("rekey").err.startswith("2 of 2 records were re-encrypted.")
    assert key_id(keys[1]) in path.read_text()
    assert key_id(keys[0]) not in path.read_text()
    set_keys(cli, keys[2])
    ran = cli("rekey")
    assert ran.status != 0
    assert "keep their keys" in ran.err
