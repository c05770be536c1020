"""What only the keyring store promises: three systems, a crash at any step, clear reasons."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import keyring
import pytest
from keyring import errors

from support.keychains import Died, Keychain, Mac, Shared, Windows, installed
from trakt_auth.errors import StoreConflict, StoreCorrupt, StoreUnavailable, UsageError
from trakt_auth.protocol.token import Token
from trakt_auth.stores import open_store
from trakt_auth.stores.engines import keychain
from trakt_auth.stores.engines.keychain import PIECE, available
from trakt_auth.stores.keyring import KeyringStore
from trakt_auth.stores.record import AccountKey, Record, Stored

KEY = AccountKey("client", "default")
OTHER = AccountKey("client", "other")
END = datetime(2026, 11, 30, 12, tzinfo=UTC)
SHORT, LONG = "x" * 40, "y" * 3 * PIECE
KINDS = pytest.mark.parametrize("kind", [Keychain, Mac, Windows])


@pytest.fixture
def store(tmp_path):
    return KeyringStore(path=str(tmp_path / "state" / "keychain"))


@pytest.fixture
def chain():
    with installed(Keychain()) as chain:
        yield chain


def put(store, text, key=KEY, *, replacing=None):
    return store.save(key, text, expires_at=END, replacing=replacing)


def texts(chain):
    return json.dumps(list(chain.entries.values()))


# -- crashes -------------------------------------------------------------------------------------


def die_at_every_step(kind, store, prepare, work):
    """Yield after each crash, on a keychain as the crashed process left it."""
    step = 0
    while True:
        with installed(kind()) as chain:
            prepare()
            chain.dies_at = chain.steps + step
            try:
                work()
            except Died:
                chain.dies_at = None
                yield chain
            else:
                assert step >= 2
                return
        step += 1


@KINDS
@pytest.mark.parametrize("old", [SHORT, LONG])
@pytest.mark.parametrize("new", ["new", "n" * 2 * PIECE])
@pytest.mark.parametrize("saves", [1, 2, 3])
def test_a_save_that_dies_leaves_the_old_or_the_new(store, kind, old, new, saves):
    versions = []

    def prepare():
        versions.clear()
        for number in range(saves):
            versions.append(put(store, f"{number}{old}"))

    def work():
        put(store, new, replacing=versions[-1])

    for _ in die_at_every_step(kind, store, prepare, work):
        stored = store.load(KEY)
        assert stored is not None
        assert stored.payload in (f"{saves - 1}{old}", new)
        assert store.accounts("client") == ["default"]
        if stored.payload == new:
            assert stored.version > versions[-1]
        else:
            assert stored.version == versions[-1]
        after = put(store, "after", replacing=stored.version)
        assert after > versions[-1]
        assert store.load(KEY) == Stored(payload="after", version=after, expires_at=END)


@KINDS
def test_a_first_save_that_dies_leaves_nothing_or_all(store, kind):
    for _ in die_at_every_step(
        kind, store, lambda: put(store, "o", OTHER), lambda: put(store, LONG)
    ):
        stored = store.load(KEY)
        assert stored is None or stored.payload == LONG
        assert store.accounts("client") == ["other"] if stored is None else ["default", "other"]
        put(store, "after")
        assert store.accounts("client") == ["default", "other"]


@KINDS
@pytest.mark.parametrize("text", [SHORT, LONG])
@pytest.mark.parametrize("saves", [1, 2, 3])
def test_a_deletion_that_dies_never_brings_back_an_older_one(store, kind, text, saves):
    versions = []

    def prepare():
        versions.clear()
        for number in range(saves):
            versions.append(put(store, f"{number}{text}"))

    for _ in die_at_every_step(kind, store, prepare, lambda: store.delete(KEY)):
        stored = store.load(KEY)
        assert stored is None or (stored.payload, stored.version) == (
            f"{saves - 1}{text}",
            versions[-1],
        )
        assert store.accounts("client") == ([] if stored is None else ["default"])
        if stored is None:
            with pytest.raises(StoreConflict):
                put(store, "late", replacing=versions[-1])
        assert put(store, "new") > versions[-1]
        store.delete(KEY)
        assert store.load(KEY) is None


@KINDS
def test_no_part_of_a_token_is_left_after_a_deletion(store, kind):
    with installed(kind()) as chain:
        for text in (LONG, LONG, SHORT, LONG, LONG):
            put(store, text)
        assert "yyyy" in texts(chain)
        store.delete(KEY)
        assert "yyyy" not in texts(chain)
        assert "xxxx" not in texts(chain)
        assert [name for name in chain.entries if "index" not in name] == []


# -- shapes --------------------------------------------------------------------------------------


def test_a_real_record_is_one_entry_and_an_encrypted_one_too(store, chain):
    token = Token(
        access_token="a" * 64, refresh_token="r" * 64, scope="public",
        created_at=END, expires_at=END,
    )  # fmt: skip
    payload = Record(token=token).to_payload()
    put(store, payload)
    head = chain.get_password("trakt-auth:client/default/a", "trakt-auth")
    assert " 1 {" in head
    assert len(head) < len(payload) + 200 < PIECE
    assert len(payload) * 4 / 3 + 200 < PIECE


@KINDS
def test_long_payloads_and_names_fit(store, kind):
    keys = [AccountKey("c" * 500, "ä" * 500), AccountKey("c" * 500, "Ä" * 500), KEY]
    with installed(kind()):
        for key in keys:
            for number in range(3):
                put(store, f"{number}{key.account}" * 20, key)
        for key in keys:
            assert store.load(key).payload == f"2{key.account}" * 20
        assert store.accounts("c" * 500) == sorted(["ä" * 500, "Ä" * 500])


@KINDS
def test_case_and_lone_surrogates(store, kind):
    names = ["B", "b", "\ud83d\ude00", "\N{GRINNING FACE}", "a/b", "a%2fb", "\0", "=x"]
    with installed(kind()):
        for name in names:
            put(store, name, AccountKey("Client", name))
        for name in names:
            assert store.load(AccountKey("Client", name)).payload == name
            assert store.load(AccountKey("client", name)) is None
        assert store.accounts("Client") == sorted(names)


def test_two_services_are_two_stores(chain, tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_data_dir", lambda *_, **__: str(tmp_path))
    one, two = open_store("keyring:"), open_store("keyring:my player")
    put(one, "one")
    assert two.load(KEY) is None
    put(two, "two")
    assert open_store("keyring:trakt-auth").load(KEY).payload == "one"
    assert one.path != two.path
    assert Path(one.path).read_text().startswith("The tokens are in the OS keychain")
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
    ours, theirs = one.lock(KEY), two.lock(KEY)
    assert ours.acquire()
    assert theirs.acquire()
    ours.release()
    theirs.release()
    with pytest.raises(UsageError):
        open_store("keyring:a\nb")


def test_a_reader_is_overtaken_by_writers(store, chain, monkeypatch):
    put(store, "1")
    put(store, LONG)
    entry = chain.get_password
    overtaken = []

    def slow(service, username):
        found = entry(service, username)
        if service.endswith("/b2") and len(overtaken) < 3:
            overtaken.append(1)
            monkeypatch.setattr(chain, "get_password", entry)
            for _ in range(2):
                put(store, LONG + "z" * len(overtaken))
            monkeypatch.setattr(chain, "get_password", slow)
            return entry(service, username)
        return found

    monkeypatch.setattr(chain, "get_password", slow)
    assert store.load(KEY).payload == LONG + "zzz"
    assert len(overtaken) == 3


def test_a_reader_looks_while_both_slots_are_replaced(store, chain, monkeypatch):
    put(store, "1")
    put(store, "2")
    read, gone = chain.get_password, ["b", "a"]

    def between(service, username):
        found = read(service, username)
        if gone and service.endswith(f"default/{gone[-1]}"):
            gone.pop()
            return None  # as on macOS, between deleting and adding
        return found

    monkeypatch.setattr(chain, "get_password", between)
    assert store.load(KEY).payload == "2"
    assert gone == []


# -- what is not readable ------------------------------------------------------------------------

RUBBISH = ["", "rubbish tok-3n", "trakt-auth/1 tok-3n", "trakt-auth/1 5 1 tok-3n",
    'trakt-auth/1 5 1 {"end":null}', 'trakt-auth/1 5 1 {"end":null,"payload":5}',
    'trakt-auth/1 5 1 {"end":5,"payload":"x"}', "trakt-auth/1 5 3 {", "trakt-auth/1 5 1 []",
    "trakt-auth/1 " + "9" * 5000 + " 1 {}", "trakt-auth/1 5 1 " + "[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("rubbish", RUBBISH)
def test_corrupt_entries_are_left_until_a_new_login(store, chain, caplog, rubbish):
    version = put(store, "x")
    entry = "trakt-auth:client/default/a"
    chain.set_password(entry, "trakt-auth", rubbish)
    for call in (lambda: store.load(KEY), lambda: put(store, "y", replacing=version)):
        with pytest.raises((StoreCorrupt, StoreConflict)) as caught:
            call()
        assert "tok-3n" not in str(caught.value)
        assert chain.get_password(entry, "trakt-auth") == rubbish
    with pytest.raises(StoreConflict):
        put(store, "z", replacing=0)
    assert chain.get_password(entry, "trakt-auth") == rubbish
    assert put(store, "new") > version
    assert store.load(KEY).payload == "new"
    assert store.accounts("client") == ["default"]


def test_a_corrupt_header_is_moved_aside(store, chain, caplog):
    put(store, "x")
    chain.set_password("trakt-auth:client/default/a", "trakt-auth", "rubbish")
    put(store, "new")
    aside = chain.get_password("trakt-auth:client/default/a/corrupt", "trakt-auth")
    assert aside == "rubbish"
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("trakt_auth", logging.WARNING)
    assert "client/default" in record.getMessage()


@pytest.mark.parametrize("rubbish", ["rubbish", "trakt-auth/1 5 1 [5]", 'trakt-auth/1 5 1 {"a":5}'])
def test_a_corrupt_index_does_not_stop_a_refreshed_token(store, chain, rubbish):
    version = put(store, "x")
    chain.set_password("trakt-auth:index/a", "trakt-auth", rubbish)
    chain.set_password("trakt-auth:index/b", "trakt-auth", rubbish)
    with pytest.raises(StoreCorrupt):
        store.accounts("client")
    after = put(store, "refreshed", replacing=version)
    assert after > version
    assert store.load(KEY).payload == "refreshed"
    put(store, "new login")
    assert store.accounts("client") == ["default"]


def test_a_newer_version_is_left_alone(store, chain):
    put(store, "x")
    entry, newer = "trakt-auth:client/default/a", "trakt-auth/2 anything"
    chain.set_password(entry, "trakt-auth", newer)
    for call in (
        lambda: store.load(KEY),
        lambda: put(store, "y"),
        lambda: store.delete(KEY),
        lambda: store.accounts("client"),
    ):
        with pytest.raises(StoreUnavailable, match="newer"):
            call()
        assert chain.get_password(entry, "trakt-auth") == newer


def test_a_lost_index(store, chain):
    version = put(store, "x")
    for name in list(chain.entries):
        if "index" in name:
            del chain.entries[name]
    assert store.load(KEY).payload == "x"
    assert put(store, "y", replacing=version) > version
    assert store.accounts("client") == ["default"]


# -- what does not answer ------------------------------------------------------------------------

FAILURES = [
    (errors.KeyringLocked("geheim"), "is locked", "Unlock"),
    (errors.InitError("geheim"), "No OS keychain answers", "file:PATH"),
    (errors.NoKeyringError("geheim"), "No OS keychain answers", "file:PATH"),
    (errors.PasswordSetError("geheim"), "PasswordSetError", "Unlock"),
    (RuntimeError("geheim"), "RuntimeError", "Unlock"),
    (OSError("geheim"), "OSError", "Unlock"),
]


@pytest.mark.parametrize(("failure", "said", "hint"), FAILURES)
def test_every_failure_is_a_store_error_and_quotes_nothing(
    store, chain, monkeypatch, failure, said, hint
):
    put(store, "geheim")

    def fail(*_):
        raise failure

    for method in ("get_password", "set_password", "delete_password"):
        with monkeypatch.context() as patch:
            patch.setattr(chain, method, fail)
            work = (
                (lambda: store.delete(KEY)) if method[0] == "d" else (lambda: put(store, "geheim"))
            )
            with pytest.raises(StoreUnavailable, match=said) as caught:
                work()
            assert hint in caught.value.hint
            assert "geheim" not in f"{caught.value}{caught.value.hint}"
            assert caught.value.__suppress_context__
    put(store, "the lock was released")


@pytest.mark.parametrize("cut", [lambda text: None, lambda text: text[:50]])
def test_a_keychain_that_drops_or_shortens_texts(store, chain, monkeypatch, cut):
    keep = chain.set_password
    monkeypatch.setattr(chain, "set_password", lambda s, u, p: keep(s, u, cut(p)))
    with pytest.raises(StoreUnavailable, match="did not keep"):
        put(store, "x" * 100)


def test_a_keychain_that_does_not_delete(store, chain, monkeypatch):
    put(store, "x")
    monkeypatch.setattr(chain, "delete_password", lambda *_: None)
    with pytest.raises(StoreUnavailable, match="did not delete"):
        store.delete(KEY)
    assert store.load(KEY) is None


def test_a_state_folder_that_cannot_be_written(chain, tmp_path):
    (tmp_path / "file").write_text("")
    store = KeyringStore(path=str(tmp_path / "file" / "keychain"))
    with pytest.raises(StoreUnavailable, match="lock"):
        put(store, "x")


def test_a_marker_that_cannot_be_written(store, chain, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("trakt_auth.stores.keyring.os.open", refuse)
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        store._mark()


def test_without_the_library(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError) as caught:
        open_store("keyring:")
    assert "trakt-auth[keyring]" in caught.value.hint


# -- which keychain counts -----------------------------------------------------------------------


def test_an_available_keychain():
    with installed(Keychain()):
        assert available() == (True, "Test Keychain")


class Plain(Keychain):
    __module__ = "keyrings.alt.file"
    name = "PlaintextKeyring"


class Modest(Keychain):
    priority = 0.5


class Broken(Keychain):
    @property
    def name(self):
        raise OSError


class Chain(Keychain):
    backends = (Plain(),)


class Chained(Keychain):
    backends = (Keychain(), Plain())


def test_backends_that_are_no_keychain(monkeypatch):
    from keyring.backends.fail import Keyring as Fail
    from keyring.backends.null import Keyring as Null

    for backend, why in (
        (Plain(), "PlaintextKeyring is not a keychain of the system"),
        (Chain(), "PlaintextKeyring is not a keychain of the system"),
        (Modest(), "Test Keychain is not a keychain of the system"),
        (Broken(), "the library keyring fails (OSError)"),
        (Null(), "the library keyring is told to keep nothing"),
    ):
        with installed(backend):
            assert available() == (False, why)
    with installed(Chained()):
        assert available() == (True, "Test Keychain")
    with installed(Fail()):
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
        assert available() == (False, "no D-Bus session")
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
        assert available() == (False, "no keychain runs")
        with pytest.raises(StoreUnavailable, match="no keychain runs"):
            open_store("keyring:").load(KEY)
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert available() == (False, "the library keyring is not installed")


class SecretService(Keychain):
    __module__ = "keyring.backends.SecretService"
    name = "SecretService Keyring"


@pytest.mark.parametrize(
    ("collection", "why"),
    [
        ("open", ""),
        ("locked", "the keychain is locked, and there is no desktop to unlock it on"),
        ("missing", "there is no keychain yet, and no desktop to create one on"),
        ("broken", "the Secret Service fails (ZeroDivisionError)"),
    ],
)
@pytest.mark.parametrize("display", ["DISPLAY", "WAYLAND_DISPLAY", None])
def test_a_keychain_that_would_have_to_ask_without_a_desktop(monkeypatch, collection, why, display):
    class ItemNotFoundException(Exception):
        pass

    class Collection:
        def __init__(self, connection):
            if collection == "missing":
                raise ItemNotFoundException
            if collection == "broken":
                raise ZeroDivisionError

        def is_locked(self):
            return collection == "locked"

    library, exceptions = ModuleType("secretstorage"), ModuleType("secretstorage.exceptions")
    library.dbus_init, library.Collection = io.BytesIO, Collection
    exceptions.ItemNotFoundException = ItemNotFoundException
    monkeypatch.setitem(sys.modules, "secretstorage", library)
    monkeypatch.setitem(sys.modules, "secretstorage.exceptions", exceptions)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if display:
        monkeypatch.setenv(display, ":0")
    with installed(SecretService()):
        usable = why == "" or display is not None
        assert available() == (usable, "SecretService Keyring" if usable else why)


def test_the_name_of_a_keychain_is_no_reason(monkeypatch):
    with installed(Keychain()) as chain:

        def fail(*_):
            raise errors.InitError("geheim")

        monkeypatch.setattr(chain, "get_password", fail)
        with pytest.raises(StoreUnavailable, match="Test Keychain cannot be opened"):
            open_store("keyring:").load(KEY)


def test_a_keychain_that_waits_for_the_user_is_announced(monkeypatch, caplog):
    monkeypatch.setattr(keychain, "PATIENCE", 0.01)
    said = threading.Event()

    class Said(logging.Handler):
        def emit(self, record):
            said.set()

    class Waiting(Keychain):
        def get_password(self, service, username):
            assert said.wait(10)
            return super().get_password(service, username)

    handler = Said()
    logging.getLogger("trakt_auth").addHandler(handler)
    try:
        with installed(Waiting()):
            assert open_store("keyring:").load(KEY) is None
    finally:
        logging.getLogger("trakt_auth").removeHandler(handler)
    assert "asking for a password" in caplog.text
    assert "--store file:PATH" in caplog.text


def test_there_is_an_answer_on_this_machine():
    usable, said = available()
    assert isinstance(usable, bool)
    assert said


def test_a_test_keychain_is_not_chosen_by_the_library():
    assert not isinstance(keyring.get_keyring(), Keychain)


# -- other processes -----------------------------------------------------------------------------

WORKER = """
import sys
from trakt_auth.errors import StoreConflict
from trakt_auth.stores.record import AccountKey
from trakt_auth.stores.keyring import KeyringStore
store, key = KeyringStore(path=sys.argv[1]), AccountKey("client", "default")
print("ready", flush=True)
sys.stdin.readline()
done = 0
while done < 15:
    stored = store.load(key)
    number = str(int(stored.payload) + 1).zfill(3000)
    try:
        store.save(key, number, expires_at=None, replacing=stored.version)
        done += 1
    except StoreConflict:
        pass
"""


def test_two_processes_lose_no_update(tmp_path, store, monkeypatch):
    monkeypatch.setenv("TEST_KEYCHAIN", str(tmp_path / "keychain.json"))
    tests = Path(__file__).parents[1]
    environment = os.environ | {
        "PYTHON_KEYRING_BACKEND": "support.keychains.Shared",
        "PYTHONPATH": os.pathsep.join([str(tests.parent / "src"), str(tests)]),
    }
    with installed(Shared()):
        put(store, "0")
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, store.path],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            )
            for _ in range(2)
        ]  # fmt: skip
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        for worker in workers:
            worker.communicate(timeout=60)
        assert [worker.returncode for worker in workers] == [0, 0]
        assert int(store.load(KEY).payload) == 30
