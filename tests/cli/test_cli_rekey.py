"""`rekey` and the environment of keys: what is encrypted, what is refused, what is never shown."""

import json
import threading

import pytest

from trakt_auth.cli.commands import rekey as job
from trakt_auth.stores import open_store
from trakt_auth.stores.record import ENCRYPTED, AccountKey, pause_to
from trakt_auth.stores.wrappers.encrypted import EncryptedStore, generate_key, key_id


@pytest.fixture
def keys(desk):
    made = [generate_key() for _ in range(3)]
    desk.trakt.secrets += made
    return made


def set_keys(desk, *keys):
    desk.monkeypatch.setenv("TRAKT_AUTH_KEY", ",".join(keys))


def kept(desk, account="default"):
    return open_store(desk.store).load(AccountKey("emulator", account))


def encrypt(desk, key, account="default"):
    EncryptedStore(open_store(desk.store), [key]).reencrypt(AccountKey("emulator", account))


def test_a_key_is_printed_and_nothing_else(desk):
    desk.monkeypatch.delenv("TRAKT_CLIENT_ID")
    keys = set()
    for _ in range(2):
        ran = desk.run("rekey", "--generate")
        assert (ran.status, ran.err) == (0, "")
        keys.add(ran.out)
        desk.trakt.secrets.append(ran.out.strip())
        assert len(key_id(ran.out.strip())) == 16
    assert len(keys) == 2


def test_from_plain_to_encrypted_to_another_key_to_plain(desk, keys):
    token = desk.sign_in()
    desk.sign_in("work")
    assert "access_token" in desk.file.read_text()
    set_keys(desk, keys[0])
    assert desk("token").out.strip() == token.access_token  # what is plain can be read
    ran = desk("rekey")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err.splitlines()[0] == "2 of 2 records were reencrypted."
    assert f"another key than {key_id(keys[0])} any more" in ran.err
    assert "TRAKT_CLIENT_ID" in ran.err
    assert "access_token" not in desk.file.read_text()
    assert desk("token").out.strip() == token.access_token
    assert desk("rekey").err.startswith("0 of 2 records")

    set_keys(desk, keys[1], keys[0])
    assert desk("rekey").err.startswith("2 of 2 records were reencrypted.")
    set_keys(desk, keys[1])
    assert desk("token").out.strip() == token.access_token

    ran = desk("rekey", "--decrypt")
    assert ran.status == 0
    assert ran.err.startswith("2 of 2 records were unencrypted.")
    assert "unset TRAKT_AUTH_KEY" in ran.err
    desk.monkeypatch.delenv("TRAKT_AUTH_KEY")
    assert desk("token").out.strip() == token.access_token
    assert "access_token" in desk.file.read_text()


def test_one_account(desk, keys):
    desk.sign_in()
    desk.sign_in("work")
    set_keys(desk, keys[0])
    assert desk("rekey", "--account", "work").status == 0
    assert kept(desk, "work").payload.startswith(ENCRYPTED)
    assert not kept(desk).payload.startswith(ENCRYPTED)


def test_a_refresh_encrypts(desk, keys):
    desk.sign_in(ago=2)
    set_keys(desk, keys[0])
    ran = desk("token")
    assert ran.status == 0
    assert kept(desk).payload.startswith(f"{ENCRYPTED}1:{key_id(keys[0])}:")
    assert ran.out.strip() not in desk.file.read_text()
    assert desk("refresh").status == 0
    assert desk("logout").status == 0
    assert kept(desk) is None


def test_a_pause_that_trakt_asked_for_is_seen_by_all(desk, keys):
    from datetime import UTC, datetime, timedelta

    until = pause_to(datetime.now(UTC) + timedelta(minutes=5))
    set_keys(desk, keys[0])
    store = open_store(desk.store, keys=keys[:1])
    store.save(AccountKey("emulator", ""), until, expires_at=None, replacing=None)
    assert "Trakt asked for one" in desk("status").out
    desk.monkeypatch.delenv("TRAKT_AUTH_KEY")
    assert "Trakt asked for one" in desk("status").out


COMMANDS = [["token"], ["export", "-"], ["refresh"], ["login", "--device"]]
WITHOUT = [(command, given) for command in COMMANDS for given in ("none", "another")]


@pytest.mark.parametrize(("command", "given"), WITHOUT)
def test_without_the_right_key_nothing_is_overwritten(desk, keys, command, given):
    desk.sign_in()
    encrypt(desk, keys[0])
    if given == "another":
        set_keys(desk, *keys[1:])
    before = desk.file.read_bytes()
    ran = desk(*command)
    assert (ran.status, ran.out) == (1, "")
    assert key_id(keys[0]) in ran.err
    assert "TRAKT_AUTH_KEY" in ran.err
    assert desk.file.read_bytes() == before
    assert "/oauth/token" not in desk.trakt.state()["requests"]
    assert "/oauth/device/code" not in desk.trakt.state()["requests"]


@pytest.mark.parametrize("given", ["none", "another"])
def test_an_account_that_cannot_be_opened_hides_no_other(desk, keys, given, tmp_path):
    desk.sign_in("ann")
    desk.sign_in("bob")
    encrypt(desk, keys[0], "bob")
    if given == "another":
        set_keys(desk, *keys[1:])
    ran = desk("status", "--json")
    assert ran.status == 1
    ann, bob = json.loads(ran.out)["accounts"]
    assert (ann["state"], ann["reason"]) == ("signed_in", None)
    assert (bob["account"], bob["state"]) == ("bob", "unreadable")
    assert key_id(keys[0]) in bob["reason"]
    assert desk("status", "--account", "ann").status == 0
    assert "cannot be read" in desk("status").out
    ran = desk("export", "-")
    assert (ran.status, ran.out) == (1, "")
    assert "'bob' cannot be exported" in ran.err
    assert desk("export", str(tmp_path / "ann.json"), "--account", "ann").status == 0


@pytest.mark.parametrize("given", ["none", "another"])
def test_signing_out_is_the_way_out_when_the_key_is_lost(desk, keys, given):
    desk.sign_in()
    desk.sign_in("other")
    encrypt(desk, keys[0])
    if given == "another":
        set_keys(desk, *keys[1:])
    ran = desk("logout")
    assert (ran.status, ran.out) == (0, "")
    assert "remove the application in your account on Trakt" in ran.err
    assert kept(desk) is None
    assert kept(desk, "other") is not None
    assert "there is nothing to do" in desk("logout").err
    ran = desk("logout", "--account", "other")
    assert "on Trakt as well" not in ran.err
    assert kept(desk, "other") is None


def test_what_cannot_be_opened_is_told_and_the_rest_is_reencrypted(desk, keys):
    for account in ("a", "b", "c"):
        desk.sign_in(account)
    encrypt(desk, keys[2], "b")
    set_keys(desk, keys[0], keys[1])
    ran = desk("rekey")
    assert ran.status == 1
    said = ran.err.splitlines()
    assert "'b'" in said[0]
    assert key_id(keys[2]) in said[0]
    assert said[1] == "2 of 3 records were reencrypted."
    assert said[2].startswith("1 could not be opened")
    assert "any more" not in ran.err
    assert all(kept(desk, name).payload.split(":")[2] == key_id(keys[0]) for name in "ac")


def test_a_store_that_fails_for_all_ends_it(desk, keys):
    for number in range(20):
        desk.sign_in(f"user-{number:02}")
        encrypt(desk, keys[2], f"user-{number:02}")
    set_keys(desk, keys[0])
    ran = desk("rekey")
    assert ran.status == 1
    assert len(ran.err.splitlines()) == job.PATIENCE - 1 + 2


def test_somebody_who_still_encrypts_by_the_old_key(desk, keys, monkeypatch):
    desk.sign_in()
    set_keys(desk, keys[1], keys[0])
    reencrypt = EncryptedStore.reencrypt

    def meanwhile(store, key, **more):
        reencrypt(EncryptedStore(store.inner, keys[:2]), key)
        return reencrypt(store, key, **more)

    monkeypatch.setattr(EncryptedStore, "reencrypt", meanwhile)
    ran = desk("rekey")
    assert ran.status == 1
    assert "Another program still encrypts with another key" in ran.err
    assert "any more" not in ran.err


def test_progress(desk, keys, monkeypatch):
    monkeypatch.setattr(job, "STEP", 2)
    for account in ("a", "b", "c", "d", "e"):
        desk.sign_in(account)
    set_keys(desk, keys[0])
    assert desk("rekey").err.splitlines()[:3] == [
        "2 of 5 ...",
        "4 of 5 ...",
        "5 of 5 records were reencrypted.",
    ]


def test_rekey_while_others_refresh(desk, keys):
    """Programs with both keys refresh under way; nobody is logged out, all ends up reencrypted."""
    names = ["default", "b", "c", "d"]
    for name in names:
        desk.sign_in(name, ago=2)
        encrypt(desk, keys[0], name)
    set_keys(desk, keys[1], keys[0])
    statuses = []

    def refresh(name):
        statuses.append(desk.run("token", "--account", name).status)

    threads = [threading.Thread(target=refresh, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    rounds = [desk.run("rekey").status for _ in range(3)]
    for thread in threads:
        thread.join()
    assert statuses == [0] * 4
    assert rounds == [0] * 3
    assert desk("rekey").status == 0
    set_keys(desk, keys[1])
    for name in names:
        assert desk("token", "--account", name).status == 0
    assert desk.trakt.state()["requests"]["/oauth/token"] == {"refreshed": 4}


# -- the environment -----------------------------------------------------------------------------


def test_no_key(desk):
    desk.sign_in()
    ran = desk("rekey")
    assert (ran.status, ran.out) == (2, "")
    assert "rekey --generate" in ran.err


def test_generate_excludes_decrypt(desk):
    assert desk("rekey", "--generate", "--decrypt").status == 2


@pytest.mark.parametrize("text", [" , ", "geheim", "geheim geheim"])
@pytest.mark.parametrize("command", ["token", "status", "rekey"])
def test_what_is_no_key(desk, text, command):
    desk.sign_in()
    desk.monkeypatch.setenv("TRAKT_AUTH_KEY", text)
    ran = desk(command)
    assert (ran.status, ran.out) == (2, "")
    assert "geheim" not in ran.err
    assert "--generate" in ran.err


def test_an_empty_variable_counts_as_unset(desk):
    token = desk.sign_in()
    desk.monkeypatch.setenv("TRAKT_AUTH_KEY", "")
    assert desk("token").out.strip() == token.access_token


@pytest.mark.parametrize("between", [" ", ",", "\n", ", \n"])
def test_keys_in_a_private_file(desk, keys, tmp_path, between):
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(between.join(keys[:2]) + "\n")
    desk.monkeypatch.setenv("TRAKT_AUTH_KEY_FILE", str(path))
    token = desk.sign_in()
    encrypt(desk, keys[1])
    assert desk("token").out.strip() == token.access_token
    assert desk("rekey").status == 0
    assert kept(desk).payload.split(":")[2] == key_id(keys[0])
    path.chmod(0o400)
    assert desk("token").status == 0


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o601])
def test_a_file_that_others_may_read(desk, keys, tmp_path, mode):
    desk.sign_in()
    path = tmp_path / "keys"
    path.write_text(keys[0])
    path.chmod(mode)
    desk.monkeypatch.setenv("TRAKT_AUTH_KEY_FILE", str(path))
    ran = desk("token")
    assert (ran.status, ran.out) == (2, "")
    assert f"chmod 600 {path}" in ran.err


def test_a_file_that_is_not_there_or_no_text(desk, keys, tmp_path):
    desk.sign_in()
    path = tmp_path / "keys"
    desk.monkeypatch.setenv("TRAKT_AUTH_KEY_FILE", str(path))
    ran = desk("token")
    assert (ran.status, ran.out) == (2, "")
    assert "cannot be read" in ran.err
    path.touch(mode=0o600)
    path.write_bytes(b"\xff\xfe\0")
    assert desk("token").status == 2
    desk.monkeypatch.setenv("TRAKT_AUTH_KEY", keys[0])
    ran = desk("token")
    assert ran.status == 2
    assert "both set" in ran.err


def test_status_names_the_key(desk, keys):
    import json

    desk.sign_in()
    assert json.loads(desk("status", "--json").out)["key"] is None
    set_keys(desk, *keys[:2])
    assert json.loads(desk("status", "--json").out)["key"] == key_id(keys[0])
    assert f"encrypted by the key {key_id(keys[0])}" in desk("status").out


def test_one_account_alone_says_nothing_of_the_others(desk, keys):
    desk.sign_in()
    desk.sign_in("work")
    set_keys(desk, keys[0])
    assert desk("rekey").status == 0
    set_keys(desk, keys[1], keys[0])
    ran = desk("rekey", "--account", "work")
    assert ran.status == 0
    assert f"Account 'work' does not need another key than {key_id(keys[1])} any more" in ran.err
    assert "once more without --account" in ran.err
    assert "this application" not in ran.err


def test_what_was_put_aside_is_reencrypted_too(desk, keys, tmp_path):
    """Whoever is told that a key is not needed any more may destroy it."""
    from trakt_auth.cli.settings import Settings

    desk.sign_in()
    set_keys(desk, keys[0])
    fallback = Settings(store=desk.store).open_fallback()
    fallback.save(
        AccountKey("emulator", "default"), '{"aside": 1}', expires_at=None, replacing=None
    )
    fallback.save(AccountKey("emulator", "done"), "", expires_at=None, replacing=None)
    (path,) = (tmp_path / "state").glob("*/unsaved-*.json")
    assert "aside" not in path.read_text()
    set_keys(desk, keys[1], keys[0])
    assert desk("rekey").err.startswith("2 of 2 records were reencrypted.")
    assert key_id(keys[1]) in path.read_text()
    assert key_id(keys[0]) not in path.read_text()
    set_keys(desk, keys[2])
    ran = desk("rekey")
    assert ran.status != 0
    assert "keep their keys" in ran.err
